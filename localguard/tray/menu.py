"""What the tray's menu offers, as plain values: labels, marks, and what a click asks the guard for. Pure.

The rule of this file: a click does nothing that the command line cannot do, and every action carries the command that does the
same.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from localguard.tray.situation import Refusal, Sign, Situation, Waiting

PAUSES: Final = (5, 15, 30, 60, 120)
"""Minutes that the menu offers, as far as policy allows them."""
PAUSE_REASON: Final = "asked for in the tray"
_ANSWER_REASON: Final = "answered in the tray"
SCOPES: Final = {
    "once": "Allow this request",
    "session": "Allow for this session",
    "hour": "Allow for an hour",
    "task": "Allow for this task",
}
_WORDS: Final = {
    Sign.DOWN: "guard down",
    Sign.ASKING: "waiting for your answer",
    Sign.PAUSED: "redaction paused",
    Sign.REFUSED: "refused something",
    Sign.LOCAL_ONLY: "guarding, local only",
    Sign.GUARDING: "guarding",
}


@dataclass(frozen=True, slots=True)
class ControlCall:
    """A call of the control API; `command` is the command line that does the same."""

    method: str
    path: str
    given: tuple[tuple[str, object], ...]
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InTerminal:
    """A command of localguard that is run in a terminal of the user's. `asks`: it asks the guard, and has to know its port."""

    command: tuple[str, ...]
    asks: bool = True


@dataclass(frozen=True, slots=True)
class Aside:
    """A command of localguard that shows something by itself, such as a page in the browser."""

    command: tuple[str, ...]
    asks: bool = True


@dataclass(frozen=True, slots=True)
class Looked:
    """Nothing but: the refusals have been looked at."""

    command: tuple[str, ...] = ("audit", "tail")
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Quit:
    """The end of the tray; the guard goes on."""


Action = ControlCall | InTerminal | Aside | Looked | Quit


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a menu: with `entries` a menu of its own, with no label a line between others."""

    label: str = ""
    action: Action | None = None
    checked: bool | None = None
    """None: there is nothing to check."""
    radio: bool = False
    entries: tuple["Entry", ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether a click on it does anything."""
        return self.action is not None or bool(self.entries)


@dataclass(frozen=True, slots=True)
class View:
    """Everything that a tray host is given to show."""

    sign: Sign
    title: str
    """Of one line."""
    menu: tuple[Entry, ...]


BETWEEN: Final = Entry()
WHOLE: Final = ("See all of it and answer", InTerminal(("tui",)))
"""For a question that does not fit here."""


def view(situation: Situation, now: float, wall: float) -> View:
    """What is shown of a situation. `wall` is the time of day in seconds since 1970 that belongs to `now`."""
    title = _title(situation, now, wall)
    state = Entry(title)
    if situation.why_down:
        rest: tuple[Entry, ...] = (Entry(f"Why: {situation.why_down}"), *_refusals(situation))
    else:
        rest = (
            *_questions(situation),
            *((Entry(f"Policy: {situation.policy_error}"),) if situation.policy_error else ()),
            _routes(situation),
            _task(situation),
            *_pause(situation, now, wall),
            *_refusals(situation),
            BETWEEN,
            Entry("Open terminal UI", InTerminal(("tui",))),
            Entry("Open report", Aside(("report", "--open"))),
        )
    return View(situation.sign, title, (state, BETWEEN, *rest, BETWEEN, Entry("Quit the tray", Quit())))


def actions(entries: tuple[Entry, ...]) -> Iterator[Action]:
    """Every action of a menu and the menus in it."""
    for entry in entries:
        if entry.action is not None:
            yield entry.action
        yield from actions(entry.entries)


def answer(question: Waiting, *, allow: bool, scope: str = "once") -> ControlCall:
    """What answers a question."""
    path = f"/approvals/{quote(question.id, safe='')}"
    why = ("--why", _ANSWER_REASON)
    if not allow:
        return ControlCall("POST", path, (("allow", False), ("why", _ANSWER_REASON)), ("deny", question.id, *why))
    given = (("allow", True), ("scope", scope), ("why", _ANSWER_REASON))
    return ControlCall("POST", path, given, ("approve", question.id, "--for", scope, *why))


def _title(situation: Situation, now: float, wall: float) -> str:
    words = _WORDS[situation.sign]
    if situation.sign is Sign.PAUSED and situation.paused_until is not None:
        words += f" until {_clock(situation.paused_until, now, wall)}"
    if situation.why_down:
        return f"localguard: {words}"
    unseen = f", {situation.unseen} not looked at" if situation.unseen else ""
    return f"localguard: {words} ({_count(situation.exchanges, 'exchange')}, {situation.refused} refused{unseen})"


def _questions(situation: Situation) -> tuple[Entry, ...]:
    if not situation.waiting:
        return ()
    each = tuple(
        Entry(_brief(one), entries=(Entry(one.reason or "Policy asks."), BETWEEN, *_answers(one)))
        for one in situation.waiting
    )
    return (Entry(f"Waiting for your answer ({len(each)})", entries=each), BETWEEN)


def _answers(question: Waiting) -> tuple[Entry, ...]:
    return tuple(Entry(label, action) for label, action in answers(question))


def answers(question: Waiting) -> tuple[tuple[str, Action], ...]:
    """What can be answered here, the refusal last; what is asked in too many words is looked at in the terminal UI first."""
    allows: tuple[tuple[str, Action], ...] = (WHOLE,)
    if question.is_whole:
        allows = tuple(
            (label, answer(question, allow=True, scope=scope))
            for scope, label in SCOPES.items()
            if scope in question.scopes
        )
    return (*allows, ("Refuse", answer(question, allow=False)))


def _routes(situation: Situation) -> Entry:
    modes = (("policy", "What policy allows"), ("local", "Local endpoints only"))
    now = "local" if situation.local_only else "policy"
    radios = tuple(
        Entry(
            label,
            ControlCall("POST", "/routes", (("mode", mode),), ("route", "set", mode)),
            checked=mode == now,
            radio=True,
        )
        for mode, label in modes
    )
    switches = tuple(
        Entry(
            f"{one.name} ({one.group})",
            ControlCall(
                "POST",
                f"/routes/{quote(one.name, safe='')}",
                (("on", not one.on),),
                ("route", "set", one.name, "off" if one.on else "on"),
            ),
            checked=one.on,
        )
        for one in situation.switches
    )
    return Entry("Routes", entries=(*radios, *((BETWEEN, *switches) if switches else ())))


def _task(situation: Situation) -> Entry:
    if not situation.workspace:
        return Entry("Task: nothing was at work yet")
    if not situation.tasks:
        return Entry(f"Task in {situation.workspace}: policy knows none")
    choices = [("", "What the branch says"), *((task, task) for task in situation.tasks)]
    if situation.task and situation.task not in situation.tasks:
        choices.append((situation.task, situation.task))
    entries = tuple(
        Entry(
            label,
            ControlCall(
                "POST",
                "/tasks",
                (("task", task), ("workspace", situation.workspace)),
                ("task", "set", *((task,) if task else ("--none",)), "--workspace", situation.workspace),
            ),
            checked=task == situation.task,
            radio=True,
        )
        for task, label in choices
    )
    return Entry(f"Task in {situation.workspace}: {situation.task or 'by its branch'}", entries=entries)


def _pause(situation: Situation, now: float, wall: float) -> tuple[Entry, ...]:
    if situation.paused_until is not None:
        until = _clock(situation.paused_until, now, wall)
        return (Entry(f"Redact again (paused until {until})", ControlCall("POST", "/resume", (), ("resume",))),)
    if not situation.most_minutes:
        return (Entry("Pause redaction: the policy does not allow it"),)
    boxes = sorted({*(one for one in PAUSES if one < situation.most_minutes), min(situation.most_minutes, PAUSES[-1])})
    entries = tuple(
        Entry(
            f"For {_count(minutes, 'minute')}",
            ControlCall(
                "POST",
                "/pause",
                (("minutes", minutes), ("reason", PAUSE_REASON)),
                ("pause", "--minutes", f"{minutes}", "--reason", PAUSE_REASON),
            ),
        )
        for minutes in boxes
    )
    return (Entry("Pause redaction", entries=entries),)


def _refusals(situation: Situation) -> tuple[Entry, ...]:
    if not situation.refusals:
        return (Entry("Nothing was refused"),)
    each = tuple(
        Entry(
            " · ".join(filter(None, (one.agent, one.endpoint, one.model, why(one)))),
            InTerminal(("explain", one.id), asks=False),
        )
        for one in situation.refusals
    )
    looked = (BETWEEN, Entry("Mark as looked at", Looked())) if situation.unseen else ()
    return (Entry(f"Last refusals ({len(each)})", entries=(*each, *looked)),)


def _brief(question: Waiting) -> str:
    who = " in ".join(filter(None, (question.agent or "a program", question.workspace)))
    return f"{who} → {' · '.join(filter(None, (question.endpoint, question.model)))}"


def why(refusal: Refusal) -> str:
    """What refused it, in few words."""
    return refusal.rule.removeprefix("localguard_").replace("_", " ")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _clock(until: float, now: float, wall: float) -> str:
    return time.strftime("%H:%M", time.localtime(wall + until - now))
