"""The time by which budgets go: wall time, as long as it moves as time does.

A clock that is set ten years ahead would begin a new month for every budget, and one that is set back an old one. So the
time of the ledger never goes back, and takes a leap forward only as far as a machine may have slept or been off. Beyond
that it goes on by itself, at the pace of a clock that nobody sets, until wall time agrees with it again.
"""

from datetime import datetime, timedelta
from typing import Final

LONGEST_SLEEP: Final = timedelta(days=45)
"""Of a machine that was not switched off: longer leaps of a running process's clock are no passing of time."""
LONGEST_REST: Final = timedelta(days=180)
"""Between two runs."""
_NOTICED: Final = timedelta(hours=1)
"""Of difference: less is a clock that is being set right."""


class LedgerTime:
    """Feeds on wall time and on the seconds since the start of this run by a clock that nobody sets.

    `last` is the latest time of an earlier run that is known, None where there is none.
    """

    def __init__(self, wall: datetime, elapsed: float, last: datetime | None) -> None:
        self.held: bool = False
        """Whether wall time is not believed now."""
        self._elapsed = elapsed
        believed = last is None or last <= wall <= last + LONGEST_REST
        self._now = wall if believed or last is None else last
        self.held = not believed and abs(wall - self._now) > _NOTICED

    def now(self, wall: datetime, elapsed: float) -> datetime:
        """The time to go by; never before one that was given."""
        passed = timedelta(seconds=max(elapsed - self._elapsed, 0.0))
        expected = self._now + passed
        self._elapsed = max(elapsed, self._elapsed)
        if self._now <= wall <= expected + LONGEST_SLEEP:
            self._now = wall
            self.held = False
        else:
            self._now = expected
            self.held = abs(wall - expected) > _NOTICED
        return self._now

    def trust(self, wall: datetime) -> None:
        """Go by this wall time from now on, because a person said that it is right."""
        self._now = wall
        self.held = False
