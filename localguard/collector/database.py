"""PostgreSQL as the collector uses it: migrations, what is known of a device, and one transaction for a batch.

The rule of this file: records and the cursor that counts them are committed together or not at all, and the cursor only ever moves from
the state that the batch was judged by. So a batch is held once, however often it comes and wherever a process dies.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias

import asyncpg

from localguard.audit.checkpoint import PublicKey, public_key
from localguard.collector.continuity import Known
from localguard.collector.rows import EXCHANGE_COLUMNS, RECORD_COLUMNS, RESULT_COLUMNS, Rows
from localguard.collector.schema import MIGRATIONS
from localguard.errors import LocalguardError
from localguard.sync.batch import Opened

Pool: TypeAlias = "asyncpg.Pool"


class StoreUnavailable(LocalguardError):
    """PostgreSQL cannot be reached, or cannot do what it is asked now."""


class SchemaUnknown(LocalguardError):
    """The database has no tables of the collector, or those of a newer version."""


class CursorMoved(LocalguardError):
    """Another process stored records of this device meanwhile: judge again."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as it is known now."""

    device: str
    key: PublicKey
    team: str
    epoch: int
    revoked: bool
    known: Known | None
    note: str | None
    """The last cosigned checkpoint."""
    waiting: dict[str, dict[str, Any]]
    alarm: str | None
    """Code of an alarm of this epoch that nobody cleared and that ends trust: fork, rollback or clone."""


async def open_pool(url: str, *, size: int = 8) -> Pool:
    """Connections to the store. Raises StoreUnavailable."""
    try:
        pool = await asyncpg.create_pool(url, min_size=1, max_size=size, command_timeout=30, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise StoreUnavailable(f"PostgreSQL cannot be reached ({type(error).__name__}).") from None
    assert pool is not None
    return pool


async def migrate(connection: asyncpg.Connection) -> int:
    """Bring the schema up to date, and answer how many steps that took. Raises SchemaUnknown, asyncpg.PostgresError."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('localguard.migrate'))")
        await connection.execute(
            "CREATE SCHEMA IF NOT EXISTS localguard;"
            "CREATE TABLE IF NOT EXISTS localguard.migrations (step int PRIMARY KEY, done timestamptz NOT NULL DEFAULT now())"
        )
        done = await connection.fetchval("SELECT coalesce(max(step), 0) FROM localguard.migrations")
        if done > len(MIGRATIONS):
            raise SchemaUnknown("The store was made by a newer localguard. Install that version.")
        for number, step in enumerate(MIGRATIONS[done:], start=done + 1):
            await connection.execute(step)
            await connection.execute("INSERT INTO localguard.migrations (step) VALUES ($1)", number)
        await connection.execute("GRANT SELECT ON localguard.migrations TO PUBLIC")
    return len(MIGRATIONS) - int(done)


async def check_schema(pool: Pool) -> None:
    """Raise SchemaUnknown unless the store's tables are those of this version."""
    try:
        done = await pool.fetchval("SELECT max(step) FROM localguard.migrations")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError):
        done = None
    if done != len(MIGRATIONS):
        raise SchemaUnknown("The database has no store of this version. Run `localguard collector init`.")


async def device(pool: Pool, id: str) -> Device | None:
    """What is known of a device, None for a stranger."""
    row = await pool.fetchrow(_DEVICE, id)
    if row is None:
        return None
    known = None
    if row["size"] is not None:
        known = Known(row["start"], row["size"], row["root"], row["instance"])
    return Device(
        device=id,
        key=public_key(row["key"]),
        team=row["team"],
        epoch=row["epoch"],
        revoked=row["revoked"] is not None,
        known=known,
        note=row["note"],
        waiting=json.loads(row["waiting"]) if row["waiting"] else {},
        alarm=row["alarm"],
    )


async def cosigned_root(pool: Pool, device: Device, size: int) -> bytes | None:
    """The root that was cosigned for exactly so many records."""
    root: bytes | None = await pool.fetchval(
        "SELECT root FROM localguard.checkpoints WHERE device = $1 AND epoch = $2 AND size = $3",
        device.device,
        device.epoch,
        size,
    )
    return root


async def enrol(pool: Pool, digest: bytes, key: PublicKey) -> str | None:
    """Make a device known with a token of this digest, once; answers its team, None for a token that is not good.

    A device that is known begins a new epoch; one that was revoked counts again.
    """
    team: str | None = await pool.fetchval("SELECT localguard.enrol($1, $2, $3)", digest, key.device, key.encoded())
    return team


async def open_days(pool: Pool, days: set[date]) -> None:
    """Have a partition for each of these days."""
    for day in sorted(days):
        await pool.execute("SELECT localguard.open_day($1)", day)


async def ingest(pool: Pool, device: Device, opened: Opened, note: str, rows: Rows, received: datetime) -> None:
    """Store a batch that was judged by `device`, and move the cursor. Raises CursorMoved with nothing stored."""
    head = opened.head
    async with pool.acquire() as connection, connection.transaction():
        waiting = json.dumps(device.waiting)
        end = (head.last, opened.checkpoint.root, note, head.instance, waiting)
        if device.known is None:
            moved = await connection.execute(_FIRST, device.device, device.epoch, *end, head.first - 1)
        else:
            before = device.known.size, device.known.root
            moved = await connection.execute(_NEXT, device.device, device.epoch, *end, *before)
        if not moved.endswith(" 1"):
            raise CursorMoved("the device's cursor was moved by somebody else")
        for table, columns, given in (
            ("records", RECORD_COLUMNS, rows.records),
            ("exchanges", EXCHANGE_COLUMNS, rows.exchanges),
        ):
            for day, chosen in _by_day(given, columns.index("day")).items():
                await connection.copy_records_to_table(
                    f"{table}_{day:%Y%m%d}", schema_name="localguard", columns=columns, records=chosen
                )
        if rows.results:
            places = ", ".join(f"${at}" for at in range(1, len(RESULT_COLUMNS) + 1))
            await connection.executemany(f"INSERT INTO localguard.session_results VALUES ({places})", rows.results)  # noqa: S608
        if rows.records:
            await connection.execute(
                _CHECKPOINT, device.device, device.epoch, head.last, device.team, opened.checkpoint.root, note, received
            )
        told = rows.device
        await connection.execute(
            _SEEN,
            device.device,
            received,
            told.get("version"),
            told.get("policy"),
            told.get("organisation"),
            told.get("revision"),
        )
        await connection.execute(_CLEAR_GAP, device.device, device.epoch, received)


async def raise_alarm(pool: Pool, device: Device, code: str, detail: str) -> None:
    """Note that a device's history broke; the same one again is counted."""
    await pool.execute(_ALARM, device.device, device.epoch, code, device.team, detail)


async def policy(pool: Pool) -> tuple[str, bytes] | None:
    """Digest and bytes of the newest organisation policy."""
    row = await pool.fetchrow("SELECT digest, document FROM localguard.policies ORDER BY revision DESC LIMIT 1")
    return None if row is None else (row["digest"], row["document"])


def _by_day(rows: Sequence[tuple[Any, ...]], at: int) -> dict[date, list[tuple[Any, ...]]]:
    found: dict[date, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[at], []).append(row)
    return found


_DEVICE = """
SELECT d.key, d.team, d.epoch, d.revoked, c.start, c.size, c.root, c.note, c.instance, c.waiting,
    (SELECT min(code) FROM localguard.alarms a WHERE a.device = d.device AND a.epoch = d.epoch
        AND a.cleared IS NULL AND a.code <> 'gap') AS alarm
FROM localguard.devices d LEFT JOIN localguard.cursors c ON c.device = d.device AND c.epoch = d.epoch
WHERE d.device = $1
"""
_FIRST = """
INSERT INTO localguard.cursors (device, epoch, size, root, note, instance, waiting, start)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""
_NEXT = """
UPDATE localguard.cursors SET size = $3, root = $4, note = $5, instance = $6, waiting = $7
WHERE device = $1 AND epoch = $2 AND size = $8 AND root = $9
"""
_CHECKPOINT = """
INSERT INTO localguard.checkpoints (device, epoch, size, team, root, note, received) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
"""
_SEEN = """
UPDATE localguard.devices SET seen = $2, version = coalesce($3, version), policy = coalesce($4, policy),
    organisation = coalesce($5, organisation), revision = coalesce($6, revision) WHERE device = $1
"""
_ALARM = """
INSERT INTO localguard.alarms (device, epoch, code, team, detail) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (device, epoch, code) DO UPDATE SET last = now(), times = localguard.alarms.times + 1, detail = excluded.detail,
    cleared = NULL
"""
_CLEAR_GAP = """
UPDATE localguard.alarms SET cleared = $3 WHERE device = $1 AND epoch = $2 AND code = 'gap' AND cleared IS NULL
"""
