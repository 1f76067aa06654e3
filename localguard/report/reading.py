"""The one pass over the log that a report takes, beside a running guard, and what it says of the log itself.

Everything is read from one snapshot. Nothing of what is read is kept but its sums.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from localguard.audit.checkpoint import CheckpointInvalid, public_key, verify_checkpoint
from localguard.audit.outcomes import AXES, Line, compare, works_of
from localguard.audit.queries import Log
from localguard.audit.schema import LogCorrupted, connect_reader, unavailable
from localguard.audit.tree import Tree
from localguard.audit.verify import verify
from localguard.report import timeline
from localguard.report.figures import Figures, Scope, Verification
from localguard.report.fold import Fold
from localguard.report.summing import figures_of

Progress = Callable[[int, int], None]
"""Is told (records done, records in all), now and then."""

WHOLE_UP_TO = 50_000
"""Records that are hashed anew for a report unless somebody says otherwise: two or three seconds."""
_STEP = 2_000
_MOST_RATED = 2_000
"""Rated sessions that are told of, the newest ones."""


def read(
    path: Path,
    scope: Scope,
    *,
    version: str,
    made: str,
    whole: bool | None = None,
    progress: Progress | None = None,
) -> Figures:
    """The figures of a scope. `whole`: whether the log is verified record by record; None: if it is not long.

    Raises LogUnavailable where there is no log or it cannot be read, LogCorrupted where it is damaged.
    """
    connection = connect_reader(path)
    try:
        connection.execute("BEGIN")
        fold = _folded(connection, scope, progress or (lambda done, total: None))
        (total,) = connection.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()
        if whole is None:
            whole = total <= WHOLE_UP_TO
        verification = verified(path) if whole else newest_checkpoint(connection)
    except sqlite3.Error as error:
        raise unavailable(error, path) from error
    finally:
        connection.close()
    with Log(path) as log:
        outcomes = _outcomes(log, list(fold.rated)[-_MOST_RATED:])
    return figures_of(fold, version=version, made=made, outcomes=outcomes, verification=verification)


def _folded(connection: sqlite3.Connection, scope: Scope, progress: Progress) -> Fold:
    condition, values = _condition(scope)
    ends = [
        connection.execute(f"SELECT seq, time FROM records {condition} ORDER BY seq {order} LIMIT 1", values).fetchone()  # noqa: S608
        for order in ("ASC", "DESC")
    ]
    if None in ends:
        return Fold(scope, "day")
    (lowest, first), (highest, last) = ends
    fold = Fold(scope, timeline.step_for(min(first, last), max(first, last)))
    loads = orjson.loads
    add = fold.add
    rows = connection.execute(f"{_COLUMNS} {condition} ORDER BY seq", values)
    for count, (seq, kind, time, exchange, session, metadata, findings, local) in enumerate(rows):
        add(
            kind,
            time,
            exchange,
            session,
            None if metadata is None else loads(metadata),
            () if findings is None or findings == "[]" else loads(findings),
            None if local is None else loads(local),
        )
        if count % _STEP == 0:
            progress(seq - lowest, highest - lowest)
    progress(highest - lowest, highest - lowest)
    return fold


def _condition(scope: Scope) -> tuple[str, Sequence[str]]:
    """The `WHERE` of a scope; workspaces are told apart when records are folded."""
    if scope.session is not None:
        return "WHERE session = ? AND time >= ? AND time < ?", (scope.session, scope.start, scope.end)
    return "WHERE time >= ? AND time < ?", (scope.start, scope.end)


_COLUMNS = (
    "SELECT seq, kind, time, exchange, session, metadata, findings,"
    " CASE WHEN kind IN ('intent', 'refusal') THEN local END FROM records"
)


def _outcomes(log: Log, sessions: Sequence[str]) -> Mapping[str, Sequence[Line]]:
    """What became of sessions that somebody rated in the time, told of them whole, as `compare` does."""

    works = [work for session in sessions for work in works_of(log.whole_session(session))]
    return {axis: compare(works, axis) for axis in AXES} if works else {}


def verified(path: Path, progress: Progress | None = None) -> Verification:
    """Every record hashed anew, every checkpoint checked: what `audit verify` says."""
    report = verify(path, progress=progress)
    steps = tuple((step.passed, f"{step.title}: {step.result}") for step in report.steps)
    return Verification("records", report.consistent, report.verdict, steps)


def newest_checkpoint(connection: sqlite3.Connection) -> Verification:
    """Whether the newest checkpoint is signed, and states the root of the stored tree. The records are not hashed anew."""
    (total,) = connection.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()
    row = connection.execute(_NEWEST).fetchone()
    rest = "The records themselves were not hashed anew: `localguard report --verify`, or `localguard audit verify`."
    if row is None:
        return Verification("nothing", True, f"No checkpoint yet over {total} records. {rest}")
    try:
        content: dict[str, Any] = orjson.loads(row[0])
        checkpoint = verify_checkpoint(str(content["note"]).encode(), public_key(str(content["key"])))
        if Tree(connection).root(checkpoint.size) != checkpoint.root:
            return Verification(
                "checkpoint", False, "NOT consistent: the newest checkpoint states another root than the log has."
            )
    except (CheckpointInvalid, KeyError, ValueError, LogCorrupted) as error:
        why = error if isinstance(error, CheckpointInvalid | LogCorrupted) else "it is no signed note"
        return Verification("checkpoint", False, f"NOT consistent: the newest checkpoint does not hold ({why}).")
    said = (
        f"The checkpoint of {checkpoint.time} is signed and agrees with the tree over its {checkpoint.size} records; "
    )
    return Verification("checkpoint", True, f"{said}{total - checkpoint.size} came after it. {rest}")


_NEWEST = "SELECT metadata FROM records WHERE kind = 'checkpoint' AND metadata IS NOT NULL ORDER BY seq DESC LIMIT 1"
