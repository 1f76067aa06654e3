"""May this work go to this endpoint, and with which obligations: one question, one explained answer.

Semantics of one layer (design section 6): any matching deny wins; then any matching ask; then any matching allow; else
the layer's default. The meet over the layers is in `layers`. Whatever goes wrong while evaluating is a deny.

Some obligations are conditions of the request itself, and one that is not met is a deny too: a class of findings that is
blocked, `require_task` and `max_input_tokens`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from localguard.policy import words
from localguard.policy.layers import (
    RuleRef,
    Verdict,
    default_reference,
    expired_reference,
    meet,
)
from localguard.policy.matching import index_of
from localguard.policy.model import Effect, Layer, LayerName, Obligation, Rule, Work
from localguard.policy.obligations import NO_VOTES, Obligations, RoutesConflict, strictest_of

__all__ = ["Decision", "Obligations", "RuleRef", "as_seen_by", "decide", "decide_for_all"]

_BLOCK_ALL = Obligations(Obligation.BLOCK, Obligation.BLOCK, Obligation.BLOCK, Obligation.BLOCK)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of policy: the effect, the rules that decided, the obligations, and plain words for a person.

    `reason` and `next_step` name rules, endpoint and workspace, never the model or task, which a client may fill with
    anything. Obligations are those that would bind if the request went out, whatever the effect.
    """

    effect: Effect
    deciding: tuple[RuleRef, ...]
    obligations: Obligations
    reason: str
    next_step: str
    code: str = ""
    """Short name of a refusal that is not the rules' own effect: `task_required`, `input_too_long`,
    `secret_blocked` and the like; else empty."""
    nearly: tuple[tuple[RuleRef, str], ...] = ()
    """Where a default decided: allow rules of that layer that miss in one field, and the field."""


def decide(layers: Sequence[Layer], work: Work) -> Decision:
    """Decide about one piece of work under all layers that are present; never raises.

    The order of the layers and of the rules in them does not matter. No layers: deny. An evaluation error: deny, with
    every data class blocked.
    """
    try:
        verdicts = [_evaluate(layer, as_seen_by(layer, work)) for layer in layers]
        effect, deciding, obligations = meet(verdicts)
        nearly = _nearly(layers, work, deciding) if effect is not Effect.ALLOW else ()
        above = work.to_organisation is not None and bool(deciding) and deciding[0].layer == LayerName.ORGANISATION
        said_of = work.to_organisation if above and work.to_organisation is not None else work
        reason, next_step = words.of(effect, deciding, said_of, nearly)
        decision = Decision(effect, deciding, obligations, reason, next_step, nearly=nearly)
        return decision if effect is Effect.DENY else _conditions(decision, layers, work)
    except RoutesConflict as conflict:
        return _of_conflict(conflict)
    except Exception as error:  # P3: what cannot be evaluated is not allowed
        return Decision(
            effect=Effect.DENY,
            deciding=(),
            obligations=_BLOCK_ALL,
            reason=f"The policy could not be evaluated for this request ({type(error).__name__}).",
            next_step="Check the policy files with `localguard doctor`; nothing is sent until they can be evaluated.",
        )


def decide_for_all(layers: Sequence[Layer], works: Sequence[Work]) -> Decision:
    """Decide about a request that may be any of several pieces of work: allowed only if each of them is, obligations united.

    Routes that differ are a deny. Raises ValueError for no work at all, else never.
    """
    decisions = [decide(layers, work) for work in works]
    strictest = max(decision.effect for decision in decisions)
    binding = [decision for decision in decisions if decision.effect is strictest]
    if len(decisions) == 1:
        return decisions[0]
    try:
        obligations = reduce(strictest_of, [decision.obligations for decision in decisions])
    except RoutesConflict as conflict:
        return _of_conflict(conflict)
    deciding = tuple(dict.fromkeys(rule for decision in binding for rule in decision.deciding))
    return replace(binding[0], deciding=deciding, obligations=obligations)


def _of_conflict(conflict: RoutesConflict) -> Decision:
    said = words.CONFLICT.format(endpoints=conflict)
    return Decision(Effect.DENY, (), _BLOCK_ALL, said, words.CONFLICT_STEP, code="route_conflict")


def as_seen_by(layer: Layer, work: Work) -> Work:
    """Return the work in the words of a layer: the organisation goes by its own endpoints and workspaces."""
    return work.to_organisation or work if layer.name is LayerName.ORGANISATION else work


def _evaluate(layer: Layer, work: Work) -> Verdict:
    if layer.expires is not None and (work.time is None or work.time >= layer.expires):
        return Verdict(layer.name, Effect.DENY, (expired_reference(layer),), NO_VOTES, by_default=False)
    index = index_of(layer)
    matching = index.matching(work)
    effect = layer.default
    chosen = 0
    for candidate, rules in ((Effect.DENY, index.denies), (Effect.ASK, index.asks), (Effect.ALLOW, index.allows)):
        chosen = matching & rules
        if chosen:
            effect = candidate
            break
    deciding = index.of(chosen) if chosen else (default_reference(layer),)
    return Verdict(layer.name, effect, deciding, index.votes(matching), by_default=not chosen)


def _nearly(layers: Sequence[Layer], work: Work, deciding: Sequence[RuleRef]) -> tuple[tuple[RuleRef, str], ...]:
    """The rules that would have allowed it but for one field, of the layers whose default decided."""
    by_default = {ref.layer for ref in deciding if ref.id == "default"}
    layers = [layer for layer in layers if layer.name in by_default]
    return tuple(near for layer in layers for near in index_of(layer).nearly(as_seen_by(layer, work)))


def _conditions(decision: Decision, layers: Sequence[Layer], work: Work) -> Decision:
    """Deny what does not meet the conditions that its rules make."""
    limit = decision.obligations.max_input_tokens
    blocked = next(
        (name for name in ("secret", "pii", "custom") if name in work.findings and _blocks(decision, name)), ""
    )
    if blocked:
        deciding = _demanding(layers, work, lambda rule: getattr(rule.redact, blocked) is Obligation.BLOCK)
        code, (reason, step) = f"{blocked}_blocked", words.blocked(deciding, blocked)
    elif decision.obligations.require_task and work.task is None:
        deciding = _demanding(layers, work, lambda rule: rule.require_task)
        code, (reason, step) = "task_required", words.task_required(deciding)
    elif limit is not None and work.input_tokens is not None and work.input_tokens > limit:
        deciding = _demanding(layers, work, lambda rule: rule.max_input_tokens == limit)
        code, (reason, step) = "input_too_long", words.input_too_long(deciding, work.input_tokens, limit)
    else:
        return decision
    return replace(decision, effect=Effect.DENY, deciding=deciding, reason=reason, next_step=step, code=code)


def _blocks(decision: Decision, data_class: str) -> bool:
    return getattr(decision.obligations, data_class) is Obligation.BLOCK


def _demanding(layers: Sequence[Layer], work: Work, demands: Callable[[Rule], bool]) -> tuple[RuleRef, ...]:
    ordered = sorted(layers, key=lambda layer: layer.name.rank)
    indexes = [(index_of(layer), as_seen_by(layer, work)) for layer in ordered]
    return tuple(
        ref for index, seen in indexes for rule, ref in index.with_rules(index.matching(seen)) if demands(rule)
    )
