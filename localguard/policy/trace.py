"""Every rule beside a piece of work: which fields matched and which did not. For people who ask why; not on the main path."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypedDict

from localguard.policy.decide import Decision, as_seen_by, decide
from localguard.policy.layers import RuleRef
from localguard.policy.matching import FIELDS, index_of
from localguard.policy.model import Effect, Layer, Work


@dataclass(frozen=True, slots=True)
class FieldTrace:
    """One given field of a rule: what it wants, what the work has, and whether that matches."""

    field: str
    wanted: tuple[str, ...]
    has: tuple[str, ...]
    """Empty where nothing is there or nothing is known."""
    matched: bool


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule, its effect, and all its given fields; `matched` if each of them did."""

    rule: RuleRef
    effect: Effect
    matched: bool
    fields: tuple[FieldTrace, ...]


def trace(layers: Sequence[Layer], work: Work) -> tuple[RuleTrace, ...]:
    """Return the trace of every rule: of the organisation's layer first, in file order."""
    traces: list[RuleTrace] = []
    for layer in sorted(layers, key=lambda layer: layer.name.rank):
        seen = as_seen_by(layer, work)
        index = index_of(layer)
        masks = index.by_field(seen)
        for bit, (rule, ref) in enumerate(zip(index.rules, index.references, strict=True)):
            given = [(name, getattr(rule.when, name)) for name, _ in FIELDS]
            fields = tuple(
                FieldTrace(name, tuple(map(str, wanted)), _has(seen, name), bool(masks[name] >> bit & 1))
                for name, wanted in given
                if wanted is not None
            )
            traces.append(RuleTrace(ref, rule.effect, all(one.matched for one in fields), fields))
    return tuple(traces)


class FieldTold(TypedDict):
    """`FieldTrace` for programs."""

    field: str
    wanted: list[str]
    has: list[str]
    matched: bool


class RuleTold(TypedDict):
    """A rule and how it came out."""

    id: str
    layer: str
    file: str
    line: int
    effect: str
    matched: bool
    fields: list[FieldTold]


class DecidingRule(TypedDict):
    """A rule that decided, and where it stands."""

    id: str
    layer: str
    file: str
    line: int


class Told(TypedDict):
    """A decision and how each rule came out, for programs."""

    effect: str
    deciding: list[DecidingRule]
    reason: str
    next_step: str
    obligations: dict[str, str]
    rules: list[RuleTold]


def told(layers: Sequence[Layer], work: Work) -> Told:
    """Return what is decided about the work, why, and how every rule came out."""
    decision = decide(layers, work)
    return Told(
        effect=str(decision.effect),
        deciding=[
            {"id": ref.id, "layer": str(ref.layer), "file": ref.file, "line": ref.line} for ref in decision.deciding
        ],
        reason=decision.reason,
        next_step=decision.next_step,
        obligations=obligations_told(decision),
        rules=[
            {
                "id": one.rule.id,
                "layer": str(one.rule.layer),
                "file": one.rule.file,
                "line": one.rule.line,
                "effect": str(one.effect),
                "matched": one.matched,
                "fields": [
                    {"field": f.field, "wanted": list(f.wanted), "has": list(f.has), "matched": f.matched}
                    for f in one.fields
                ],
            }
            for one in trace(layers, work)
        ],
    )


def obligations_told(decision: Decision) -> dict[str, str]:
    """Return what a decision asks for, by name; what it does not ask for is left out."""
    found = {f.name: getattr(decision.obligations, f.name) for f in fields(decision.obligations)}
    route = found.pop("route")
    shown = {name: str(value) for name, value in found.items() if value is not None and value is not False}
    return shown | ({"route": route.endpoint} if route is not None else {})


def _has(work: Work, field: str) -> tuple[str, ...]:
    value = {
        "workspaces": work.workspace,
        "sensitivity": work.sensitivity,
        "tasks": work.task,
        "endpoints": work.endpoint,
        "classes": work.endpoint_class,
        "models": work.model,
        "identities": work.identity,
        "agents": work.agent,
        "tools": work.tools,
        "findings": work.findings,
        "attachments": work.attachments,
        "times": work.time and work.time.isoformat(timespec="minutes"),
    }[field]
    if value is None:
        return ()
    return tuple(sorted(value)) if isinstance(value, frozenset) else (str(value),)
