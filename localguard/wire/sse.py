"""Server-sent events, losslessly: bytes in, events with their exact bytes out.

Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream". Lines end in CR, LF or CRLF, mixed as they come.
Comments, `id`, `retry` and unknown fields stay in the event's bytes and are never touched.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from localguard.errors import LocalguardError

MAX_EVENT = 32 * 1024 * 1024
"""Bytes of one event. Whole responses come in one event; the longest seen are a few megabytes."""

_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")
_BLANK = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n|\n\r|\r\r\n")


class StreamTooLong(LocalguardError):
    """One event or line of a stream exceeds what the guard holds in memory."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its exact bytes with the blank line that ends it, and what its `event` and `data` fields say."""

    raw: bytes
    name: str
    data: bytes
    """The data lines joined by LF. Empty for comments."""

    def with_data(self, data: bytes) -> bytes:
        """The event's bytes with its data replaced by `data` where the first data line stood, in as many lines."""
        lines: list[bytes] = []
        written = False
        for content, ending in _LINE.findall(self.raw):
            line = content.removeprefix(_BOM)
            if line == b"data" or line.startswith(b"data:"):
                if not written:
                    lines += [b"data: " + one + (ending or b"\n") for one in data.split(b"\n")]
                    if not ending:
                        lines[-1] = lines[-1][:-1]
                    written = True
            else:
                lines.append(content + ending)
        return b"".join(lines)


def encode(data: bytes, name: str = "") -> bytes:
    """A new event."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"data: " + data + b"\n\n"


class EventParser:
    """Cuts a byte stream into events, whatever the chunking.

    A CR at the end of a chunk waits for the next byte, which may be its LF.
    """

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._limit = limit

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that this chunk completes. Raises StreamTooLong."""
        buffer = self._buffer
        buffer += chunk
        begin = 0
        search = max(self._searched - 3, 0)
        while True:
            match = _BLANK.search(buffer, search)
            if match is None:
                break
            end = match.end()
            if end == len(buffer) and buffer[end - 1 : end] == b"\r":
                break  # the CR may be half of a CRLF
            raw = bytes(buffer[begin:end])
            begin = search = end
            yield _event(raw)
        del buffer[:begin]
        self._searched = len(buffer)
        if len(buffer) > self._limit:
            raise StreamTooLong(f"one event of the reply exceeds {self._limit} bytes")

    def finish(self) -> Event | None:
        """What is left at the end of the stream: an event without its blank line."""
        raw = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return _event(raw) if raw else None


def _event(raw: bytes) -> Event:
    name = ""
    data: list[bytes] = []
    for line in raw.splitlines():
        field, _, value = line.removeprefix(_BOM).partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return Event(raw, name, b"\n".join(data))
