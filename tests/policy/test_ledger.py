"""Budgets hold: whatever runs at once, whatever breaks off, whenever the process dies."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.policy.ledger import Charge, Ledger, Subject, concerns, title
from localguard.policy.model import Budget

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ANYONE = Subject("b", "w", "team", "gpt-5")
CENTS = st.integers(1, 5_000).map(lambda cents: Decimal(cents) / 100)


def budget(
    limit: str = "10", period: Literal["day", "week", "month"] = "month", on_exceed: Any = "deny", **more: Any
) -> Budget:
    return Budget(bucket=more.pop("bucket", "b"), limit_usd=Decimal(limit), period=period, on_exceed=on_exceed, **more)


def charge(name: object, amount: Decimal | str, at: datetime = NOW, subject: Subject = ANYONE) -> Charge:
    return Charge(str(name), at, subject, Decimal(amount))


Step = tuple[bool, Decimal, int]


@given(st.lists(st.tuples(st.booleans(), CENTS, st.integers(0, 100)), max_size=250), CENTS)
def test_a_budget_is_overrun_by_less_than_one_reservation(steps: Sequence[Step], limit: Decimal) -> None:
    """Any interleaving of admissions and ends, each exchange costing any part of its reservation (a cut one less)."""
    ledger, one = Ledger(), budget(str(limit))
    running: list[Charge] = []
    spent, largest = Decimal(0), Decimal(0)
    for number, (starts, amount, share) in enumerate(steps):
        if starts or not running:
            asked = charge(number, amount)
            if ledger.reserve(asked, [one]).exceeded is None:
                running.append(asked)
                largest = max(largest, amount)
        else:
            ended = running.pop(share % len(running))
            cost = ended.reserved * share / 100
            ledger.settle(ended.exchange, cost)
            spent += cost
        held = spent + sum(charge.reserved for charge in running)
        standing = ledger.standings([one], NOW)[0]
        assert standing.spent == spent
        assert standing.spent + standing.reserved == held
        assert held < limit + largest or not held
    assert spent < limit + largest or not spent


@given(st.lists(st.tuples(CENTS, st.one_of(st.none(), CENTS)), max_size=40), st.integers(0, 40))
def test_a_restart_at_any_moment_counts_what_was_spent_and_what_was_under_way(
    charges: Sequence[tuple[Decimal, Decimal | None]], died: int
) -> None:
    kept = [
        Charge(str(number), NOW, ANYONE, reserved, cost if number < died else None)
        for number, (reserved, cost) in enumerate(charges)
    ]
    expected = sum((one.reserved if one.cost is None else one.cost for one in kept), Decimal(0))
    standing = Ledger(kept).standings([budget()], NOW)[0]
    assert [standing.spent, standing.reserved] == [expected, 0]


def test_what_costs_nothing_is_admitted_when_all_is_spent() -> None:
    ledger = Ledger([Charge("x", NOW, ANYONE, Decimal(10), Decimal(10))])
    assert ledger.reserve(charge("y", "0.01"), [budget()]).exceeded is not None
    assert ledger.reserve(charge("z", "0"), [budget()]).exceeded is None


def test_a_refused_exchange_reserves_nothing_anywhere() -> None:
    ledger, narrow, wide = Ledger(), budget("0"), budget("100", bucket=None)
    assert ledger.reserve(charge("x", "5"), [wide, narrow]).exceeded is not None
    assert [one.reserved for one in ledger.standings([wide, narrow], NOW)] == [0, 0]


def test_a_budget_that_only_warns_refuses_nothing() -> None:
    ledger, one = Ledger(), budget("1", on_exceed="warn")
    assert ledger.reserve(charge("x", "5"), [one]).exceeded is None
    assert [standing.budget for standing in ledger.settle("x", Decimal(5))] == [one]
    admitted = ledger.reserve(charge("y", "5"), [one])
    assert admitted.exceeded is None
    assert [standing.used_up for standing in admitted.near] == [True]


def test_each_warning_is_given_once() -> None:
    ledger, one = Ledger(), budget("10", warn_at=(Decimal("0.5"), Decimal("0.8")))
    given: list[int] = []
    for number in range(12):
        ledger.reserve(charge(number, "1"), [one], over=[one])
        given += [number for _ in ledger.settle(str(number), Decimal(1))]
    assert given == [4, 7, 9]


def test_a_restart_repeats_no_warning() -> None:
    ledger = Ledger([Charge("x", NOW, ANYONE, Decimal(9), Decimal(9))])
    ledger.reserve(charge("y", "0.1"), [budget()])
    assert ledger.settle("y", Decimal("0.1")) == []


def test_a_new_period_begins_with_nothing_spent_and_the_old_one_keeps_what_ends_late() -> None:
    zone = ZoneInfo("Europe/Berlin")
    ledger, one = Ledger(), budget("10", zone=zone)
    before, after = datetime(2026, 11, 30, 22, 59, tzinfo=UTC), datetime(2026, 11, 30, 23, 1, tzinfo=UTC)
    ledger.reserve(charge("late", "9", before), [one])
    assert ledger.standings([one], after)[0].reserved == 0
    ledger.settle("late", Decimal(9))
    assert ledger.standings([one], after)[0].spent == 0
    assert Ledger([Charge("late", before, ANYONE, Decimal(9), Decimal(9))]).standings([one], before)[0].spent == 9


@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_what_was_spent_earlier_in_the_period_counts_for_a_budget_that_is_new(
    period: Literal["day", "week", "month"],
) -> None:
    ledger = Ledger()
    ledger.reserve(charge("x", "3"), [])
    ledger.settle("x", Decimal(2))
    ledger.reserve(charge("y", "5"), [])
    standing = ledger.standings([budget(period=period)], NOW)[0]
    assert [standing.spent, standing.reserved] == [2, 5]


def test_months_that_are_long_over_are_forgotten() -> None:
    ledger = Ledger([Charge("old", NOW - timedelta(days=200), ANYONE, Decimal(1), Decimal(1))])
    one = budget(period="day")
    ledger.standings([one], NOW)
    ledger.standings([one], NOW + timedelta(days=1))
    assert ledger.standings([one], NOW - timedelta(days=200))[0].spent == 0


@pytest.mark.parametrize(
    ("scope", "subject", "counted"),
    [
        ({"bucket": "b"}, Subject("b", None, None, None), True),
        ({"bucket": "b"}, Subject("c", None, None, None), False),
        ({"bucket": None, "workspace": "w"}, Subject(None, "w", None, None), True),
        ({"bucket": None, "identity": "personal"}, Subject(None, None, "team", None), False),
        ({"bucket": None, "models": ("*opus*",)}, Subject(None, None, None, "claude-opus-4-5"), True),
        ({"bucket": None, "models": ("*opus*",)}, Subject(None, None, None, "claude-haiku-4-5"), False),
        ({"bucket": None, "models": ("*opus*",)}, Subject(None, None, None, None), True),
        ({"bucket": "b", "models": ("*opus*",)}, Subject("c", None, None, "claude-opus-4-5"), False),
        ({"bucket": None}, Subject(None, None, None, None), True),
    ],
)
def test_a_budget_counts_what_all_that_it_names_say(scope: Any, subject: Subject, counted: bool) -> None:
    assert concerns(budget(**scope), subject) is counted
    assert title(budget(**scope))


def test_the_same_exchange_is_never_booked_twice() -> None:
    ledger, one = Ledger(), budget()
    ledger.reserve(charge("x", "2"), [one])
    ledger.settle("x", Decimal(1))
    ledger.settle("x", Decimal(1))
    ledger.release("x")
    assert ledger.standings([one], NOW)[0].spent == 1


def test_what_a_person_allowed_for_one_budget_passes_no_other() -> None:
    asks, denies = budget("0", bucket=None, on_exceed="ask"), budget("0")
    ledger, more = Ledger(), budget("0", bucket=None, workspace="w", on_exceed="ask")
    first = ledger.reserve(charge("x", "1"), [asks, denies]).exceeded
    assert first is not None
    assert first.budget is denies, "a refusal before a question that would be asked in vain"
    assert ledger.reserve(charge("x", "1"), [asks, denies], over=[asks]).exceeded is not None
    assert ledger.reserve(charge("x", "1"), [asks, more], over=[asks]).exceeded is not None
    assert ledger.reserve(charge("x", "1"), [asks, more], over=[asks, more]).exceeded is None
