"""The exchanges that are shown: the newest some thousands, those that a filter lets through, and which of them is chosen. Pure."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal

from localguard.tui.filters import EVERYTHING, Filter
from localguard.tui.rows import Row

MOST_ROWS = 10_000
_SLACK = 500
"""So many more are kept before the oldest are dropped, so that dropping costs little for each."""


class Exchanges:
    """Rows in the order in which the exchanges began. `version` is another number after each change.

    Following means that the newest one is chosen, whichever it is.
    """

    def __init__(self, most: int = MOST_ROWS) -> None:
        self._most = most
        self._rows: dict[str, Row] = {}
        self._order: list[str] = []
        self._shown: list[str] = []
        self._filter = EVERYTHING
        self._chosen: str | None = None
        self.follows = True
        self.version = 0

    def __len__(self) -> int:
        """How many are held, shown or not."""
        return len(self._rows)

    @property
    def filter(self) -> Filter:
        """What is shown."""
        return self._filter

    @property
    def shown(self) -> Sequence[str]:
        """Ids of what is shown, the oldest first."""
        return self._shown

    @property
    def chosen(self) -> Row | None:
        """The row under the cursor."""
        return self._rows.get(self._chosen) if self._chosen is not None else None

    @property
    def cursor(self) -> int:
        """Where that is among those shown; -1 where there is none."""
        if self._chosen is None:
            return -1
        at = bisect_left(self._shown, self._chosen)
        return at if at < len(self._shown) and self._shown[at] == self._chosen else -1

    def row(self, index: int) -> Row | None:
        """The row at a place among those shown."""
        return self._rows.get(self._shown[index]) if 0 <= index < len(self._shown) else None

    def put(self, rows: Iterable[Row]) -> int:
        """Add exchanges, or what has become of them; returns how many of the oldest shown ones were dropped for it."""
        for row in rows:
            if not row.id:
                continue
            if row.id not in self._rows:
                _add(self._order, row.id)
            self._rows[row.id] = row
            self._sort_in(row)
        dropped = self._drop() if len(self._order) > self._most + _SLACK else 0
        self._choose_anew()
        self.version += 1
        return dropped

    def replace(self, rows: Iterable[Row]) -> None:
        """Forget what is held and take these."""
        self._rows, self._order, self._shown = {}, [], []
        self.put(rows)

    def show(self, filter: Filter) -> None:
        """Show what a filter lets through. The chosen row stays chosen if it is among them."""
        self._filter = filter
        self._shown = [id for id in self._order if filter(self._rows[id])]
        self._choose_anew()
        self.version += 1

    def choose(self, index: int) -> None:
        """Put the cursor on a place among those shown, or the nearest there is; the last one begins following."""
        if not self._shown:
            self._chosen = None
            return
        at = max(0, min(index, len(self._shown) - 1))
        self._chosen = self._shown[at]
        self.follows = at == len(self._shown) - 1
        self.version += 1

    def follow(self, follows: bool) -> None:
        """Keep the cursor on the newest, or let it stay where it is."""
        self.follows = follows
        self._choose_anew()
        self.version += 1

    def totals(self) -> tuple[Counter[str], int, Decimal]:
        """Of those shown: how many are in each state, how many values were replaced, and what they cost in USD."""
        states: Counter[str] = Counter()
        redactions, cost = 0, Decimal(0)
        for id in self._shown:
            row = self._rows[id]
            states[row.state] += 1
            redactions += row.redactions
            cost += row.spent
        return states, redactions, cost

    def _sort_in(self, row: Row) -> None:
        at = bisect_left(self._shown, row.id)
        there = at < len(self._shown) and self._shown[at] == row.id
        wanted = self._filter(row)
        if wanted and not there:
            self._shown.insert(at, row.id)
        elif there and not wanted:
            del self._shown[at]

    def _drop(self) -> int:
        unwanted = self._order[: len(self._order) - self._most]
        self._order = self._order[len(unwanted) :]
        for id in unwanted:
            del self._rows[id]
        before = len(self._shown)
        self._shown = self._shown[bisect_left(self._shown, self._order[0]) :]
        return before - len(self._shown)

    def _choose_anew(self) -> None:
        if not self._shown:
            self._chosen = None
        elif self.follows or self._chosen is None:
            self._chosen = self._shown[-1]
        elif self.cursor < 0:
            self._chosen = self._shown[min(bisect_left(self._shown, self._chosen), len(self._shown) - 1)]


def _add(order: list[str], id: str) -> None:
    if not order or order[-1] < id:
        order.append(id)
    else:
        insort(order, id)
