"""Days, weeks and months of a time zone, as stretches of universal time."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, NamedTuple

Period = Literal["day", "week", "month"]

MINUTES = 15
"""Every zone's days begin at a whole quarter of an hour of universal time: what was spent in one is in one period."""


class Stretch(NamedTuple):
    """From `start` to `end`, which is the next one's start; both in UTC."""

    start: datetime
    end: datetime

    def covers(self, at: datetime) -> bool:
        """Whether a time lies in it."""
        return self.start <= at < self.end


def stretch(at: datetime, period: Period, zone: tzinfo) -> Stretch:
    """The day, week (from Monday) or month of `zone` in which `at` lies, whatever its clocks do in between."""
    today = at.astimezone(zone).date()
    if period == "day":
        first, following = today, today + timedelta(days=1)
    elif period == "week":
        first = today - timedelta(days=today.weekday())
        following = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        following = (first + timedelta(days=31)).replace(day=1)
    return Stretch(_begin(first, zone), _begin(following, zone))


def quarter(at: datetime) -> int:
    """The number of the quarter of an hour in which a time lies, since 1970."""
    return int(at.timestamp()) // (MINUTES * 60)


def _begin(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
