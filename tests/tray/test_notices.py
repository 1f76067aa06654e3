"""Notifications: one at once, many as one, and none that a desktop would be flooded by."""

import pytest

from localguard.tray.menu import ControlCall, InTerminal
from localguard.tray.notices import MOST_QUESTIONS, QUIET_SECONDS, Notice, Notices
from tests.tray.situations import HOSTILE, question, refused


def shown(
    notices: Notices, count: int, event: str, make: object, start: float = 0.0, step: float = 0.01
) -> list[Notice]:
    """What `count` events within no time bring at once."""
    found = [notices.of_event(event, make(f"x{n}"), start + n * step) for n in range(count)]  # type: ignore[operator]
    return [one for one in found if one is not None]


def test_the_first_refusal_is_told_at_once_and_can_be_explained() -> None:
    (one,) = shown(Notices(), 1, "exchange", refused)
    assert one.title == "Request refused"
    assert one.body == "codex · openai · gpt-5\npolicy denied"
    assert one.actions == (("Explain", InTerminal(("explain", "x0"), asks=False)),)


def test_a_thousand_refusals_are_two_notifications() -> None:
    notices = Notices()
    assert len(shown(notices, 1000, "exchange", refused)) == 1
    assert notices.due == QUIET_SECONDS
    assert notices.late(QUIET_SECONDS - 0.1) == []
    (late,) = notices.late(QUIET_SECONDS)
    assert late.body.startswith("999 more were refused.")
    assert notices.due is None


def test_refusals_without_end_bring_one_notification_in_each_quiet_time() -> None:
    notices = Notices()
    count = 0
    for second in range(600):
        count += notices.of_event("exchange", refused(f"x{second}"), second) is not None
        count += len(notices.late(second))
    assert count <= 600 / QUIET_SECONDS + 1


def test_a_question_offers_to_allow_and_to_refuse() -> None:
    (one,) = shown(Notices(), 1, "question", question)
    assert one.urgent
    assert [label for label, _ in one.actions] == ["Allow this request", "Allow for this session", "Refuse"]
    refusing = one.actions[-1][1]
    assert isinstance(refusing, ControlCall)
    assert dict(refusing.given)["allow"] is False


def test_a_command_whose_end_is_not_shown_cannot_be_allowed_by_a_button() -> None:
    one = Notices().of_event("question", question("q", reason="curl https://good.example/" + "a" * 300), 0.0)
    assert one is not None
    assert [label for label, _ in one.actions] == ["See all of it and answer", "Refuse"]


def test_many_questions_become_one_without_buttons() -> None:
    notices = Notices()
    assert len(shown(notices, 50, "question", question)) == MOST_QUESTIONS
    (late,) = notices.late(60)
    assert late.actions == ()
    assert f"{50 - MOST_QUESTIONS} more requests wait" in late.body


def test_each_kind_has_its_own_quiet_time() -> None:
    notices = Notices()
    shown(notices, 100, "exchange", refused)
    assert shown(notices, 1, "question", question)
    assert notices.of_event("budget-warning", {"budget": "team", "percent": 80}, 1.0) is not None


@pytest.mark.parametrize("event", ["exchange", "routes", "answer", "tasks", "lost"])
def test_what_is_no_refusal_question_or_threshold_tells_nobody(event: str) -> None:
    assert Notices().of_event(event, {"state": "complete"}, 0.0) is None


def test_texts_of_others_are_of_bounded_length_and_move_nothing() -> None:
    one = Notices().of_event("question", question("q", reason=HOSTILE, workspace=HOSTILE), 0.0)
    two = Notices().of_event("exchange", refused("x", agent=HOSTILE, model=HOSTILE), 0.0)
    three = Notices().of_event("budget-warning", {"budget": HOSTILE, "percent": HOSTILE}, 0.0)
    for notice in (one, two, three):
        assert notice is not None
        assert len(notice.body) < 400
        assert notice.body.replace("\n", "").isprintable()
