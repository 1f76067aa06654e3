"""What the tray knows of the guard, and what of it deserves a look. Pure: times are seconds of one clock, passed in.

Every text that comes from the guard is made fit for a menu here, so nothing behind this has to think of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from localguard.display import one_line

MOST_REFUSALS = 8
"""Refusals that the menu lists."""
_MOST_ENTRIES = 60
"""Endpoints, questions or tasks that a menu can list and a person can still read."""
_MOST_NAME = 48
_MOST_REASON = 120
_MOST_ASKED = 300
"""Characters of what a person is asked: most commands fit, and a yes to them can be given here."""


class Sign(StrEnum):
    """What the icon shows, the most urgent first."""

    DOWN = "down"
    """No guard can be reached."""
    ASKING = "asking"
    """A request waits for a person."""
    PAUSED = "paused"
    REFUSED = "refused"
    """Something was refused, and nobody has looked at it yet."""
    LOCAL_ONLY = "local only"
    GUARDING = "guarding"


@dataclass(frozen=True, slots=True)
class Switch:
    """One endpoint and its own switch."""

    name: str
    group: str
    """Its class: local, enterprise, hosted or experimental."""
    on: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """One request that waits for an answer."""

    id: str
    reason: str
    scopes: tuple[str, ...]
    agent: str
    workspace: str
    endpoint: str
    model: str

    @property
    def is_whole(self) -> bool:
        """Whether its reason is here to its end: nobody can allow what is not shown, such as the end of a command."""
        return not self.reason.endswith("…")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request that was refused."""

    id: str
    agent: str
    endpoint: str
    model: str
    rule: str
    """What refused it: a rule of the policy, else the guard's code, such as `localguard_busy`."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that the tray shows. Without a guard only `why_down` says something."""

    why_down: str = ""
    """Why no guard can be reached; empty where one is."""
    local_only: bool = False
    switches: tuple[Switch, ...] = ()
    paused_until: float | None = None
    most_minutes: int = 0
    """For how long policy lets redaction be paused at most; 0: not at all."""
    waiting: tuple[Waiting, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """The newest first."""
    unseen: int = 0
    """Refusals since somebody looked at them."""
    workspace: str = ""
    """Of the last exchange."""
    task: str = ""
    """That was set for this workspace."""
    tasks: tuple[str, ...] = ()
    """That policy knows; none where a task cannot be set for this workspace."""
    declared: Mapping[str, str] = field(default_factory=dict)
    """Tasks that were set, by workspace."""
    known_tasks: tuple[str, ...] = ()
    configured: frozenset[str] = frozenset()
    """Workspaces that policy names, and for which a task can be set."""
    exchanges: int = 0
    refused: int = 0
    policy_error: str = ""
    heard: bool = False
    """A guard has told of itself since the tray started."""

    @property
    def sign(self) -> Sign:
        """What the icon shows."""
        if self.why_down:
            return Sign.DOWN
        if self.waiting:
            return Sign.ASKING
        if self.paused_until is not None:
            return Sign.PAUSED
        if self.unseen:
            return Sign.REFUSED
        return Sign.LOCAL_ONLY if self.local_only else Sign.GUARDING

    def looked_at(self) -> "Situation":
        """The same once a person has looked at the refusals."""
        return replace(self, unseen=0)

    def down(self, why: str) -> "Situation":
        """The guard cannot be reached any more; what was refused is kept."""
        why = _reason(why) or "it cannot be reached"
        return Situation(why_down=why, refusals=self.refusals, unseen=self.unseen, heard=self.heard)

    def after_exchange(self, note: Mapping[str, Any]) -> "Situation":
        """The same after one exchange that the guard told of."""
        refusal = refusal_of(note)
        changed = self.at_work(_name(note.get("workspace")))
        if note.get("state") == "running":
            return changed
        if refusal is None:
            return replace(changed, exchanges=self.exchanges + 1)
        if any(one.id == refusal.id for one in self.refusals):
            return changed
        return replace(
            changed,
            refused=self.refused + 1,
            unseen=self.unseen + 1,
            refusals=(refusal, *self.refusals)[:MOST_REFUSALS],
        )

    def at_work(self, workspace: str) -> "Situation":
        """The same where the last exchange came from this workspace."""
        return replace(
            self,
            workspace=workspace,
            task=self.declared.get(workspace, ""),
            tasks=self.known_tasks if workspace in self.configured else (),
        )


@dataclass(frozen=True, slots=True)
class Told:
    """The guard's answers to the calls that the tray makes when it connects, and after every change."""

    status: Mapping[str, Any]
    routes: Mapping[str, Any]
    pause: Mapping[str, Any]
    tasks: Mapping[str, Any]
    approvals: Sequence[Mapping[str, Any]]
    exchanges: Sequence[Mapping[str, Any]] | None
    """The latest, oldest first; None where none can have been missed."""

    def situation(self, before: Situation, now: float) -> Situation:
        """What these answers say. What nobody has looked at stays so, and what was refused unseen meanwhile is found."""
        counters = self.status.get("counters") or {}
        notes = self.exchanges or ()
        seen = {one.id for one in before.refusals}
        told = [refusal for note in reversed(notes) if (refusal := refusal_of(note)) is not None]
        newest = max(seen, default="")  # ids sort by time
        missed = [refusal for refusal in told if refusal.id > newest]
        left = _number(self.pause.get("seconds_left"))
        situation = Situation(
            local_only=self.routes.get("mode") == "local",
            switches=tuple(
                Switch(_name(one.get("name")), _name(one.get("class")), bool(one.get("switched", one.get("on"))))
                for one in _some(self.routes.get("endpoints"))
            ),
            paused_until=now + left if self.pause.get("paused") and left else None,
            most_minutes=_number(self.pause.get("most_minutes")),
            waiting=tuple(waiting_of(one) for one in _some(self.approvals) if one.get("waiting", True)),
            refusals=(*missed, *before.refusals)[:MOST_REFUSALS],
            unseen=before.unseen + len(missed) if before.heard else 0,
            declared={_name(one.get("workspace")): _name(one.get("task")) for one in _some(self.tasks.get("tasks"))},
            known_tasks=tuple(_name(one) for one in (self.tasks.get("known") or ())[:_MOST_ENTRIES]),
            configured=frozenset(_name(one) for one in self.tasks.get("workspaces") or ()),
            exchanges=_number(counters.get("exchanges")),
            refused=_number(counters.get("refused")),
            policy_error=_reason((self.status.get("policy") or {}).get("error")),
            heard=True,
        )
        last = _name(notes[-1].get("workspace")) if notes else before.workspace
        alone = next(iter(situation.configured)) if len(situation.configured) == 1 else ""
        return situation.at_work(last or alone)


def refusal_of(note: Mapping[str, Any]) -> Refusal | None:
    """The refusal that a note about an exchange tells of; None where it tells of another end."""
    if note.get("state") != "refused":
        return None
    return Refusal(
        id=_name(note.get("exchange")),
        agent=_name(note.get("agent")),
        endpoint=_name(note.get("endpoint")),
        model=_name(note.get("model")),
        rule=_name(note.get("rule") or note.get("error")),
    )


def waiting_of(question: Mapping[str, Any]) -> Waiting:
    """A question of the guard's list, or of its event."""
    names = (question.get("agent"), question.get("workspace"), question.get("endpoint"), question.get("model"))
    scopes = tuple(_name(one) for one in question.get("scopes") or ())
    reason = one_line(question.get("reason") or "", _MOST_ASKED)
    return Waiting(_name(question.get("id")), reason, scopes, *map(_name, names))


def _some(given: Iterable[Mapping[str, Any]] | None) -> Sequence[Mapping[str, Any]]:
    return tuple(given or ())[:_MOST_ENTRIES]


def _name(text: object) -> str:
    return "" if text is None else one_line(text, _MOST_NAME)


def _reason(text: object) -> str:
    return "" if text is None else one_line(text, _MOST_REASON)


def _number(given: object) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) else 0
