"""The central store measured by itself: what one collector process ingests, a guard's backlog, and questions over a million rows.

PostgreSQL runs without fsync and on the second core, the collector on the first; what drives them is made before.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import asyncpg
import psutil

from localguard.audit.checkpoint import DeviceKey
from localguard.collector import administration, database
from localguard.collector.serving import collector_key
from localguard.sync.directory import compressed
from localguard.sync.disclosure import Disclosure
from localguard.sync.request_signature import signed_headers
from tests.bench.log import written
from tests.collector.postgres import Postgres, binaries
from tests.e2e.guard import Guard, policy
from tests.sync.logs import reader

_DEVICES = 8
BACKLOG = 100_000
_ROWS = 1_000_000
_DAYS = 20


@contextmanager
def store(place: Path) -> Iterator[tuple[Postgres, str, Path]]:
    """An empty store: its cluster, the address of its database, and the collector's key file."""
    found = binaries()
    if found is None:
        raise RuntimeError("PostgreSQL is not installed: sh packaging/debian.sh")
    with Postgres(found) as postgres:
        yield postgres, postgres.url(), place / "collector.key"


async def prepare(url: str, key: Path) -> None:
    """Tables, roles and key."""
    connection = await asyncpg.connect(url)
    await database.migrate(connection)
    await connection.execute("CREATE ROLE ingester LOGIN")
    await administration.grant(connection, "ingester", ingest=True, team=None)
    await connection.close()
    collector_key(key, create=True)


@contextmanager
def collector(postgres: Postgres, key: Path, core: int | None = 0) -> Iterator[tuple[str, psutil.Process]]:
    """A collector process on one core; its address, and the process."""
    served = subprocess.Popen(
        [sys.executable, "-m", "localguard.cli.main", "collector", "serve", "--port", "0"],
        env={**os.environ, "LOCALGUARD_DATABASE": postgres.url(user="ingester"), "LOCALGUARD_COLLECTOR_KEY": str(key)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stderr is not None
        line = served.stderr.readline()
        process = psutil.Process(served.pid)
        if core is not None and hasattr(process, "cpu_affinity") and (os.cpu_count() or 1) > 1:
            process.cpu_affinity([core])
        yield f"http://127.0.0.1:{line.split()[-1].rstrip('.')}", process
    finally:
        served.terminate()
        served.wait(timeout=20)


@dataclass(frozen=True, slots=True)
class Ingested:
    """Records and batches a second of wall time, and a second of the process's CPU time, and its memory in MB."""

    records: float
    batches: float
    records_cpu: float
    batches_cpu: float
    memory: float


async def ingest(batch: int = 1_000, total: int = 10_000) -> Ingested:
    """Many devices at once send batches that were made before, `total` records each, to one collector."""
    with tempfile.TemporaryDirectory() as directory, store(Path(directory)) as (postgres, url, key):
        await prepare(url, key)
        log = Path(directory) / "audit.db"
        written(log, total)
        keys = [DeviceKey(bytes([number]) * 32) for number in range(1, _DEVICES + 1)]
        bodies = [[_body(log, one, after, batch) for after in range(0, total, batch)] for one in keys]
        connection = await asyncpg.connect(url)
        for one in keys:
            await connection.execute(
                "INSERT INTO localguard.devices (device, key, team, name) VALUES ($1, $2, 'team', 'name')",
                one.public.device,
                one.public.encoded(),
            )
        with collector(postgres, key) as (to, process):
            began, before = time.perf_counter(), process.cpu_times()
            await asyncio.gather(*(_send(to, *pair) for pair in zip(keys, bodies, strict=True)))
            seconds, after = time.perf_counter() - began, process.cpu_times()
            memory = process.memory_info().rss / 1e6
        sent = _DEVICES * total
        assert await connection.fetchval("SELECT count(*) FROM localguard.records") == sent
        await connection.close()
    cpu = after.user + after.system - before.user - before.system
    count = sum(map(len, bodies))
    return Ingested(sent / seconds, count / seconds, sent / cpu, count / cpu, memory)


def _body(log: Path, key: DeviceKey, after: int, batch: int) -> bytes:
    return compressed(reader(log, key=key, records=batch).batch(after, Disclosure("findings")).data)


async def _send(to: str, key: DeviceKey, bodies: list[bytes]) -> None:
    async with aiohttp.ClientSession() as client:
        for body in bodies:
            headers = signed_headers(key, "POST", "/v1/batches", body, int(time.time()))
            async with client.post(f"{to}/v1/batches", data=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()


@dataclass(frozen=True, slots=True)
class Backlog:
    """Seconds for `BACKLOG` records of one guard, and how much its memory grew at most, in MB."""

    seconds: float
    growth: float


async def backlog() -> Backlog:
    """A guard with a long log is told to sync all of it to a collector."""
    with tempfile.TemporaryDirectory() as directory, store(Path(directory)) as (postgres, url, key):
        await prepare(url, key)
        home = Path(directory) / "home"
        (home / "state").mkdir(parents=True, mode=0o700)
        written(home / "state" / "audit.db", BACKLOG)
        connection = await asyncpg.connect(url)
        until = datetime.now(UTC) + timedelta(hours=1)
        token = (await administration.new_token(connection, team="team", name="name", expires=until)).value
        with collector(postgres, key, None) as (to, _), Guard(home, policy(9)) as guard:
            await asyncio.sleep(3)
            process = psutil.Process(guard.pid)
            before = peak = process.memory_info().rss
            began = time.perf_counter()
            enable = ["sync", "enable", "--to", to, "--level", "findings", "--from-start", "--yes", "--token", token]
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "localguard.cli.main", *enable, "--port", str(guard.port)],
                env=guard.environment(),
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            while (await connection.fetchval("SELECT max(size) FROM localguard.cursors") or 0) < BACKLOG:
                peak = max(peak, process.memory_info().rss)
                await asyncio.sleep(0.1)
            seconds = time.perf_counter() - began
        await connection.close()
    return Backlog(seconds, (peak - before) / 1e6)


@dataclass(frozen=True, slots=True)
class Asked:
    """Seconds of the slowest view, for one day and for all days of a million rows."""

    day: float
    all_days: float
    slowest: str


VIEWS = ("spend", "data_flow", "protection", "refusals", "personal_keys")


async def questions(rounds: int) -> Asked:
    """Every view over a million generated rows, as a reader who is bound by row-level security."""
    with tempfile.TemporaryDirectory() as directory, store(Path(directory)) as (postgres, url, key):
        await prepare(url, key)
        connection = await asyncpg.connect(url)
        today = datetime.now(UTC).date()
        for back in range(_DAYS):
            await connection.execute("SELECT localguard.open_day($1)", today - timedelta(days=back))
        await connection.execute(_GENERATE.format(days=_DAYS), _ROWS)
        await connection.execute("VACUUM ANALYZE localguard.exchanges")
        await connection.execute("CREATE ROLE asking LOGIN")
        await administration.grant(connection, "asking", ingest=False, team="*")
        await connection.close()
        asking = await asyncpg.connect(postgres.url(user="asking"))
        one, every = {}, {}
        for view in VIEWS:
            query = f"SELECT * FROM localguard.{view} WHERE day BETWEEN $1 AND $2"
            one[view] = await _median(asking, query, today - timedelta(days=3), today - timedelta(days=3), rounds)
            every[view] = await _median(asking, query, today - timedelta(days=_DAYS), today, rounds)
        await asking.close()
    slowest = max(every, key=lambda view: every[view])
    return Asked(max(one.values()), every[slowest], slowest)


async def _median(connection: asyncpg.Connection, query: str, first: object, last: object, rounds: int) -> float:
    times = []
    for _ in range(max(rounds, 3)):
        began = time.perf_counter()
        await connection.fetch(query, first, last)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


_GENERATE = """
INSERT INTO localguard.exchanges (device, epoch, seq, team, day, time, exchange, session, kind, agent, workspace, sensitivity,
    task, cost_bucket, endpoint, endpoint_class, provider, model, identity, state, status, code, cost_usd, price_known,
    input_tokens, output_tokens, cached_tokens, total_ms, request_bytes, redacted, restored, withheld)
SELECT md5((n % 10000)::text), 1, n, 'team' || n % 20, day, day + interval '9 hours', 'x' || n, 's' || n / 100,
    CASE WHEN n % 50 = 0 THEN 'refusal' ELSE 'outcome' END, 'codex', 'w' || n % 200, (ARRAY['internal', 'restricted'])[1 + n % 2],
    'task' || n % 7, 'bucket' || n % 40, 'e' || n % 5, (ARRAY['hosted', 'local', 'enterprise'])[1 + n % 3], 'openai',
    'model' || n % 12, CASE WHEN n % 9 = 0 THEN 'personal' ELSE 'team' END, 'completed', 200, 'c' || n % 6, 0.01, true,
    1000, 200, 5000, 900, 170000, n % 3, n % 3, 0
FROM (SELECT n, (now() AT TIME ZONE 'utc')::date - (n % {days})::int AS day FROM generate_series(1, $1::bigint) n) g
"""
