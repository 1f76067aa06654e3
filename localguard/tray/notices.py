"""Which events of the guard become desktop notifications, and how many: few, and none that holds a value. Pure; times are passed in.

The first of a kind is shown at once; those that follow within the quiet time become one that counts them. Texts are plain: what
a desktop takes for markup is escaped where it is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from localguard.display import one_line
from localguard.tray.menu import Action, InTerminal, answers, why
from localguard.tray.situation import refusal_of, waiting_of

QUIET_SECONDS: Final = 15.0
"""Between two notifications about refusals, and between two about budgets."""
MOST_QUESTIONS: Final = 3
"""Questions within the quiet time that are shown one by one; each waits for a person for a minute at most."""


class Kind(StrEnum):
    """What a notification is about."""

    REFUSAL = "refusal"
    QUESTION = "question"
    BUDGET = "budget"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification. A later one with the same `key` takes its place."""

    key: str
    title: str
    body: str
    urgent: bool = False
    actions: tuple[tuple[str, Action], ...] = ()
    """What its buttons say and do. The first is what a click on the notification itself does, unless it is urgent."""


@dataclass(slots=True)
class _Stream:
    """Notifications of one kind: when the last ones were shown, and how many were held back since."""

    shown: list[float] = field(default_factory=list)
    held: int = 0
    last: str = ""


class Notices:
    """Turns events into notifications. `due` is when it next has one to give without an event."""

    def __init__(self) -> None:
        self._streams = {kind: _Stream() for kind in Kind}

    @property
    def due(self) -> float | None:
        """When `late` has something to give; None: never, unless something happens."""
        times = [one.shown[-1] + QUIET_SECONDS for one in self._streams.values() if one.held]
        return min(times, default=None)

    def of_event(self, event: str, data: Mapping[str, Any], now: float) -> Notice | None:
        """The notification that an event of the guard is worth at once; None for most."""
        if event == "question":
            question = waiting_of(data)
            if not self._let(Kind.QUESTION, now, MOST_QUESTIONS):
                return None
            who = " in ".join(filter(None, (question.agent or "A program", question.workspace)))
            what = f"{who} → {' · '.join(filter(None, (question.endpoint, question.model)))}"
            body = "\n".join(filter(None, (what, question.reason)))
            *allows, refuse = answers(question)
            actions = (*allows[:2], refuse)
            return Notice(question_key(question.id), "May this request be sent?", body, urgent=True, actions=actions)
        if event == "budget-warning":
            budget = f"{one_line(data.get('percent'), 8)} % of {one_line(data.get('budget'), 80)} are spent"
            if not self._let(Kind.BUDGET, now, 1, budget):
                return None
            return Notice("budget", "Budget", budget, actions=(("Show", InTerminal(("budget", "show"))),))
        if event == "exchange" and (refusal := refusal_of(data)) is not None:
            what = " · ".join(filter(None, (refusal.agent, refusal.endpoint, refusal.model)))
            if not self._let(Kind.REFUSAL, now, 1, what):
                return None
            body = f"{what}\n{why(refusal)}"
            return Notice(
                "refusal",
                "Request refused",
                body,
                actions=(("Explain", InTerminal(("explain", refusal.id), asks=False)),),
            )
        return None

    def late(self, now: float) -> list[Notice]:
        """What was held back and whose time has come: one notification of each kind."""
        found = []
        for kind, stream in self._streams.items():
            if not stream.held or now < stream.shown[-1] + QUIET_SECONDS:
                continue
            count, stream.held = stream.held, 0
            stream.shown = [now]
            found.append(_together(kind, count, stream.last))
        return found

    def _let(self, kind: Kind, now: float, most: int, what: str = "") -> bool:
        """Whether one more may be shown now; else it is counted for later."""
        stream = self._streams[kind]
        recent = [one for one in stream.shown if now - one < QUIET_SECONDS]
        if stream.held or len(recent) >= most:
            stream.held, stream.last = stream.held + 1, what
            return False
        stream.shown = [*recent, now]
        return True


def question_key(id: str) -> str:
    """The key of the notification about a question."""
    return f"question {id}"


def failed(what: str) -> Notice:
    """Says that what a person asked for in the tray was not done, and why."""
    return Notice("failure", "Not done", what)


def _together(kind: Kind, count: int, last: str) -> Notice:
    if kind is Kind.QUESTION:
        words = "One more request waits" if count == 1 else f"{count} more requests wait"
        return Notice(
            "questions", "May these be sent?", f"{words} for your answer. The tray's menu lists them.", urgent=True
        )
    if kind is Kind.BUDGET:
        return Notice("budget", "Budgets", f"{count} more thresholds were passed. The last: {last}")
    return Notice("refusal", "Requests refused", f"{count} more were refused. The last: {last}")
