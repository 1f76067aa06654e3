"""The one place where commands read the clock, and what they understand of spans of time."""

import re
from datetime import UTC, datetime, timedelta

from localguard.cli.exit_codes import WrongUse

_PERIOD = re.compile(r"(\d{1,4})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7}


def now() -> str:
    """Return the time in UTC as ISO 8601 with seconds, e.g. `2026-11-03T09:30:00Z`."""
    return _spelled(datetime.now(UTC))


def expiry(period: str | None) -> str | None:
    """Return when a period from now is over, spelled as `now`; None for none. Raises WrongUse for what is no period."""
    if period is None:
        return None
    return _spelled(datetime.now(UTC) + span(period, "--expires"))


def span(period: str, option: str) -> timedelta:
    """Return a period such as `12h`, `30d` or `8w`. Raises WrongUse, which names the option, for what is none."""
    found = _PERIOD.fullmatch(period.strip().lower())
    if found is None or found[1].strip("0") == "":
        raise WrongUse(f"{option} is a number of hours, days or weeks: 12h, 30d, 8w.")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def moment(text: str, option: str) -> str:
    """Return the time in UTC that a period before now (`7d`) or an ISO 8601 time means, to sort among those of records.

    It ends in the second, without `Z`, before every fraction of it. A time without zone is UTC. Raises WrongUse, which names the option, for what is neither.
    """
    if _PERIOD.fullmatch(text.strip().lower()):
        return _spelled(datetime.now(UTC) - span(text, option)).removesuffix("Z")
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise WrongUse(f"{option} is a number of hours, days or weeks (12h, 30d, 8w) or a time (2026-01-31).") from None
    return _spelled(time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)).removesuffix("Z")


def days_since(time: str) -> int | None:
    """Return how many whole days ago a time of `now`'s spelling is; None for what is none."""
    try:
        return max((datetime.now(UTC) - datetime.fromisoformat(time)).days, 0)
    except (ValueError, TypeError):
        return None


def _spelled(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
