"""Reading the log, beside a running guard or without one, on a connection that never writes."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from localguard.audit.schema import LogCorrupted, connect_reader, unavailable


@dataclass(frozen=True, slots=True)
class Record:
    """One record as read. A section that was pruned is None; `fields` names what each holds. ``leaf_hash`` has 32 bytes."""

    seq: int
    kind: str
    time: str
    exchange: str | None
    session: str | None
    metadata: dict[str, Any] | None
    findings: list[dict[str, Any]] | None
    local: dict[str, Any] | None
    leaf_hash: bytes


class Log:
    """The log at ``path``, for reading. For one thread; each call sees the newest durable records."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises `LogUnavailable` where there is none or it cannot be read, `LogCorrupted` where it is no log."""
        self._path = path
        self._connection = connect_reader(path)

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connection. Twice is fine."""
        self._connection.close()

    def tail(
        self,
        limit: int = 50,
        after_seq: int | None = None,
        kind: str | None = None,
        *,
        session: str | None = None,
        since: str | None = None,
    ) -> list[Record]:
        """Records in order of seq: the last ``limit`` ones, or with ``after_seq`` the first ``limit`` behind it (to follow).

        Of a kind, of a session, from a time (RFC 3339) on, where these are given.
        """
        asked = {"kind = ?": kind, "session = ?": session, "time >= ?": since}
        where = " AND ".join(["1", *(condition for condition, value in asked.items() if value is not None)])
        values = [value for value in asked.values() if value is not None]
        if after_seq is None:
            newest = self._select(f"{where} ORDER BY seq DESC LIMIT ?", *values, limit)
            return newest[::-1]
        return self._select(f"{where} AND seq > ? ORDER BY seq LIMIT ?", *values, after_seq, limit)

    def show(self, exchange: str) -> list[Record]:
        """All records of an exchange in order of seq; empty where the log has none."""
        return self._select("exchange = ? ORDER BY seq", exchange)

    def refused_together(self, time: str) -> Record | None:
        """The record of requests that were refused by their heads and counted together at a time (RFC 3339), if there is one."""
        second = time[:19]
        found = self._select(
            "kind = 'control' AND json_extract(metadata, '$.event') = 'refusals' AND time >= ?"
            " AND json_extract(metadata, '$.since') < ? ORDER BY seq LIMIT 1",
            second,
            second + "~",
        )
        return found[0] if found else None

    def session(self, session: str, limit: int = 1_000) -> list[Record]:
        """The first ``limit`` records of a session in order of seq."""
        return self._select("session = ? ORDER BY seq LIMIT ?", session, limit)

    def whole_session(self, session: str) -> Iterator[Record]:
        """All records of a session in order of seq, one at a time."""
        with self._errors():
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM records WHERE session = ? ORDER BY seq",  # noqa: S608
                (session,),
            )
            yield from map(_read, rows)

    def in_sessions(self, since: str | None = None) -> Iterator[Record]:
        """All records of sessions from a time (RFC 3339) on, one at a time in order of seq, without what was found."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT seq, kind, time, exchange, session, metadata, NULL, local, leaf_hash FROM records"
                " WHERE session IS NOT NULL AND time >= ? ORDER BY seq",
                (since or "",),
            )
            yield from map(_read, rows)

    def since(self, time: str) -> Iterator[Record]:
        """All records from a time (RFC 3339) on, one at a time in order of seq."""
        with self._errors():
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM records WHERE time >= ? ORDER BY seq",  # noqa: S608
                (time,),
            )
            yield from map(_read, rows)

    def session_ids(self, beginning: str, limit: int) -> list[str]:
        """Up to ``limit`` sessions whose ids begin so."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT DISTINCT session FROM records WHERE session >= ? AND session < ? ORDER BY session LIMIT ?",
                (beginning, beginning + "\U0010ffff", limit),
            )
            return [session for (session,) in rows]

    def sessions(self, limit: int = 50, before_seq: int | None = None) -> list[tuple[str, int]]:
        """The sessions that were at work last, newest first, each with the seq of its last record (to go on from)."""
        with self._errors():
            return self._connection.execute(
                "SELECT session, max(seq) AS last FROM records WHERE session IS NOT NULL"
                " GROUP BY session HAVING last < ? ORDER BY last DESC LIMIT ?",
                (before_seq if before_seq is not None else 1 << 62, limit),
            ).fetchall()

    def sessions_at(self, *, branch: str | None = None, commit: str | None = None, limit: int = 50) -> list[str]:
        """The sessions that were on a branch, or saw a commit (or one that begins so) as the head; newest first.

        Reads every intent and refusal, a second or two for a million records.
        """
        place = ("$.branch", branch, branch) if branch is not None else ("$.commit", commit, f"{commit}g")
        with self._errors():
            rows = self._connection.execute(
                "SELECT session FROM (SELECT session, seq, json_extract(local, ?) AS place FROM records"
                " WHERE kind IN ('intent', 'refusal') AND session IS NOT NULL AND local IS NOT NULL)"
                " WHERE place BETWEEN ? AND ? GROUP BY session ORDER BY max(seq) DESC LIMIT ?",
                (*place, limit),
            )
            return [session for (session,) in rows]

    def intents_since(self, time: str) -> list[tuple[str | None, str | None, str | None, str | None, str | None]]:
        """Session, work tree, model, endpoint class and policy of the intents since a time, newest first.

        Of the last records only, so that it takes milliseconds however long the log is.
        """
        with self._errors():
            return self._connection.execute(
                "SELECT session, json_extract(local, '$.root'), json_extract(metadata, '$.model'),"
                " json_extract(metadata, '$.endpoint_class'), json_extract(metadata, '$.policy') FROM records"
                " WHERE seq > (SELECT max(seq) FROM records) - ? AND kind = 'intent' AND time >= ?"
                " AND local IS NOT NULL AND metadata IS NOT NULL ORDER BY seq DESC",
                (_LATEST, time),
            ).fetchall()

    def agents(self) -> dict[str, tuple[str, int]]:
        """Agent to the time of its latest intent and how many there are, among the latest records only."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT json_extract(metadata, '$.agent') AS agent, max(time), count(*) FROM records"
                " WHERE seq > (SELECT max(seq) FROM records) - ? AND kind = 'intent' AND metadata IS NOT NULL"
                " GROUP BY agent HAVING agent IS NOT NULL",
                (_LATEST,),
            )
            return {agent: (time, count) for agent, time, count in rows}

    def by_seq(self, seqs: Sequence[int]) -> list[Record]:
        """The records with these numbers, in the order given; those that there are not are left out."""
        found = {one.seq: one for seq in seqs for one in self._select("seq = ?", seq)}
        return [found[seq] for seq in seqs if seq in found]

    def exchange_ids(self, limit: int, *, before: str | None = None, after: str | None = None) -> list[str]:
        """Ids of exchanges that were sent or refused, ascending: the last ``limit`` of those before an id, or the first after one.

        Ids ascend as exchanges begin.
        """
        order = "ASC" if after is not None and before is None else "DESC"
        with self._errors():
            rows = self._connection.execute(
                "SELECT DISTINCT exchange FROM records WHERE exchange > ? AND exchange < ?"  # noqa: S608
                f" AND kind IN ('intent', 'refusal') ORDER BY exchange {order} LIMIT ?",
                (after or "", before or "\U0010ffff", limit),
            ).fetchall()
        return sorted(exchange for (exchange,) in rows)

    def session_outline(self, session: str) -> tuple[dict[str, int], str, str, list[str], Record | None]:
        """How many records of each kind a session has, its first and last time, its costs in USD, and its last request."""
        with self._errors():
            kinds = self._connection.execute(
                "SELECT kind, count(*), min(time), max(time) FROM records WHERE session = ? GROUP BY kind", (session,)
            ).fetchall()
            costs = self._connection.execute(
                "SELECT json_extract(metadata, '$.cost_usd') FROM records WHERE session = ? AND kind = 'outcome'",
                (session,),
            ).fetchall()
        last = self._select(
            "session = ? AND kind IN ('intent', 'refusal') AND metadata IS NOT NULL ORDER BY seq DESC LIMIT 1", session
        )
        counts = {str(kind): int(count) for kind, count, _, _ in kinds}
        began = min((first for _, _, first, _ in kinds), default="")
        ended = max((latest for _, _, _, latest in kinds), default="")
        return counts, began, ended, [str(cost) for (cost,) in costs if cost is not None], last[0] if last else None

    def extent(self) -> tuple[int, int]:
        """How many records there are, and how many of them have lost their metadata."""
        with self._errors():
            (total,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()
            (pruned,) = self._connection.execute("SELECT count(*) FROM records WHERE metadata IS NULL").fetchone()
        return int(total), int(pruned)

    def count_by_kind(self) -> dict[str, int]:
        """Kind to number of records."""
        with self._errors():
            return dict(
                self._connection.execute("SELECT kind, count(*) FROM records GROUP BY kind ORDER BY kind").fetchall()
            )

    def open_exchanges(self) -> list[str]:
        """Exchanges with an intent and no outcome yet: in flight now, or cut off when the guard died."""
        with self._errors():
            return [
                name for (name,) in self._connection.execute("SELECT exchange FROM open_exchanges ORDER BY exchange")
            ]

    def _select(self, condition: str, *values: object) -> list[Record]:
        with self._errors():
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM records WHERE {condition}", values)  # noqa: S608
            return [_read(row) for row in rows]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error
        except orjson.JSONDecodeError:
            raise LogCorrupted(
                f"A record of the audit log ({self._path.name}) is damaged. See `localguard audit verify`."
            ) from None


def _read(row: tuple[Any, ...]) -> Record:
    seq, kind, time, exchange, session, metadata, findings, local, leaf_hash = row
    return Record(
        seq, kind, time, exchange, session, _content(metadata), _content(findings), _content(local), leaf_hash
    )


def _content(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


_COLUMNS = "seq, kind, time, exchange, session, metadata, findings, local, leaf_hash"
_LATEST = 10_000
"""Records among which `intents_since` and `agents` look."""
