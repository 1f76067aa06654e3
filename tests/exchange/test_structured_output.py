"""Where a request asks for JSON, the text of the reply stays valid JSON whatever the values in it hold."""

import json
from typing import Any

import orjson
import pytest

from localguard.wire.chat import CHAT
from localguard.wire.format import WireFormat
from localguard.wire.gemini import GEMINI
from localguard.wire.messages import MESSAGES
from localguard.wire.ollama import OLLAMA
from localguard.wire.responses import RESPONSES
from tests.exchange.driver import VALUES, Workspace

CHAT_BODY = {"messages": [{"role": "user", "content": "say it"}]}
ASKED: dict[str, tuple[WireFormat, dict[str, Any]]] = {
    "chat schema": (CHAT, {**CHAT_BODY, "response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}),
    "chat object": (CHAT, {**CHAT_BODY, "response_format": {"type": "json_object"}}),
    "responses": (RESPONSES, {"input": "say it", "text": {"format": {"type": "json_schema", "schema": {}}}}),
    "messages": (MESSAGES, {**CHAT_BODY, "output_config": {"format": {"type": "json_schema", "schema": {}}}}),
    "messages beta": (MESSAGES, {**CHAT_BODY, "output_format": {"type": "json_schema", "schema": {}}}),
    "ollama": (OLLAMA, {**CHAT_BODY, "format": "json"}),
    "ollama schema": (OLLAMA, {**CHAT_BODY, "format": {"type": "object"}}),
    "gemini": (GEMINI, {"contents": [], "generationConfig": {"responseMimeType": "application/json"}}),
}
NOT_ASKED: list[tuple[WireFormat, dict[str, Any]]] = [
    (CHAT, CHAT_BODY),
    (CHAT, {**CHAT_BODY, "response_format": {"type": "text"}}),
    (RESPONSES, {"input": "say it", "text": {"verbosity": "low"}}),
    (RESPONSES, {"input": "say it", "text": {"format": {"type": "text"}}}),
    (OLLAMA, {**CHAT_BODY, "format": ""}),
]


def whole(format: WireFormat, text: str) -> dict[str, Any]:
    """A reply that says `text`."""
    if format is CHAT:
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
    if format is RESPONSES:
        return {"output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]}
    if format is MESSAGES:
        return {"content": [{"type": "text", "text": text}]}
    if format is OLLAMA:
        return {"message": {"role": "assistant", "content": text}, "done": True}
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]}


def text_of(format: WireFormat, reply: bytes) -> str:
    value = orjson.loads(reply)
    for step in {
        CHAT.name: ("choices", 0, "message", "content"),
        RESPONSES.name: ("output", 0, "content", 0, "text"),
        MESSAGES.name: ("content", 0, "text"),
        OLLAMA.name: ("message", "content"),
        GEMINI.name: ("candidates", 0, "content", "parts", 0, "text"),
    }[format.name]:
        value = value[step]
    return str(value)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", ASKED)
def test_asked_for_json_the_text_is_json_with_the_exact_value(name: str, value: str) -> None:
    format, body = ASKED[name]
    workspace = Workspace()
    own = workspace.placeholder(value)
    workspace.send(format, body)
    reply = orjson.dumps(whole(format, f' {{"a": "{own}", "b": ["x {own}"]}}'))
    text = text_of(format, workspace.receive(format, reply, stream=False)[0])
    assert json.loads(text) == {"a": value, "b": [f"x {value}"]}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_same_in_a_stream_however_it_is_cut(size: int, value: str) -> None:
    workspace = Workspace()
    text = f'{{"a": "{workspace.placeholder(value)}"}}'
    workspace.send(*ASKED["chat object"])
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    raw = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)
    made = workspace.receive(CHAT, raw)[0]
    said = [orjson.loads(line[6:])["choices"][0]["delta"].get("content", "") for line in made.split(b"\n\n") if line]
    assert json.loads("".join(said)) == {"a": value}


@pytest.mark.parametrize("value", VALUES)
def test_what_was_restored_goes_back_as_it_came(value: str) -> None:
    workspace = Workspace()
    said = {"role": "assistant", "content": f'{{"a": "{workspace.placeholder(value)}"}}'}
    workspace.send(*ASKED["chat object"])
    reply = orjson.dumps({"choices": [{"index": 0, "message": said}]})
    text = text_of(CHAT, workspace.receive(CHAT, reply, stream=False)[0])
    sent = workspace.send(CHAT, {"messages": [{"role": "assistant", "content": text}]}).body
    assert orjson.loads(sent)["messages"][0] == said


@pytest.mark.parametrize(("format", "body"), NOT_ASKED)
def test_otherwise_text_that_looks_like_json_is_prose(format: WireFormat, body: dict[str, Any]) -> None:
    workspace = Workspace()
    value = VALUES[1]
    own = workspace.placeholder(value)
    workspace.send(format, body)
    reply = orjson.dumps(whole(format, f'{{"a": "{own}"}}'))
    assert text_of(format, workspace.receive(format, reply, stream=False)[0]) == f'{{"a": "{value}"}}'


def test_asked_for_json_text_that_is_none_is_prose() -> None:
    workspace = Workspace()
    own = workspace.placeholder(VALUES[1])
    workspace.send(*ASKED["chat object"])
    reply = orjson.dumps(whole(CHAT, f"I cannot say {own}"))
    assert text_of(CHAT, workspace.receive(CHAT, reply, stream=False)[0]) == f"I cannot say {VALUES[1]}"
