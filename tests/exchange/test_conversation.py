"""Requests of one conversation are known by how it began, also where the client names no session."""

from typing import Any

import orjson
import pytest

from localguard.exchange.memory import WorkspaceMemory
from localguard.redact.vault import Vault
from localguard.wire.chat import CHAT
from localguard.wire.format import WireFormat
from localguard.wire.gemini import GEMINI
from localguard.wire.messages import MESSAGES
from localguard.wire.responses import RESPONSES
from tests.exchange.driver import KEY, Workspace

SYSTEM = "You are a coding agent."


def started(format: WireFormat, first: str, system: str = SYSTEM) -> dict[str, Any]:
    """The first request of a conversation."""
    if format is GEMINI:
        return {
            "systemInstruction": {"parts": [{"text": system}]},
            "contents": [{"role": "user", "parts": [{"text": first}]}],
        }
    item = {"role": "user", "content": [{"type": "text", "text": first, "cache_control": {"type": "ephemeral"}}]}
    if format is MESSAGES:
        return {"messages": [item], "system": [{"type": "text", "text": system}]}
    if format is RESPONSES:
        return {"instructions": system, "input": [item]}
    return {"messages": [{"role": "system", "content": system}, item]}


def gone_on(format: WireFormat, first: str) -> dict[str, Any]:
    """A later one of the same conversation: the cache mark has moved on, the ids are others."""
    body = started(format, first)
    items = next(body[name] for name in ("messages", "input", "contents") if name in body)
    if format is not GEMINI:
        del items[-1]["content"][0]["cache_control"]
        items[-1]["id"] = "msg_2"
    items += [{"role": "assistant", "content": "done"}, {"role": "system", "content": "be brief"}]
    items += [{"role": "user", "content": "and now the tests"}]
    return body


def conversation(workspace: Workspace, format: WireFormat, body: dict[str, Any] | bytes) -> str | None:
    workspace.send(format, body)
    assert workspace.reading is not None
    return workspace.reading.facts.conversation


def workspace() -> Workspace:
    return Workspace(WorkspaceMemory(Vault(KEY), lambda value: f"<{hash(value)}>"))


@pytest.mark.parametrize("format", [CHAT, MESSAGES, RESPONSES, GEMINI], ids=lambda one: one.name)
def test_a_conversation_is_the_same_on_every_turn_and_after_a_restart(format: WireFormat) -> None:
    here = workspace()
    one = conversation(here, format, started(format, "fix the bug"))
    assert one is not None
    assert conversation(here, format, gone_on(format, "fix the bug")) == one
    assert conversation(workspace(), format, gone_on(format, "fix the bug")) == one


@pytest.mark.parametrize("format", [CHAT, MESSAGES, RESPONSES, GEMINI], ids=lambda one: one.name)
def test_others_are_others(format: WireFormat) -> None:
    here = workspace()
    bodies = [
        started(format, "fix the bug"),
        started(format, "write docs"),
        started(format, "fix the bug", "Be a title."),
    ]
    assert len({conversation(here, format, body) for body in bodies}) == 3


def test_a_body_that_is_read_as_a_whole_has_one_too() -> None:
    here = workspace()
    one = conversation(here, CHAT, orjson.dumps(started(CHAT, "fix the bug"), option=orjson.OPT_INDENT_2))
    assert one is not None
    assert conversation(here, CHAT, orjson.dumps(gone_on(CHAT, "fix the bug"), option=orjson.OPT_INDENT_2)) == one


@pytest.mark.parametrize("body", [{"input": "say it"}, {"model": "m"}, {"messages": []}])
def test_what_is_no_conversation_has_none_or_its_text(body: dict[str, Any]) -> None:
    found = conversation(workspace(), RESPONSES if "input" in body else CHAT, body)
    assert (found is not None) == ("input" in body)
