"""The database of the log: its tables, its migrations and how connections to it are opened.

    records         one row a record; a section is its canonical JSON, salt and hash; a pruned section keeps only its hash
    open_exchanges  those that have an intent and neither outcome nor refusal yet, so that recovery need not search
    charges         what each exchange reserved and cost, and whose it was: what budgets count
    tree_tiles      one node of the Merkle tree for every 256, 65,536, … records, so that proofs read little

The last three are derived from `records` and kept in the same transactions; verification does not rely on them.

No code of the guard's process may open the database file by itself (to copy it, say): closing such a descriptor drops the
POSIX locks that SQLite holds on it. Read through `connect_reader`.
"""

import contextlib
import errno
import importlib
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from localguard.errors import LocalguardError

if TYPE_CHECKING:
    import sqlite_utils


class LogUnavailable(LocalguardError):
    """The log cannot be written or read now; the message says why and what to do. Nothing was acknowledged."""


class LogCorrupted(LogUnavailable):
    """The database is damaged or is no log. The guard does not repair it: it stays as evidence."""


def connect_writer(path: Path, *, create: bool, busy_seconds: float) -> sqlite3.Connection:
    """The one connection that writes and checkpoints, in WAL mode, durable at each COMMIT, transactions by hand.

    With ``create`` a missing file is made (mode 0600; SQLite gives its -wal and -shm the same mode); otherwise its absence is an error.
    Any thread may use the connection, one at a time. SQLite's own errors (`sqlite3.Error`, `OSError`) pass through; see `unavailable`.
    """
    if create:
        _create_private(path)
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=busy_seconds,
    )
    try:
        connection.execute("PRAGMA page_size = 8192")  # new files only; 1.7 KB a record against 2.1 with 4096
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise LogUnavailable(
                "The audit log cannot be kept on this file system (no shared memory). Use a local --home."
            )
        for pragma in _WRITER_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that never writes the log, not even a checkpoint; safe beside a running guard.

    Where the directory cannot be written and no WAL is there (a copy on read-only media) the file is read as immutable.
    Raises `LogUnavailable` where there is no log, `LogCorrupted` where the file is something else.
    """
    if not path.is_file():
        raise LogUnavailable(f"There is no audit log yet ({path.name}). It is created when the guard first starts.")
    uri = path.absolute().as_uri()
    wal = path.with_name(path.name + "-wal")
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, isolation_level=None, timeout=_READER_BUSY_SECONDS)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        connection.close()
        if error_name(error) == "SQLITE_CANTOPEN" and not wal.exists():
            connection = sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
        else:
            raise unavailable(error, path) from error
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def keep_derived(connection: sqlite3.Connection) -> None:
    """Have this connection keep `open_exchanges` and `charges` with every record that it writes, as part of the same statement.

    By triggers of its own, which are no part of the database. To be called once `migrate` is through.
    """
    for trigger in _TRIGGERS:
        connection.execute(trigger)


def write_batch(
    connection: sqlite3.Connection, rows: Sequence[Sequence[object]], tiles: Sequence[Sequence[object]] = ()
) -> None:
    """Write rows of `records`, and with them which exchanges are open, and rows of `tree_tiles`, all or nothing.

    Returns when they are durable. Nothing is written where SQLite fails; its errors pass through. Few rows are one
    statement, which is a transaction by itself: the GIL is given up, and has to be had back, at every statement.
    """
    if len(rows) <= _ROWS and not tiles:
        _insert(connection, rows)
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for start in range(0, len(rows), _ROWS):
            _insert(connection, rows[start : start + _ROWS])
        connection.executemany("INSERT INTO tree_tiles VALUES (?, ?, ?)", tiles)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _insert(connection: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> None:
    connection.execute(_inserting(len(rows), len(rows[0])), list(chain.from_iterable(rows)))


@cache
def _inserting(rows: int, columns: int) -> str:
    """The statement that writes so many records."""
    row = f"({', '.join('?' * columns)})"
    return _INSERT.format(", ".join([row] * rows))


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, one transaction for each step; does nothing (and imports nothing) where it is.

    Raises `LogUnavailable` for a log that a newer version wrote.
    """
    version = schema_version(connection)
    if version > len(MIGRATIONS):
        raise LogUnavailable("The audit log was written by a newer localguard. Install that version again.")
    if version == len(MIGRATIONS):
        return
    database = _sqlite_utils().Database(connection, execute_plugins=False)
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        with database.atomic():
            step(database)
            connection.execute(f"PRAGMA user_version = {number}")


def _sqlite_utils() -> ModuleType:
    """The module, imported when it is first needed, without numpy and pandas: no migration needs them, and they take 15 MB."""
    left_out = [name for name in ("numpy", "pandas") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(left_out))  # type: ignore[arg-type]  # None: an import of it fails
    try:
        return importlib.import_module("sqlite_utils")
    finally:
        for name in left_out:
            sys.modules.pop(name, None)


def identity(path: Path) -> tuple[int, ...]:
    """Device and inode of the database and its WAL: a deleted file would still take writes that nobody can find again.

    Raises LogUnavailable where one of them is gone.
    """
    try:
        database, wal = os.stat(path), os.stat(f"{path}-wal")  # noqa: PTH116  at every commit
    except FileNotFoundError:
        raise LogUnavailable(MOVED) from None
    return database.st_dev, database.st_ino, wal.st_dev, wal.st_ino


def schema_version(connection: sqlite3.Connection) -> int:
    """Number of migrations that the database has had; 0 for an empty one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def unavailable(error: Exception, path: Path) -> LogUnavailable:
    """What a failed read or write of the log means to a person, from SQLite's error code or the errno."""
    code = error_name(error)
    if isinstance(error, OSError):
        code = _ERRNOS.get(error.errno or 0, "SQLITE_IOERR")
    for prefix, (kind, message) in _CONDITIONS.items():
        if code.startswith(prefix):
            return kind(f"The audit log ({path.name}) {message}")
    return LogUnavailable(f"The audit log ({path.name}) failed: {code}. Run `localguard doctor`.")


def error_name(error: Exception) -> str:
    """SQLite's name of an error, ``SQLITE_CORRUPT``; for errors that Python's module raises by itself the class's name."""
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


def _create_private(path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if os.name == "posix":  # the new name itself has to survive a power cut
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            path.with_name(name).chmod(0o600)


def _first_schema(database: "sqlite_utils.Database") -> None:
    sections = ("metadata", "findings", "local")
    columns: dict[str, object] = {"seq": int, "kind": str, "time": str, "exchange": str, "session": str}
    for section in sections:
        columns |= {section: str, f"{section}_salt": bytes, f"{section}_hash": bytes}
    columns["leaf_hash"] = bytes
    required = {"kind", "time", "leaf_hash", *(f"{section}_hash" for section in sections)}
    records = database.table("records").create(columns, pk="seq", not_null=required, strict=True)
    records.create_index(["exchange", "kind"], index_name="records_exchange")
    records.create_index(["session"], index_name="records_session")
    database.table("open_exchanges").create(
        {"exchange": str, "session": str}, pk="exchange", not_null={"exchange"}, strict=True
    )


def _charges(database: "sqlite_utils.Database") -> None:
    columns = dict.fromkeys(
        ("exchange", "time", "bucket", "workspace", "identity", "model", "endpoint", "reserved", "cost"), str
    )
    charges = database.table("charges").create(columns, pk="exchange", not_null={"exchange", "time"}, strict=True)
    charges.create_index(["time"], index_name="charges_time")


def _tree(database: "sqlite_utils.Database") -> None:
    """The nodes of the Merkle tree that proofs are made from, also for what was written before there was one."""
    from localguard.audit.merkle import Frontier

    tiles = {"level": int, "position": int, "hash": bytes}
    table = database.table("tree_tiles").create(tiles, pk=("level", "position"), not_null=set(tiles), strict=True)
    database.execute("CREATE INDEX records_checkpoint ON records(seq) WHERE kind = 'checkpoint'")
    frontier = Frontier()
    for (leaf_hash,) in database.execute("SELECT leaf_hash FROM records ORDER BY seq"):
        for level, position, hash in frontier.append(leaf_hash):
            table.insert({"level": level, "position": position, "hash": hash})


MIGRATIONS: tuple[Callable[["sqlite_utils.Database"], None], ...] = (_first_schema, _charges, _tree)
"""Append only: a log of any age is brought up step by step. `PRAGMA user_version` counts the steps done."""

MOVED = "The audit log was moved, replaced or deleted while the guard was running. Put it back."
_READER_BUSY_SECONDS = 5.0
_INSERT = "INSERT INTO records VALUES {}"
_ROWS = 32
"""Of one statement. Each number of rows is a statement of its own, and the connection keeps 128 prepared."""
_TRIGGERS = (
    """
    CREATE TEMP TRIGGER opens AFTER INSERT ON main.records WHEN new.kind = 'intent' AND new.exchange IS NOT NULL
    BEGIN INSERT OR REPLACE INTO open_exchanges VALUES (new.exchange, new.session); END
    """,
    """
    CREATE TEMP TRIGGER closes AFTER INSERT ON main.records WHEN new.kind IN ('outcome', 'refusal')
    BEGIN DELETE FROM open_exchanges WHERE exchange = new.exchange; END
    """,
    """
    CREATE TEMP TRIGGER reserves AFTER INSERT ON main.records
    WHEN new.kind = 'intent' AND json_extract(new.metadata, '$.reserved_usd') <> '0'
    BEGIN INSERT OR REPLACE INTO charges SELECT new.exchange, coalesce(json_extract(new.metadata, '$.billed_at'), new.time),
        json_extract(new.metadata, '$.cost_bucket'), json_extract(new.metadata, '$.workspace'),
        json_extract(new.metadata, '$.identity'), json_extract(new.metadata, '$.model'),
        json_extract(new.metadata, '$.endpoint'), json_extract(new.metadata, '$.reserved_usd'), NULL; END
    """,
    """
    CREATE TEMP TRIGGER charges AFTER INSERT ON main.records
    WHEN new.kind = 'outcome' AND json_extract(new.metadata, '$.cost_usd') IS NOT NULL
    BEGIN UPDATE charges SET cost = json_extract(new.metadata, '$.cost_usd') WHERE exchange = new.exchange; END
    """,
)
_WRITER_PRAGMAS = (
    "synchronous = FULL",  # durable at COMMIT, not only consistent
    "fullfsync = 1",  # macOS: through the drive's cache; elsewhere no effect
    "checkpoint_fullfsync = 1",
    "wal_autocheckpoint = 1000",
    "journal_size_limit = 67108864",  # a WAL that a slow reader let grow shrinks again
    "secure_delete = ON",  # what is pruned is overwritten; costs nothing where nothing is deleted
    "cell_size_check = ON",
    "trusted_schema = OFF",
    "temp_store = MEMORY",
)
_ERRNOS = {
    errno.ENOSPC: "SQLITE_FULL",
    errno.EDQUOT: "SQLITE_FULL",
    errno.EROFS: "SQLITE_READONLY",
    errno.EACCES: "SQLITE_PERM",
    errno.EPERM: "SQLITE_PERM",
    errno.ENOENT: "SQLITE_CANTOPEN",
}
_CONDITIONS: dict[str, tuple[type[LogUnavailable], str]] = {
    "SQLITE_FULL": (
        LogUnavailable,
        "could not be written: the disk is full. Free some space; the guard goes on by itself.",
    ),
    "SQLITE_READONLY": (LogUnavailable, "is read-only. Make the file and its directory writable for this user."),
    "SQLITE_PERM": (LogUnavailable, "may not be opened. Make the file and its directory writable for this user."),
    "SQLITE_AUTH": (LogUnavailable, "may not be opened. Make the file and its directory writable for this user."),
    "SQLITE_CANTOPEN": (LogUnavailable, "could not be opened: the file is gone or its directory cannot be written."),
    "SQLITE_BUSY": (LogUnavailable, "is locked by another process. Close the program that has it open for writing."),
    "SQLITE_LOCKED": (LogUnavailable, "is locked by another process. Close the program that has it open for writing."),
    "SQLITE_CORRUPT": (LogCorrupted, "is damaged. Keep the file as evidence, move it aside and start the guard again."),
    "SQLITE_NOTADB": (
        LogCorrupted,
        "is no audit log. Keep the file as evidence, move it aside and start the guard again.",
    ),
    "SQLITE_IOERR": (LogUnavailable, "could not be written: the disk reported an error. Check the disk."),
}
