"""What the store's owner does: roles, tokens, devices, policies, and looking at all of it."""

import hashlib
import json
import secrets
import tomllib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from localguard.collector.database import StoreUnavailable
from localguard.errors import LocalguardError

VIEWS = ("spend", "data_flow", "protection", "refusals", "personal_keys", "machines", "outcomes")


class NoSuchDevice(LocalguardError):
    """No device has this id."""


class PolicyNotServed(LocalguardError):
    """A file is no signed organisation policy, or an older one than is served."""


@dataclass(frozen=True, slots=True)
class Token:
    """A one-time token; its value is shown once and not kept."""

    value: str
    team: str
    name: str
    expires: datetime


async def connect(url: str) -> asyncpg.Connection:
    """One connection. Raises StoreUnavailable."""
    try:
        return await asyncpg.connect(url, timeout=10, command_timeout=120)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise StoreUnavailable(f"PostgreSQL cannot be reached ({type(error).__name__}). See --database.") from None


async def new_token(connection: asyncpg.Connection, *, team: str, name: str, expires: datetime) -> Token:
    """A token with which one machine can be enrolled until `expires`."""
    value = "lge_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(value.encode()).digest()
    await connection.execute(
        "INSERT INTO localguard.tokens (digest, team, name, expires) VALUES ($1, $2, $3, $4)",
        digest,
        team,
        name,
        expires,
    )
    return Token(value, team, name, expires)


async def devices(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    """All devices that the connection may see, with what is wrong with them."""
    return [
        dict(row) for row in await connection.fetch("SELECT * FROM localguard.machines ORDER BY team, name, device")
    ]


async def revoke(connection: asyncpg.Connection, device: str) -> None:
    """Take nothing from a device any more. What it sent stays. Raises NoSuchDevice."""
    done = await connection.execute(
        "UPDATE localguard.devices SET revoked = coalesce(revoked, now()) WHERE device = $1", device
    )
    if not done.endswith(" 1"):
        raise NoSuchDevice("No device has this id. `localguard collector device list` shows them.")


async def grant(connection: asyncpg.Connection, role: str, *, ingest: bool, team: str | None) -> None:
    """Let a login role add records (`ingest`), or read what one team (`*`: all) sent.

    A reader gets memory to count in: over a million exchanges a view took half as long with 64 MB as with the usual 4.
    """
    if ingest:
        await connection.execute(
            await connection.fetchval("SELECT format('GRANT localguard_ingest TO %I', $1::text)", role)
        )
    if team is not None:
        await connection.execute(
            await connection.fetchval("SELECT format('GRANT localguard_read TO %I', $1::text)", role)
        )
        for setting in ("SET work_mem = '64MB'", "SET jit = off"):
            alter = await connection.fetchval("SELECT format('ALTER ROLE %I ' || $2::text, $1::text)", role, setting)
            await connection.execute(alter)
        await connection.execute(
            "INSERT INTO localguard.readers (role, team) VALUES ($1, $2) ON CONFLICT DO NOTHING", role, team
        )


async def publish_policy(connection: asyncpg.Connection, document: bytes) -> int:
    """Serve a signed organisation policy from now on; answers its revision. Raises PolicyNotServed.

    Devices check the signature against the keys that they pinned; here it is only looked at that there is one.
    """
    try:
        said = tomllib.loads(document.decode("utf-8"))["organisation"]
        name, revision = str(said["name"]), said["revision"]
        if type(revision) is not int or b"# localguard-signature:" not in document:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise PolicyNotServed("This is no signed organisation policy. `localguard policy sign` makes one.") from None
    newest = await connection.fetchval("SELECT max(revision) FROM localguard.policies")
    digest = hashlib.sha256(document).hexdigest()
    if newest is not None and revision <= newest:
        raise PolicyNotServed(f"Revision {newest} is served; a newer policy needs a higher one.")
    await connection.execute(
        "INSERT INTO localguard.policies (revision, organisation, digest, document) VALUES ($1, $2, $3, $4)",
        revision,
        name,
        digest,
        document,
    )
    return revision


async def report(connection: asyncpg.Connection, since: Any, until: Any) -> dict[str, list[dict[str, Any]]]:
    """The answers to the fleet's questions between two days, both counted, as far as the connection's role may see."""
    made: dict[str, list[dict[str, Any]]] = {}
    for name, query in _REPORT.items():
        given = (since, until) if "$1" in query else ()
        made[name] = [dict(row) for row in await connection.fetch(query, *given)]
    return made


def spelled(value: object) -> str:
    """A value of a report for people."""
    return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)


_REPORT = {
    "spend": (
        "SELECT team, cost_bucket, model, workflow, sum(exchanges)::bigint AS exchanges, round(sum(cost_usd), 4) AS cost_usd"
        " FROM localguard.spend WHERE day BETWEEN $1 AND $2 GROUP BY 1, 2, 3, 4 ORDER BY cost_usd DESC NULLS LAST LIMIT 50"
    ),
    "data_flow": (
        "SELECT sensitivity, endpoint_class, sum(exchanges)::bigint AS exchanges, sum(request_bytes)::bigint AS request_bytes,"
        " sum(redacted)::bigint AS redacted FROM localguard.data_flow WHERE day BETWEEN $1 AND $2 GROUP BY 1, 2 ORDER BY 1, 2"
    ),
    "protection": (
        "SELECT day, sum(exchanges)::bigint AS exchanges, sum(refusals)::bigint AS refusals,"
        " sum(redacted)::bigint AS redacted, sum(restored)::bigint AS restored, sum(withheld)::bigint AS withheld"
        " FROM localguard.protection WHERE day BETWEEN $1 AND $2 GROUP BY 1 ORDER BY 1"
    ),
    "personal_keys": (
        "SELECT team, device, endpoint, sum(exchanges)::bigint AS exchanges, round(sum(cost_usd), 4) AS cost_usd"
        " FROM localguard.personal_keys WHERE day BETWEEN $1 AND $2 GROUP BY 1, 2, 3 ORDER BY exchanges DESC LIMIT 50"
    ),
    "machines": (
        "SELECT team, name, device, seen, silent, old_policy, unverified FROM localguard.machines"
        " WHERE revoked IS NULL AND (silent OR old_policy OR unverified IS NOT NULL) ORDER BY 1, 2, 3"
    ),
    "outcomes": (
        "SELECT workflow, model, result, sum(sessions)::bigint AS sessions, round(sum(cost_usd), 4) AS cost_usd,"
        " sum(review_minutes)::bigint AS review_minutes FROM localguard.outcomes WHERE day BETWEEN $1 AND $2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ),
}
