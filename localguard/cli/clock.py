"""The one place where commands read the clock."""

from datetime import UTC, datetime


def now() -> str:
    """Return the time in UTC as ISO 8601 with seconds, e.g. `2026-11-03T09:30:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
