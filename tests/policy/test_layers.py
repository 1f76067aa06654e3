from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.policy.decide import Decision, decide
from localguard.policy.layers import effective_endpoints, smallest_budgets
from localguard.policy.model import (
    Budget,
    Effect,
    Endpoint,
    EndpointClass,
    Layer,
    LayerName,
    Obligation,
    Redact,
    Rule,
    Sensitivity,
    Work,
)
from tests.policy.strategies import layers, works

WORK = Work("w", Sensitivity.INTERNAL, None, "openai", EndpointClass.HOSTED, "m")
YES = Rule("yes", Effect.ALLOW)


def layer(name: LayerName, *rules: Rule, default: Effect = Effect.DENY) -> Layer:
    return Layer(name, default, rules=rules)


def is_no_looser(tightened: Decision, before: Decision) -> bool:
    """Whether nothing is allowed or left unredacted by `tightened` that was not by `before`."""
    return (
        tightened.effect >= before.effect
        and all(
            getattr(tightened.obligations, name) >= getattr(before.obligations, name)
            for name in (
                "secret",
                "pii",
                "custom",
                "attachments",
                "restore_secret",
                "restore_pii",
                "restore_custom",
                "record",
            )
        )
        and (
            tightened.obligations.require_task >= before.obligations.require_task
            and (tightened.obligations.max_input_tokens or 10**9) <= (before.obligations.max_input_tokens or 10**9)
            and tightened.obligations.route == before.obligations.route
        )
    )


@settings(max_examples=400, deadline=None)
@given(layers(LayerName.USER), layers(LayerName.REPOSITORY), works)
def test_a_repository_layer_never_loosens(user: Layer, repository: Layer, work: Work) -> None:
    assert is_no_looser(decide([user, repository], work), decide([user], work))


@settings(max_examples=300, deadline=None)
@given(layers(LayerName.ORGANISATION), layers(LayerName.USER), layers(LayerName.REPOSITORY), works)
def test_meet_never_loosens_what_the_layers_above_decided(
    organisation: Layer, user: Layer, repository: Layer, work: Work
) -> None:
    one, two, three = (
        decide(stack, work) for stack in ([organisation], [organisation, user], [organisation, user, repository])
    )
    assert is_no_looser(two, one)
    assert is_no_looser(three, two)


@settings(max_examples=200, deadline=None)
@given(layers(LayerName.USER), st.lists(layers(LayerName.REPOSITORY), max_size=3), works, st.data())
def test_several_repository_layers_meet_in_any_order(
    user: Layer, repositories: list[Layer], work: Work, data: st.DataObject
) -> None:
    stack = [user, *repositories]
    shuffled = data.draw(st.permutations(stack))
    one, other = decide(stack, work), decide(shuffled, work)
    assert (one.effect, one.obligations, set(one.deciding)) == (other.effect, other.obligations, set(other.deciding))


def test_allowed_only_if_every_layer_allows() -> None:
    user = layer(LayerName.USER, YES)
    assert decide([user, layer(LayerName.REPOSITORY, default=Effect.ALLOW)], WORK).effect is Effect.ALLOW
    assert decide([user, layer(LayerName.ORGANISATION)], WORK).effect is Effect.DENY
    no = Rule("no", Effect.DENY, reason="Never.", file=".localguard.toml", line=2)
    decision = decide([user, layer(LayerName.REPOSITORY, no, default=Effect.ALLOW)], WORK)
    assert decision.effect is Effect.DENY
    assert [(ref.id, ref.layer, ref.line) for ref in decision.deciding] == [("no", "repository", 2)]


def test_a_silent_lower_layer_is_neutral_about_obligations() -> None:
    user = layer(LayerName.USER, replace(YES, redact=Redact(secret=Obligation.ALLOW)))
    repository = layer(LayerName.REPOSITORY, default=Effect.ALLOW)
    assert decide([user, repository], WORK).obligations.secret is Obligation.ALLOW


def test_a_repository_cannot_vote_secrets_free_where_the_user_is_silent() -> None:
    free = replace(YES, redact=Redact(secret=Obligation.ALLOW, pii=Obligation.BLOCK))
    decision = decide([layer(LayerName.USER, YES), layer(LayerName.REPOSITORY, free)], WORK)
    assert decision.obligations.secret is Obligation.REDACT
    assert decision.obligations.pii is Obligation.BLOCK


def test_endpoints_of_the_organisation_beat_the_users_and_a_repository_defines_none() -> None:
    def endpoint(url: str) -> Endpoint:
        return Endpoint("openai", "openai", url, EndpointClass.HOSTED)

    stack = [
        replace(layer(LayerName.REPOSITORY), endpoints=(replace(endpoint("https://evil.example"), name="evil"),)),
        replace(layer(LayerName.USER), endpoints=(endpoint("https://user.example"),)),
        replace(layer(LayerName.ORGANISATION), endpoints=(endpoint("https://company.example"),)),
    ]
    assert {name: each.base_url for name, each in effective_endpoints(stack).items()} == {
        "openai": "https://company.example"
    }


def test_the_smallest_budget_of_all_layers_binds() -> None:
    def budget(limit: str, on_exceed: str = "deny") -> Budget:
        return Budget("b", Decimal(limit), "month", on_exceed)  # type: ignore[arg-type]

    stack = [
        replace(layer(LayerName.USER), budgets=(budget("50"),)),
        replace(layer(LayerName.REPOSITORY), budgets=(budget("20", "warn"),)),
        replace(layer(LayerName.ORGANISATION), budgets=(budget("20"),)),
    ]
    smallest = smallest_budgets(stack)[budget("1").scope]
    assert (smallest.limit_usd, smallest.on_exceed) == (Decimal(20), "deny")
