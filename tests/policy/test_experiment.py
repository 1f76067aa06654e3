"""An experiment opens one experimental endpoint to work that is not sensitive, and nothing else."""

from dataclasses import replace
from decimal import Decimal

import pytest

from localguard.config.builtin import builtin_layer
from localguard.policy.decide import decide
from localguard.policy.experiment import Experiment, bucket_of, with_experiments
from localguard.policy.model import Effect, EndpointClass, Layer, LayerName, Rule, Sensitivity, When, Work

TRIAL = Experiment("trial", Decimal(2), "compare", 100.0)
WORK = Work(
    workspace="site",
    sensitivity=Sensitivity.INTERNAL,
    task=None,
    endpoint="trial",
    endpoint_class=EndpointClass.EXPERIMENTAL,
    model="new-1",
)
USER = builtin_layer()


def effect(work: Work, *layers: Layer) -> Effect:
    return decide(with_experiments(layers or (USER,), [TRIAL]), work).effect


def test_without_an_experiment_the_built_in_policy_denies_the_endpoint() -> None:
    assert decide((USER,), WORK).effect is Effect.DENY


def test_an_experiment_opens_its_endpoint_on_a_bucket_and_budget_of_its_own() -> None:
    layers = with_experiments((USER,), [TRIAL])
    decision = decide(layers, WORK)
    assert decision.effect is Effect.ALLOW
    assert bucket_of(rule.id for rule in decision.deciding) == "experiment:trial"
    assert [(one.bucket, one.limit_usd, one.on_exceed) for one in layers[0].budgets] == [
        ("experiment:trial", Decimal(2), "deny")
    ]


@pytest.mark.parametrize(
    "other",
    [
        replace(WORK, endpoint="another"),
        replace(WORK, sensitivity=Sensitivity.SENSITIVE),
        replace(WORK, sensitivity=Sensitivity.RESTRICTED),
    ],
)
def test_nothing_else_is_opened(other: Work) -> None:
    assert effect(other) is Effect.DENY


@pytest.mark.parametrize("name", LayerName)
def test_a_denial_of_any_layer_stays(name: LayerName) -> None:
    rule = Rule(id="no-trials", effect=Effect.DENY, when=When(classes=("experimental",)))
    layer = Layer(name=name, default=Effect.ALLOW, rules=(rule,))
    layers = (replace(USER, rules=(*USER.rules, rule)),) if name is LayerName.USER else (USER, layer)
    assert effect(WORK, *layers) is Effect.DENY


def test_an_organisation_that_does_not_allow_the_endpoint_is_not_overruled() -> None:
    assert effect(WORK, Layer(name=LayerName.ORGANISATION, default=Effect.DENY), USER) is Effect.DENY
