"""The meet over layers (P12): what is left when every policy that is present has spoken.

Allowed only if every layer allows, obligations united. A lower layer that says nothing about an obligation is neutral;
one that speaks can only tighten what the layers above it left, their silence (the default) included.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from localguard.policy.model import Budget, Effect, Endpoint, Layer, LayerName, Obligation, Redact, Rule


@dataclass(frozen=True, slots=True)
class RuleRef:
    """A rule that decided, or a layer's default (id `default`): where it stands and what it says."""

    id: str
    layer: str
    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Obligations:
    """What must be done with each data class; where nobody votes, as written here (design section 6)."""

    secret: Obligation = Obligation.REDACT
    pii: Obligation = Obligation.REDACT
    custom: Obligation = Obligation.REDACT
    attachments: Obligation = Obligation.ALLOW


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one layer, evaluated on its own, says: its effect, what decided, and its votes."""

    layer: LayerName
    effect: Effect
    deciding: tuple[RuleRef, ...]
    votes: Redact
    by_default: bool


def strictest(first: Obligation | None, second: Obligation | None) -> Obligation | None:
    """Return the stricter of two votes; None is no vote."""
    if first is None or second is None:
        return first or second
    return max(first, second)


def unite(votes: Iterable[Redact]) -> Redact:
    """Return the strictest vote per data class over all rules that matched."""
    secret = pii = custom = attachments = None
    for vote in votes:
        secret = strictest(secret, vote.secret)
        pii = strictest(pii, vote.pii)
        custom = strictest(custom, vote.custom)
        attachments = strictest(attachments, vote.attachments)
    return Redact(secret, pii, custom, attachments)


def meet(verdicts: Sequence[Verdict]) -> tuple[Effect, tuple[RuleRef, ...], Obligations]:
    """Return the strictest effect, all rules that gave it, and the obligations, whatever the order of the verdicts.

    No verdict at all is a deny: nobody allowed. The top-most layer that is present fixes the obligations, by its votes or
    by the defaults where it casts none; each lower one can only raise them.
    """
    if not verdicts:
        return Effect.DENY, (), Obligations()
    ordered = sorted(verdicts, key=lambda verdict: verdict.layer.rank)
    effect = max(verdict.effect for verdict in ordered)
    deciding = tuple(ref for verdict in ordered if verdict.effect is effect for ref in verdict.deciding)
    top = unite(verdict.votes for verdict in ordered if verdict.layer is ordered[0].layer)
    start = Obligations()
    obligations = Obligations(
        secret=top.secret or start.secret,
        pii=top.pii or start.pii,
        custom=top.custom or start.custom,
        attachments=top.attachments or start.attachments,
    )
    for verdict in ordered:
        obligations = Obligations(
            secret=max(obligations.secret, verdict.votes.secret or Obligation.ALLOW),
            pii=max(obligations.pii, verdict.votes.pii or Obligation.ALLOW),
            custom=max(obligations.custom, verdict.votes.custom or Obligation.ALLOW),
            attachments=max(obligations.attachments, verdict.votes.attachments or Obligation.ALLOW),
        )
    return effect, deciding, obligations


def effective_endpoints(layers: Iterable[Layer]) -> dict[str, Endpoint]:
    """Return endpoints by name: the organisation's definition beats the user's; a repository defines none."""
    merged: dict[str, Endpoint] = {}
    for layer in sorted(layers, key=lambda layer: layer.name.rank):
        if layer.name is not LayerName.REPOSITORY:
            for endpoint in layer.endpoints:
                merged.setdefault(endpoint.name, endpoint)
    return merged


def smallest_budgets(layers: Iterable[Layer]) -> dict[tuple[str, str], Budget]:
    """Return, per bucket and period, the budget with the smallest limit of all layers (the strictest of equal ones)."""
    order = ("deny", "ask", "warn")
    merged: dict[tuple[str, str], Budget] = {}
    for layer in layers:
        for budget in layer.budgets:
            key = (budget.bucket, budget.period)
            held = merged.get(key)
            rank = (budget.limit_usd, order.index(budget.on_exceed))
            if held is None or rank < (held.limit_usd, order.index(held.on_exceed)):
                merged[key] = budget
    return merged


def reference(rule: Rule, layer: Layer) -> RuleRef:
    """Return where a rule of this layer stands and what it says."""
    return RuleRef(rule.id, layer.name.value, rule.file, rule.line, rule.reason)


def default_reference(layer: Layer) -> RuleRef:
    """Return the reference of a layer's default."""
    reason = f"No rule of the {layer.name} policy matches this request, and its default is {layer.default}."
    return RuleRef("default", layer.name.value, layer.file, layer.default_line, reason)
