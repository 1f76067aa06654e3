"""What the tray knows: every answer and event of the guard becomes a state that the icon can show."""

from dataclasses import replace

import pytest

from localguard.tray.situation import MOST_REFUSALS, Sign, Situation
from tests.tray.situations import HOSTILE, question, refused, situation, told


def test_the_most_urgent_of_what_is_so_is_what_the_icon_shows() -> None:
    quiet = situation(approvals=[])
    assert quiet.sign is Sign.GUARDING
    local = replace(quiet, local_only=True)
    assert local.sign is Sign.LOCAL_ONLY
    refusing = local.after_exchange(refused("x9"))
    assert refusing.sign is Sign.REFUSED
    paused = replace(refusing, paused_until=200.0)
    assert paused.sign is Sign.PAUSED
    asking = replace(paused, waiting=situation().waiting)
    assert asking.sign is Sign.ASKING
    assert asking.down("nothing listens").sign is Sign.DOWN


def test_refusals_before_the_tray_came_are_listed_but_ask_for_no_look() -> None:
    first = situation(approvals=[])
    assert [one.id for one in first.refusals] == ["x1"]
    assert first.unseen == 0


def test_refusals_that_happened_while_the_tray_was_away_are_found_and_counted_once() -> None:
    before = situation(approvals=[]).down("the guard has gone")
    again = told(approvals=[], exchanges=[refused("x1"), refused("x7"), refused("x8")]).situation(before, 200.0)
    assert [one.id for one in again.refusals] == ["x8", "x7", "x1"]
    assert again.unseen == 2
    assert again.after_exchange(refused("x8")).unseen == 2


def test_what_was_looked_at_stays_looked_at_when_the_guard_is_asked_again() -> None:
    seen = situation(approvals=[]).after_exchange(refused("x9")).looked_at()
    assert told(approvals=[], exchanges=None).situation(seen, 101.0).sign is Sign.GUARDING


def test_only_the_last_refusals_are_kept() -> None:
    now = situation()
    for number in range(50):
        now = now.after_exchange(refused(f"y{number}"))
    assert len(now.refusals) == MOST_REFUSALS
    assert now.refusals[0].id == "y49"
    assert now.unseen == 50


def test_tasks_can_be_chosen_only_for_a_workspace_that_policy_names() -> None:
    assert situation().tasks == ("docs", "incident")
    assert situation().task == "docs"
    elsewhere = situation().after_exchange({"state": "complete", "workspace": "somewhere"})
    assert elsewhere.tasks == ()


def test_a_question_that_nobody_waits_for_any_more_is_not_shown() -> None:
    assert situation(approvals=[question("q1", waiting=False)]).waiting == ()


def texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple | list | frozenset):
        return [text for one in value for text in texts(one)]
    if isinstance(value, dict):
        return [text for pair in value.items() for text in texts(pair)]
    slots = getattr(type(value), "__slots__", ())
    return [text for name in slots for text in texts(getattr(value, name))]


@pytest.mark.parametrize("hostile", [HOSTILE, HOSTILE * 5])
def test_no_text_of_the_guard_moves_a_cursor_turns_the_reading_direction_or_fills_the_screen(hostile: str) -> None:
    shown = situation(
        status={"policy": {"error": hostile}},
        routes={"mode": hostile, "endpoints": [{"name": hostile, "class": hostile}]},
        tasks={"tasks": [{"workspace": hostile, "task": hostile}], "known": [hostile], "workspaces": [hostile]},
        approvals=[question(hostile, reason=hostile, workspace=hostile, model=hostile)],
        exchanges=[refused(hostile, agent=hostile, workspace=hostile, model=hostile, error=hostile)],
    ).down(hostile)
    found = texts(shown) + texts(situation(approvals=[question(hostile, reason=hostile)]))
    assert any("evil" in text for text in found)
    assert all(text.isprintable() and len(text) <= 300 for text in found)


@pytest.mark.parametrize("broken", [{}, {"counters": None}, {"policy": None}, {"counters": {"exchanges": "many"}}])
def test_an_older_or_newer_guard_that_answers_less_is_shown_all_the_same(broken: dict[str, object]) -> None:
    shown = situation(status=broken, routes={}, pause={}, tasks={}, approvals=[], exchanges=[])
    assert shown.sign is Sign.GUARDING
    assert Situation().sign is Sign.GUARDING
