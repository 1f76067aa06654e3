"""Runs of base64 and hex that spell text, decoded with the way back to the bytes that they came from.

The gates know such runs without knowing what is in them: of text, every decoded byte is printable ASCII, which leaves a
few characters at each place of a group. Eighteen such bytes in a row hardly ever come by chance (in random base64 once
in ten million places), so hashes, keys and images do not match.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

MAX_ENCODED: Final = 65_536
"""Bytes of one encoded run that are decoded."""
_MAX_UNPACKED: Final = 1024 * 1024
_MAX_STREAMS: Final = 16
"""Compressed runs of one window that are unpacked."""

BASE64_GATE: Final = (
    rb"(?:[I-Za-f][C-HS-Xi-nyz0-3](?:[AEIMQUYcgkosw048][g-z0-9+/_-]|[BFJNRVZdhlptx159][A-Za-z0-9+/_-])){6}"
)
"""Six groups of base64 whose eighteen bytes are 0x20 to 0x7f."""
HEX_GATE: Final = rb"(?:[2-7][0-9A-Fa-f]){18}"
"""Eighteen bytes from 0x20 to 0x7f in hex."""
GZIP_GATE: Final = rb"H4sI[A-Za-z0-9+/_-]{24}"
"""The first bytes of a gzip stream (RFC 1952) in base64."""

_HEX_RUN: Final = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
_BASE64_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
_TEXT: Final = bytes((9, 10, 13, *range(32, 127), *range(128, 192)))
"""Bytes that stand in text: printable ASCII, line breaks, and the further bytes of UTF-8 characters."""
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Decoded bytes and the way back: `origin(start, end)` is where in the text `text[start:end]` came from."""

    text: bytes
    origin: Callable[[int, int], tuple[int, int]]


def base64_runs(text: bytes, gate: Any) -> Iterator[Decoded]:
    """Each base64 run in which `gate` matches, decoded at the four places where its first group may begin."""
    position = 0
    while (found := gate.search(text, position)) is not None:
        start = _run_start(text, found.start())
        run = _BASE64_RUN.match(text, start, start + 2 * MAX_ENCODED)
        end = run.end() if run else found.end()
        characters = text[start:end].rstrip(b"=").translate(_STANDARD)
        for lead in range(4):
            body = characters[lead:]
            body = body[: len(body) - (len(body) % 4 == 1)]
            try:
                decoded = base64.b64decode(body + b"=" * (-len(body) % 4))
            except (ValueError, binascii.Error):
                continue
            if len(decoded.translate(None, _TEXT)) * 4 > len(decoded):
                continue  # another of the four places is the right one
            yield Decoded(decoded, partial(_of_base64, start + lead, len(body), end))
        position = max(end, found.end())


def hex_runs(text: bytes, gate: Any) -> Iterator[Decoded]:
    """Each hex run from where `gate` matches, decoded."""
    position = 0
    while (found := gate.search(text, position)) is not None:
        start = found.start()
        run = _HEX_RUN.match(text, start, start + MAX_ENCODED)
        end = run.end() if run else found.end()
        decoded = bytes.fromhex(text[start:end].decode("ascii")) if run else b""
        yield Decoded(decoded, partial(_of_hex, start))
        position = max(end, found.end())


def gzip_runs(text: bytes, gate: Any) -> Iterator[Decoded]:
    """Each base64 run that begins like gzip, unpacked; every byte of it stands for the whole run."""
    position = count = 0
    while count < _MAX_STREAMS and (found := gate.search(text, position)) is not None:
        count += 1
        run = _BASE64_RUN.match(text, found.start(), found.start() + 16 * MAX_ENCODED)
        start, end = found.start(), run.end() if run else found.end()
        position = end
        body = text[start:end].rstrip(b"=").translate(_STANDARD)
        try:
            packed = base64.b64decode(body + b"=" * (-len(body) % 4))
            unpacked = zlib.decompressobj(wbits=31).decompress(packed, _MAX_UNPACKED)
        except (ValueError, zlib.error):
            continue
        yield Decoded(unpacked, partial(_whole, start, end))


def _of_base64(first: int, size: int, end: int, low: int, high: int) -> tuple[int, int]:
    """Where bytes of a run come from that has `size` characters from `first` on, and ends with its padding at `end`."""
    last = first + -(-high * 8 // 6)
    return first + low * 8 // 6, end if last == first + size else last


def _of_hex(first: int, low: int, high: int) -> tuple[int, int]:
    return first + 2 * low, first + 2 * high


def _whole(start: int, end: int, _low: int, _high: int) -> tuple[int, int]:
    return start, end


def _run_start(text: bytes, position: int) -> int:
    """Where the base64 run begins that goes on at `position`."""
    low, size = max(0, position - MAX_ENCODED), 64
    start = position
    while start > low:
        begin = max(low, position - size)
        start = begin + len(text[begin:start].rstrip(_BASE64))
        if start > begin:
            break
        size *= 2  # all of it belongs to the run
    return start
