"""A history that was sent before is recognised as a whole, and nothing that goes upstream is other than piece by piece."""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.exchange import prefix as prefixes
from localguard.exchange.items import Replaced
from localguard.exchange.prefix import LEFT_OUT, Prefixes
from localguard.wire.chat import CHAT
from localguard.wire.messages import MESSAGES
from localguard.wire.responses import RESPONSES
from tests.exchange.driver import ALLOW, REDACT, VALUES, Workspace, leaks


@pytest.fixture(autouse=True, scope="module")
def short_histories_count() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes, "_LEAST_BYTES", 1)
        yield


class NoPrefixes(Prefixes):
    """Forgets at once, so that every body is read piece by piece."""

    def keep(self, prefix: object, instead: object) -> None:
        pass


def piece_by_piece() -> Workspace:
    workspace = Workspace()
    workspace.memory.readings = replace(workspace.memory.readings, prefixes=NoPrefixes())
    return workspace


def turn(text: str, mark: object = None) -> dict[str, Any]:
    block = {"type": "text", "text": text, **({"cache_control": mark} if mark else {})}
    return {"role": "user", "content": [block]}


def call(arguments: str) -> dict[str, Any]:
    function = {"name": "edit", "arguments": json.dumps({"file": arguments})}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "function": function}]}


def wrapped(value: str) -> str:
    """Base64 of a value in lines, as no plain bytes tell it."""
    encoded = base64.b64encode(f"a line before it, of some length: {value} and one behind".encode()).decode()
    return "\n".join(["data:", *(encoded[at : at + 40] for at in range(0, len(encoded), 40)), "end"])


WORDS = [
    *VALUES,
    "weak=hunter",
    "mail bob@example.com",
    "4111111111111111",
    "plain",
    "plain123",
    'a "b"\\u0041/c',
    "S3CR",
]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
ITEMS = TEXTS.map(turn) | TEXTS.map(call)
SPELLINGS = [orjson.dumps, lambda value: json.dumps(value).encode()]


WRAPPED = TEXTS | st.sampled_from([wrapped(value) for value in VALUES])


@st.composite
def sessions(draw: st.DrawFn, items: st.SearchStrategy[dict[str, Any]] = ITEMS) -> list[tuple[bytes, dict[str, Any]]]:
    """Bodies that go on from each other, mostly: now and then an old item, a setting or the actions change."""
    spell = draw(st.sampled_from(SPELLINGS))
    history = draw(st.lists(items, min_size=LEFT_OUT, max_size=8))
    system = "be brief"
    made = []
    for _ in range(draw(st.integers(2, 6))):
        history = [*history, *draw(st.lists(items, max_size=3))]
        change = draw(st.integers(0, 9))
        if change == 0:
            history[draw(st.integers(0, len(history) - 1))] = draw(items)
        elif change == 1:
            history = history[: draw(st.integers(1, len(history)))]
        elif change == 2:
            system = draw(TEXTS)
        body = {"system": system, "messages": history, "tools": [{"name": "t", "description": draw(TEXTS)}]}
        made.append((spell(body), ALLOW if change == 3 else REDACT))
    return made


def recorded(replaced: Sequence[Replaced]) -> list[Replaced]:
    """What is recorded, but for the index: items with the same bytes are recorded at the place where one of them stands."""
    return sorted(one._replace(location=re.sub(r"\[\d+\]", "[]", one.location, count=1)) for one in replaced)


@settings(deadline=None)
@given(sessions(), st.sampled_from(["chat", "messages"]))
def test_what_goes_upstream_and_is_recorded_is_the_same_as_piece_by_piece(
    session: list[tuple[bytes, dict[str, Any]]], name: str
) -> None:
    format = CHAT if name == "chat" else MESSAGES
    quick, slow = Workspace(), piece_by_piece()
    for body, actions in session:
        one, other = quick.send(format, body, actions=actions), slow.send(format, body, actions=actions)
        assert one.body == other.body
        assert recorded(one.replaced) == recorded(other.replaced)
        assert set(recorded(one.exposed)) == set(recorded(other.exposed))
        assert quick.reading is not None
        assert slow.reading is not None
        assert quick.reading.facts == slow.reading.facts
        if actions is REDACT:
            assert leaks(one.body) == []


@settings(deadline=None, max_examples=50)
@given(sessions(WRAPPED.map(turn) | WRAPPED.map(call)))
def test_texts_whose_bytes_tell_nothing_go_upstream_the_same_as_piece_by_piece(
    session: list[tuple[bytes, dict[str, Any]]],
) -> None:
    quick, slow = Workspace(), piece_by_piece()
    for body, actions in session:
        one, other = quick.send(CHAT, body, actions=actions), slow.send(CHAT, body, actions=actions)
        assert one.body == other.body
        assert recorded(one.replaced) == recorded(other.replaced)
        assert set(recorded(one.exposed)) == set(recorded(other.exposed))


def test_what_stood_twice_in_the_first_body_is_exposed_once() -> None:
    workspace = Workspace()
    secret = "Late" + "9Value" + "x4Tq7"
    history = [turn(f"the code is {secret}"), turn(f"the code is {secret}"), *(turn(f"more {n}") for n in range(5))]
    workspace.send(CHAT, {"messages": history})
    workspace.memory.vault.add_known(secret, "PASSWORD")
    assert len(workspace.send(CHAT, {"messages": history}).exposed) == 1
    for number in range(3):
        history.append(turn(f"and more {number}"))
        assert workspace.send(CHAT, {"messages": history}).exposed == ()


def known(workspace: Workspace) -> list[str]:
    """The locations of the pieces that the newest request did not have to look at one by one."""
    assert workspace.reading is not None
    found = workspace.reading._prefix
    return [] if found is None else [one.where for one in found.seen]


def test_the_history_is_recognised_without_its_last_items() -> None:
    workspace = Workspace()
    history = [turn(f"question {number}") for number in range(10)]
    workspace.send(CHAT, {"model": "m", "messages": history})
    workspace.send(CHAT, {"model": "m", "messages": [*history, turn("one more")]})
    assert known(workspace) == ["model", *(f"messages[{index}]" for index in range(10 - LEFT_OUT))]
    workspace.send(CHAT, {"model": "m", "messages": [*history, turn("one more"), turn("two more")]})
    assert len(known(workspace)) == 1 + 11 - LEFT_OUT


def test_a_value_found_late_is_replaced_in_the_history_that_is_known() -> None:
    workspace = Workspace()
    late = "weak=" + "late" + "value"
    history = [turn(f"{VALUES[0]} {number}") for number in range(8)]
    history[2] = turn("the code is plain123~ for S3CR")
    workspace.send(CHAT, {"model": "m", "messages": history})
    workspace.memory.vault.placeholder_for("plain123", "PASSWORD", data_class="secret", distinctive=True)
    redacted = workspace.send(CHAT, {"model": "m", "messages": [*history, turn(late)]})
    assert b"plain123" not in redacted.body
    assert [one.location for one in redacted.exposed] == ["messages[2].content[0].text"]


def test_what_plain_bytes_do_not_tell_is_looked_at_again_and_the_rest_stays_known() -> None:
    workspace = Workspace()
    secret = "Late" + "9Value" + "x4Tq7"
    history = [turn(f"question {number}") for number in range(12)]
    history[3] = turn(wrapped("something else, of no matter"))
    workspace.send(CHAT, {"model": "m", "messages": history})
    for number in range(3):  # values learnt that do not stand there
        workspace.memory.vault.add_known(f"Other{number}Value9876", "PASSWORD")
        history.append(turn(f"more {number}"))
        workspace.send(CHAT, {"model": "m", "messages": history})
        assert len(known(workspace)) > 6
    other = [*history[:4], *(turn(f"another session {number}") for number in range(8))]
    other[3] = history[3] = turn(wrapped(secret))
    for session in (history, other):
        for number in range(2):
            session.append(turn(f"and more {number}"))
            assert wrapped(secret).split("\n")[2].encode() in workspace.send(CHAT, {"messages": session}).body
    workspace.memory.vault.add_known(secret, "PASSWORD")
    for session in (history, other):  # the second time the shared item is known already, the session's prefix is not
        redacted = workspace.send(CHAT, {"messages": [*session, turn("now")]})
        assert wrapped(secret).split("\n")[2].encode() not in redacted.body
        assert b"LG_PASSWORD_" in redacted.body


def test_changed_marks_on_the_last_messages_do_not_hide_the_history() -> None:
    workspace = Workspace()
    history = [turn(f"question {number}") for number in range(10)]
    marked = [*history[:-2], *(turn(one["content"][0]["text"], {"type": "ephemeral"}) for one in history[-2:])]
    workspace.send(MESSAGES, {"messages": marked})
    workspace.send(MESSAGES, {"messages": [*history, turn("next")]})
    assert len(known(workspace)) == 10 - LEFT_OUT


@pytest.mark.parametrize(
    "rest",
    [
        b",]}",
        b"]}",
        b',{"role":"user","content":"x"}],"messages":[{"role":"user"}]}',
        b",,]}",
        b', {"role":"x"}]}',
        b",1]}",
    ],
)
def test_a_body_that_only_begins_like_the_last_one_is_read_for_what_it_is(rest: bytes) -> None:
    history = [turn(f"question {number}") for number in range(8)]
    body = orjson.dumps({"model": "m", "messages": history})
    end = len(orjson.dumps({"model": "m", "messages": history[: 8 - LEFT_OUT]})) - 2
    answers = []
    for workspace in (Workspace(), piece_by_piece()):
        workspace.send(CHAT, body)
        try:
            answers.append(workspace.send(CHAT, body[:end] + rest).body)
        except Exception as error:
            answers.append(type(error).__name__.encode() + str(error).encode())
    assert answers[0] == answers[1]


def test_other_formats_and_allow_lists_do_not_share_a_history() -> None:
    workspace = Workspace()
    history = [turn(f"{VALUES[0]} {number}") for number in range(8)]
    body = orjson.dumps({"messages": history})
    workspace.send(CHAT, body)
    workspace.send(RESPONSES, body)
    assert known(workspace) == []
    workspace.send(CHAT, body)
    assert known(workspace) != []
    workspace.memory.allow(frozenset({workspace.memory.fingerprint(VALUES[0])}))
    workspace.send(CHAT, body)
    assert known(workspace) == []


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "MAX_BYTES", 20_000)
    workspace = Workspace()
    for number in range(30):
        workspace.send(CHAT, {"messages": [turn(f"{number} " + "x" * 300) for _ in range(8)]})
    assert sum(one.weight for one in workspace.memory.readings.prefixes._kept) <= 20_000
    assert workspace.memory.readings.prefixes._kept
