"""Experiments: an endpoint of class experimental, opened by a person for some hours, for work that is not sensitive, on a budget of its own.

An experiment is one more allow rule and one more budget of the user's policy. Denials and every other layer bind as before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from localguard.policy.model import Budget, Effect, EndpointClass, Layer, LayerName, Rule, When

PREFIX: Final = "experiment:"
"""Of an experiment's rule and of its cost bucket; the endpoint's name follows."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One that runs. `until` is in the seconds of the guard's clock."""

    endpoint: str
    limit_usd: Decimal
    reason: str
    until: float


def with_experiments(layers: Sequence[Layer], experiments: Iterable[Experiment]) -> tuple[Layer, ...]:
    """`layers` with the rules and budgets of the experiments that run in the user's."""
    running = tuple(experiments)
    if not running:
        return tuple(layers)
    return tuple(_with(layer, running) if layer.name is LayerName.USER else layer for layer in layers)


def bucket_of(rules: Iterable[str]) -> str | None:
    """The cost bucket of the experiment that is among the ids of the rules that decided, if one is."""
    return next((id for id in rules if id.startswith(PREFIX)), None)


def _with(layer: Layer, experiments: Sequence[Experiment]) -> Layer:
    rules = [
        Rule(
            id=PREFIX + one.endpoint,
            effect=Effect.ALLOW,
            when=When(
                endpoints=(one.endpoint,),
                classes=(EndpointClass.EXPERIMENTAL.value,),
                sensitivity=tuple(sorted(layer.experiments.sensitivity)),
            ),
            reason=f"An experiment with endpoint {one.endpoint} runs: {one.reason}",
            file="experiment",
        )
        for one in experiments
    ]
    budgets = [
        Budget(bucket=PREFIX + one.endpoint, limit_usd=one.limit_usd, period="day", on_exceed="deny", file="experiment")
        for one in experiments
    ]
    return replace(layer, rules=(*layer.rules, *rules), budgets=(*layer.budgets, *budgets))
