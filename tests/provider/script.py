"""What a scripted model says, without any wire format, and what it was asked, read from any of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call. `arguments` is JSON text, or free text where `custom`."""

    tool: str
    arguments: str
    custom: bool = False


def call(tool: str, **arguments: object) -> Call:
    """A call with these arguments, as compact JSON without escapes that need not be."""
    return Call(tool, json.dumps(arguments, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Turn:
    """One reply of the model. Streamed, it comes in pieces of `piece` characters.

    `cut` ends the connection after that many events or lines (a whole reply: in its middle); `error_after` puts the
    provider's own error event there instead.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    signature: str = ""
    piece: int = 5
    cut: int | None = None
    error_after: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply given byte for byte."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the model sees it: its last words of the user, the results of its tool calls so far, and the tools."""

    format: str
    body: dict[str, Any]
    user: str = ""
    results: tuple[str, ...] = ()
    tools: frozenset[str] = field(default_factory=frozenset)

    @property
    def streams(self) -> bool:
        """Whether the reply is to be streamed."""
        return bool(self.body.get("stream", self.format == "ollama"))


Brain = Callable[[Asked], Turn | Answer]


def read(format: str, body: dict[str, Any]) -> Asked:
    """The parts of a request's body that a model answers to."""
    user, results = "", []
    items = body.get("input") if format == "responses" else body.get("messages")
    if isinstance(items, str):
        user, items = items, []
    for item in items or []:
        content = item.get("content")
        if str(item.get("type", "")).endswith("_call_output"):
            results.append(text_of(item.get("output")))
        elif item.get("role") == "tool":
            results.append(text_of(content))
        elif item.get("role") == "user":
            blocks = content if isinstance(content, list) else []
            results += [text_of(block.get("content")) for block in blocks if block.get("type") == "tool_result"]
            if said := text_of([block for block in blocks if block.get("type") != "tool_result"] or content):
                user = said
    names = frozenset(
        str(tool.get("name") or (tool.get("function") or {}).get("name") or tool.get("type"))
        for tool in body.get("tools") or []
    )
    return Asked(format, body, user, tuple(results), names)


def text_of(content: object) -> str:
    """The text of a message's content, whatever shape it has."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(text_of(part) for part in content)
    if isinstance(content, dict):
        return text_of(content.get("text") or content.get("content"))
    return ""
