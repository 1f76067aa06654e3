from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.config.time_zones import zone_named
from localguard.policy.times import TimeWindow, parse_window
from tests.policy.strategies import ZONES, windows

BERLIN = ZoneInfo("Europe/Berlin")


def window(text: str) -> TimeWindow:
    found = parse_window(text, zone_named)
    assert isinstance(found, TimeWindow), found
    return found


@pytest.mark.parametrize(
    ("text", "moment", "inside"),
    [
        ("mon-fri 08:00-18:00 Europe/Berlin", datetime(2026, 11, 27, 8, 0, tzinfo=BERLIN), True),
        ("mon-fri 08:00-18:00 Europe/Berlin", datetime(2026, 11, 27, 17, 59, 59, tzinfo=BERLIN), True),
        ("mon-fri 08:00-18:00 Europe/Berlin", datetime(2026, 11, 27, 18, 0, tzinfo=BERLIN), False),
        ("mon-fri 08:00-18:00 Europe/Berlin", datetime(2026, 11, 28, 12, 0, tzinfo=BERLIN), False),
        ("mon-fri 08:00-18:00 Europe/Berlin", datetime(2026, 11, 27, 7, 30, tzinfo=UTC), True),
        ("sat,sun UTC", datetime(2026, 11, 29, 23, 59, tzinfo=UTC), True),
        ("22:00-06:00 UTC", datetime(2026, 11, 27, 5, 59, tzinfo=UTC), True),
        ("fri 22:00-06:00 UTC", datetime(2026, 11, 28, 5, 0, tzinfo=UTC), True),
        ("fri 22:00-06:00 UTC", datetime(2026, 11, 27, 5, 0, tzinfo=UTC), False),
        ("sat-mon 00:00-24:00 UTC", datetime(2026, 11, 30, 0, 0, tzinfo=UTC), True),
        (
            "02:00-03:00 Europe/Berlin",
            datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
            False,
        ),  # 01:30, then the hour is skipped
        ("02:00-03:00 Europe/Berlin", datetime(2026, 3, 29, 1, 30, tzinfo=UTC), False),  # 03:30
        ("02:00-03:00 Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), True),
        ("02:00-03:00 Europe/Berlin", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), True),  # for the second time
    ],
)
def test_a_window_is_told_by_the_wall_clock_of_its_zone(text: str, moment: datetime, inside: bool) -> None:
    assert window(text).contains(moment) is inside


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be written like"),
        ("mon-fri 08:00-18:00", "must be written like"),
        ("UTC", "must be written like"),
        ("mon-fri 8-18 UTC", "must be written like"),
        ("mon-fry 08:00-18:00 UTC", "names a day"),
        ("08:00-25:00 UTC", "a time that is none"),
        ("08:60-09:00 UTC", "a time that is none"),
        ("24:00-09:00 UTC", "a time that is none"),
        ("08:00-08:00 UTC", "at the same time"),
        ("08:00-18:00 Europe/Nowhere", "no time zone"),
        ("08:00-18:00 Etc/../../passwd", "must be written like"),
        ("08:00-18:00 Europe", "no time zone"),
    ],
)
def test_what_is_no_window_is_told_in_words(text: str, words: str) -> None:
    found = parse_window(text, zone_named)
    assert isinstance(found, str)
    assert words in found


@given(windows, st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.sampled_from(ZONES)))
def test_it_does_not_matter_in_which_zone_a_moment_is_given(one: TimeWindow, moment: datetime) -> None:
    assert one.contains(moment) is one.contains(moment.astimezone(UTC))
