"""A store with collectors in front of it, and devices that send to them over real connections."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web

from localguard.audit.checkpoint import DeviceKey
from localguard.collector import administration, database
from localguard.collector.service import Collector, Settings
from localguard.collector.stored_verification import Checked, verify_device
from localguard.config.home import Home
from localguard.sync.agreement import Agreement, Agreements
from localguard.sync.collector_sink import CollectorSink
from localguard.sync.log_reader import LogReader
from localguard.sync.sender import Pace, Sender, Step
from tests.collector.postgres import Postgres
from tests.sync.logs import TIME, reader

COLLECTOR = DeviceKey(b"c" * 32)


class Store:
    """One database, the collectors that serve it, and questions about what it holds."""

    def __init__(self, postgres: Postgres, name: str) -> None:
        self.postgres = postgres
        self.name = name
        self._runners: list[web.AppRunner] = []
        self._pools: list[database.Pool] = []

    def url(self, user: str = "owner") -> str:
        return self.postgres.url(self.name, user)

    async def serve(
        self,
        *,
        settings: Settings | None = None,
        clock: Callable[[], float] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> str:
        """Start a collector as the ingest role; its address."""
        pool = await database.open_pool(self.url("ingester"))
        self._pools.append(pool)
        self.collector = Collector(pool, COLLECTOR, settings=settings, **({"clock": clock} if clock else {}))
        runner = web.AppRunner(self.collector.application(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        return f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        for pool in self._pools:
            pool.terminate()
        self._runners, self._pools = [], []

    async def token(self, team: str = "payments", name: str = "laptop", *, hours: float = 1) -> str:
        connection = await asyncpg.connect(self.url("officer"))
        try:
            until = datetime.now(UTC) + timedelta(hours=hours)
            return (await administration.new_token(connection, team=team, name=name, expires=until)).value
        finally:
            await connection.close()

    async def fetch(self, query: str, *given: object, user: str = "owner") -> list[Any]:
        connection = await asyncpg.connect(self.url(user))
        try:
            return list(await connection.fetch(query, *given))
        finally:
            await connection.close()

    async def value(self, query: str, *given: object, user: str = "owner") -> Any:
        return (await self.fetch(query, *given, user=user))[0][0]

    async def seqs(self, device: str) -> list[int]:
        """All records of a device's present epoch, in order, doubled ones twice."""
        rows = await self.fetch(
            "SELECT seq FROM localguard.records r JOIN localguard.devices d USING (device)"
            " WHERE device = $1 AND r.epoch = d.epoch ORDER BY seq",
            device,
        )
        return [row[0] for row in rows]

    async def verified(self, device: str) -> Checked:
        connection = await asyncpg.connect(self.url("all_reader"))
        try:
            return await verify_device(connection, device, COLLECTOR.public)
        finally:
            await connection.close()


class Machine:
    """A device's home, and what it sends with."""

    def __init__(self, place: Path, key: DeviceKey, *, instance: str = "i1", records: int = 100) -> None:
        self.home = Home(place)
        self.home.create()
        self.key = key
        self.device = key.public.device
        self.instance = instance
        self.records = records
        self.agreement: Agreement | None = None

    @property
    def reader(self) -> LogReader:
        return reader(self.home.audit_db, key=self.key, records=self.records, instance=self.instance)

    async def enrol(
        self, store: Store, to: str, *, team: str = "payments", level: str = "findings", **given: Any
    ) -> None:
        agreement = Agreement(to=to, level=level, agreed=TIME, **given)
        sink = CollectorSink(agreement, self.key)
        collector = await asyncio.to_thread(sink.enrol, await store.token(team, self.device[:6]))
        sink.close()
        self.agreement = replace(agreement, collector_key=collector.encoded())

    def sender(self, **sink: Any) -> Sender:
        assert self.agreement is not None
        return Sender(
            self.reader,
            CollectorSink(self.agreement, self.key, **sink),
            self.agreement,
            Agreements(self.home),
            now=lambda: TIME,
            pace=Pace(between=0),
        )

    async def send(self, sender: Sender | None = None) -> Step:
        """Steps until nothing is left or one fails; the last step."""
        made = sender or self.sender()
        try:
            while True:
                step = await asyncio.to_thread(made.step)
                if step.problem is not None or not step.sent:
                    return step
        finally:
            if sender is None:
                made.close()
