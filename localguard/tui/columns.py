"""Which columns of the table fit into a width, and how wide each is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the narrowest and the widest that it is made, and when it is left out first (the highest `rank`)."""

    name: str
    title: str
    least: int
    most: int
    rank: int
    right: bool = False


COLUMNS: Final = (
    Column("time", "time", 8, 8, 0),
    Column("state", "state", 10, 10, 0),
    Column("agent", "agent", 8, 13, 1),
    Column("workspace", "workspace", 10, 24, 6),
    Column("task", "task", 8, 14, 7),
    Column("endpoint", "endpoint", 11, 18, 2),
    Column("model", "model", 12, 30, 0),
    Column("redactions", "redact", 6, 6, 1, right=True),
    Column("tokens", "tokens", 11, 11, 5, right=True),
    Column("cost", "USD", 7, 7, 4, right=True),
    Column("latency", "took", 6, 6, 3, right=True),
)
"""In the order in which they stand."""

GAP: Final = 1


@lru_cache(maxsize=32)
def fit(width: int, columns: Sequence[Column] = COLUMNS) -> tuple[tuple[Column, int], ...]:
    """The columns that fit into `width` cells, each with its own width; those of the lowest rank always stay."""
    kept = list(columns)
    while sum(one.least for one in kept) + GAP * (len(kept) - 1) > width:
        last = max(kept, key=lambda one: one.rank)
        if last.rank == 0:
            break
        kept.remove(last)
    widths = {one.name: one.least for one in kept}
    spare = width - sum(widths.values()) - GAP * (len(kept) - 1)
    while spare > 0:
        growing = [one for one in kept if widths[one.name] < one.most]
        if not growing:
            break
        for one in growing[:spare]:
            widths[one.name] += 1
        spare -= len(growing[:spare])
    return tuple((one, widths[one.name]) for one in kept)
