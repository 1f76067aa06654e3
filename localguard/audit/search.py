"""Full-text search over what the log's metadata says, by an index of its own that nothing else depends on.

The index (`search.db` beside the log) is brought up to date when somebody searches, so that writing the log costs nothing
more for it. It holds words of metadata sections only; one that is gone or damaged is made anew.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Self

from localguard.audit.queries import Log, Record
from localguard.audit.schema import unavailable

_STEP = 2_000


class Search:
    """A search in the log at `path`. Close it after use."""

    def __init__(self, path: Path) -> None:
        """Open log and index. Raises LogUnavailable where there is no log."""
        self._log = Log(path)
        self._path = path.with_name("search.db")
        self._connection = self._open()

    def __enter__(self) -> Self:
        """The search itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._connection.close()
        self._log.close()

    def update(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Take in the records that are new; returns how many. `progress` is called with (last seq taken in, last seq).

        Where records that it has taken in were pruned since, the index is made anew.
        """
        (last, pruned) = self._connection.execute("SELECT last, pruned FROM state").fetchone()
        total, pruned_now = self._log.extent()
        if last > total or pruned_now != pruned:
            self._connection.executescript(_SCHEMA)
            last = 0
        taken = 0
        while records := self._log.tail(_STEP, after_seq=last):
            rows = [(one.seq, one.kind, _words(one)) for one in records if one.metadata is not None]
            last = records[-1].seq
            with self._connection:
                self._connection.executemany("INSERT INTO words (rowid, kind, text) VALUES (?, ?, ?)", rows)
                self._connection.execute("UPDATE state SET last = ?, pruned = ?", (last, pruned_now))
            taken += len(records)
            if progress is not None:
                progress(last, max(total, last))
        return taken

    def find(self, text: str, limit: int = 50) -> list[Record]:
        """The newest records whose metadata has all words of `text`, oldest first; `up*` finds words that begin so."""
        terms = [_term(word) for word in text.split()]
        if not terms:
            return []
        rows = self._connection.execute(
            "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?", (" ".join(terms), limit)
        )
        return self._log.by_seq([seq for (seq,) in rows][::-1])

    def _open(self) -> sqlite3.Connection:
        try:
            return self._ready()
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            try:
                return self._ready()
            except sqlite3.Error as error:
                raise unavailable(error, self._path) from error

    def _ready(self) -> sqlite3.Connection:
        new = not self._path.exists()
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path)
        connection.execute("PRAGMA secure_delete = ON")
        if new or not connection.execute("PRAGMA user_version").fetchone()[0]:
            connection.executescript(_SCHEMA)
        connection.execute("SELECT last, pruned FROM state").fetchone()
        return connection


def _words(record: Record) -> str:
    """The words of a record's metadata, one after the other."""
    found: list[str] = []

    def collect(value: object) -> None:
        if isinstance(value, dict):
            for name, one in value.items():
                found.append(str(name))
                collect(one)
        elif isinstance(value, list):
            for one in value:
                collect(one)
        elif value is not None and not isinstance(value, bool):
            found.append(str(value))

    collect(record.metadata)
    return " ".join(found)


def _term(word: str) -> str:
    """A word as FTS5 takes it literally; a star at its end stands for any ending."""
    quoted = '"' + word.rstrip("*").replace('"', '""') + '"'
    return quoted + "*" if word.endswith("*") and word.strip("*") else quoted


_SCHEMA = """
    DROP TABLE IF EXISTS words;
    DROP TABLE IF EXISTS state;
    CREATE VIRTUAL TABLE words USING fts5(kind, text, content='', tokenize='unicode61');
    CREATE TABLE state (last INTEGER NOT NULL, pruned INTEGER NOT NULL);
    INSERT INTO state VALUES (0, 0);
    PRAGMA user_version = 1;
"""
