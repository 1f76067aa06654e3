"""Time is cut into few slots, none missing, none twice."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from localguard.audit.record import timestamp
from localguard.report.timeline import Step, slot, slots, step_for, width

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=4000)), st.floats(0, 1))
def test_every_time_has_its_slot_among_few(begin: datetime, length: timedelta, share: float) -> None:
    first, last = timestamp(begin), timestamp(begin + length)
    step = step_for(first, last)
    made = slots(first, last, step)
    assert len(made) <= 165
    assert list(made) == sorted(set(made))
    between = timestamp(begin + length * share)
    assert slot(between[: width(step)], step) in made
    assert slot(first[: width(step)], step) == made[0]
    assert slot(last[: width(step)], step) == made[-1]


def test_steps_grow_with_the_time() -> None:
    begin = datetime(2026, 1, 31, 8, tzinfo=UTC)
    steps: list[Step] = [
        step_for(timestamp(begin), timestamp(begin + timedelta(days=days))) for days in (0, 2, 3, 91, 92, 1091, 1092)
    ]
    assert steps == ["hour", "hour", "day", "day", "week", "week", "month"]


def test_a_week_begins_on_monday() -> None:
    assert slot("2026-02-01", "week") == "2026-01-26"
    assert slots("2026-02-01T00", "2026-02-02T00", "week") == ("2026-01-26", "2026-02-02")
