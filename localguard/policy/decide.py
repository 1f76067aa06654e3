"""May this work go to this endpoint, and with which obligations: one question, one explained answer.

Semantics of one layer (design section 6): any matching deny wins; then any matching ask; then any matching allow; else
the layer's default. The meet over the layers is in `layers`. Whatever goes wrong while evaluating is a deny.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from localguard.policy.layers import (
    Obligations,
    RuleRef,
    Verdict,
    default_reference,
    meet,
    reference,
    unite,
)
from localguard.policy.matching import RuleIndex
from localguard.policy.model import Effect, Layer, Obligation, Work

__all__ = ["Decision", "Obligations", "RuleRef", "decide"]

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


def decide(layers: Sequence[Layer], work: Work) -> Decision:
    """Decide about one piece of work under all layers that are present; never raises.

    The order of the layers and of the rules in them does not matter. No layers: deny. An evaluation error: deny, with
    every data class blocked.
    """
    try:
        verdicts = [_evaluate(layer, work) for layer in layers]
        effect, deciding, obligations = meet(verdicts)
        reason, next_step = _words(effect, deciding, work)
        return Decision(effect, deciding, obligations, reason, next_step)
    except Exception as error:  # P3: what cannot be evaluated is not allowed
        return Decision(
            effect=Effect.DENY,
            deciding=(),
            obligations=_BLOCK_ALL,
            reason=f"The policy could not be evaluated for this request ({type(error).__name__}).",
            next_step="Check the policy files with `localguard doctor`; nothing is sent until they can be evaluated.",
        )


@lru_cache(maxsize=64)
def _index(layer: Layer) -> RuleIndex:
    return RuleIndex(layer.rules)


def _evaluate(layer: Layer, work: Work) -> Verdict:
    index = _index(layer)
    matching = index.matching(work)
    effect = layer.default
    chosen = 0
    for candidate, rules in ((Effect.DENY, index.denies), (Effect.ASK, index.asks), (Effect.ALLOW, index.allows)):
        chosen = matching & rules
        if chosen:
            effect = candidate
            break
    deciding = tuple(reference(rule, layer) for rule in index.of(chosen)) if chosen else (default_reference(layer),)
    votes = unite(rule.redact for rule in index.of(matching))
    return Verdict(layer.name, effect, deciding, votes, by_default=not chosen)


def _words(effect: Effect, deciding: tuple[RuleRef, ...], work: Work) -> tuple[str, str]:
    """Return reason and next step for a person who reads them in an agent's window."""
    target = f"endpoint {work.endpoint} ({work.endpoint_class})"
    place = f"workspace {work.workspace or 'unknown'} ({work.sensitivity})"
    if not deciding:
        return (
            "No policy is loaded, so nothing is allowed.",
            "Restart the guard, or check its home directory with `localguard doctor`.",
        )
    first = next((ref for ref in deciding if ref.id != "default"), None)
    if first is None:
        layer = deciding[0]
        if effect is Effect.ALLOW:
            return f"No rule of the {layer.layer} policy matches; its default allows {place} to use {target}.", ""
        return (
            f"No rule of the {layer.layer} policy allows {place} to use {target} with this model.",
            f"Choose an endpoint and model that the policy allows, or add an allow rule to {_place(layer)}.",
        )
    said = (
        first.reason
        or {
            Effect.ALLOW: f"The {first.layer} policy allows {place} to use {target}.",
            Effect.ASK: f"The {first.layer} policy wants to be asked before {place} uses {target}.",
            Effect.DENY: f"The {first.layer} policy does not allow {place} to use {target}.",
        }[effect]
    )
    rules = ", ".join(f"{ref.id} ({_place(ref)})" for ref in deciding)
    if effect is Effect.ALLOW:
        return said, ""
    reason = f"{said} Rule: {rules}."
    if effect is Effect.ASK:
        return reason, "This request needs an approval before it can be sent."
    owner = {
        "organisation": "ask whoever keeps your organisation's policy",
        "user": f"change the rule in {first.file}",
        "repository": f"ask the maintainers of this repository about {first.file}",
    }.get(first.layer, f"change the rule in {first.file}")
    return reason, f"Use another endpoint, model or workspace that the policy allows, or {owner}."


def _place(ref: RuleRef) -> str:
    return f"{ref.file}:{ref.line}" if ref.line else ref.file or f"the {ref.layer} policy"
