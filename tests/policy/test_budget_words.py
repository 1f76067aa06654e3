"""What is told of a budget: amounts that are never nothing, and where its pace leads."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from localguard.policy.budget_words import dollars, forecast, runs_out, told
from localguard.policy.ledger import Standing
from localguard.policy.model import Budget
from localguard.policy.periods import stretch

START = datetime(2026, 11, 1, tzinfo=UTC)


def standing(spent: str, limit: str = "100") -> Standing:
    budget = Budget("b", Decimal(limit), "month", "deny")
    return Standing(budget, stretch(START, "month", UTC), Decimal(spent), Decimal(0))


@pytest.mark.parametrize(
    ("amount", "text"), [("0", "0.00 USD"), ("0.0001", "0.01 USD"), ("1.005", "1.00 USD"), ("12", "12.00 USD")]
)
def test_nothing_that_costs_is_shown_as_nothing(amount: str, text: str) -> None:
    assert dollars(Decimal(amount)) == text


def test_a_pace_is_foretold_once_it_says_anything() -> None:
    assert forecast(standing("10"), datetime(2026, 11, 2, tzinfo=UTC)) is None
    assert forecast(standing("10"), datetime(2026, 11, 4, tzinfo=UTC)) == 100
    assert runs_out(standing("10"), datetime(2026, 11, 4, tzinfo=UTC)) is None


def test_the_day_on_which_a_budget_runs_out_is_foretold() -> None:
    at = datetime(2026, 11, 11, tzinfo=UTC)
    assert runs_out(standing("50"), at) == datetime(2026, 11, 21, tzinfo=UTC)
    assert told(standing("50"), at)["forecast_usd"] == "150"
    assert runs_out(standing("100"), at) is None, "it is used up already"
