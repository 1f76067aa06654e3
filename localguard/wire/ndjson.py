"""Newline-delimited JSON, losslessly: bytes in, lines with their exact bytes out."""

from collections.abc import Iterator

from localguard.wire.sse import MAX_EVENT, StreamTooLong


class LineParser:
    """Cuts a byte stream into lines (with their LF), whatever the chunking."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk completes. Raises StreamTooLong."""
        searched = len(self._buffer)
        self._buffer += chunk
        begin = 0
        while (newline := self._buffer.find(b"\n", max(searched, begin))) >= 0:
            yield bytes(self._buffer[begin : newline + 1])
            begin = newline + 1
        del self._buffer[:begin]
        if len(self._buffer) > self._limit:
            raise StreamTooLong(f"one line of the reply exceeds {self._limit} bytes")

    def finish(self) -> bytes:
        """What is left at the end of the stream, without its LF."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest
