"""Requests on their way out: nothing planted stays in clear, everything else stays byte for byte."""

import base64
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.exchange.request import RequestRefused
from localguard.wire.chat import CHAT, COMPLETIONS
from localguard.wire.format import WireFormat
from localguard.wire.gemini import GEMINI
from localguard.wire.generic import GENERIC
from localguard.wire.messages import MESSAGES
from localguard.wire.ollama import OLLAMA
from localguard.wire.responses import RESPONSES
from tests.exchange.bodies import PLACES
from tests.exchange.driver import ALLOW, MARK, REDACT, VALUES, Workspace, leaks, texts_in

FORMATS = list({format.name: format for format, _ in PLACES.values()}.values())
BY_NAME = {format.name: format for format in FORMATS}
SPELLINGS: dict[str, Callable[[Any], bytes]] = {
    "compact": orjson.dumps,
    "spaced": lambda value: json.dumps(value, ensure_ascii=False).encode(),
    "ascii": lambda value: json.dumps(value, separators=(",", ":")).encode(),
    "indented": lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2),
}


def normal(value: Any, key: str = "") -> Any:
    """Parsed JSON with call arguments parsed too: they are compared as JSON."""
    if isinstance(value, str) and key == "arguments" and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if isinstance(value, list):
        return [normal(one, key) for one in value]
    return {name: normal(one, name) for name, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("format", "place"), PLACES)
def test_a_value_leaves_no_place_in_clear_and_comes_back(format: str, place: str, value: str) -> None:
    wire, body = PLACES[format, place]
    for spell in SPELLINGS.values():
        workspace = Workspace()
        raw = spell(body(value))
        redacted = workspace.send(wire, raw).body
        assert leaks(redacted) == []
        if place != "arguments that are no JSON":
            assert workspace.turned_back(json.loads(redacted)) == normal(json.loads(raw))
        assert Workspace().send(wire, raw).body == redacted  # after a restart


@pytest.mark.parametrize(("format", "place"), PLACES)
def test_a_body_without_findings_is_byte_identical(format: str, place: str) -> None:
    wire, body = PLACES[format, place]
    for spell in SPELLINGS.values():
        raw = spell(body('harmless "text" \\ \n é'))
        assert Workspace().send(wire, raw).body == raw


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: str(format.name))
def test_allowed_classes_are_not_touched(format: WireFormat) -> None:
    for (name, _), (wire, body) in PLACES.items():
        if name == format.name:
            raw = orjson.dumps(body(VALUES[0]))
            workspace = Workspace()
            assert workspace.send(wire, raw, actions=ALLOW).body == raw
            assert leaks(workspace.send(wire, raw, actions=REDACT).body) == []
            assert workspace.send(wire, raw, actions=ALLOW).body == raw


JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**40), 2**40),
        st.lists(
            st.sampled_from([*VALUES, "word", '"', "\\", "\n", "é", " ", "LG_", "=", "weak=abc "]), max_size=4
        ).map("".join),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "a", "value", "input", "text", *VALUES]), inner, max_size=3)
        | inner.map(json.dumps)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(JSON_VALUES, st.sampled_from(sorted(BY_NAME)), st.sampled_from(sorted(SPELLINGS)))
def test_restore_of_redact_is_the_body_whatever_its_shape(value: Any, format: str, spelling: str) -> None:
    body = {"model": "m", "messages": [value], "input": value, "metadata": {"a": value}}
    raw = SPELLINGS[spelling](body)
    workspace = Workspace()
    redacted = workspace.send(BY_NAME[format], raw).body
    assert leaks(redacted) == []
    assert workspace.turned_back(json.loads(redacted)) == json.loads(raw)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                b'{"',
                b'"',
                b"{",
                b"}",
                b"[",
                b"]",
                b":",
                b",",
                b'"messages"',
                b'"input"',
                b'"a"',
                b"1",
                b"\\u00e9",
                b"null",
                *[b'"S3CR-x~"', b"4111111111111111", b"\xff", b" ", b'"content"', b'"arguments":"{}"', b'"id":"x1"'],
            ]
        ),
        max_size=16,
    ).map(b"".join),
    st.sampled_from(sorted(BY_NAME)),
)
def test_no_body_raises_anything_but_a_refusal(raw: bytes, format: str) -> None:
    with suppress(RequestRefused):
        redacted = Workspace().send(BY_NAME[format], raw).body
        assert not raw or not any(MARK in text for text in leaks(redacted))


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: str(format.name))
@pytest.mark.parametrize(
    "raw",
    [
        b'{"messages": [], "messages": [{"content": "S3CR-x~"}]}',
        b'{"messages":[{"content":"a","content":"S3CR-x~"}]}',
        b'{"messages":[{"content":"a","\\u0063ontent":"S3CR-x~"}]}',
        b'{"messages":[NaN]}',
        b'{"messages":[1E400]}',
        b'{"input":' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"messages":["\\ud800"]}',
        b'\xef\xbb\xbf{"messages":[]}',
        '{"messages":["S3CR-x~"]}'.encode("utf-16"),
        b'{"messages":["\xff"]}',
        b"S3CR-x~",
        b'"S3CR-x~',
        b"--boundary\r\nContent-Disposition: form-data\r\n\r\nS3CR-x~",
    ],
    ids=range(15),
)
def test_hostile_json_is_refused_without_a_value_in_the_message(format: WireFormat, raw: bytes) -> None:
    with pytest.raises(RequestRefused) as caught:
        Workspace().send(format, raw)
    assert caught.value.status == 400
    assert MARK not in f"{caught.value} {caught.value.reason} {caught.value.next_step}"


def test_numbers_keep_their_spelling_beside_a_replacement() -> None:
    raw = b'{"messages":[{"role":"user","content":"S3CR-abc123~","n":[1.0,-0,9223372036854775809,1e-7]}],"temperature":1.0}'
    redacted = Workspace().send(CHAT, raw).body
    assert b'"n":[1.0,-0,9223372036854775809,1e-7]' in redacted
    assert redacted.endswith(b'}],"temperature":1.0}')


@pytest.mark.parametrize(
    ("format", "body"),
    [
        (
            MESSAGES,
            {"messages": [{"role": "a", "content": [{"type": "tool_use", "input": {"card": 4111111111111111}}]}]},
        ),
        (CHAT, {"messages": [{"tool_calls": [{"function": {"name": "f", "arguments": '{"c": 4111111111111111}'}}]}]}),
        (RESPONSES, {"input": [{"type": "local_shell_call", "action": {"card": [4111111111111111]}}]}),
        (GEMINI, {"contents": [{"parts": [{"functionResponse": {"response": {"card": 4111111111111111}}}]}]}),
        (MESSAGES, {"messages": [{"content": [{"type": "tool_use", "input": {"card": 4111111111111111.0}}]}]}),
    ],
)
def test_a_card_number_inside_tool_input_becomes_a_string(format: WireFormat, body: Any) -> None:
    redacted = Workspace().send(format, body).body
    assert leaks(redacted) == []
    assert b"LG_CARD_" in redacted


def test_a_card_number_inside_a_json_text_is_replaced_where_it_stands() -> None:
    workspace = Workspace()
    content = '{"card": 4111111111111111, "n": 1.0}'
    redacted = json.loads(workspace.send(CHAT, {"messages": [{"role": "tool", "content": content}]}).body)
    assert "4111" not in redacted["messages"][0]["content"]
    assert workspace.turned_back(redacted)["messages"][0]["content"] == content


def test_a_card_number_where_the_schema_wants_a_number_is_refused() -> None:
    with pytest.raises(RequestRefused) as caught:
        Workspace().send(CHAT, {"messages": [], "seed": 4111111111111111})
    assert caught.value.code == "number_not_replaceable"
    assert "4111" not in str(caught.value)


# opaque leaves

BLOB = base64.b64encode(bytes(range(256))).decode()  # media, not text
OPAQUE: dict[str, tuple[WireFormat, Any]] = {
    "signature": (MESSAGES, lambda v: {"messages": [{"content": [{"type": "text", "text": "x", "signature": v}]}]}),
    "redacted_thinking": (MESSAGES, lambda v: {"messages": [{"content": [{"type": "redacted_thinking", "data": v}]}]}),
    "image": (
        MESSAGES,
        lambda v: {"messages": [{"content": [{"type": "image", "source": {"type": "base64", "data": v}}]}]},
    ),
    "image in a tool result": (
        MESSAGES,
        lambda v: {"messages": [{"content": [{"content": [{"source": {"type": "base64", "data": v}}]}]}]},
    ),
    "data URL": (
        CHAT,
        lambda v: {"messages": [{"content": [{"image_url": {"url": f"data:image/png;base64,{v}"}}]}]},
    ),
    "audio": (CHAT, lambda v: {"messages": [{"content": [{"input_audio": {"data": v}}]}]}),
    "encrypted_content": (RESPONSES, lambda v: {"input": [{"type": "reasoning", "encrypted_content": v}]}),
    "compaction": (RESPONSES, lambda v: {"input": [{"type": "compaction", "encrypted_content": v}]}),
    "thought signature": (GEMINI, lambda v: {"contents": [{"parts": [{"thought_signature": v}]}]}),
    "inline data": (GEMINI, lambda v: {"contents": [{"parts": [{"inlineData": {"data": v}}]}]}),
    "images": (OLLAMA, lambda v: {"messages": [{"images": [v]}]}),
    "call id": (CHAT, lambda v: {"messages": [{"tool_call_id": v}]}),
    "item id": (RESPONSES, lambda v: {"input": [{"id": v, "call_id": v}]}),
    "tool_use_id": (MESSAGES, lambda v: {"messages": [{"content": [{"type": "tool_result", "tool_use_id": v}]}]}),
}


@pytest.mark.parametrize("place", OPAQUE)
def test_an_opaque_leaf_travels_byte_exact(place: str) -> None:
    format, body = OPAQUE[place]
    raw = orjson.dumps(body(BLOB))
    workspace = Workspace()
    assert workspace.send(format, raw).body == raw
    assert workspace.reading is not None
    assert workspace.reading.facts.opaque >= 1


@pytest.mark.parametrize("place", OPAQUE)
def test_an_opaque_leaf_that_holds_a_known_value_is_refused_unless_policy_allows_it(place: str) -> None:
    format, body = OPAQUE[place]
    workspace = Workspace()
    workspace.memory.vault.add_known("Abcdef1234567890Abcdef", "CREDENTIAL")
    raw = orjson.dumps(
        body("Abcdef1234567890Abcdef" + "=" if place == "x" else "Zm9vYmFy/Abcdef1234567890Abcdef/Zm9vYmFy")
    )
    with pytest.raises(RequestRefused) as caught:
        workspace.send(format, raw)
    assert caught.value.code == "opaque_holds_value"
    assert "Abcdef" not in str(caught.value)
    assert workspace.send(format, raw, actions=ALLOW).body == raw


@pytest.mark.parametrize("place", ["image", "data URL", "inline data", "images"])
def test_an_attachment_that_is_text_in_base64_is_scanned_and_redacted(place: str) -> None:
    format, body = OPAQUE[place]
    content = f"the file\nK={VALUES[0]}\nend of it"
    workspace = Workspace()
    redacted = workspace.send(format, body(base64.b64encode(content.encode()).decode())).body
    spelled = max(texts_in(json.loads(redacted)), key=len).rpartition(",")[2]
    assert VALUES[0].encode() not in base64.b64decode(spelled)
    assert workspace.turned_back(base64.b64decode(spelled).decode()) == content


@pytest.mark.parametrize("place", OPAQUE)
def test_what_does_not_fit_the_grammar_of_its_place_is_text(place: str) -> None:
    format, body = OPAQUE[place]
    assert leaks(Workspace().send(format, body(f"{VALUES[0]} and words")).body) == []


def test_a_known_value_turns_up_late_in_an_opaque_leaf_of_a_cached_item() -> None:
    workspace = Workspace()
    blob = "Zm9vYmFy/Abcdef1234567890Abcdef/Zm9vYmFy"
    body = {"messages": [{"content": [{"type": "redacted_thinking", "data": blob}]}]}
    workspace.send(MESSAGES, body)
    workspace.memory.vault.add_known("Abcdef1234567890Abcdef", "CREDENTIAL")
    with pytest.raises(RequestRefused):
        workspace.send(MESSAGES, body)


def thinking(text: str, signature: str = BLOB) -> dict[str, Any]:
    return {
        "messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": text, "signature": signature}]}]
    }


def test_signed_thinking_is_never_rewritten() -> None:
    workspace = Workspace()
    raw = orjson.dumps(thinking(f"the key is {workspace.placeholder(VALUES[0])} and LG_"))
    assert workspace.send(MESSAGES, raw).body == raw


def test_signed_thinking_with_a_value_in_clear_is_refused() -> None:
    with pytest.raises(RequestRefused) as caught:
        Workspace().send(MESSAGES, thinking(f"the key is {VALUES[0]}"))
    assert caught.value.code == "opaque_holds_value"


def test_signed_thinking_that_the_provider_wrote_is_trusted_with_exactly_its_text() -> None:
    workspace = Workspace()
    workspace.placeholder(VALUES[0])
    workspace.memory.note_signed(BLOB, f"I guess it is {VALUES[0]}")
    raw = orjson.dumps(thinking(f"I guess it is {VALUES[0]}"))
    assert workspace.send(MESSAGES, raw).body == raw
    with pytest.raises(RequestRefused):
        workspace.send(MESSAGES, thinking(f"another text with {VALUES[0]}"))


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "stray control characters"])
def test_an_attachment_in_wide_letters_or_with_stray_bytes_is_redacted_and_keeps_its_coding(coding: str) -> None:
    workspace, stray = Workspace(), coding.startswith("stray")
    content = f"# PowerShell wrote this \u00e9\u20ac\r\nDB_PASSWORD={VALUES[0]}\r\n" + ("\x00\x1a" if stray else "")
    raw = content.encode("utf-8" if stray else coding)
    body = {"messages": [{"content": [{"source": {"type": "base64", "data": base64.b64encode(raw).decode()}}]}]}
    sent = json.loads(workspace.send(MESSAGES, body).body)["messages"][0]["content"][0]["source"]["data"]
    written = base64.b64decode(sent).decode("utf-8" if stray else coding)
    assert VALUES[0] not in written
    assert workspace.turned_back(written) == content


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, bytes.hex, quote])
def test_a_known_value_encoded_in_a_later_turn_is_replaced_and_comes_back(encode: Callable[[bytes], Any]) -> None:
    workspace = Workspace()
    value = VALUES[4]
    first = {"role": "user", "content": f"it is {value}"}
    early = {"role": "user", "content": f"it was {encode(b'first/' + value.encode())!s}"}
    workspace.send(CHAT, {"messages": [early]})
    workspace.send(CHAT, {"messages": [early, first]})
    later = f"<{encode(b'user:' + value.encode() + b'!')!s}>"
    redacted = workspace.send(CHAT, {"messages": [early, first, {"role": "user", "content": later}]}).body
    for data in (b"first/" + value.encode(), b"user:" + value.encode() + b"!"):
        encoded = encode(data)
        encoded = encoded.decode() if isinstance(encoded, bytes) else encoded
        assert encoded[8:-6].encode() not in redacted
    sent = orjson.loads(redacted)["messages"]
    assert "LG_API_KEY_" in sent[0]["content"]
    reply = orjson.dumps({"choices": [{"index": 0, "message": {"content": sent[2]["content"]}}]})
    back = orjson.loads(workspace.receive(CHAT, reply, stream=False)[0])
    assert back["choices"][0]["message"]["content"] == later


@pytest.mark.parametrize("text", ["she is anna@corp.com", "the card is 4111111111111111", "so weak=hunter it is"])
def test_what_is_found_in_signed_thinking_that_no_reply_brought_is_refused(text: str) -> None:
    workspace = Workspace()
    with pytest.raises(RequestRefused) as caught:
        workspace.send(MESSAGES, thinking(text))
    assert caught.value.code == "opaque_holds_value"
    raw = orjson.dumps(thinking(text))
    assert workspace.send(MESSAGES, raw, actions=ALLOW).body == raw
    fresh = Workspace()
    fresh.memory.note_signed(BLOB, text)
    assert fresh.send(MESSAGES, raw).body == raw


def test_an_own_placeholder_in_signed_thinking_is_no_finding() -> None:
    workspace = Workspace()
    raw = orjson.dumps(thinking(f"so weak={workspace.placeholder('hunter2').lower()} or {workspace.placeholder('x')}"))
    with pytest.raises(RequestRefused):
        workspace.send(MESSAGES, raw)
    raw = orjson.dumps(thinking(f"the mail is {workspace.placeholder('anna@corp.com', 'EMAIL', 'pii')}"))
    assert workspace.send(MESSAGES, raw).body == raw


# ids


def called(name: str) -> dict[str, Any]:
    call = {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return {
        "messages": [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": name, "content": "ok"},
        ]
    }


def test_a_card_number_as_the_id_of_a_tool_call_is_refused() -> None:
    with pytest.raises(RequestRefused) as caught:
        Workspace().send(CHAT, called("4111111111111111"))
    assert caught.value.code == "opaque_holds_value"


@pytest.mark.parametrize("name", ["call_4111111111111111", "1732301234567", "123456789", "4111111111111112"])
def test_other_ids_pass(name: str) -> None:
    raw = orjson.dumps(called(name))
    assert Workspace().send(CHAT, raw).body == raw


@pytest.mark.parametrize("stream", [True, False])
def test_an_id_that_the_provider_made_may_look_like_a_card_number(stream: bool) -> None:
    workspace = Workspace()
    message = {"tool_calls": called("4111111111111111")["messages"][0]["tool_calls"]}
    reply = orjson.dumps({"choices": [{"index": 0, "delta" if stream else "message": message}]})
    workspace.receive(CHAT, b"data: " + reply + b"\n\ndata: [DONE]\n\n" if stream else reply, stream=stream)
    raw = orjson.dumps(called("4111111111111111"))
    assert workspace.send(CHAT, raw).body == raw


# path, query, headers


def test_path_query_and_headers_are_redacted_and_credentials_pass() -> None:
    workspace = Workspace()
    workspace.memory.vault.add_known("Abcdef1234567890Abcdef", "CREDENTIAL")
    redacted = workspace.send(
        CHAT,
        {},
        path=f"/v1/a%20b/{'S3CR-path12~'}/x",
        query="a=1&b=S3CR-quer%79~&key=Abcdef1234567890Abcdef&c=%41&d+e=f+g",
        headers=[("X-A", "joe@corp.com"), ("X-B", "plain"), ("X-C", "Abcdef1234567890Abcdef")],
    )
    assert redacted.path.startswith("/v1/a%20b/LG_API_KEY_")
    assert redacted.path.endswith("/x")
    parts = redacted.query.split("&")
    assert [parts[0], parts[2], parts[3], parts[4]] == ["a=1", "key=Abcdef1234567890Abcdef", "c=%41", "d+e=f+g"]
    assert parts[1].startswith("b=LG_API_KEY_")
    values = [value for _, value in redacted.headers]
    assert values[0].startswith("LG_EMAIL_")
    assert values[1] == "plain"
    assert values[2].startswith("LG_CREDENTIAL_")


def test_a_header_that_is_no_text_is_refused() -> None:
    with pytest.raises(RequestRefused):
        Workspace().send(CHAT, {}, headers=[("X-A", "a\udcff b")])


def test_a_top_level_key_that_is_a_known_value_is_refused() -> None:
    workspace = Workspace()
    workspace.memory.vault.placeholder_for(
        "correct-horse-battery-staple", "PASSWORD", data_class="secret", distinctive=True
    )
    with pytest.raises(RequestRefused) as caught:
        workspace.send(CHAT, {"messages": [], "correct-horse-battery-staple": 1})
    assert "horse" not in str(caught.value)


# caches


def test_the_same_bytes_at_a_place_of_another_kind_are_read_again() -> None:
    workspace = Workspace()
    media = base64.b64encode(bytes(range(256)) * 2).decode()
    item = {
        "role": "assistant",
        "content": [{"type": "image", "source": {"type": "base64", "data": media}, "signature": media}],
    }
    workspace.send(MESSAGES, {"messages": [item]})
    first = len(workspace.texts)
    workspace.send(CHAT, {"messages": [item]})
    assert media.encode() in workspace.texts
    assert first > 0
    workspace.send(MESSAGES, {"messages": [item]})
    assert not workspace.texts


@pytest.mark.parametrize(
    ("first", "second"),
    [*itertools.permutations([{"messages": [{"a": "S3CR-zz12~"}]}, {"messages": {"a": "S3CR-zz12~"}}])],
)
def test_an_item_and_a_member_of_the_same_bytes_are_told_apart(first: Any, second: Any) -> None:
    workspace = Workspace()
    assert leaks(workspace.send(CHAT, first).body) == []
    assert leaks(workspace.send(CHAT, second).body) == []


ALONE = "4L0NEabcdefghijklmnop"


@pytest.mark.parametrize(
    ("format", "body"),
    [
        (CHAT, {"messages": [{"role": "user", "content": ALONE}]}),
        (CHAT, {"messages": [{"role": "tool", "tool_call_id": "c1", "content": ALONE}]}),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": ALONE}]}]}),
        (MESSAGES, {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": ALONE}]}]}),
        (RESPONSES, {"input": ALONE}),
        (RESPONSES, {"input": [{"type": "function_call_output", "call_id": "c1", "output": ALONE}]}),
        (GEMINI, {"contents": [{"role": "user", "parts": [{"text": ALONE}]}]}),
        (OLLAMA, {"prompt": ALONE}),
    ],
)
def test_a_message_that_is_a_value_and_nothing_else_is_redacted(format: WireFormat, body: Any) -> None:
    assert ALONE.encode() not in Workspace().send(format, body).body


@pytest.mark.parametrize(
    ("format", "body"),
    [
        (CHAT, {"user": ALONE, "messages": [{"role": "user", "content": "hello"}]}),
        (CHAT, {"messages": [{"role": "user", "content": "hello", "name": ALONE}]}),
        (CHAT, {"messages": [{"role": "tool", "content": json.dumps({"next": ALONE})}]}),
        (CHAT, {"messages": [{"role": "tool", "content": json.dumps([ALONE])}]}),
        (CHAT, {"messages": [{"tool_calls": [{"function": {"name": "f", "arguments": json.dumps({"text": ALONE})}}]}]}),
        (MESSAGES, {"messages": [{"content": [{"type": "tool_use", "input": {"text": ALONE}}]}]}),
        (GENERIC, {"cursor": ALONE}),
        (CHAT, {ALONE: "x", "messages": []}),
    ],
)
def test_a_member_that_is_a_value_and_nothing_else_is_as_likely_an_id(format: WireFormat, body: Any) -> None:
    assert ALONE.encode() in Workspace().send(format, body).body


def test_a_value_under_another_key_is_scanned_again() -> None:
    workspace = Workspace()
    workspace.send(GENERIC, {"note": "hunter"})
    assert b"hunter" in workspace.texts
    workspace.send(GENERIC, {"password": "hunter"})
    assert b'"password": "hunter"' in workspace.texts


def test_tools_are_seen_however_the_body_is_spelled() -> None:
    body = {"tools": [{"type": "function", "function": {"name": "bash"}}, {"name": "edit"}, {"type": "web_search"}]}
    for spell in SPELLINGS.values():
        workspace = Workspace()
        workspace.send(CHAT, spell(body))
        assert workspace.reading is not None
        assert workspace.reading.facts.tools == ("bash", "edit", "web_search")


def test_a_long_text_with_a_thousand_values_is_redacted_in_seconds() -> None:
    text = "".join(f'line {i} "quoted" S3CR-value{i}~\n' + "x" * 1000 for i in range(1000))
    for content in (text, json.dumps({"a": text}), json.dumps({"a": json.dumps({"b": text})})):
        workspace = Workspace()
        redacted = workspace.send(COMPLETIONS, {"prompt": content}).body
        assert leaks(redacted) == []
        assert workspace.turned_back(json.loads(redacted)) == {"prompt": content}


def test_a_key_in_the_query_under_another_name_than_key_gets_a_placeholder() -> None:
    workspace = Workspace()
    for value in VALUES[:2]:
        workspace.memory.know_credential(value)
    redacted = workspace.send(CHAT, {"model": "m"}, query=f"api_key={VALUES[0]}&key={VALUES[1]}")
    assert redacted.query.startswith("api_key=LG_")
    assert redacted.query.endswith(f"&key={VALUES[1]}")


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("around", ["{}", "{}not json: S3CR-between~\n{}", "{}{{cut off\n"])
def test_a_value_in_json_lines_is_read_as_each_line_says(end: str, around: str) -> None:
    value = 'S3CR-"quo\\te" d~'
    line = json.dumps({"a": [value, json.dumps({"b": value})]}) + "\n"
    text = around.format(line * 2, line).replace("\n", end or "\n").rstrip("\n" if not end else "")
    workspace = Workspace()
    body = {"messages": [{"role": "user", "content": text}]}
    sent = orjson.loads(workspace.send(CHAT, body).body)
    assert "S3CR" not in sent["messages"][0]["content"]
    assert workspace.turned_back(sent) == body


def test_a_request_that_is_redacted_again_under_stricter_actions_keeps_nothing_of_the_first_time() -> None:
    workspace = Workspace()
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"it is {VALUES[0]}"}]}).encode()
    first = workspace.send(CHAT, body, actions=ALLOW)
    assert VALUES[0].encode() in first.body
    assert workspace.reading is not None
    again = workspace.reading.redact(dict[str, Any](REDACT))
    assert VALUES[0].encode() not in again.body
    assert [one.type for one in again.replaced] == ["API_KEY"]
    later = workspace.send(CHAT, body)
    assert VALUES[0].encode() not in later.body, "the stricter redaction is what is remembered for the next turn"
