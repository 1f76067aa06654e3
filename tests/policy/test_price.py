"""What tokens cost: exactly, by kind, with tiers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.policy.model import Endpoint, EndpointClass, Layer, LayerName
from localguard.policy.price import Price, PriceRule, Pricing, Rate, Tokens, ceiling, cost, flat, spelled, tokens_of
from localguard.policy.price_rules import PriceTables

COUNTS = st.integers(0, 10**9)
RATES = st.decimals(0, 1000, places=6)
PLACE = Endpoint("work", "azure-openai", "https://example.com", EndpointClass.ENTERPRISE)


def test_each_kind_of_token_has_its_own_price() -> None:
    one, ten, tenth, more, two = (Rate(Decimal(rate)) for rate in ("1", "10", "0.1", "1.25", "2"))
    price = Price(one, ten, tenth, more, two, source="s")
    tokens = Tokens(1_000_000, 1_000_000, 1_000_000, 2_000_000, 1_000_000)
    assert cost(price, tokens) == Decimal("14.35")


def test_a_tier_prices_all_tokens_once_the_whole_input_is_longer_than_its_start() -> None:
    tiered = Rate(Decimal(3), ((200_000, Decimal(6)),))
    price = Price(tiered, tiered, tiered, tiered, tiered, "s")
    assert cost(price, Tokens(200_000)) == Decimal("0.6")
    assert cost(price, Tokens(100_001, 0, 100_000)) == Decimal("1.200006")


@given(RATES, RATES, COUNTS, COUNTS)
def test_money_is_exact(input: Decimal, output: Decimal, tokens_in: int, tokens_out: int) -> None:
    price = flat("s", input=input, output=output)
    exact = (int(input * 10**6) * tokens_in + int(output * 10**6) * tokens_out, 10**12)
    assert (
        cost(price, Tokens(tokens_in, tokens_out)).as_integer_ratio()[0] * exact[1]
        == exact[0] * (cost(price, Tokens(tokens_in, tokens_out)).as_integer_ratio()[1])
    )


@given(RATES, RATES, COUNTS, COUNTS, COUNTS, COUNTS)
def test_no_exchange_costs_more_than_its_ceiling(
    input: Decimal, output: Decimal, plain: int, read: int, written: int, out: int
) -> None:
    price = flat("s", input=input, output=output, cache_read=input / 10, cache_write=input * 2)
    assert cost(price, Tokens(plain, out, read, written)) <= ceiling(price, plain + read + written, out)


@pytest.mark.parametrize(
    ("amount", "text"), [("0", "0"), ("0E-9", "0"), ("0.004310", "0.00431"), ("1E+2", "100"), ("1E-9", "0.000000001")]
)
def test_amounts_are_spelled_in_plain_digits(amount: str, text: str) -> None:
    assert spelled(Decimal(amount)) == text


def test_bytes_count_as_tokens_rounded_up() -> None:
    assert [tokens_of(size) for size in (0, 1, 3, 4)] == [0, 1, 1, 2]


def test_an_unknown_model_is_dear_and_flagged_unless_policy_says_what_it_costs() -> None:
    unknown = Pricing().unknown()
    assert not unknown.known
    assert cost(unknown, Tokens(1_000_000, 1_000_000)) == Decimal(210)
    assert cost(Pricing(unknown_input=Decimal(1), unknown_output=Decimal(2)).unknown(), Tokens(10**6, 10**6)) == 3


def test_a_local_model_costs_nothing_or_the_energy_of_its_time() -> None:
    assert Pricing().local().free
    energy = Pricing(local_per_hour=Decimal("0.36")).local()
    assert not energy.free
    assert cost(energy, Tokens(10**6, 10**6), seconds=10) == Decimal("0.001")


def layer(name: LayerName, *rules: PriceRule) -> Layer:
    from localguard.policy.model import Effect

    return Layer(name=name, default=Effect.ALLOW, prices=rules)


def test_the_first_table_that_names_model_endpoint_and_kind_counts() -> None:
    tables = PriceTables(
        [
            layer(
                LayerName.USER,
                PriceRule(("gpt-*",), kinds=("openai",), line=1),
                PriceRule(("gpt-*",), endpoints=("other",), line=2),
                PriceRule(("GPT-5*",), endpoints=("w*",), line=3),
                PriceRule(("*",), line=4),
            )
        ]
    )
    assert getattr(tables.find(PLACE, "gpt-5-mini"), "line", None) == 3
    assert getattr(tables.find(PLACE, "gpt-4"), "line", None) == 4


def test_the_organisation_prices_before_the_user_and_a_repository_never() -> None:
    layers = [
        layer(LayerName.REPOSITORY, PriceRule(("*",), line=1)),
        layer(LayerName.USER, PriceRule(("*",), line=2)),
        layer(LayerName.ORGANISATION, PriceRule(("*",), line=3)),
    ]
    assert getattr(PriceTables(layers).find(PLACE, "m"), "line", None) == 3
    assert PriceTables(layers[:1]).find(PLACE, "m") is None
