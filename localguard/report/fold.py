"""Records folded into figures, one at a time, in memory that does not grow with their number. Pure.

Names come from agents, models and repositories, which could make up any number of them: each table keeps the first so many apart and
adds up the rest as `(others)`. Values are kept by lossy counting: when there are too many, those that were seen least often are
forgotten, so counts of rare values can be too low, those of frequent ones are not.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from localguard.audit.outcomes import EVENT
from localguard.display import one_line
from localguard.report import timeline
from localguard.report.figures import OTHERS, Scope

Json = Mapping[str, Any]

_NAMES = 400
"""Kept apart in one table."""
_OPEN = 50_000
"""Exchanges whose outcome is waited for."""
_VALUES = 20_000
_SESSIONS = 200_000
_TEXT = 160
"""Characters of a name."""
_NOWHERE = "unattributed"


@dataclass(slots=True)
class Counted:
    """A name's counts by slot."""

    total: int = 0
    exchanges: int = 0
    slots: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class FoundValue:
    """One fingerprint."""

    type: str
    data_class: str
    rule: str
    workspace: str
    first: str
    count: int = 0
    exchanges: int = 0
    last: str = ""
    exposed: bool = False
    exchange: str = ""
    finding: int = 0


@dataclass(slots=True)
class Refusals:
    """Of one code, origin and rule."""

    reason: str = ""
    next_step: str = ""
    count: int = 0
    last: str = ""
    exchange: str | None = None


@dataclass(slots=True)
class Bill:
    """Of one bucket, model or task."""

    exchanges: int = 0
    cost: Decimal = Decimal(0)
    guessed: Decimal = Decimal(0)
    tokens: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Intent:
    """What the outcome of an exchange has to be told of its intent."""

    flow: tuple[str, str, str]
    bytes: int
    replaced: int
    bucket: str
    model: str
    task: str


class Fold:
    """What the records of a period add up to, so far. `step` is fixed before the first record."""

    def __init__(self, scope: Scope, step: timeline.Step) -> None:
        self.scope = scope
        self.step = step
        self._width = timeline.width(step)
        self.first = self.last = ""
        self.records = self.pruned = self.exchanges = self.refused = 0
        self.replaced = self.restored = self.withheld = self.paused = self.unlisted = 0
        self.slots: Counter[str] = Counter()
        self.by_type: dict[str, Counted] = {}
        self.by_workspace: dict[str, Counted] = {}
        self.by_agent: dict[str, Counted] = {}
        self.by_class: dict[str, Counted] = {}
        self.refusals: dict[tuple[str, str, str], Refusals] = {}
        self.flows: dict[tuple[str, str, str], list[int]] = {}
        self.wires: dict[str, list[int]] = {}
        self.attachments: Counter[str] = Counter()
        self.values: dict[str, FoundValue] = {}
        self.forgot_values = False
        self.keys: dict[tuple[str, str, str, str, str], tuple[int, str]] = {}
        self.by_bucket: dict[str, Bill] = {}
        self.by_model: dict[str, Bill] = {}
        self.by_task: dict[str, Bill] = {}
        self.failures: Counter[str] = Counter()
        self.sessions: set[str] = set()
        self.rated: dict[str, None] = {}
        """Sessions of which somebody said what became of them, in that order."""
        self._open: OrderedDict[str, _Intent] = OrderedDict()
        self._shown: dict[object, str] = {}
        self._slot: dict[str, str] = {}

    def add(
        self,
        kind: str,
        time: str,
        exchange: str | None,
        session: str | None,
        metadata: Json | None,
        findings: Sequence[Json],
        local: Json | None,
    ) -> None:
        """Take one record in, in order of seq. One whose metadata was pruned is counted and no more."""
        if metadata is None:
            if kind != "checkpoint" and self.scope.workspace is None:
                self.pruned += 1
                self._seen(time)
            return
        if kind == "intent":
            self._intent(time, exchange or "", session, metadata, findings, local or {})
        elif kind == "outcome":
            self._outcome(time, exchange or "", metadata, findings)
        elif kind == "refusal":
            self._refusal(time, exchange or "", session, metadata, findings, local or {})
        elif kind == "control":
            if metadata.get("event") == EVENT and session is not None:
                self.rated.pop(session, None)
                self.rated[session] = None
            if self.scope.workspace is None:
                self._seen(time)

    def end(self) -> int:
        """Count exchanges that have no outcome yet as sent; returns how many those are. To be called once, at the end."""
        waiting = len(self._open)
        for intent in self._open.values():
            self._left(intent)
        self._open.clear()
        if self.scope.workspace is not None:
            self.rated = {session: None for session in self.rated if session in self.sessions}
        return waiting

    def _seen(self, time: str) -> str:
        """Count a record, and return its slot."""
        self.records += 1
        self.first = self.first or time
        self.last = time
        return self._slot_of(time[: self._width])

    def _slot_of(self, beginning: str) -> str:
        found = self._slot.get(beginning)
        if found is None:
            found = self._slot[beginning] = timeline.slot(beginning, self.step)
        return found

    def _intent(
        self, time: str, exchange: str, session: str | None, metadata: Json, findings: Sequence[Json], local: Json
    ) -> None:
        place = self._request(time, session, metadata, local)
        if place is None:
            return
        slot, workspace = place
        replaced = self._found(time, slot, exchange, workspace, metadata, findings)
        self._covered(metadata)
        model = self._text(metadata.get("model"))
        task, bucket = self._text(metadata.get("task")), self._text(metadata.get("cost_bucket"))
        endpoint, kind = self._text(metadata.get("endpoint")), self._text(metadata.get("provider"))
        target = endpoint if kind in (endpoint, "-") else f"{endpoint} ({kind})"
        repository = local.get("repository")
        source = self._text(repository) if repository else workspace
        flow = (source, self._text(metadata.get("endpoint_class")), target)
        self._open[exchange] = _Intent(flow, _whole(metadata.get("upstream_bytes")), replaced, bucket, model, task)
        if len(self._open) > _OPEN:
            self._left(self._open.popitem(last=False)[1])
        self._key(time, metadata, workspace, endpoint)

    def _request(self, time: str, session: str | None, metadata: Json, local: Json) -> tuple[str, str] | None:
        """Count a request, and return its slot and its workspace; None where it is not asked for."""
        name = local.get("workspace") or metadata.get("workspace")
        wanted = self.scope.workspace
        if wanted is not None and wanted not in (name, metadata.get("workspace"), local.get("repository")):
            return None
        slot = self._seen(time)
        self.exchanges += 1
        self.slots[slot] += 1
        if session is not None and len(self.sessions) < _SESSIONS:
            self.sessions.add(session)
        return slot, self._text(name) if name else _NOWHERE

    def _found(
        self, time: str, slot: str, exchange: str, workspace: str, metadata: Json, findings: Sequence[Json]
    ) -> int:
        """Count what was replaced in a request, and return how much that is."""
        if not findings:
            if (metadata.get("obligations") or _EMPTY).get("record") == "metadata":
                self.unlisted += 1
            return 0
        types: dict[str, int] = {}
        values: dict[str, int] = {}
        for finding in findings:
            mark = finding.get("fingerprint")
            if mark and mark not in values:
                values[mark] = len(values) + 1
                self._value(mark, time, exchange, workspace, finding, values[mark])
            if finding.get("action") == "redacted":
                count = finding.get("count", 1)
                type = finding["type"]
                types[type] = types.get(type, 0) + count
                if mark:
                    known = self.values[mark]
                    known.count += count
                    if finding.get("exposed"):
                        known.exposed = True
        if len(values) == 1:
            self.values[next(iter(values))].finding = 0
        if len(self.values) > 2 * _VALUES:
            self._forget()
        if not types:
            return 0
        total = 0
        for type, count in types.items():
            total += count
            self._count(self.by_type, self._text(type), slot, count)
        self._count(self.by_workspace, workspace, slot, total)
        self._count(self.by_agent, self._text(metadata.get("agent")), slot, total)
        self._count(self.by_class, self._text(metadata.get("endpoint_class")), slot, total)
        self.replaced += total
        return total

    def _value(self, mark: str, time: str, exchange: str, workspace: str, finding: Json, number: int) -> None:
        known = self.values.get(mark)
        if known is None:
            type, group, rule = (self._text(finding.get(name)) for name in ("type", "class", "rule"))
            known = self.values[mark] = FoundValue(type, group, rule, workspace, time)
        known.exchanges += 1
        known.last, known.exchange, known.finding = time, exchange, number

    def _forget(self) -> None:
        self.forgot_values = True
        kept = sorted(self.values.items(), key=lambda one: (one[1].exposed, one[1].exchanges), reverse=True)[:_VALUES]
        self.values = dict(kept)

    def _covered(self, metadata: Json) -> None:
        coverage = metadata.get("coverage") or _EMPTY
        sums = self._room(self.wires, self._text(metadata.get("wire")), _four)
        sums[0] += 1
        sums[1] += _whole(coverage.get("leaves"))
        sums[2] += _whole(coverage.get("opaque"))
        sums[3] += _whole(coverage.get("bytes"))
        for kind in metadata.get("attachments") or ():
            self.attachments[self._text(kind)] += 1
        if metadata.get("paused"):
            self.paused += 1

    def _key(self, time: str, metadata: Json, workspace: str, endpoint: str) -> None:
        identity = metadata.get("identity")
        if identity is not None and identity != "personal":
            return
        told = (
            self._text(metadata.get("credential")),
            identity or "unknown",
            endpoint,
            workspace,
            self._text(metadata.get("sensitivity")),
        )
        if told not in self.keys and len(self.keys) >= _NAMES:
            told = (OTHERS, "personal or unknown", OTHERS, OTHERS, OTHERS)
        self.keys[told] = (self.keys.get(told, (0, ""))[0] + 1, time)

    def _outcome(self, time: str, exchange: str, metadata: Json, findings: Sequence[Json]) -> None:
        intent = self._open.pop(exchange, None)
        if intent is None and self.scope.workspace is not None:
            return
        self._seen(time)
        if metadata.get("state") != "completed":
            self.failures[self._text(metadata.get("origin"))] += 1
        restored = metadata.get("restored")
        if restored:
            self.restored += sum(map(_whole, restored.values()))
        self.withheld += _whole(metadata.get("withheld"))
        if intent is None:  # it was sent before the period began
            return
        self._left(intent)
        cost = metadata.get("cost_usd")
        usage = metadata.get("usage")
        if cost is None and not usage:
            return
        money = _money(cost)
        guessed = money if metadata.get("price_known") is False else _NOTHING
        for table, name in (
            (self.by_bucket, intent.bucket),
            (self.by_model, intent.model),
            (self.by_task, intent.task),
        ):
            bill = self._room(table, name, Bill)
            bill.exchanges += 1
            bill.cost += money
            if guessed:
                bill.guessed += guessed
            if usage:
                tokens = bill.tokens
                for kind, count in usage.items():
                    if kind in TOKENS:
                        tokens[kind] += count

    def _left(self, intent: _Intent) -> None:
        flow = intent.flow
        sums = self.flows.get(flow)
        if sums is None:
            if len(self.flows) >= _NAMES:
                flow = (OTHERS, *flow[1:]) if (OTHERS, *flow[1:]) in self.flows else (OTHERS, OTHERS, OTHERS)
            sums = self.flows.setdefault(flow, [0, 0, 0])
        sums[0] += 1
        sums[1] += intent.bytes
        sums[2] += intent.replaced

    def _refusal(
        self, time: str, exchange: str, session: str | None, metadata: Json, findings: Sequence[Json], local: Json
    ) -> None:
        had_intent = self._open.pop(exchange, None)  # nothing of it went upstream
        if had_intent is not None:
            self._seen(time)
        elif self._request(time, session, metadata, local) is None:
            return
        self.refused += 1
        key = (
            self._text(metadata.get("code")),
            self._text(metadata.get("origin")),
            self._text(metadata.get("rule") or "-"),
        )
        if key not in self.refusals and len(self.refusals) >= _NAMES:
            key = (OTHERS, "-", "-")
        told = self.refusals.setdefault(key, Refusals())
        told.count += 1
        told.last = time
        told.exchange = exchange or told.exchange
        told.reason = one_line(metadata.get("reason") or "", 2 * _TEXT)
        told.next_step = one_line(metadata.get("next_step") or "", 2 * _TEXT)

    def _count(self, table: dict[str, Counted], name: str, slot: str, count: int) -> None:
        counted = table.get(name)
        if counted is None:
            counted = self._room(table, name, Counted)
        counted.total += count
        counted.exchanges += 1
        slots = counted.slots
        slots[slot] = slots.get(slot, 0) + count

    def _room(self, table: dict[str, Any], name: str, make: Any) -> Any:
        """What a table holds of a name, or of all the others where it is full."""
        found = table.get(name)
        if found is None:
            key = name if len(table) < _NAMES else OTHERS
            found = table.get(key)
            if found is None:
                found = table[key] = make()
        return found

    def _text(self, value: object) -> str:
        """A name as it can be shown; `-` for none."""
        if value is None:
            return "-"
        if value.__class__ is not str:
            return one_line(value, _TEXT)
        found = self._shown.get(value)
        if found is None:
            found = one_line(value, _TEXT)
            if len(self._shown) < 10 * _NAMES and len(value) <= _TEXT:
                self._shown[value] = found
        return found


TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
"""Kinds of tokens that are shown."""
_EMPTY: Json = {}
_NOTHING = Decimal(0)


def _four() -> list[int]:
    return [0, 0, 0, 0]


def _whole(value: object) -> int:
    return value if value.__class__ is int else 0


def _money(text: object) -> Decimal:
    if text is None:
        return _NOTHING
    try:
        made = Decimal(str(text))
    except InvalidOperation:
        return _NOTHING
    return made if made.is_finite() else _NOTHING
