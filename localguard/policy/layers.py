"""The meet over layers (P12): what is left when every policy that is present has spoken.

Allowed only if every layer allows, obligations united. A lower layer that says nothing about an obligation is neutral;
one that speaks can only tighten what the layers above it left, their silence (the default) included.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from localguard.policy.model import Budget, Effect, Endpoint, Layer, LayerName, Rule, When
from localguard.policy.obligations import Obligations, Votes, united


@dataclass(frozen=True, slots=True)
class RuleRef:
    """A rule that decided, or a layer's default (id `default`): where it stands and what it says."""

    id: str
    layer: str
    file: str
    line: int
    reason: str
    fields: tuple[str, ...] = ()
    """The fields of its `when`, all of which matched."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one layer, evaluated on its own, says: its effect, what decided, and its votes."""

    layer: LayerName
    effect: Effect
    deciding: tuple[RuleRef, ...]
    votes: Votes
    by_default: bool


def meet(verdicts: Sequence[Verdict]) -> tuple[Effect, tuple[RuleRef, ...], Obligations]:
    """Return the strictest effect, all rules that gave it, and the obligations, whatever the order of the verdicts.

    No verdict at all is a deny: nobody allowed. Raises RoutesConflict.
    """
    if not verdicts:
        return Effect.DENY, (), Obligations()
    ordered = sorted(verdicts, key=lambda verdict: verdict.layer.rank)
    effect = max(verdict.effect for verdict in ordered)
    deciding = tuple(ref for verdict in ordered if verdict.effect is effect for ref in verdict.deciding)
    return effect, deciding, united([(verdict.layer, verdict.votes) for verdict in ordered])


def effective_endpoints(layers: Iterable[Layer]) -> dict[str, Endpoint]:
    """Return endpoints by name: the organisation's definition beats the user's; a repository defines none."""
    merged: dict[str, Endpoint] = {}
    for layer in sorted(layers, key=lambda layer: layer.name.rank):
        if layer.name is not LayerName.REPOSITORY:
            for endpoint in layer.endpoints:
                merged.setdefault(endpoint.name, endpoint)
    return merged


def smallest_budgets(layers: Iterable[Layer]) -> dict[tuple[object, ...], Budget]:
    """Return, per scope (`Budget.scope`), the budget with the smallest limit of all layers, the strictest of equal ones."""
    order = ("deny", "ask", "warn")
    merged: dict[tuple[object, ...], Budget] = {}
    for layer in layers:
        for budget in layer.budgets:
            held = merged.get(budget.scope)
            rank = (budget.limit_usd, order.index(budget.on_exceed))
            if held is None or rank < (held.limit_usd, order.index(held.on_exceed)):
                merged[budget.scope] = budget
    return merged


def reference(rule: Rule, layer: Layer) -> RuleRef:
    """Return where a rule of this layer stands and what it says."""
    given = tuple(one.name for one in fields(When) if getattr(rule.when, one.name) is not None)
    return RuleRef(rule.id, layer.name.value, rule.file, rule.line, rule.reason, given)


def default_reference(layer: Layer) -> RuleRef:
    """Return the reference of a layer's default."""
    reason = f"No rule of the {layer.name} policy matches this request, and its default is {layer.default}."
    return RuleRef("default", layer.name.value, layer.file, layer.default_line, reason)


def expired_reference(layer: Layer) -> RuleRef:
    """Return what decides in place of a layer whose time is over."""
    when = layer.expires.isoformat() if layer.expires is not None else "an unknown time"
    reason = f"The policy of {layer.organisation or 'the organisation'} (revision {layer.revision}) expired at {when}."
    return RuleRef("policy-expired", layer.name.value, layer.file, layer.default_line, reason)
