"""Time cut into slots that fit on a page: hours, days, weeks or months of UTC. Pure.

A slot is known by the text with which the times in it begin (`2026-01-31`, `2026-01-31T08`); a week by its Monday.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Literal

Step = Literal["hour", "day", "week", "month"]

_MOST_HOURS = 72
_MOST_DAYS = 92
_MOST_WEEKS = 156


def step_for(first: str, last: str) -> Step:
    """The step by which the time between two records is cut into at most some 160 slots (or months)."""
    days = (_day(last) - _day(first)).days
    if days * 24 < _MOST_HOURS:
        return "hour"
    if days < _MOST_DAYS:
        return "day"
    return "week" if days < _MOST_WEEKS * 7 else "month"


def width(step: Step) -> int:
    """How many characters of a record's time tell its slot, or the day that it lies in."""
    return 13 if step == "hour" else 10


def slot(beginning: str, step: Step) -> str:
    """The slot of a time that is cut to `width`."""
    if step == "week":
        day = _day(beginning)
        return (day - timedelta(days=day.weekday())).isoformat()
    return beginning[:7] if step == "month" else beginning


def slots(first: str, last: str, step: Step) -> tuple[str, ...]:
    """All slots from that of one time to that of another, those without records too."""
    return tuple(_slots(first, last, step))


def _slots(first: str, last: str, step: Step) -> Iterator[str]:
    if step == "hour":
        hour, end = (datetime.fromisoformat(f"{one[:13]}:00") for one in (first, last))
        while hour <= end:
            yield hour.isoformat()[:13]
            hour += timedelta(hours=1)
        return
    day, end_day = _day(first), _day(last)
    seen = ""
    while day <= end_day:
        begin = slot(day.isoformat(), step)
        if begin != seen:
            yield begin
        seen = begin
        day += timedelta(days=1)
    if (begin := slot(end_day.isoformat(), step)) > seen:
        yield begin


def _day(time: str) -> date:
    return date.fromisoformat(time[:10])
