"""Times of day in a named zone: `mon-fri 08:00-18:00 Europe/Berlin`. Pure: the moment and the zones are passed in."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:[-,][a-z]{3})*) +)?"
    r"(?:(?P<from>\d{2}:\d{2})-(?P<to>\d{2}:\d{2}) +)?"
    r"(?P<zone>[A-Z][A-Za-z0-9_+/-]*)"
)
_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Minutes of some days of the week by the wall clock of a zone.

    `start` and `end` are minutes since midnight, the end excluded. One that ends before it starts goes on after midnight,
    and belongs to the day on which it starts. What a zone skips in spring is never in it, what it repeats in autumn twice.
    """

    days: frozenset[int]
    """0 is Monday."""
    start: int
    end: int
    zone: tzinfo
    text: str
    """As the file says it."""

    def contains(self, moment: datetime) -> bool:
        """Say whether a moment, given with its time zone, lies in the window."""
        local = moment.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return local.weekday() in self.days and self.start <= minute < self.end
        if minute >= self.start:
            return local.weekday() in self.days
        return minute < self.end and (local - timedelta(days=1)).weekday() in self.days

    def __str__(self) -> str:
        return self.text


def parse_window(text: str, zone_of: Callable[[str], tzinfo | None]) -> TimeWindow | str:
    """Return the window that a text spells, or what is wrong with it in plain words. `zone_of` knows the zones by name."""
    found = _WINDOW.fullmatch(text)
    if found is None or (found["days"] is None and found["from"] is None):
        return 'must be written like "mon-fri 08:00-18:00 Europe/Berlin": days, times or both, and a time zone.'
    days = _days(found["days"] or "mon-sun")
    if days is None:
        return f"names a day that is none of {', '.join(DAYS)}."
    start, end = _minutes(found["from"] or "00:00"), _minutes(found["to"] or "24:00")
    if start is None or end is None or start == _DAY:
        return "holds a time that is none; write 00:00 to 24:00."
    if start == end:
        return "begins and ends at the same time; leave the times out for whole days."
    zone = zone_of(found["zone"])
    if zone is None:
        return "names no time zone that is known here; write one like Europe/Berlin or UTC."
    return TimeWindow(days, start, end, zone, text)


def _days(text: str) -> frozenset[int] | None:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            return None
        low, high = DAYS.index(first), DAYS.index(last or first)
        days.update(range(low, high + 1) if low <= high else (*range(low, 7), *range(high + 1)))
    return frozenset(days)


def _minutes(text: str) -> int | None:
    hours, minutes = int(text[:2]), int(text[3:])
    total = hours * 60 + minutes
    return total if minutes < 60 and total <= _DAY else None
