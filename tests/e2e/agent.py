"""A small coding agent on the official SDKs: reads, edits, writes, patches and runs commands as its model says.

It streams, sends its whole history on every turn, and knows nothing of a guard.
"""

import json
import re
import subprocess
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.sdks import Way

_PARAMETERS = {
    "read": ("path",),
    "edit": ("path", "old_string", "new_string"),
    "write": ("path", "content"),
    "bash": ("command",),
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    tool: {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}
    for tool, names in _PARAMETERS.items()
}
_BLOCK = re.compile(r"^(\S+)\n<{7} SEARCH\n(.*?)={7}\n(.*?)>{7} REPLACE$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the model wants done: a call's id, tool and arguments."""

    id: str
    tool: str
    arguments: dict[str, str]


Turns = Generator[list[Asked], list[tuple[Asked, str]], None]
"""Yields the calls of each turn and is sent their results."""


@dataclass(slots=True)
class Agent:
    """Works in `folder`. `told` is all the prose that its model said, `results` all that its tools gave back."""

    way: Way
    folder: Path
    told: str = ""
    results: list[str] = field(default_factory=list)

    def run(self, format: str, prompt: str) -> None:
        """Work until the model calls no more tools. `format` is chat, messages or responses."""
        turns = {"chat": self._chat, "messages": self._messages, "responses": self._responses}[format](prompt)
        calls = next(turns)
        for _ in range(10):
            if not calls:
                self._apply_blocks()
                return
            done = [(call, self._do(call)) for call in calls]
            self.results += [text for _, text in done]
            calls = turns.send(done)
        raise AssertionError("the model does not come to an end")

    # tools

    def _do(self, call: Asked) -> str:
        given = call.arguments
        if call.tool == "bash":
            done = subprocess.run(
                ["bash", "-c", given["command"]],
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            return done.stdout + done.stderr
        if call.tool == "apply_patch":
            return self._patch(given["input"])
        path = self.folder / given["path"]
        if call.tool == "read":
            return path.read_bytes().decode()
        if call.tool == "write":
            path.write_bytes(given["content"].encode())
            return "written"
        text = path.read_bytes().decode()
        if text.count(given["old_string"]) != 1:
            return "old_string not found, or not once"
        path.write_bytes(text.replace(given["old_string"], given["new_string"]).encode())
        return "edited"

    def _patch(self, patch: str) -> str:
        """Apply a patch of one file with one hunk, as Codex writes them."""
        lines = patch.split("\n")
        path = self.folder / lines[1].removeprefix("*** Update File: ")
        hunk = [line for line in lines[3:-1] if line]
        old = "".join(line[1:] + "\n" for line in hunk if line[0] in " -")
        new = "".join(line[1:] + "\n" for line in hunk if line[0] in " +")
        text = path.read_bytes().decode()
        if text.count(old) != 1:
            return "hunk does not apply"
        path.write_bytes(text.replace(old, new).encode())
        return "patched"

    def _apply_blocks(self) -> None:
        """Apply the SEARCH/REPLACE blocks of the model's prose."""
        for name, old, new in _BLOCK.findall(self.told):
            path = self.folder / name
            text = path.read_bytes().decode()
            assert text.count(old) == 1, "SEARCH block not found"
            path.write_bytes(text.replace(old, new).encode())

    # wire formats

    def _chat(self, prompt: str) -> Turns:
        client = self.way.openai_client()
        tools: Any = [{"type": "function", "function": {"name": n, "parameters": s}} for n, s in _SCHEMAS.items()]
        messages: list[Any] = [{"role": "system", "content": "You edit files."}, {"role": "user", "content": prompt}]
        while True:
            text = ""
            parts: dict[int, dict[str, str]] = {}
            for chunk in client.chat.completions.create(model="stub-1", messages=messages, tools=tools, stream=True):
                delta = chunk.choices[0].delta
                text += delta.content or ""
                for one in delta.tool_calls or []:
                    part = parts.setdefault(one.index, {"id": "", "name": "", "arguments": ""})
                    part["id"] += one.id or ""
                    part["name"] += (one.function and one.function.name) or ""
                    part["arguments"] += (one.function and one.function.arguments) or ""
            self.told += text
            message: dict[str, Any] = {"role": "assistant", "content": text}
            if parts:
                message["tool_calls"] = [
                    {
                        "id": part["id"],
                        "type": "function",
                        "function": {"name": part["name"], "arguments": part["arguments"]},
                    }
                    for part in parts.values()
                ]
            messages.append(message)
            done = yield [Asked(p["id"], p["name"], json.loads(p["arguments"])) for p in parts.values()]
            messages += [{"role": "tool", "tool_call_id": call.id, "content": result} for call, result in done]

    def _messages(self, prompt: str) -> Turns:
        client = self.way.anthropic_client()
        tools: Any = [{"name": name, "input_schema": schema} for name, schema in _SCHEMAS.items()]
        messages: list[Any] = [{"role": "user", "content": prompt}]
        while True:
            with client.messages.stream(
                model="stub-1", max_tokens=1000, system="You edit files.", messages=messages, tools=tools
            ) as stream:
                reply = stream.get_final_message()
            self.told += "".join(block.text for block in reply.content if block.type == "text")
            messages.append(
                {
                    "role": "assistant",
                    "content": [block.model_dump(exclude={"parsed_output", "citations"}) for block in reply.content],
                }
            )
            calls = [Asked(b.id, b.name, dict(b.input)) for b in reply.content if b.type == "tool_use"]  # type: ignore[arg-type]
            done = yield calls
            results = [{"type": "tool_result", "tool_use_id": call.id, "content": result} for call, result in done]
            messages.append({"role": "user", "content": results})

    def _responses(self, prompt: str) -> Turns:
        client = self.way.openai_client()
        tools: Any = [{"type": "function", "name": n, "parameters": s, "strict": False} for n, s in _SCHEMAS.items()]
        tools.append({"type": "custom", "name": "apply_patch"})
        items: list[Any] = [{"role": "user", "content": [{"type": "input_text", "text": prompt}]}]
        while True:
            calls = []
            with client.responses.create(
                model="stub-1", instructions="You edit files.", input=items, tools=tools, stream=True, store=False
            ) as stream:
                for event in stream:
                    if event.type == "response.output_text.delta":
                        self.told += event.delta
                    elif event.type == "response.output_item.done":
                        item = event.item
                        items.append(item.model_dump(exclude_none=True))
                        if item.type == "function_call":
                            calls.append(Asked(item.call_id, item.name, json.loads(item.arguments)))
                        elif item.type == "custom_tool_call":
                            calls.append(Asked(item.call_id, item.name, {"input": item.input}))
            done = yield calls
            for call, result in done:
                kind = "custom_tool_call_output" if call.tool == "apply_patch" else "function_call_output"
                items.append({"type": kind, "call_id": call.id, "output": result})
