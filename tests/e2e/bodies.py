"""Every place of every wire format's requests that can hold text: a path, and a body with a text at that place."""

import json
from collections.abc import Callable
from typing import Any

Body = Callable[[str], Any]
CHAT, RESPONSES = "/openai/v1/chat/completions", "/openai/v1/responses"
MESSAGES, OLLAMA = "/anthropic/v1/messages", "/ollama/api/chat"


def _chat(**members: Any) -> dict[str, Any]:
    return {"model": "stub-1", "messages": [{"role": "user", "content": "go on"}], **members}


def _said(*messages: dict[str, Any]) -> dict[str, Any]:
    return _chat(messages=[*messages, {"role": "user", "content": "go on"}])


def _input(*items: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"model": "stub-1", "input": [*items, {"role": "user", "content": "go on"}], **members}


def _claude(*blocks: dict[str, Any], role: str = "user", **members: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "begin"}, {"role": role, "content": list(blocks)}] if blocks else []
    go_on = {"role": "user", "content": "go on"}
    return {"model": "stub-1", "max_tokens": 10, "messages": [*messages, go_on], **members}


def _function(text: str, place: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "string"}}}
    if place == "schema":
        schema["properties"]["x"] = {"description": text, "enum": [text], "default": text, "examples": [{text: 1}]}
    return {"name": "t", "description": text if place == "description" else "d", "parameters": schema}


def _result(content: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}


PLACES: dict[str, tuple[str, Body]] = {
    "chat system": (CHAT, lambda text: _said({"role": "system", "content": text})),
    "chat user": (CHAT, lambda text: _said({"role": "user", "content": text})),
    "chat part": (CHAT, lambda text: _said({"role": "user", "content": [{"type": "text", "text": text}]})),
    "chat name": (CHAT, lambda text: _said({"role": "user", "name": text, "content": "x"})),
    "chat assistant": (CHAT, lambda text: _said({"role": "assistant", "content": text, "refusal": text})),
    "chat arguments": (
        CHAT,
        lambda text: _said(
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "t", "arguments": json.dumps({"deep": [{"content": text}]})},
                    }
                ],
            }
        ),
    ),
    "chat arguments that are no JSON": (
        CHAT,
        lambda text: _said(
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "t", "arguments": '{"a": ' + text}}
                ],
            }
        ),
    ),
    "chat custom call": (
        CHAT,
        lambda text: _said(
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "p", "input": text}}]}
        ),
    ),
    "chat tool result": (CHAT, lambda text: _said({"role": "tool", "tool_call_id": "call_1", "content": text})),
    "chat tool result, JSON in JSON": (
        CHAT,
        lambda text: _said(
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": json.dumps({"stdout": json.dumps({"file": text})}),
            }
        ),
    ),
    "chat tool description": (
        CHAT,
        lambda text: _chat(tools=[{"type": "function", "function": _function(text, "description")}]),
    ),
    "chat tool schema": (
        CHAT,
        lambda text: _chat(tools=[{"type": "function", "function": _function(text, "schema")}]),
    ),
    "chat metadata": (CHAT, lambda text: _chat(metadata={"note": text}, user=text, stop=[text])),
    "chat object key": (CHAT, lambda text: _chat(metadata={text: "x"})),
    "chat unknown field": (
        CHAT,
        lambda text: _chat(unheard_of={"of": [[{"n": 1.0, "t": text}]]}, prediction={"content": text}),
    ),
    "chat reasoning": (CHAT, lambda text: _said({"role": "assistant", "content": "x", "reasoning_content": text})),
    "responses instructions": (RESPONSES, lambda text: _input(instructions=text)),
    "responses input": (RESPONSES, lambda text: {"model": "stub-1", "input": text}),
    "responses part": (
        RESPONSES,
        lambda text: _input({"role": "user", "content": [{"type": "input_text", "text": text}]}),
    ),
    "responses arguments": (
        RESPONSES,
        lambda text: _input(
            {"type": "function_call", "call_id": "c1", "name": "t", "arguments": json.dumps({"a": text})}
        ),
    ),
    "responses output": (
        RESPONSES,
        lambda text: _input({"type": "function_call_output", "call_id": "c1", "output": text}),
    ),
    "responses output parts": (
        RESPONSES,
        lambda text: _input(
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": text}]}
        ),
    ),
    "responses custom call": (
        RESPONSES,
        lambda text: _input({"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": text}),
    ),
    "responses shell": (
        RESPONSES,
        lambda text: _input(
            {
                "type": "local_shell_call",
                "call_id": "c1",
                "action": {"type": "exec", "command": ["bash", "-lc", text], "env": {"X": text}},
            },
            {"type": "local_shell_call_output", "call_id": "c1", "output": json.dumps({"output": text})},
        ),
    ),
    "responses summary": (
        RESPONSES,
        lambda text: _input({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}),
    ),
    "responses tool": (RESPONSES, lambda text: _input(tools=[{"type": "function", **_function(text, "schema")}])),
    "responses client metadata": (
        RESPONSES,
        lambda text: _input(client_metadata={"turn": json.dumps({"cwd": text})}, metadata={"k": text}),
    ),
    "messages system": (MESSAGES, lambda text: _claude(system=text)),
    "messages system blocks": (MESSAGES, lambda text: _claude(system=[{"type": "text", "text": text}])),
    "messages text": (MESSAGES, lambda text: _claude({"type": "text", "text": text})),
    "messages tool input": (
        MESSAGES,
        lambda text: _claude(
            {"type": "tool_use", "id": "toolu_1", "name": "Edit", "input": {"old": text, "more": [{"new": text}]}},
            role="assistant",
        ),
    ),
    "messages tool result": (MESSAGES, lambda text: _claude(_result(text))),
    "messages tool result blocks": (MESSAGES, lambda text: _claude(_result([{"type": "text", "text": text}]))),
    "messages document": (
        MESSAGES,
        lambda text: _claude(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": text},
                "title": "t",
                "context": text,
            }
        ),
    ),
    "messages unsigned thinking": (
        MESSAGES,
        lambda text: _claude({"type": "thinking", "thinking": text}, role="assistant"),
    ),
    "messages reminder": (
        MESSAGES,
        lambda text: _claude({"type": "text", "text": f"<system-reminder>\n{text}\n</system-reminder>"}),
    ),
    "messages tool": (
        MESSAGES,
        lambda text: _claude(tools=[{"name": "t", "description": text, "input_schema": {"type": "object"}}]),
    ),
    "messages metadata": (MESSAGES, lambda text: _claude(metadata={"user_id": text}, stop_sequences=[text])),
    "messages count_tokens": (
        "/anthropic/v1/messages/count_tokens",
        lambda text: _claude({"type": "text", "text": text}),
    ),
    "ollama chat": (OLLAMA, lambda text: _said({"role": "user", "content": text})),
    "ollama call": (
        OLLAMA,
        lambda text: _said(
            {"role": "assistant", "tool_calls": [{"function": {"name": "t", "arguments": {"a": {text: text}}}}]}
        ),
    ),
    "ollama generate": (
        "/ollama/api/generate",
        lambda text: {"model": "stub-1", "prompt": text, "system": text, "suffix": text, "template": text},
    ),
    "ollama embed": ("/ollama/api/embed", lambda text: {"model": "stub-1", "input": [text]}),
    "embeddings": ("/openai/v1/embeddings", lambda text: {"model": "stub-1", "input": [text, text]}),
    "completions": ("/openai/v1/completions", lambda text: {"model": "stub-1", "prompt": [text], "suffix": text}),
    "azure": (
        "/azure/openai/deployments/d1/chat/completions?api-version=1",
        lambda text: _said({"role": "user", "content": text}),
    ),
    "foundry": (
        "/foundry/models/chat/completions?api-version=1",
        lambda text: _said({"role": "user", "content": text}),
    ),
    "foundry claude": ("/foundry/anthropic/v1/messages", lambda text: _claude({"type": "text", "text": text})),
    "unknown path": ("/compatible/v1/odd/thing", lambda text: [{"a": [text, {"b": {text: None}}]}]),
    "array of arrays": ("/compatible/v1/odd/thing", lambda text: [[[text]], 1e-7]),
}
"""Name of the place, path at the guard, and the body that holds a text there."""
