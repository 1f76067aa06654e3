"""Every rule beside a piece of work: which fields matched and which did not. For people who ask why; not on the main path."""

from collections.abc import Sequence
from dataclasses import dataclass

from localguard.policy.decide import as_seen_by
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
