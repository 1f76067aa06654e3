"""What of old records is dropped: whole sections, with their salts. Their hashes stay, so that the tree over all leaves holds."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from localguard.audit.fields import ControlMetadata

SECTIONS = ("metadata", "findings", "local")
PRUNABLE = ("intent", "outcome", "refusal", "control")
"""Kinds of records. Checkpoints stay whole: they are what the rest is checked against."""
_STEP = 500
"""Records at a time."""
_PATIENCE_MS = 200
"""For a reader; meanwhile no record is written."""


def empty_wal(connection: sqlite3.Connection) -> bool:
    """Check the WAL in and cut it off, as it holds what records were before they were pruned; False where a reader is in the way."""
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
    try:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")
    return not busy


@dataclass(frozen=True, slots=True)
class Retention:
    """Sections to drop, of records of these kinds."""

    sections: Sequence[str] = SECTIONS
    kinds: Sequence[str] = PRUNABLE

    def __post_init__(self) -> None:
        """Raise ValueError for a section or kind that there is not."""
        if (
            not self.sections
            or not self.kinds
            or not (set(self.sections) <= {*SECTIONS} and set(self.kinds) <= {*PRUNABLE})
        ):
            raise ValueError("no such section or kind of records")

    def event(self, before: str, dropped: int) -> ControlMetadata:
        """The record of its own that pruning leaves."""
        detail: dict[str, str | int | bool | None] = {
            "before": before,
            "records": dropped,
            "sections": ",".join(self.sections),
            "kinds": ",".join(self.kinds),
        }
        return {"event": "prune", "detail": detail}

    def step(self, connection: sqlite3.Connection, before: str) -> int:
        """Drop them from some records before a time (RFC 3339), durably; returns from how many, 0 when nothing is left to do.

        Exchanges that are still open are left alone. Deleted content is overwritten (`secure_delete`).
        """
        present = " OR ".join(f"{name} IS NOT NULL" for name in self.sections)
        kinds = ", ".join("?" * len(self.kinds))
        chosen = [
            seq
            for (seq,) in connection.execute(
                f"SELECT seq FROM records WHERE time < ? AND kind IN ({kinds}) AND ({present})"  # noqa: S608
                " AND (exchange IS NULL OR exchange NOT IN (SELECT exchange FROM open_exchanges)) ORDER BY seq LIMIT ?",
                (before, *self.kinds, _STEP),
            )
        ]
        if not chosen:
            return 0
        dropped = ", ".join(f"{name} = NULL, {name}_salt = NULL" for name in self.sections)
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(f"UPDATE records SET {dropped} WHERE seq = ?", [(seq,) for seq in chosen])  # noqa: S608
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return len(chosen)
