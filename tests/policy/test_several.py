"""A request that may be any of several pieces of work is allowed only if each of them is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.policy.decide import decide, decide_for_all
from localguard.policy.model import (
    Effect,
    EndpointClass,
    Layer,
    LayerName,
    Obligation,
    Redact,
    Route,
    Rule,
    Sensitivity,
    When,
    Work,
)
from localguard.policy.obligations import Obligations, RoutesConflict, strictest_of
from tests.policy.strategies import layers, works
from tests.policy.test_layers import is_no_looser

HERE = Work("blog", Sensitivity.PUBLIC, None, "openai", EndpointClass.HOSTED, "m")
THERE = replace(HERE, workspace="payments", sensitivity=Sensitivity.RESTRICTED)


@given(layers(LayerName.USER), st.lists(works, min_size=1, max_size=4))
def test_no_candidate_is_decided_more_loosely_than_alone(layer: Layer, candidates: list[Work]) -> None:
    together = decide_for_all([layer], candidates)
    assert all(is_no_looser(together, decide([layer], one)) for one in candidates)


@given(layers(LayerName.USER), works)
def test_one_candidate_is_decided_as_it_is(layer: Layer, work: Work) -> None:
    assert decide_for_all([layer], [work]) == decide([layer], work)
    assert decide_for_all([layer], [work, work]).effect is decide([layer], work).effect


def test_the_rules_that_deny_are_named_whichever_candidate_they_are_about() -> None:
    deny = Rule("stays", Effect.DENY, When(sensitivity=("restricted",)), reason="Restricted work stays.")
    layer = Layer(LayerName.USER, Effect.DENY, rules=(deny, Rule("rest", Effect.ALLOW)))
    for candidates in ([HERE, THERE], [THERE, HERE]):
        decision = decide_for_all([layer], candidates)
        assert (decision.effect, [rule.id for rule in decision.deciding]) == (Effect.DENY, ["stays"])
        assert "Restricted work stays." in decision.reason


def test_a_default_that_one_candidate_has_binds_beside_the_vote_of_another() -> None:
    rules = (
        Rule("lax", Effect.ALLOW, When(workspaces=("blog",)), redact=Redact(secret=Obligation.ALLOW)),
        Rule("rest", Effect.ALLOW),
    )
    layer = Layer(LayerName.USER, Effect.DENY, rules=rules)
    assert decide([layer], HERE).obligations.secret is Obligation.ALLOW
    assert decide_for_all([layer], [HERE, THERE]).obligations.secret is Obligation.REDACT


def test_candidates_that_are_routed_differently_are_denied() -> None:
    rules = (
        Rule("there", Effect.ALLOW, When(workspaces=("payments",)), route=Route("inside")),
        Rule("r", Effect.ALLOW),
    )
    decision = decide_for_all([Layer(LayerName.USER, Effect.DENY, rules=rules)], [HERE, THERE])
    assert (decision.effect, decision.code) == (Effect.DENY, "route_conflict")
    with pytest.raises(RoutesConflict):
        strictest_of(Obligations(route=Route("a")), Obligations(route=Route("b")))
