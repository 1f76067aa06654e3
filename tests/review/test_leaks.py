"""A value that is detected anywhere leaves in no request, whatever body, header, address or policy it comes in."""

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import pytest

from localguard.audit.queries import Log
from localguard.audit.schema import LogUnavailable
from localguard.proxy.ollama_models import OllamaModels
from localguard.proxy.upstream import Upstream
from tests.review.harness import ANSWER, Guarded, Provider, chat, letters, password, token

CHAT = "/openai/v1/chat/completions"
MESSAGES = "/anthropic/v1/messages"
RESPONSES = "/openai/v1/responses"
GEMINI = "/gemini/v1beta/models/g:generateContent"
UNKNOWN = "/openai-compatible/v9/unknown"


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    provider = Provider()
    started = Guarded(Path(tmp_path_factory.mktemp("review")) / "home", provider)
    yield started
    started.remove()
    provider.close()


STRUCTURES: dict[str, Callable[[str], object]] = {
    "member": lambda value: {"db_password": value},
    "array under a member": lambda value: {"db_passwords": "x", "db_password": [value]},
    "object under a member": lambda value: {"db_password": {"value": value}},
    "name and value": lambda value: {"env": [{"name": "DB_PASSWORD", "value": value}]},
    "value before its name": lambda value: {"env": [{"value": value, "name": "DB_PASSWORD"}]},
    "key and value, capitals": lambda value: {"Parameters": [{"Key": "DbPassword", "Value": value}]},
    "flag and argument": lambda value: {"command": ["tool", "--verbose", "--password", value]},
    "assignment under a telling name": lambda value: {"user_prompt": f"password: {value}"},
}
SENTENCES = [
    "log in as bob, password: {} please",
    "my password is {}.",
    "**Password:** {}",
    "| password | {} |",
    'const DB_PASSWORD: &str = "{}";',
    'api_key: str = "{}"',
    "ENV DB_PASSWORD {}",
    "db:\n  password: |\n    {}\n",
]


class TestJsonStructure:
    """What makes a value a secret may stand beside it in the JSON and not in its own text."""

    @pytest.mark.parametrize("structure", STRUCTURES)
    def test_a_password_in_a_body_of_any_shape_is_replaced(self, guard: Guarded, structure: str) -> None:
        value = password()
        status, upstream = guard.post(UNKNOWN, STRUCTURES[structure](value))
        assert status == 200
        assert value.encode() not in upstream
        assert b"LG_" in upstream

    @pytest.mark.parametrize("structure", STRUCTURES)
    def test_a_password_in_json_that_is_a_text_is_replaced(self, guard: Guarded, structure: str) -> None:
        value = password()
        status, upstream = guard.post(CHAT, chat(json.dumps(STRUCTURES[structure](value), indent=1)))
        assert status == 200
        assert value.encode() not in upstream
        assert b"LG_" in upstream

    @pytest.mark.parametrize("levels", range(1, 7))
    @pytest.mark.parametrize("wrap", [json.dumps, lambda text: json.dumps({"a": text})], ids=["string", "object"])
    @pytest.mark.parametrize("before", ["", "log: "], ids=["alone", "after other text"])
    def test_a_password_in_json_in_json_is_replaced(
        self, guard: Guarded, levels: int, wrap: Callable[[str], str], before: str
    ) -> None:
        value = password()
        text = json.dumps({"db_password": value})
        for _ in range(levels - 1):
            text = wrap(text)
        status, upstream = guard.post(CHAT, chat(before + text))
        assert status == 200
        assert value.encode() not in upstream

    @pytest.mark.parametrize("sentence", SENTENCES)
    def test_a_password_in_a_sentence_or_a_declaration_is_replaced(self, guard: Guarded, sentence: str) -> None:
        value = password()
        status, upstream = guard.post(CHAT, chat(sentence.format(value)))
        assert status == 200
        assert value.encode() not in upstream

    @pytest.mark.parametrize("name", ["password", "api_key", "db_password", "client_secret"])
    def test_a_member_beside_the_history_keeps_its_name(self, guard: Guarded, name: str) -> None:
        value = password()
        status, upstream = guard.post(CHAT, chat("hello", **{name: value}))
        assert status == 200
        assert value.encode() not in upstream
        assert b"LG_" in upstream


def message(block: dict[str, object]) -> dict[str, object]:
    return {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [block]}]}


def answer(item: dict[str, object]) -> dict[str, object]:
    return {"model": "m", "input": [item]}


OPAQUE: dict[str, tuple[str, Callable[[str], object]]] = {
    "signature": (MESSAGES, lambda data: message({"type": "thinking", "thinking": "x", "signature": data})),
    "redacted thinking": (MESSAGES, lambda data: message({"type": "redacted_thinking", "data": data})),
    "image": (
        MESSAGES,
        lambda data: message(
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        ),
    ),
    "encrypted content": (RESPONSES, lambda data: answer({"type": "reasoning", "id": "r", "encrypted_content": data})),
    "image address": (
        CHAT,
        lambda data: chat([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}]),
    ),
    "file": (
        CHAT,
        lambda data: chat([{"type": "file", "file": {"file_data": f"data:text/plain;base64,{data}"}}]),
    ),
    "inline data": (
        GEMINI,
        lambda data: {"contents": [{"parts": [{"inlineData": {"mimeType": "text/plain", "data": data}}]}]},
    ),
}
NAMES: dict[str, tuple[str, Callable[[str], object]]] = {
    "tool call": (CHAT, lambda name: {"model": "m", "messages": [{"role": "tool", "tool_call_id": name}]}),
    "tool use": (MESSAGES, lambda name: message({"type": "tool_use", "id": name, "name": "x", "input": {}})),
    "item": (RESPONSES, lambda name: answer({"type": "function_call", "call_id": name, "arguments": "{}"})),
    "cache key": (RESPONSES, lambda name: {"model": "m", "prompt_cache_key": name, "input": "x"}),
}


SEALED = ("signature", "redacted thinking", "encrypted content")


class TestOpaquePlaces:
    """A place whose bytes must travel exactly is no hiding place."""

    @pytest.mark.parametrize("place", [*OPAQUE, *NAMES])
    def test_a_token_where_opaque_data_belongs_is_refused(self, guard: Guarded, place: str) -> None:
        value = token()
        path, made = {**OPAQUE, **NAMES}[place]
        status, upstream = guard.post(path, made(value))
        assert status == 400
        assert upstream == b""

    @pytest.mark.parametrize("place", NAMES)
    def test_an_account_number_as_an_id_is_refused(self, guard: Guarded, place: str) -> None:
        path, made = NAMES[place]
        account = "37040044" + f"{secrets.randbelow(10**10):010}"
        number = f"DE{98 - int(account + '131400') % 97:02}{account}"
        status, upstream = guard.post(path, made(number))
        assert status == 400
        assert upstream == b""

    @pytest.mark.parametrize("place", SEALED)
    def test_a_text_in_base64_where_a_provider_seals_is_refused(self, guard: Guarded, place: str) -> None:
        path, made = OPAQUE[place]
        text = f"# réglages ~~~ ???\nDB_PASSWORD={password()}\n".encode()
        status, upstream = guard.post(path, made(base64.b64encode(text).decode()))
        assert status == 400
        assert upstream == b""

    @pytest.mark.parametrize("place", [place for place in OPAQUE if place not in SEALED])
    @pytest.mark.parametrize(
        "spell", [base64.b64encode, base64.urlsafe_b64encode, lambda raw: base64.b64encode(raw).rstrip(b"=")]
    )
    def test_a_text_in_base64_is_read_and_redacted(
        self, guard: Guarded, place: str, spell: Callable[[bytes], bytes]
    ) -> None:
        value = password()
        path, made = OPAQUE[place]
        text = f"# réglages ~~~ ???\nDB_PASSWORD={value}\n".encode()
        encoded = spell(text).decode()
        status, upstream = guard.post(path, made(encoded))
        assert status == 200
        assert encoded.encode() not in upstream
        [sent] = [
            decoded
            for part in upstream.replace(b"base64,", b'"').split(b'"')
            if b"DB_PASSWORD=" in (decoded := _decoded(part))
        ]
        assert value.encode() not in sent
        assert b"DB_PASSWORD=LG_" in sent

    def test_a_value_learnt_later_is_found_in_base64_that_went_out_before(self, guard: Guarded) -> None:
        value = password()
        file = {"type": "file", "file": {"file_data": f"data:text/plain;base64,{_encoded(f'use {value} here')}"}}
        history = [{"role": "user", "content": [file]}]
        guard.post(CHAT, {"model": "m", "messages": history})
        later = [*history, {"role": "user", "content": f"password: {value}"}]
        status, upstream = guard.post(CHAT, {"model": "m", "messages": later})
        assert status == 200
        assert _encoded(f"use {value} here").encode() not in upstream

    @pytest.mark.parametrize("place", OPAQUE)
    def test_media_travels_byte_for_byte(self, guard: Guarded, place: str) -> None:
        path, made = OPAQUE[place]
        body = json.dumps(made(base64.b64encode(b"\x89PNG" + secrets.token_bytes(60_000)).decode())).encode()
        status, upstream = guard.post(path, body)
        assert status == 200
        assert upstream.endswith(body)

    @pytest.mark.parametrize("place", OPAQUE)
    def test_a_clean_text_in_base64_travels_byte_for_byte(self, guard: Guarded, place: str) -> None:
        path, made = OPAQUE[place]
        body = json.dumps(made(base64.b64encode(b"Nothing to see here, and nothing to hide.").decode())).encode()
        status, upstream = guard.post(path, body)
        assert status == 200
        assert upstream.endswith(body)


class TestAddresses:
    """A known value is found in path and query however they are spelled."""

    @pytest.mark.parametrize("place", ["v1/x?q={}", "v1/x?{}", "v1/{}", "v1/{}/x", "v1/files;a={}"])
    @pytest.mark.parametrize("safe", ["", "/", "+", "/+", "ABCabc"])
    def test_a_key_with_plus_and_slash_is_replaced(self, guard: Guarded, place: str, safe: str) -> None:
        value = f"{letters(9)}7+{letters(9)}/{letters(9)}+{letters(9)}"
        guard.post(CHAT, chat(f"AWS_SECRET_ACCESS_KEY={value}"))
        status, upstream = guard.get("/openai-compatible/" + place.format(quote(value, safe=safe)))
        assert status == 200
        assert value.encode() not in unquote_to_bytes(upstream)
        assert b"LG_" in upstream

    def test_a_clean_address_keeps_its_spelling(self, guard: Guarded) -> None:
        target = "v1/a%2Fb/c+d/%7Ee;x=1?q=a+b%2Bc&&r=%20&s=a%2fb&t&u="
        status, upstream = guard.get(f"/openai-compatible/{target}")
        assert status == 200
        assert upstream.startswith(f"GET /{target} ".encode())

    def test_a_replaced_value_in_an_address_makes_the_call_one_to_be_recorded(self, guard: Guarded) -> None:
        value = token()
        _, headers, _ = guard.send("GET", f"/openai-compatible/v1/files/{value}")
        with Log(guard.home / "state" / "audit.db") as log:
            [intent] = [
                one for one in log.tail(50) if one.exchange == headers["X-LocalGuard-Exchange"] and one.kind == "intent"
            ]
        assert intent.kind == "intent"


class TestBeforeTheRequest:
    """What the guard asks or answers on its own shows nothing either."""

    def test_ollama_is_not_asked_about_a_model_whose_name_is_a_token(self, guard: Guarded) -> None:
        value = "gl" + "pat-" + letters(20)
        status, upstream = guard.post("/ollama/api/chat", {"model": value, "messages": []})
        assert status == 200
        assert value.encode() not in upstream

    async def test_ollama_is_not_asked_before_that_is_recorded(self) -> None:
        async def announce(endpoint: str) -> None:
            raise LogUnavailable(endpoint)

        with Provider() as provider:
            models = OllamaModels(Upstream(), announce=announce)
            with pytest.raises(LogUnavailable):
                await models.leaves_machine("ollama", f"http://127.0.0.1:{provider.port}", "qwen3:4b")
            assert provider.requests == []

    @pytest.mark.parametrize("charset", ["utf-16", "utf-7", "iso-8859-1", '"UTF-16LE"'])
    def test_a_body_in_another_character_set_is_refused(self, guard: Guarded, charset: str) -> None:
        kind = {"Content-Type": f"application/json; x=y; charset={charset}"}
        status, upstream = guard.post(CHAT, chat("hello"), kind)
        assert status == 400
        assert upstream == b""

    @pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii"])
    def test_a_body_in_utf_8_passes(self, guard: Guarded, charset: str) -> None:
        status, _ = guard.post(CHAT, chat("hello"), {"Content-Type": f"application/json; charset={charset}"})
        assert status == 200

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_an_agent_is_not_told_where_to_send_its_body_past_the_guard(self, guard: Guarded, status: int) -> None:
        moved = b"HTTP/1.1 %d Moved\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n" % status
        guard.provider.answer = lambda head: moved
        try:
            given, headers, _ = guard.send("POST", CHAT, json.dumps(chat("hello")).encode())
            _, of_get, _ = guard.send("GET", "/openai/v1/files/f/content")
        finally:
            guard.provider.answer = lambda head: ANSWER
        assert given == status
        assert "Location" not in headers
        assert of_get["Location"] == "http://elsewhere.invalid/"

    def test_a_refusal_does_not_quote_the_kind_of_body(self, guard: Guarded) -> None:
        value = token()
        kind = {"Content-Type": f"multipart/{value}"}
        status, _, body = guard.send("POST", CHAT, b"--x", kind)
        assert status == 400
        assert value.encode() not in body


LAX = """
[[rules]]
id = "everything"
effect = "allow"

[[rules]]
id = "secrets-may-leave"
effect = "allow"
when = { endpoints = ["openai-compatible"] }
redact = { secret = "allow", pii = "allow" }

[[rules]]
id = "addresses-may-leave"
effect = "allow"
when = { endpoints = ["gemini"] }
redact = { pii = "allow" }
"""


@pytest.fixture(scope="module")
def lax(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    provider = Provider()
    started = Guarded(Path(tmp_path_factory.mktemp("lax")) / "home", provider, LAX)
    yield started
    started.remove()
    provider.close()


class TestPolicies:
    """What one endpoint may see does not slip through to another one."""

    def test_a_value_that_was_let_through_is_known_where_it_is_not(self, lax: Guarded) -> None:
        value = password()
        _, upstream = lax.post("/openai-compatible/v1/chat/completions", chat(f"password: {value}"))
        assert value.encode() in upstream
        status, upstream = lax.post(CHAT, chat(f"connect with {value} please"))
        assert status == 200
        assert value.encode() not in upstream

    def test_the_same_bytes_are_redacted_where_they_must_be(self, lax: Guarded) -> None:
        value = password()
        body = chat(f"password: {value}")
        _, first = lax.post("/openai-compatible/v1/chat/completions", body)
        _, second = lax.post(CHAT, body)
        _, third = lax.post("/openai-compatible/v1/chat/completions", body)
        assert [value.encode() in upstream for upstream in (first, second, third)] == [True, False, True]

    def test_an_address_that_turns_out_to_be_a_password_is_no_longer_let_through(self, lax: Guarded) -> None:
        address = f"bob{letters(6).lower()}@corp-mail.io"
        path = "/gemini/v1beta/models/g:generateContent"
        bare = {"contents": [{"parts": [{"text": f"write to {address}"}]}]}
        _, upstream = lax.post(path, bare)
        assert address.encode() in upstream
        lax.post(CHAT, chat(f'password: "{address}"'))
        status, upstream = lax.post(path, bare)
        assert status == 200
        assert address.encode() not in upstream

    def test_an_address_that_may_leave_does_not_take_a_secret_with_it(self, lax: Guarded) -> None:
        host = f"corp{letters(5).lower()}.io"
        address, secret = f"ann@{host}", f"{host}/{letters(12)}9"
        lax.post(CHAT, chat(f'write to {address}, password: "{secret}"'))
        text = f"see ann@{secret} there"
        status, upstream = lax.post(
            "/gemini/v1beta/models/g:generateContent", {"contents": [{"parts": [{"text": text}]}]}
        )
        assert status == 200
        assert secret.encode() not in upstream


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(part: bytes) -> bytes:
    try:
        return base64.b64decode(part.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(part) % 4))
    except ValueError:
        return b""
