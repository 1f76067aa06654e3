"""An endpoint's health is told by what came of its latest exchanges, and only by what it is to blame for."""

import pytest

from localguard.audit.rows import ExchangeRow
from localguard.proxy.policy_views import health_of


def row(state: str, origin: str | None = None, **more: object) -> ExchangeRow:
    return {"exchange": "x", "time": "2026-01-31T08:00:00Z", "state": state, "origin": origin, **more}  # type: ignore[typeddict-item]


GOOD, BAD = row("completed", first_byte_ms=100), row("failed", "provider", error="overloaded", status=529)


@pytest.mark.parametrize(
    ("rows", "state"),
    [
        ([], "unused"),
        ([row("running"), row("refused", "policy"), row("cancelled", "agent")], "unused"),
        ([GOOD, GOOD], "ok"),
        ([GOOD, row("failed", "agent"), row("failed", "guard")], "ok"),
        ([GOOD, BAD, GOOD], "unsteady"),
        ([BAD, GOOD, BAD, BAD], "unsteady"),
        ([GOOD, BAD, BAD, BAD], "failing"),
        ([BAD], "failing"),
        ([*[BAD] * 9, *[GOOD] * 20], "ok"),
    ],
)
def test_health(rows: list[ExchangeRow], state: str) -> None:
    assert health_of(rows)["state"] == state


def test_health_names_the_last_failure() -> None:
    told = health_of([GOOD, GOOD, BAD])
    assert (told["exchanges"], told["failed"], told["last_error"], told["last_status"]) == (3, 1, "overloaded", 529)
    assert told["first_byte_ms"] == 100
