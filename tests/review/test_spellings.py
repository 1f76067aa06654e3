"""The same value spelled in another way is the same value."""

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.review.harness import Guarded, Provider, chat, password

CHAT = "/openai/v1/chat/completions"
MESSAGES = "/anthropic/v1/messages"


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    provider = Provider()
    started = Guarded(Path(tmp_path_factory.mktemp("spellings")) / "home", provider)
    yield started
    started.remove()
    provider.close()


def card() -> str:
    """A card number, made now."""
    digits = [4, *(secrets.randbelow(10) for _ in range(14))]
    doubled = [digit * 2 - 9 * (digit > 4) if at % 2 == 0 else digit for at, digit in enumerate(digits)]
    return "".join(map(str, digits)) + str(-sum(doubled) % 10)


@pytest.mark.parametrize("spell", ["{}", "{}.0", "{}e0", "{}.00E+0", "{}0e-1"])
def test_a_card_number_is_found_however_the_number_is_written(guard: Guarded, spell: str) -> None:
    written = spell.format(card()).encode()
    call = b'{"type": "tool_use", "id": "t1", "name": "pay", "input": {"card": %s, "n": 1.0}}' % written
    body = b'{"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [%s]}]}' % call
    status, upstream = guard.post(MESSAGES, body)
    assert status == 200
    assert b'"card": "LG_' in upstream
    assert b'"n": 1.0' in upstream
    status, upstream = guard.post(CHAT, b'{"model": "m", "messages": [], "seed": %s}' % written)
    assert (status, upstream) == (400, b"")


@pytest.mark.parametrize("charset", ["latin-1", "cp1252", "koi8-r"])
def test_a_text_file_in_an_older_character_set_is_read_and_redacted(guard: Guarded, charset: str) -> None:
    value = password()
    words = "настройки" if charset == "koi8-r" else "réglages à garder"
    text = f"# {words}, as they were before\nDB_PASSWORD={value}\n".encode(charset)
    url = f"data:text/plain;base64,{base64.b64encode(text).decode()}"
    status, upstream = guard.post(CHAT, chat([{"type": "file", "file": {"file_data": url}}]))
    assert status == 200
    sent = base64.b64decode(upstream.partition(b"base64,")[2].partition(b'"')[0])
    assert value.encode() not in sent
    assert text.partition(b"\n")[0] in sent
    assert b"DB_PASSWORD=LG_" in sent


@pytest.mark.parametrize("later", [False, True], ids=["in the same request", "learnt later"])
def test_a_known_value_is_found_in_wrapped_base64_and_in_needless_percent_escapes(guard: Guarded, later: bool) -> None:
    value = password()
    wrapped = base64.encodebytes(f"{'z' * 52}{value}{'y' * 40}".encode()).decode()
    escaped = "".join(f"%{ord(one):02x}" if at % 3 else one for at, one in enumerate(value))
    first = {"role": "user", "content": f"see\n{wrapped}\nand ?q={escaped}"}
    if later:
        guard.post(CHAT, {"model": "m", "messages": [first]})
    known = {"role": "user", "content": f"the password is {value}"}
    status, upstream = guard.post(CHAT, {"model": "m", "messages": [first, known]})
    assert status == 200
    assert escaped.encode() not in upstream
    assert wrapped[:76].encode() not in upstream
