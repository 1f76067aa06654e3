"""Who was asked may answer once, for a session, an hour or a task; nothing else is let through."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.policy.approvals import (
    KEPT,
    MOST_QUESTIONS,
    SECONDS,
    Answer,
    Approvals,
    Question,
    QuestionUnknown,
    Scope,
    ScopeImpossible,
    Subject,
)

SUBJECT = Subject("repo:x", "openai", "gpt-5", ("user/expensive",), "digest", "session", "docs", b"request")
OTHERS: dict[str, Any] = {
    "workspace": "repo:y",
    "endpoint": "anthropic",
    "model": "gpt-6",
    "rules": ("user/expensive", "repository/other"),
    "policy": "another",
}
"""Each of these makes another question, whatever the scope."""


def allowed(scope: Scope) -> Answer:
    return Answer(allow=True, scope=scope, by="dev", why="")


def asked(subject: Subject = SUBJECT, *, at: float = 0.0, id: str = "x1") -> Approvals:
    approvals = Approvals()
    approvals.ask(Question(id, subject, at, "reason"))
    return approvals


def test_nothing_is_granted_before_somebody_answers() -> None:
    approvals = asked()
    assert approvals.granted(SUBJECT, 1.0) is None
    assert [question.id for question in approvals.waiting(1.0)] == ["x1"]


@pytest.mark.parametrize("scope", Scope)
def test_an_approval_admits_the_identical_request_for_its_time(scope: Scope) -> None:
    approvals = asked()
    approvals.answer("x1", allowed(scope), 5.0)
    assert approvals.granted(SUBJECT, 5.0 + SECONDS[scope] - 1) == ("x1", allowed(scope))
    assert approvals.granted(SUBJECT, 5.0 + SECONDS[scope]) is None
    assert approvals.waiting(6.0) == []


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("name", OTHERS)
def test_no_approval_reaches_another_workspace_endpoint_model_rule_or_policy(scope: Scope, name: str) -> None:
    approvals = asked()
    approvals.answer("x1", allowed(scope), 0.0)
    assert approvals.granted(replace(SUBJECT, **{name: OTHERS[name]}), 1.0) is None


@pytest.mark.parametrize(
    ("scope", "changed", "admitted"),
    [
        (Scope.ONCE, {"request": b"other"}, False),
        (Scope.SESSION, {"request": b"other"}, True),
        (Scope.SESSION, {"request": b"other", "task": "code"}, True),
        (Scope.SESSION, {"request": b"other", "session": "another"}, False),
        (Scope.SESSION, {"request": b"other", "session": None}, False),
        (Scope.HOUR, {"request": b"other", "session": "another", "task": None}, True),
        (Scope.TASK, {"request": b"other", "session": "another"}, True),
        (Scope.TASK, {"request": b"other", "task": "code"}, False),
        (Scope.TASK, {"request": b"other", "task": None}, False),
    ],
)
def test_a_scope_reaches_as_far_as_it_says(scope: Scope, changed: dict[str, Any], admitted: bool) -> None:
    approvals = asked()
    approvals.answer("x1", allowed(scope), 0.0)
    assert (approvals.granted(replace(SUBJECT, **changed), 1.0) is not None) is admitted


@pytest.mark.parametrize(("scope", "missing"), [(Scope.SESSION, "session"), (Scope.TASK, "task")])
def test_an_approval_for_what_the_request_does_not_name_is_an_error(scope: Scope, missing: str) -> None:
    without: dict[str, Any] = {missing: None}
    approvals = asked(replace(SUBJECT, **without))
    with pytest.raises(ScopeImpossible):
        approvals.answer("x1", allowed(scope), 0.0)
    assert len(approvals.waiting(0.0)) == 1


def test_a_refusal_takes_an_earlier_approval_back() -> None:
    approvals = asked()
    approvals.answer("x1", allowed(Scope.HOUR), 0.0)
    refusal = Answer(allow=False, scope=Scope.ONCE, by="dev", why="too dear")
    approvals.answer("x1", refusal, 1.0)
    assert approvals.granted(SUBJECT, 2.0) is None
    assert approvals.denied("x1") == refusal


def test_an_unknown_withdrawn_or_old_question_cannot_be_answered() -> None:
    approvals = asked()
    with pytest.raises(QuestionUnknown):
        approvals.answer("x2", allowed(Scope.ONCE), 0.0)
    with pytest.raises(QuestionUnknown):
        approvals.answer("x1", allowed(Scope.ONCE), KEPT + 1)
    approvals = asked()
    approvals.withdraw("x1")
    with pytest.raises(QuestionUnknown):
        approvals.answer("x1", allowed(Scope.ONCE), 0.0)


@given(st.integers(1, 3 * MOST_QUESTIONS))
def test_however_many_questions_are_asked_a_bounded_number_is_kept(count: int) -> None:
    approvals = Approvals()
    for number in range(count):
        approvals.ask(Question(f"x{number}", SUBJECT, float(number) / 1000, "reason"))
    kept = [question.id for question in approvals.waiting(1.0)]
    assert kept == [f"x{number}" for number in range(max(0, count - MOST_QUESTIONS), count)]
