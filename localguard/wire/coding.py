"""Content codings, decoded under a bound: identity, gzip, deflate, br and zstd.

The rule of this file: bytes come out only if the whole input was understood. A cut, damaged, doubled or unknown coding is
an error and never "the bytes as they came", because what is passed on undecoded is passed on unscanned.

Sources: RFC 9110 section 8.4 (codings), RFC 1950/1951/1952 (zlib, deflate, gzip), RFC 7932 (br), RFC 8878 and RFC 9659
(zstd; a window above 8 MiB need not be accepted), read 2026-11-20.
"""

import sys
import zlib
from collections.abc import Callable
from typing import Protocol

import brotli

from localguard.errors import LocalguardError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ACCEPTED = ("gzip", "deflate", "br", "zstd")
"""The codings that are decoded, beside identity."""

MAX_MEMBERS = 4096
"""Members of one gzip body or frames of one zstd body: bgzip writes one per 64 KiB, so this is 256 MiB of its output."""

_STEP = 64 * 1024
_ZSTD_WINDOW_LOG = 23  # 8 MiB, RFC 9659 section 3


class CodingError(LocalguardError):
    """A body could not be decoded."""


class UnknownCoding(CodingError):
    """`Content-Encoding` names a coding that is not known, or more than one."""


class BrokenCoding(CodingError):
    """The body is cut off, damaged, or goes on after its end."""


class TooLarge(CodingError):
    """The body decodes to more bytes than its limit."""


def coding_of(content_encoding: str | None) -> str:
    """Name the one coding of a body: "identity" or a member of `ACCEPTED`.

    `content_encoding` is the header's value (several header lines joined by ", "), or None if there is none.
    `identity` beside another coding is ignored, `x-gzip` is gzip (RFC 9110 section 8.4.1.3), names are matched in any case.

    Raises UnknownCoding for every other name and for more than one coding (`gzip, gzip`): no client sends those, and
    each further layer multiplies what a small body can expand to.
    """
    names = [name for part in (content_encoding or "").split(",") if (name := part.strip(" \t").lower())]
    codings = ["gzip" if name == "x-gzip" else name for name in names if name != "identity"]
    if not codings:
        return "identity"
    if len(codings) > 1:
        raise UnknownCoding(
            "the body has more than one content coding; send it with one of gzip, deflate, br, zstd or none"
        )
    if codings[0] not in ACCEPTED:
        raise UnknownCoding(
            "the body's content coding is not known; send it with one of gzip, deflate, br, zstd or none"
        )
    return codings[0]


def decode_body(raw: bytes, content_encoding: str | None, limit: int) -> bytes:
    """Decode a whole body, at most `limit` bytes long.

    An empty body has no coding, whatever the header says. Memory stays within `limit` and one window (8 MiB at most,
    16 MiB for br) above the input.

    Raises UnknownCoding, BrokenCoding (cut off, wrong checksum, bytes after the end) or TooLarge.
    """
    decoder = StreamDecoder(coding_of(content_encoding), limit)
    decoded = decoder.feed(raw)
    decoder.finish()
    return decoded


class StreamDecoder:
    """Decodes one body that arrives in pieces; every piece comes out as soon as its coding allows.

    `coding` is an answer of `coding_of`; `limit` bounds the decoded bytes of the whole body.
    After an error the decoder is of no further use.
    """

    def __init__(self, coding: str, limit: int) -> None:
        if coding != "identity" and coding not in _OPENERS:
            raise UnknownCoding("the body's content coding is not known")
        self._open = _OPENERS.get(coding)
        self._member: _Member | None = None
        self._several = coding in ("gzip", "zstd")
        self._members = 0
        self._head = b""
        self._left = limit
        self._limit = limit
        self._fed = False

    def feed(self, data: bytes) -> bytes:
        """Answer what `data` (any part of the body) decodes to, possibly nothing yet.

        Raises BrokenCoding, or TooLarge before more than the limit has been decoded.
        """
        if not data:
            return b""
        self._fed = True
        if self._open is None:
            self._take(len(data))
            return data
        out: list[bytes] = []
        while data:
            if self._member is None:
                if self._members and not self._several:
                    raise BrokenCoding("the body goes on after the end of its content coding")
                if self._members >= MAX_MEMBERS:
                    raise BrokenCoding(f"the body has more than {MAX_MEMBERS} compressed members")
                if self._open is _open_deflate and len(self._head) + len(data) < 2:
                    self._head += data
                    break
                data, self._head = self._head + data, b""
                self._member = self._open(data)
                self._members += 1
            data = self._feed_member(self._member, data, out)
        return b"".join(out)

    def finish(self) -> None:
        """Say that the body has ended. Raises BrokenCoding if its coding has not."""
        if self._open is not None and self._fed and (self._member is not None or self._head):
            raise BrokenCoding("the body ends before its content coding does")

    def _feed_member(self, member: "_Member", data: bytes, out: list[bytes]) -> bytes:
        while True:
            # one byte above the limit is asked for, so that a body of exactly the limit is not taken for a bomb
            try:
                piece = member.decode(data, min(_STEP, self._left + 1))
            except (zlib.error, brotli.error, zstd.ZstdError) as error:
                raise BrokenCoding("the body does not follow its content coding") from error
            data = b""
            self._take(len(piece))
            out.append(piece)
            if member.ended:
                self._member = None
                return member.rest
            if member.hungry:
                return b""

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLarge(f"the body decodes to more than {self._limit} bytes")


class _Member(Protocol):
    """One compressed member: decodes at most `room` bytes a call, keeping what it has not yet read of the input."""

    ended: bool
    hungry: bool
    rest: bytes

    def decode(self, data: bytes, room: int) -> bytes: ...


class _Zlib:
    def __init__(self, window_bits: int) -> None:
        self._inflater = zlib.decompressobj(window_bits)
        self._pending = b""
        self.ended = False
        self.hungry = True
        self.rest = b""

    def decode(self, data: bytes, room: int) -> bytes:
        piece = self._inflater.decompress(self._pending + data, room)
        self._pending = self._inflater.unconsumed_tail
        self.ended = self._inflater.eof
        self.rest = self._inflater.unused_data
        self.hungry = not self._pending and len(piece) < room
        return piece


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self.ended = False
        self.hungry = True
        self.rest = b""

    def decode(self, data: bytes, room: int) -> bytes:
        # the limit is rounded up to the decompressor's own block size, so a piece may be longer than `room`
        piece: bytes = self._decompressor.process(data, output_buffer_limit=room)
        self.ended = self._decompressor.is_finished()
        self.hungry = not piece  # `can_accept_more_data` is already true while output is still waiting
        return piece


class _Zstd:
    def __init__(self) -> None:
        self._decompressor = zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        )
        self.ended = False
        self.hungry = True
        self.rest = b""

    def decode(self, data: bytes, room: int) -> bytes:
        piece: bytes = self._decompressor.decompress(data, room)
        self.ended = self._decompressor.eof
        self.rest = self._decompressor.unused_data if self.ended else b""
        self.hungry = not self.ended and self._decompressor.needs_input
        return piece


def _open_gzip(_: bytes) -> _Member:
    return _Zlib(16 + zlib.MAX_WBITS)


def _open_deflate(first: bytes) -> _Member:
    # "deflate" is the zlib format; some servers send raw deflate. A raw stream never starts like a zlib header: that
    # would be a stored block with non-zero padding bits, which no encoder writes.
    zlib_header = first[0] & 0x0F == 8 and int.from_bytes(first[:2], "big") % 31 == 0
    return _Zlib(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)


def _open_br(_: bytes) -> _Member:
    return _Brotli()


def _open_zstd(_: bytes) -> _Member:
    return _Zstd()


_OPENERS: dict[str, Callable[[bytes], _Member]] = {
    "gzip": _open_gzip,
    "deflate": _open_deflate,
    "br": _open_br,
    "zstd": _open_zstd,
}
