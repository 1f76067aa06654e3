"""Days, weeks and months begin when a zone's calendar says so."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.policy.periods import Period, quarter, stretch

ZONES = [ZoneInfo(name) for name in sorted(available_timezones())]
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
PERIODS: Any = st.sampled_from(["day", "week", "month"])


@given(TIMES, PERIODS, st.sampled_from(ZONES))
def test_every_moment_lies_in_one_period_and_periods_leave_no_gap(at: datetime, period: Period, zone: ZoneInfo) -> None:
    part = stretch(at, period, zone)
    assert part.covers(at)
    assert stretch(part.end, period, zone).start == part.end
    assert stretch(part.start - timedelta(microseconds=1), period, zone).end == part.start


@given(TIMES, PERIODS, st.sampled_from(ZONES))
def test_no_quarter_of_an_hour_lies_in_two_periods(at: datetime, period: Period, zone: ZoneInfo) -> None:
    assert stretch(at, period, zone).start.timestamp() % 900 == 0
    assert quarter(stretch(at, period, zone).end) > quarter(at) >= quarter(stretch(at, period, zone).start)


@pytest.mark.parametrize(
    ("at", "period", "start", "end"),
    [
        ("2026-11-30T22:59:59Z", "month", "2026-10-31T23:00Z", "2026-11-30T23:00Z"),
        ("2026-11-30T23:00:00Z", "month", "2026-11-30T23:00Z", "2026-12-31T23:00Z"),
        ("2026-10-25T12:00:00Z", "day", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),  # 25 hours: clocks go back
        ("2026-11-29T12:00:00Z", "week", "2026-11-22T23:00Z", "2026-11-29T23:00Z"),  # a Sunday
    ],
)
def test_periods_of_berlin(at: str, period: Period, start: str, end: str) -> None:
    found = stretch(datetime.fromisoformat(at), period, ZoneInfo("Europe/Berlin"))
    assert found == (datetime.fromisoformat(start), datetime.fromisoformat(end))
