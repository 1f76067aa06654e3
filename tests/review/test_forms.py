"""Uploads and audio: forms with files are scanned, redacted and put together again; nothing in them passes unread."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.review.harness import ANSWER, Guarded, Provider, letters, password, token

FILES = "/openai/v1/files"
AUDIO = "/openai/v1/audio/transcriptions"
BOUNDARY = "0123456789abcdef0123456789abcdef"
WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00" + bytes(200)


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    provider = Provider()
    started = Guarded(Path(tmp_path_factory.mktemp("forms")) / "home", provider)
    yield started
    started.remove()
    provider.close()


def form(parts: Mapping[str, bytes | tuple[str, str, bytes]]) -> bytes:
    made = b""
    for name, part in parts.items():
        head, content = f'Content-Disposition: form-data; name="{name}"', part
        if isinstance(part, tuple):
            head, content = f'{head}; filename="{part[0]}"\r\nContent-Type: {part[1]}', part[2]
        assert isinstance(content, bytes)
        made += f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"
    return made + f"--{BOUNDARY}--\r\n".encode()


def send(guard: Guarded, path: str, parts: Mapping[str, bytes | tuple[str, str, bytes]]) -> tuple[int, bytes]:
    return guard.post(path, form(parts), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})


def test_a_text_file_is_uploaded_with_placeholders(guard: Guarded) -> None:
    value, key = password(), token()
    text = f"# settings\r\nDB_PASSWORD={value}\r\nGITHUB={key}\r\n".encode()
    status, upstream = send(guard, FILES, {"purpose": b"user_data", "file": ("a.env", "text/plain", text)})
    assert status == 200
    assert value.encode() not in upstream
    assert key.encode() not in upstream
    head, _, body = upstream.partition(b"\r\n\r\n")
    boundary = head.partition(b"boundary=")[2].split(b"\r\n")[0]
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n"
    assert b"# settings\r\nDB_PASSWORD=LG_PASSWORD_" in body
    assert b'name="purpose"\r\n\r\nuser_data\r\n' in body


def test_a_batch_s_lines_stay_json(guard: Guarded) -> None:
    value = password()
    line = {"custom_id": "1", "body": {"messages": [{"role": "user", "content": f'my password is "{value}" ok\n'}]}}
    lines = (json.dumps(line) + "\n").encode() * 2
    status, upstream = send(guard, FILES, {"purpose": b"batch", "file": ("b.jsonl", "application/jsonl", lines)})
    assert status == 200
    assert value.encode() not in upstream
    written = upstream.partition(b"jsonl\r\n\r\n")[2].partition(b"\r\n--")[0]
    assert ["LG_PASSWORD_" in json.loads(one)["body"]["messages"][0]["content"] for one in written.splitlines()] == [
        True
    ] * 2


@pytest.mark.parametrize("place", ["field", "file name", "field name", "prompt"])
def test_every_other_place_of_a_form_is_scanned_too(guard: Guarded, place: str) -> None:
    value = token()
    parts: dict[str, bytes | tuple[str, str, bytes]] = {"file": ("a.wav", "audio/wav", WAVE), "model": b"whisper-1"}
    if place == "field":
        parts["password"] = value.encode()
    elif place == "file name":
        parts["file"] = (f"{value}.wav", "audio/wav", WAVE)
    elif place == "field name":
        parts[value] = b"x"
    else:
        parts["prompt"] = f"the token is {value}".encode()
    status, upstream = send(guard, AUDIO, parts)
    assert status == 200
    assert value.encode() not in upstream
    assert b"LG_GITHUB_TOKEN_" in upstream
    assert WAVE in upstream


def test_a_password_field_is_known_by_its_name(guard: Guarded) -> None:
    value = password()
    status, upstream = send(guard, FILES, {"db_password": value.encode(), "file": ("a", "text/plain", b"x")})
    assert status == 200
    assert value.encode() not in upstream


def test_a_placeholder_in_the_answer_and_in_a_file_that_is_fetched_is_turned_back(guard: Guarded) -> None:
    value = password()
    _, upstream = send(guard, FILES, {"file": ("a.env", "text/plain", f"DB_PASSWORD={value}\n".encode())})
    own = b"LG_PASSWORD_" + upstream.partition(b"LG_PASSWORD_")[2][:16]
    result = json.dumps(
        {"custom_id": "1", "response": {"body": {"choices": [{"message": {"content": "OWN"}}]}}}
    ).encode()
    answers = {
        b"application/json": b'{"id":"file-1","text":"it is OWN"}',
        b"application/octet-stream": result + b"\n" + result + b"\n",
        b"binary/octet-stream": b"",
    }
    for kind, answer in answers.items():
        body = answer.replace(b"OWN", own)
        guard.provider.answer = lambda head, body=body, kind=kind: (  # type: ignore[misc]
            b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        try:
            _, _, given = guard.send("GET", "/openai/v1/files/file-1/content")
        finally:
            guard.provider.answer = lambda head: ANSWER
        assert given == answer.replace(b"OWN", value.encode())


def test_a_form_that_cannot_be_read_without_doubt_is_refused_in_words(guard: Guarded) -> None:
    value = password()
    whole = form({"file": ("a.env", "text/plain", f"DB_PASSWORD={value}".encode())})
    for body in (whole[:-9], b"x" + whole, whole + b"y", whole.replace(b"\r\n", b"\n")):
        before = len(guard.provider.requests)
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        status, _, said = guard.send("POST", FILES, body, kind)
        assert status == 400
        assert json.loads(said)["error"]["code"] == "localguard_form_invalid"
        assert value.encode() not in said
        assert len(guard.provider.requests) == before
    assert guard.post(FILES, whole, {"Content-Type": "multipart/mixed; boundary=" + BOUNDARY})[0] == 400
    assert (
        guard.post(FILES, b"a=" + letters(5).encode(), {"Content-Type": "application/x-www-form-urlencoded"})[0] == 400
    )
