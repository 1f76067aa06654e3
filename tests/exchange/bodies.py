"""Requests of every wire format with one value planted at one place: name of the place -> body."""

import json
from collections.abc import Callable
from typing import Any

from localguard.wire.chat import CHAT, COMPLETIONS, EMBEDDINGS
from localguard.wire.format import WireFormat
from localguard.wire.gemini import GEMINI
from localguard.wire.generic import GENERIC
from localguard.wire.messages import MESSAGES
from localguard.wire.ollama import OLLAMA
from localguard.wire.responses import RESPONSES

Body = Callable[[str], dict[str, Any]]


def _dumps(value: Any) -> str:
    return json.dumps(value)


def _chat(**message: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", **message}]}


def _call(**call: Any) -> dict[str, Any]:
    return _chat(content=None, tool_calls=[{"id": "call_1", **call}])


def _item(**item: Any) -> dict[str, Any]:
    return {"model": "m", "input": [{"type": "message", "role": "user", "content": "hi"}, item]}


def _block(role: str = "user", **block: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": role, "content": [block]}]}


def _part(**part: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [part]}]}


PLACES: dict[tuple[str, str], tuple[WireFormat, Body]] = {}


def _add(format: WireFormat, places: dict[str, Body]) -> None:
    for name, body in places.items():
        PLACES[format.name, name] = (format, body)


_add(
    CHAT,
    {
        "system string": lambda v: {"messages": [{"role": "system", "content": f"use {v} now"}]},
        "content blocks": lambda v: {"messages": [{"role": "user", "content": [{"type": "text", "text": v}]}]},
        "name": lambda v: {"messages": [{"role": "user", "name": v, "content": "x"}]},
        "arguments": lambda v: _call(type="function", function={"name": "w", "arguments": _dumps({"a": f"k={v};"})}),
        "arguments key": lambda v: _call(type="function", function={"name": "w", "arguments": _dumps({v: 1})}),
        "arguments, JSON in JSON": lambda v: _call(
            type="function", function={"name": "w", "arguments": _dumps({"a": _dumps({"b": [v, 1.0]})})}
        ),
        "arguments that are no JSON": lambda v: _call(type="function", function={"name": "w", "arguments": f"{{ {v}"}),
        "arguments as object": lambda v: _call(type="function", function={"name": "w", "arguments": {"a": [v]}}),
        "custom input": lambda v: _call(type="custom", custom={"name": "apply_patch", "input": f"+K={v}\n"}),
        "function_call": lambda v: _chat(content=None, function_call={"name": "w", "arguments": _dumps([v])}),
        "tool result": lambda v: {"messages": [{"role": "tool", "tool_call_id": "call_1", "content": v}]},
        "tool result array": lambda v: {"messages": [{"role": "tool", "content": [{"type": "text", "text": v}]}]},
        "tool result, JSON in JSON in JSON": lambda v: {
            "messages": [{"role": "tool", "content": _dumps({"r": _dumps({"s": _dumps([v, {"t": v}])})})}]
        },
        "reasoning": lambda v: _chat(content="x", reasoning_content=f"think {v}"),
        "tool description": lambda v: {"messages": [], "tools": [{"type": "function", "function": {"description": v}}]},
        "tool parameters": lambda v: {
            "tools": [{"type": "function", "function": {"name": "w", "parameters": {"default": v}}}]
        },
        "metadata": lambda v: {"messages": [], "metadata": {"a": v}},
        "metadata key": lambda v: {"messages": [], "metadata": {v: "a"}},
        "unknown member": lambda v: {"messages": [], "x_unknown": {"deep": [[{"er": v}]]}},
        "unknown top-level key": lambda v: {"messages": [], v: 1},
        "model": lambda v: {"messages": [], "model": v},
        "user": lambda v: {"messages": [], "user": v},
        "image URL that is no data URL": lambda v: {
            "messages": [{"content": [{"type": "image_url", "image_url": {"url": f"https://x/{v}"}}]}]
        },
        "id that is no identifier": lambda v: {
            "messages": [{"role": "tool", "tool_call_id": f"x {v}", "content": "x"}]
        },
    },
)
_add(
    RESPONSES,
    {
        "instructions": lambda v: {"instructions": v, "input": "x"},
        "input string": lambda v: {"input": f"hi {v}"},
        "message": lambda v: _item(type="message", role="user", content=[{"type": "input_text", "text": v}]),
        "system-reminder": lambda v: _item(role="user", content=f"<system-reminder>{v}</system-reminder>"),
        "function_call": lambda v: _item(type="function_call", call_id="c1", name="f", arguments=_dumps({"a": v})),
        "function_call_output": lambda v: _item(type="function_call_output", call_id="c1", output=f"K={v}"),
        "function_call_output array": lambda v: _item(
            type="function_call_output", call_id="c1", output=[{"type": "input_text", "text": v}]
        ),
        "custom_tool_call": lambda v: _item(type="custom_tool_call", name="apply_patch", input=f"+{v}"),
        "custom_tool_call_output": lambda v: _item(type="custom_tool_call_output", output=_dumps({"o": v})),
        "local_shell_call": lambda v: _item(
            type="local_shell_call", action={"type": "exec", "command": ["echo", v], "env": {"A": v}}
        ),
        "local_shell_call_output": lambda v: _item(type="local_shell_call_output", output=v),
        "shell_call": lambda v: _item(type="shell_call", action={"commands": [f"echo {v}"]}),
        "apply_patch_call": lambda v: _item(type="apply_patch_call", operation={"type": "update_file", "diff": v}),
        "mcp_call": lambda v: _item(type="mcp_call", name="f", arguments=_dumps({"a": v}), output=v),
        "mcp_list_tools": lambda v: _item(type="mcp_list_tools", tools=[{"name": "x", "description": v}]),
        "reasoning summary": lambda v: _item(type="reasoning", summary=[{"type": "summary_text", "text": v}]),
        "unknown item": lambda v: _item(type="new_thing", deep={"er": [v]}),
        "client_metadata": lambda v: {"input": "x", "client_metadata": {"turn": _dumps({"cwd": v})}},
        "tools": lambda v: {"input": "x", "tools": [{"type": "function", "name": "f", "description": v}]},
        "schema": lambda v: {"input": "x", "text": {"format": {"schema": {"description": v}}}},
        "conversation that is no identifier": lambda v: {"input": "x", "conversation": {"id": f"{v}!"}},
    },
)
_add(
    MESSAGES,
    {
        "system string": lambda v: {"system": v, "messages": []},
        "system blocks": lambda v: {"system": [{"type": "text", "text": v, "cache_control": {"type": "ephemeral"}}]},
        "message string": lambda v: {"messages": [{"role": "user", "content": f"a {v} b"}]},
        "text block": lambda v: _block(type="text", text=f"<system-reminder>{v}</system-reminder>"),
        "tool_use": lambda v: _block("assistant", type="tool_use", id="toolu_1", name="Edit", input={"a": {"b": v}}),
        "tool_use key": lambda v: _block("assistant", type="tool_use", id="toolu_1", name="Edit", input={v: 1}),
        "tool_result string": lambda v: _block(type="tool_result", tool_use_id="toolu_1", content=f"K={v}"),
        "tool_result array": lambda v: _block(type="tool_result", content=[{"type": "text", "text": v}]),
        "tool_result, JSON in it": lambda v: _block(type="tool_result", content=_dumps({"a": [v, {"b": v}]})),
        "document": lambda v: _block(type="document", title=v, source={"type": "text", "data": v}),
        "document content": lambda v: _block(type="document", source={"content": [{"type": "text", "text": v}]}),
        "search_result": lambda v: _block(type="search_result", content=[{"type": "text", "text": v}], title=v),
        "unsigned thinking": lambda v: _block("assistant", type="thinking", thinking=v, signature=""),
        "mcp_tool_result": lambda v: _block(type="mcp_tool_result", content=[{"type": "text", "text": v}]),
        "tools": lambda v: {"tools": [{"name": "x", "description": v, "input_schema": {"enum": [v]}}], "messages": []},
        "metadata": lambda v: {"messages": [], "metadata": {"user_id": v}},
        "media that is none": lambda v: _block(type="image", source={"type": "base64", "data": f"{v} not base64"}),
        "unknown block": lambda v: _block(type="new", deep=[{"er": v}]),
    },
)
_add(
    OLLAMA,
    {
        "prompt": lambda v: {"model": "m", "prompt": v},
        "suffix": lambda v: {"model": "m", "prompt": "x", "suffix": v, "system": v, "template": v},
        "message": lambda v: {"messages": [{"role": "user", "content": v}]},
        "arguments": lambda v: {
            "messages": [{"tool_calls": [{"function": {"name": "f", "arguments": {"a": [v]}}}], "content": ""}]
        },
        "embed input": lambda v: {"model": "m", "input": ["a", v]},
        "options": lambda v: {"prompt": "x", "options": {"stop": [v]}},
        "image that is none": lambda v: {"prompt": "x", "images": [v]},
        "modelfile": lambda v: {"model": "m", "modelfile": f"SYSTEM {v}"},
    },
)
_add(
    GEMINI,
    {
        "text": lambda v: _part(text=v),
        "functionCall": lambda v: _part(functionCall={"name": "f", "args": {"a": {"b": v}}}),
        "functionResponse": lambda v: _part(functionResponse={"name": "f", "response": {"output": v}}),
        "function_response": lambda v: _part(function_response={"name": "f", "response": {v: 1}}),
        "systemInstruction": lambda v: {"systemInstruction": {"parts": [{"text": v}]}},
        "tools": lambda v: {"tools": [{"functionDeclarations": [{"name": "f", "description": v}]}]},
        "fileData": lambda v: _part(fileData={"fileUri": f"https://x/{v}"}),
        "code": lambda v: _part(executableCode={"code": v}),
    },
)
_add(
    COMPLETIONS,
    {
        "prompt": lambda v: {"prompt": v, "suffix": v},
        "prompts": lambda v: {"prompt": ["a", v]},
        "stop": lambda v: {"prompt": "x", "stop": [v]},
    },
)
_add(EMBEDDINGS, {"input": lambda v: {"input": v}, "inputs": lambda v: {"input": ["a", v], "user": v}})
_add(
    GENERIC,
    {
        "leaf": lambda v: {"a": {"b": [v]}},
        "key": lambda v: {"a": {v: 1}},
        "top-level key": lambda v: {v: "x"},
        "JSON in JSON in JSON": lambda v: {"a": _dumps({"b": _dumps({"c": v, v: 2})})},
        "batch": lambda v: {"requests": [{"params": {"messages": [{"role": "user", "content": v}]}}]},
    },
)
