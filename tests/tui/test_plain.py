"""The guard's exchanges as lines: each once, also over a restart, and nothing that moves a cursor."""

import json
from typing import Any

import pytest

from localguard.proxy.control_client import GuardNotReachable
from localguard.tui.filters import filter_from
from localguard.tui.plain import Teller, sentence
from tests.tui.guard import QUESTION, MadeUpGuard, exchanges


def settled(rows: int) -> MadeUpGuard:
    """A guard with so many exchanges, none of them under way."""
    guard = MadeUpGuard(rows + 2)
    guard.rows = guard.rows[:rows]
    return guard


class Enough(Exception):
    """Whoever reads has seen enough."""


def told(guard: MadeUpGuard, lines: int, *, count: int = 3, **given: Any) -> tuple[list[str], list[str]]:
    """The first `lines` lines of a follower, and the remarks meanwhile."""
    written: list[str] = []
    remarks: list[str] = []

    def write(line: str) -> None:
        written.append(line)
        if len(written) == lines:
            raise Enough

    with pytest.raises(Enough):
        Teller(guard, write, remarks.append, **given).follow(count)
    return written, remarks


def test_a_line_says_everything_in_words() -> None:
    row = next(one for one in exchanges(200) if one["state"] == "completed" and one["withheld"] and one["task"])
    line = sentence(row)
    for word in (
        "done",
        row["agent"],
        row["endpoint"],
        row["model"],
        "redacted",
        "1 withheld",
        "tokens in",
        "USD",
        row["exchange"],
    ):
        assert word in line
    experimental = next(one for one in exchanges(200) if one["endpoint_class"] == "experimental")
    assert "(EXPERIMENTAL)" in sentence(experimental)
    refused = next(one for one in exchanges(200) if one["state"] == "refused")
    assert "because localguard_policy_denied" in sentence(refused)


def test_the_last_ones_come_first_and_none_that_is_under_way() -> None:
    guard = MadeUpGuard(30)
    written: list[str] = []
    Teller(guard, written.append, written.append).last(10)
    ended = [row["exchange"] for row in guard.rows[-10:] if row["state"] != "running"]
    assert [line.rpartition(", ")[2] for line in written] == ended


def test_each_exchange_is_told_once_and_only_when_it_has_ended() -> None:
    guard = settled(5)
    rows = [one for one in exchanges(40, seed=9) if one["state"] != "running"][:4]
    for row in rows:
        guard.early += [("exchange", {**row, "state": "running"}), ("exchange", row), ("exchange", row)]
    written, _ = told(guard, 7)
    assert [line.rpartition(", ")[2] for line in written[3:]] == [row["exchange"] for row in rows]


def test_a_filter_and_json() -> None:
    guard = settled(60)
    written, _ = told(guard, 2, count=60, as_json=True, only=filter_from("state:refused"))
    assert {json.loads(line)["state"] for line in written} == {"refused"}
    assert all(line.isascii() for line in written)


def test_a_question_is_a_remark_with_the_command_that_answers_it() -> None:
    guard = settled(4)
    row = next(one for one in exchanges(9, seed=3) if one["state"] == "completed")
    guard.early += [("question", QUESTION), ("exchange", row)]
    _, remarks = told(guard, 4)
    assert any(f"localguard approve {QUESTION['id']}" in remark for remark in remarks)


def test_a_guard_that_went_away_is_said_once_and_what_was_missed_is_told() -> None:
    guard = settled(4)
    pauses: list[float] = []
    missed = next(one for one in exchanges(9, seed=3, step_ms=10_000_000) if one["state"] == "completed")

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        guard.there = len(pauses) > 3
        if guard.there:
            guard.rows.append(missed)

    guard.early = [("gone", {})]
    written, remarks = told(guard, 3, pause=pause)
    assert written[-1].endswith(missed["exchange"])
    assert len([one for one in remarks if "Trying again" in one]) == 1
    assert remarks[-1] == "The guard is there again."
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 10


def test_no_guard_in_the_beginning_is_an_error() -> None:
    guard = settled(4)
    guard.there = False
    with pytest.raises(GuardNotReachable):
        Teller(guard, print, print).follow(3)


def test_hostile_texts_become_plain_lines() -> None:
    guard = settled(4)
    row = next(one for one in exchanges(9) if one["state"] == "completed")
    guard.rows = [{**row, "model": "\x1b[2J\u202emodel\r\n", "agent": "x" * 9000}]
    written: list[str] = []
    Teller(guard, written.append, written.append).last(1)
    assert written[0].isprintable()
    assert len(written[0]) < 2000
