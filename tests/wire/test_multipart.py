"""A form is read in one way only, and comes out with the bytes that it came with."""

import base64
import contextlib
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.wire.multipart import BOUNDARY, MultipartInvalid, boundary_of, from_json, to_json

OWN = BOUNDARY.encode()


def form(*parts: tuple[bytes, bytes], boundary: bytes = b"xYz") -> bytes:
    made = b"".join(b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
    return made + b"--" + boundary + b"--\r\n"


def field(name: str, content: bytes, more: bytes = b"") -> tuple[bytes, bytes]:
    return b'Content-Disposition: form-data; name="' + name.encode() + b'"' + more, content


contents = st.binary(max_size=200) | st.text(max_size=60).map(str.encode)


@given(st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), contents, st.booleans()), max_size=4))
def test_what_is_read_comes_out_byte_for_byte_under_the_guard_s_boundary(parts: list[tuple[str, bytes, bool]]) -> None:
    made = [field(name, content, b'; filename="f.bin"' if file else b"") for name, content, file in parts]
    if any(b"--xYz" in content for _, content in made):
        return
    assert from_json(to_json(form(*made), "xYz")) == form(*made, boundary=OWN)


def test_fields_text_files_and_other_files_are_told_apart() -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    read = orjson.loads(
        to_json(
            form(
                field("model", b"whisper-1"),
                field("stream", b"true"),
                field("file", b"password=x", b'; filename="a.env"\r\nContent-Type: text/plain'),
                field("image", png, b'; filename="a.png"\r\nContent-Type: image/png'),
                field("note", b"\xff\xfe\x00"),
            ),
            "xYz",
        )
    )
    assert (read["model"], read["stream"]) == ("whisper-1", True)
    assert read["parts"][0] == {
        "headers": 'Content-Disposition: form-data; name="model"',
        "name": "model",
        "value": "whisper-1",
    }
    assert read["parts"][2]["text"] == "password=x"
    assert read["parts"][3]["data"] == "data:image/png;base64," + base64.b64encode(png).decode()
    assert read["parts"][4]["data"].startswith("data:application/octet-stream;base64,")


def test_what_stands_in_quotes_is_no_parameter() -> None:
    head = b'Content-Disposition: form-data; filename="a; name=model"; name="file"'
    read = orjson.loads(to_json(form((head, b"large"), field("model", b"small")), "xYz"))
    assert (read["model"], read["parts"][0].get("text")) == ("small", "large")
    hidden = orjson.loads(
        to_json(form((b'Content-Disposition: form-data; x="; name=model"; name="a"', b"large")), "xYz")
    )
    assert "model" not in hidden


def test_what_was_replaced_is_what_goes_out() -> None:
    read = to_json(form(field("file", b"key=VALUE\n", b'; filename="VALUE.txt"')), "xYz")
    assert from_json(read.replace(b"VALUE", b"LG_X")) == form(
        field("file", b"key=LG_X\n", b'; filename="LG_X.txt"'), boundary=OWN
    )


GOOD = form(field("a", b"b"))
DOUBTFUL = {
    "nothing": b"",
    "no end": GOOD[:-6],
    "a preamble": b"hello\r\n" + GOOD,
    "an epilogue": GOOD + b"password=x",
    "a longer boundary": GOOD.replace(b"--xYz\r\n", b"--xYzz\r\n"),
    "words behind the boundary": GOOD.replace(b"--xYz\r\n", b"--xYz x\r\n"),
    "bare line feeds": GOOD.replace(b"\r\n", b"\n"),
    "a boundary behind a bare line feed": form(field("a", b"b\n--xYz\r\nc")),
    "no headers": form((b"", b"x")),
    "no disposition": form((b"Content-Type: text/plain", b"x")),
    "a header twice": form((b'Content-Disposition: form-data; name="a"\r\ncontent-disposition: form-data', b"x")),
    "a folded header": form((b'Content-Disposition: form-data;\r\n name="a"', b"x")),
    "a header without colon": form((b'Content-Disposition: form-data; name="a"\r\nhello', b"x")),
    "headers that are not UTF-8": form((b'Content-Disposition: form-data; name="\xff"', b"x")),
    "long headers": form((b'Content-Disposition: form-data; name="' + b"a" * 9000 + b'"', b"x")),
    "base64": form(field("a", b"cGFzcw==", b"\r\nContent-Transfer-Encoding: base64")),
    "parts in a part": form(field("a", b"x", b"\r\nContent-Type: multipart/mixed; boundary=y")),
    "two models": form(field("model", b"small"), field("model", b"large")),
    "a part with two names": form((b'Content-Disposition: form-data; name="a"; name="model"', b"x")),
    "a name in another coding": form((b"Content-Disposition: form-data; name*=utf-8''model", b"x")),
    "too many parts": form(*[field("a", b"x")] * 1001),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_a_form_that_two_readers_could_cut_in_two_ways_is_refused(case: str) -> None:
    with pytest.raises(MultipartInvalid) as caught:
        to_json(DOUBTFUL[case], "xYz")
    assert "xYz" not in str(caught.value)


def test_content_that_holds_the_guard_s_own_boundary_is_refused() -> None:
    with pytest.raises(MultipartInvalid):
        from_json(to_json(form(field("a", b"x\r\n--" + OWN + b"\r\n")), "xYz"))


@pytest.mark.parametrize(
    ("declared", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('multipart/form-data; Boundary="a b:c"', "a b:c"),
        ("multipart/form-data;boundary=----WebKitFormBoundary1; charset=utf-8", "----WebKitFormBoundary1"),
    ],
)
def test_the_boundary_is_what_the_content_type_names(declared: str, boundary: str) -> None:
    assert boundary_of(declared) == boundary


@pytest.mark.parametrize(
    "value", ["", "; boundary=", "; boundary=a; boundary=b", '; boundary="', f"; boundary={'a' * 71}"]
)
def test_no_boundary_or_two_are_refused(value: str) -> None:
    with pytest.raises(MultipartInvalid):
        boundary_of("multipart/form-data" + value)


def test_reading_is_linear() -> None:
    for hostile in (b"--xYz\r\n" * 100_000, b"\r\n--xYz" * 100_000, form(field("a", b"\r\n--xY" * 300_000))):
        start = time.process_time()
        with contextlib.suppress(MultipartInvalid):
            to_json(hostile, "xYz")
        assert time.process_time() - start < 1.0
