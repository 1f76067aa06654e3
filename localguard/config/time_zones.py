"""Time zones by name, from the machine's own database or the one that comes with Python's `tzdata`."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_named(name: str) -> tzinfo | None:
    """Return the zone of an IANA name (`Europe/Berlin`) or UTC, None where there is none. Blocking at its first use."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
