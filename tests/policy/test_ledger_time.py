"""The time that budgets go by passes as time does, whatever becomes of the clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.policy.ledger_time import LedgerTime

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
YEARS = st.integers(-10, 10).filter(bool).map(lambda years: timedelta(days=365 * years))


@given(YEARS)
def test_a_clock_that_jumps_by_years_does_not_take_budgets_with_it(jump: timedelta) -> None:
    times = LedgerTime(NOW, 0, None)
    assert times.now(NOW + jump + DAY / 24, 3600) == NOW + DAY / 24
    assert times.held
    assert times.now(NOW + DAY, 86_400) == NOW + DAY  # the clock was set right
    assert not times.held


@given(YEARS)
def test_a_clock_that_jumped_between_two_runs_is_not_believed(jump: timedelta) -> None:
    times = LedgerTime(NOW + jump, 0, NOW)
    assert times.held
    assert times.now(NOW + jump + timedelta(seconds=10), 10) == NOW + timedelta(seconds=10)


@given(st.lists(st.tuples(st.integers(-4000, 4000), st.integers(0, 100_000)), max_size=20))
def test_time_never_goes_back(steps: list[tuple[int, int]]) -> None:
    times = LedgerTime(NOW, 0, None)
    seen, elapsed = NOW, 0
    for days, passed in steps:
        elapsed += passed
        now = times.now(NOW + timedelta(days=days), elapsed)
        assert now >= seen
        seen = now


@pytest.mark.parametrize("rest", [timedelta(0), DAY, 30 * DAY, 179 * DAY])
def test_a_machine_may_have_been_off(rest: timedelta) -> None:
    assert LedgerTime(NOW + rest, 0, NOW).now(NOW + rest, 0) == NOW + rest


def test_a_machine_may_have_slept_with_its_steady_clock() -> None:
    times = LedgerTime(NOW, 0, None)
    assert times.now(NOW + 20 * DAY, 60) == NOW + 20 * DAY


def test_a_start_with_a_dead_clock_is_made_good_once_it_is_set() -> None:
    times = LedgerTime(datetime(1970, 1, 1, tzinfo=UTC), 0, NOW)
    assert times.now(datetime(1970, 1, 1, 0, 1, tzinfo=UTC), 60) == NOW + timedelta(seconds=60)
    assert times.now(NOW + 3 * DAY, 120) == NOW + 3 * DAY


def test_a_clock_that_is_set_right_by_seconds_is_nothing_to_tell() -> None:
    times = LedgerTime(NOW, 0, None)
    times.now(NOW - timedelta(seconds=30), 1)
    assert not times.held


def test_a_person_may_say_that_the_clock_is_right() -> None:
    times = LedgerTime(NOW, 0, None)
    later = NOW + 3650 * DAY
    times.now(later, 1)
    times.trust(later)
    assert times.now(later + DAY, 86_401) == later + DAY
