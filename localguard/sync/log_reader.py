"""Batches made from the log, on a connection of its own that never writes and is closed again after each batch.

No read transaction outlives a batch, so that the writer's WAL can be checked in whatever a sink does.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from localguard.audit.checkpoint import Checkpoint, DeviceKey
from localguard.audit.merkle import Frontier
from localguard.audit.schema import connect_reader, unavailable
from localguard.audit.tree import Tree
from localguard.sync.batch import Batch, Head, Section, line_of, pack
from localguard.sync.disclosure import Disclosure, digests

NAMES = ("metadata", "findings", "local")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much goes into one batch."""

    records: int = 1_000
    bytes: int = 2 * 1024 * 1024
    """Decoded. One record more may be in it, and a record has two sections of `disclosure.MAX_SECTION` at most."""


class LogReader:
    """Makes batches of the log at `path`. Blocking; for one thread at a time.

    `key` signs for the device, `names_key` makes digests of local names, `instance` says which installation this is, `clock`
    gives RFC 3339 in UTC.
    """

    def __init__(
        self,
        path: Path,
        *,
        key: DeviceKey,
        names_key: bytes,
        instance: str,
        clock: Callable[[], str],
        bounds: Bounds | None = None,
    ) -> None:
        self._path = path
        self._key = key
        self._names_key = names_key
        self._instance = instance
        self._clock = clock
        self._bounds = bounds or Bounds()

    def size(self) -> int:
        """How many records the log has. Raises LogUnavailable."""
        connection = connect_reader(self._path)
        try:
            return Tree(connection).size()
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error
        finally:
            connection.close()

    def root(self, size: int) -> bytes | None:
        """The root over the first `size` records, None where there are fewer. Raises LogUnavailable."""
        connection = connect_reader(self._path)
        try:
            connection.execute("BEGIN")
            tree = Tree(connection)
            return tree.root(size) if size <= tree.size() else None
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error
        finally:
            connection.close()

    def batch(self, after: int, disclosure: Disclosure) -> Batch:
        """The records behind `after`, as many as the bounds allow; without any it is a sign of life that holds the tree.

        Where the log has fewer than `after` records, the batch has none and states how many there are. Raises LogUnavailable,
        LogCorrupted.
        """
        connection = connect_reader(self._path)
        try:
            connection.execute("BEGIN")
            return self._batch(connection, after, disclosure)
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error
        finally:
            connection.close()

    def _batch(self, connection: sqlite3.Connection, after: int, disclosure: Disclosure) -> Batch:
        tree = Tree(connection)
        after = min(after, tree.size())
        frontier = tree.frontier(after)
        before = tuple(frontier.hashes)
        lines: list[bytes] = []
        left, held_back = self._bounds.bytes, 0
        for disclosed, line, leaf in self._lines(connection, after, disclosure):
            lines.append(line)
            frontier.append(leaf)
            held_back += not disclosed
            left -= len(line)
            if left <= 0:
                break
        return pack(self._head(after, frontier, before, disclosure), lines, self._key, held_back=held_back)

    def _head(self, after: int, frontier: Frontier, before: tuple[bytes, ...], disclosure: Disclosure) -> Head:
        public = self._key.public
        note = self._key.sign(Checkpoint(public.name, frontier.size, frontier.root(), self._clock()))
        return Head(
            device=public.device,
            instance=self._instance,
            first=after + 1,
            last=frontier.size,
            level=disclosure.level,
            frontier=before,
            note=note,
            key=public.encoded(),
        )

    def _lines(
        self, connection: sqlite3.Connection, after: int, disclosure: Disclosure
    ) -> Iterator[tuple[bool, bytes, bytes]]:
        """Whether something of it is disclosed, the line, and its leaf hash."""
        excluded = _Excluded(connection, disclosure)
        for seq, kind, time, exchange, session, leaf, *parts in connection.execute(
            _RECORDS, (after, self._bounds.records)
        ):
            sections = [Section(*parts[at : at + 3]) for at in (0, 3, 6)]
            texts = [section.text for section in sections]
            withheld = bool(disclosure.exclude) and excluded.record(kind, exchange, session, texts[0], texts[2])
            shown = [
                section
                if section.text is not None and not withheld and disclosure.opens(name, len(section.text))
                else Section(None, None, section.hash)
                for name, section in zip(NAMES, sections, strict=True)
            ]
            names = None
            if disclosure.names and not withheld and texts[2] is not None and len(texts[2]) > 2:
                names = digests(self._names_key, json.loads(texts[2]))
            yield any(section.text is not None for section in shown), line_of(seq, kind, time, shown, names), leaf


class _Excluded:
    """Whether a record belongs to excluded work: by itself, by its exchange's intent, or by its session's."""

    def __init__(self, connection: sqlite3.Connection, disclosure: Disclosure) -> None:
        self._connection = connection
        self._disclosure = disclosure
        self._exchange = lru_cache(maxsize=1024)(lambda id: self._any("exchange", id))
        self._session = lru_cache(maxsize=256)(lambda id: self._any("session", id))

    def record(
        self, kind: str, exchange: str | None, session: str | None, metadata: bytes | None, local: bytes | None
    ) -> bool:
        if kind == "checkpoint":
            return False
        if self._disclosure.excludes(_object(metadata), _object(local)):
            return True
        if kind in ("intent", "refusal"):
            return False
        return (exchange is not None and self._exchange(exchange)) or (
            exchange is None and session is not None and self._session(session)
        )

    def _any(self, column: str, id: str) -> bool:
        """A question about work stands in the log before its intent: until then nothing says that it is not excluded."""
        rows = self._connection.execute(_OF[column], (id,)).fetchall()
        return not rows or any(self._disclosure.excludes(_object(metadata), _object(local)) for metadata, local in rows)


def _object(text: bytes | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)


_RECORDS = (  # text as bytes: the hash is over the stored bytes
    "SELECT seq, kind, time, exchange, session, leaf_hash"
    ", CAST(metadata AS BLOB), metadata_salt, metadata_hash"
    ", CAST(findings AS BLOB), findings_salt, findings_hash"
    ", CAST(local AS BLOB), local_salt, local_hash"
    " FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
)
_CONTEXT = (
    "SELECT CAST(metadata AS BLOB), CAST(local AS BLOB) FROM records WHERE {} = ? AND kind IN ('intent', 'refusal')"
)
_OF = {column: _CONTEXT.format(column) for column in ("exchange", "session")}
