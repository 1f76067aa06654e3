"""Content codings: everything well-formed is decoded, everything else refused, memory stays bounded."""

import functools
import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import pairwise

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.wire.coding import (
    BrokenCoding,
    CodingError,
    StreamDecoder,
    TooLarge,
    UnknownCoding,
    coding_of,
    decode_body,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Encoder = Callable[[bytes], bytes]


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush()


def br(data: bytes) -> bytes:
    return bytes(brotli.compress(data, quality=5))


def streamed_zstd(data: bytes) -> bytes:
    encoder = zstd.ZstdCompressor()
    return bytes(encoder.compress(data) + encoder.flush())


ENCODERS: dict[str, tuple[str, Encoder]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "zlib deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", br),
    "zstd": ("zstd", lambda data: bytes(zstd.compress(data))),
    "streamed zstd": ("zstd", streamed_zstd),
}
BODY = b'{"model":"m","messages":[{"role":"user","content":"' + bytes(range(32, 127)).replace(b'"', b"") * 50 + b'"}]}'
codings = pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=ENCODERS.keys())


@codings
def test_a_well_formed_body_is_decoded(coding: str, encode: Encoder) -> None:
    assert decode_body(encode(BODY), coding, 1 << 20) == BODY


@codings
def test_a_body_of_exactly_the_limit_is_decoded_and_one_byte_more_is_refused(coding: str, encode: Encoder) -> None:
    assert decode_body(encode(BODY), coding, len(BODY)) == BODY
    with pytest.raises(TooLarge):
        decode_body(encode(BODY), coding, len(BODY) - 1)


@codings
def test_a_body_cut_anywhere_is_refused(coding: str, encode: Encoder) -> None:
    whole = encode(BODY)
    for end in range(1, len(whole), max(1, len(whole) // 150)):
        with pytest.raises(BrokenCoding):
            decode_body(whole[:end], coding, 1 << 20)


@codings
@pytest.mark.parametrize("tail", [b"\0", b"x", b"{}", b"\x1f\x8b", b"garbage" * 100])
def test_bytes_after_the_end_are_refused(coding: str, encode: Encoder, tail: bytes) -> None:
    with pytest.raises(BrokenCoding):
        decode_body(encode(BODY) + tail, coding, 1 << 20)


@codings
def test_an_encoded_empty_body_is_empty(coding: str, encode: Encoder) -> None:
    assert decode_body(encode(b""), coding, 10) == b""


@pytest.mark.parametrize("place", [-1, -5, -8], ids=["length", "crc", "crc start"])
def test_a_wrong_gzip_trailer_is_refused(place: int) -> None:
    body = bytearray(gzip.compress(BODY))
    body[place] ^= 0x01
    with pytest.raises(BrokenCoding):
        decode_body(bytes(body), "gzip", 1 << 20)


def test_a_wrong_zlib_checksum_is_refused() -> None:
    body = bytearray(zlib.compress(BODY))
    body[-1] ^= 0x01
    with pytest.raises(BrokenCoding):
        decode_body(bytes(body), "deflate", 1 << 20)


def test_a_wrong_zstd_checksum_is_refused() -> None:
    body = bytearray(zstd.compress(BODY, options={zstd.CompressionParameter.checksum_flag: 1}))
    assert decode_body(bytes(body), "zstd", 1 << 20) == BODY
    body[-1] ^= 0x01
    with pytest.raises(BrokenCoding):
        decode_body(bytes(body), "zstd", 1 << 20)


@pytest.mark.parametrize(
    "coding",
    [
        "gzip, gzip",
        "gzip, zstd",
        "br,gzip",
        "compress",
        "lzma",
        "aws-chunked",
        "chunked",
        "gzip;q=1",
        "*",
        "g\u017fip",
        "x",
    ],
)
def test_doubled_and_unknown_codings_are_refused(coding: str) -> None:
    with pytest.raises(UnknownCoding):
        decode_body(gzip.compress(gzip.compress(BODY)), coding, 1 << 20)


@pytest.mark.parametrize("coding", [None, "", " ", "identity", "IDENTITY", "identity, identity", ","])
def test_identity_goes_through(coding: str | None) -> None:
    assert decode_body(BODY, coding, 1 << 20) == BODY


@pytest.mark.parametrize("coding", ["identity, gzip", "gzip,identity", " GZIP "])
def test_identity_beside_one_coding_is_ignored(coding: str) -> None:
    assert decode_body(gzip.compress(BODY), coding, 1 << 20) == BODY


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_an_empty_body_has_no_coding(coding: str) -> None:
    assert decode_body(b"", coding, 10) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_plain_text_under_a_coding_is_refused(coding: str) -> None:
    with pytest.raises(BrokenCoding):
        decode_body(BODY, coding, 1 << 20)


def test_several_gzip_members_and_zstd_frames_are_one_body() -> None:
    assert decode_body(gzip.compress(BODY) + gzip.compress(b"more"), "gzip", 1 << 20) == BODY + b"more"
    assert decode_body(zstd.compress(BODY) + zstd.compress(b"more"), "zstd", 1 << 20) == BODY + b"more"


def test_too_many_members_are_refused() -> None:
    with pytest.raises(BrokenCoding):
        decode_body(gzip.compress(b"") * 5000, "gzip", 1 << 20)


def test_a_zstd_window_above_8_mib_is_refused() -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    encoder = zstd.ZstdCompressor(options=options)
    wide = encoder.compress(b"a" * (1 << 20)) + encoder.flush()
    with pytest.raises(BrokenCoding):
        decode_body(wide, "zstd", 1 << 26)


@functools.cache
def bomb(coding: str, gibibytes: int) -> bytes:
    """About a mebibyte or less that decodes to `gibibytes` GiB of zeros."""
    block = b"\0" * (1 << 24)
    rounds = gibibytes * 64
    if coding == "br":
        encoder = brotli.Compressor(quality=1)
        return b"".join(encoder.process(block) for _ in range(rounds)) + bytes(encoder.finish())
    if coding == "zstd":
        frames = zstd.ZstdCompressor(level=1)
        return b"".join(frames.compress(block) for _ in range(rounds)) + bytes(frames.flush())
    deflater = zlib.compressobj(level=9, wbits=31 if coding == "gzip" else 15)
    return b"".join(deflater.compress(block) for _ in range(rounds)) + deflater.flush()


def decode_in_pieces(packed: bytes, coding: str, limit: int) -> None:
    decoder = StreamDecoder(coding, limit)
    for start in range(0, len(packed), 4096):
        decoder.feed(packed[start : start + 4096])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("decode", [decode_body, decode_in_pieces], ids=["request", "reply"])
def test_a_bomb_is_refused_within_bounded_memory(coding: str, decode: Callable[[bytes, str, int], object]) -> None:
    packed = bomb(coding, 1)
    assert len(packed) < 1_100_000
    limit = 8 << 20
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decode(packed, coding, limit)
        assert tracemalloc.get_traced_memory()[1] < 3 * limit
    finally:
        tracemalloc.stop()


@codings
def test_a_body_fed_byte_by_byte_decodes_the_same(coding: str, encode: Encoder) -> None:
    decoder = StreamDecoder(coding_of(coding), 1 << 20)
    packed = encode(BODY)
    assert b"".join(decoder.feed(packed[i : i + 1]) for i in range(len(packed))) == BODY
    decoder.finish()


@given(
    body=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=5), kind=st.sampled_from([*ENCODERS])
)
def test_any_chunking_gives_the_same_bytes(body: bytes, cuts: list[int], kind: str) -> None:
    coding, encode = ENCODERS[kind]
    packed = encode(body)
    decoder = StreamDecoder(coding_of(coding), 4000)
    places = [0, *sorted(min(cut, len(packed)) for cut in cuts), len(packed)]
    decoded = b"".join(decoder.feed(packed[a:b]) for a, b in pairwise(places))
    decoder.finish()
    assert decoded == body


@given(data=st.binary(max_size=300), coding=st.sampled_from(["gzip", "deflate", "br", "zstd"]))
def test_arbitrary_bytes_decode_or_are_refused(data: bytes, coding: str) -> None:
    try:
        assert len(decode_body(data, coding, 1 << 16)) <= 1 << 16
    except CodingError as error:
        assert data.hex() not in str(error)  # noqa: PT017


def test_flushed_pieces_of_a_stream_come_out_at_once() -> None:
    deflater = zlib.compressobj(wbits=31)
    decoder = StreamDecoder("gzip", 1 << 20)
    for number in range(5):
        event = b"data: %d\n\n" % number
        assert decoder.feed(deflater.compress(event) + deflater.flush(zlib.Z_SYNC_FLUSH)) == event
    decoder.feed(deflater.flush())
    decoder.finish()


def test_flushed_br_and_zstd_pieces_come_out_at_once() -> None:
    packer = brotli.Compressor(quality=5)
    decoder = StreamDecoder("br", 1 << 20)
    frames = zstd.ZstdCompressor()
    other = StreamDecoder("zstd", 1 << 20)
    for number in range(5):
        event = b"data: %d\n\n" % number
        assert decoder.feed(packer.process(event) + packer.flush()) == event
        assert other.feed(frames.compress(event) + frames.flush(zstd.ZstdCompressor.FLUSH_BLOCK)) == event
    decoder.feed(packer.finish())
    decoder.finish()
    other.feed(frames.flush())
    other.finish()
