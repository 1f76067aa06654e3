"""A fleet in front of two real collectors and a real PostgreSQL: scaled numbers, a burst, an outage, and every fault in turn.

`fleet`         devices with 500 records a day each, a morning burst in which a collector is killed, half of them away for three days
`store-faults`  ten logs that are written all the while; collectors killed, PostgreSQL crashed, connections and answers cut

Every record that was acknowledged to its log has to be in the store once, every device has to verify, and a log that was put back
has to be found.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import asyncpg

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.store import Store
from localguard.collector import administration
from localguard.collector.stored_verification import verify_device
from localguard.config.home import Home
from localguard.sync.agreement import Agreement, Agreements
from localguard.sync.batch import Batch
from localguard.sync.collector_sink import CollectorSink
from localguard.sync.disclosure import Disclosure
from localguard.sync.log_reader import Bounds, LogReader
from localguard.sync.sender import Pace, Sender, Step
from localguard.sync.sink import SinkRefused
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, OUTCOME_LOCAL
from tests.bench.log import written
from tests.bench.store import prepare
from tests.collector.postgres import Postgres, binaries
from tests.e2e.guard import free_port
from tests.sync.logs import TIME

_DAY = 500
"""Records."""
_LOGS = 10
_WORKERS = 16


@dataclass(slots=True)
class Result:
    """What a campaign saw; `problems` is empty where every promise was kept."""

    devices: int = 0
    records: int = 0
    batches: int = 0
    faults: int = 0
    failures: int = 0
    """Steps that had to be tried again."""
    phases: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = [
            f"{self.devices} devices, {self.records} records in {self.batches} batches, {self.faults} faults, "
            f"{self.failures} steps tried again, {len(self.problems)} problems",
            *(f"  {name}: {what}" for name, what in self.phases.items()),
            *self.problems[:20],
        ]
        return "\n".join(told)


class Balancer:
    """Passes connections on to whoever listens, in turn; cuts some where it is told to."""

    def __init__(self, targets: Sequence[int], seed: int) -> None:
        self.targets = list(targets)
        self.cutting = 0.0
        """Share of the answers that are cut off."""
        self.port = 0
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._next = 0

    def __enter__(self) -> Self:
        ready = threading.Event()

        async def listen() -> None:
            server = await asyncio.start_server(self._one, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()

        def run() -> None:
            self._loop.create_task(listen())
            self._loop.run_forever()

        threading.Thread(target=run, daemon=True).start()
        ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in self.targets:
            self._next += 1
            with suppress(OSError):
                there, away = await asyncio.open_connection("127.0.0.1", self.targets[self._next % len(self.targets)])
                cut = self._random.random() < self.cutting
                pipes = (self._pipe(reader, away, cut=False), self._pipe(there, writer, cut=cut))
                await asyncio.gather(*pipes, return_exceptions=True)
                return
        writer.transport.abort()

    async def _pipe(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, cut: bool) -> None:
        try:
            while data := await source.read(1 << 16):
                if cut:
                    break
                target.write(data)
                await target.drain()
        finally:
            target.transport.abort() if cut else target.close()


class Rig:
    """PostgreSQL, two collector processes and a balancer in front of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        found = binaries()
        if found is None:
            raise RuntimeError("PostgreSQL is not installed: sh packaging/debian.sh")
        self.postgres = Postgres(found)
        self.key = folder / "collector.key"
        self.ports = [free_port(), free_port()]
        self.balancer = Balancer(self.ports, seed)
        self._processes: list[subprocess.Popen[bytes] | None] = [None, None]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.postgres)
        asyncio.run(prepare(self.postgres.url(), self.key))
        for number in (0, 1):
            self.start(number)
        self._stack.enter_context(self.balancer)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (0, 1):
            self.kill(number)
        self._stack.close()

    @property
    def to(self) -> str:
        return f"http://127.0.0.1:{self.balancer.port}"

    def start(self, number: int) -> None:
        command = [sys.executable, "-m", "localguard.cli.main", "collector", "serve", "--port", str(self.ports[number])]
        places = {"LOCALGUARD_DATABASE": self.postgres.url(user="ingester"), "LOCALGUARD_COLLECTOR_KEY": str(self.key)}
        served = subprocess.Popen(command, env={**os.environ, **places}, stderr=subprocess.PIPE)
        assert served.stderr is not None
        served.stderr.readline()
        self._processes[number] = served

    def kill(self, number: int) -> None:
        process, self._processes[number] = self._processes[number], None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)

    def restart(self, number: int) -> None:
        self.kill(number)
        self.start(number)

    def ask(self, work: Any) -> Any:
        async def asked() -> Any:
            connection = await asyncpg.connect(self.postgres.url())
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(asked())

    def token(self) -> str:
        until = datetime.now(UTC) + timedelta(hours=1)
        made: str = self.ask(lambda c: administration.new_token(c, team="team", name="name", expires=until)).value
        return made

    def check(self, device: str, size: int, problems: list[str]) -> None:
        """Every record up to `size` is there once, and they verify."""
        query = "SELECT count(*), count(DISTINCT seq), max(seq) FROM localguard.records WHERE device = $1"
        found = tuple(self.ask(lambda c: c.fetchrow(query, device)))
        if found != (size, size, size):
            problems.append(f"{device}: {found} records, {size} expected")
        problems += self.ask(lambda c: verify_device(c, device)).problems


class Growing(LogReader):
    """The first `limit` records of a log that is there already."""

    limit = 0

    def size(self) -> int:
        return self.limit

    def batch(self, after: int, disclosure: Disclosure) -> Batch:
        self._bounds = Bounds(records=max(0, min(1_000, self.limit - after)))
        return super().batch(min(after, self.limit), disclosure)


class Device:
    """One machine: a key, a place for its progress, and a sender."""

    def __init__(self, home: Home, reader: LogReader, key: DeviceKey, rig: Rig) -> None:
        home.create()
        self.home, self.reader, self.key = home, reader, key
        agreement = Agreement(to=rig.to, level="findings", agreed=TIME)
        token = rig.token()
        while True:
            sink = CollectorSink(agreement, key, timeout=10)
            with suppress(Exception):
                agreement = replace(agreement, collector_key=sink.enrol(token).encoded())
                break
        self.agreement = agreement
        self.sink = sink
        self.batches = self.failures = 0
        self.sender = Sender(reader, sink, agreement, Agreements(home), now=lambda: TIME, pace=Pace(life=1e9))

    def step(self) -> Step:
        step = self.sender.step()
        self.batches += bool(step.sent)
        self.failures += step.problem is not None
        return step

    def drain(self, seconds: float = 120) -> None:
        """Steps until nothing is left."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            step = self.step()
            if step.problem is None and not step.sent:
                return
            if step.problem is not None:
                time.sleep(min(step.wait, 0.2))


def fleet(folder: Path, devices: int, *, seed: int) -> Result:
    """Scaled days of a fleet."""
    result = Result(devices=devices)
    log = folder / "audit.db"
    written(log, 4 * _DAY)
    with Rig(folder, seed) as rig, ThreadPoolExecutor(_WORKERS) as pool:
        keys = [DeviceKey(number.to_bytes(32, "big")) for number in range(1, devices + 1)]
        readers = [Growing(log, key=key, names_key=b"n" * 32, instance="i", clock=lambda: TIME) for key in keys]
        made = [Device(Home(folder / f"m{number}"), readers[number], key, rig) for number, key in enumerate(keys)]

        def phase(name: str, chosen: Sequence[Device], limits: Sequence[int]) -> None:
            before, began = sum(one.batches for one in made), time.perf_counter()
            records = sum(limits[-1] - one.reader.limit for one in chosen)  # type: ignore[attr-defined]
            for limit in limits:
                for one in chosen:
                    one.reader.limit = limit  # type: ignore[attr-defined]
                list(pool.map(Device.drain, chosen))
            seconds = time.perf_counter() - began
            batches = sum(one.batches for one in made) - before
            result.phases[name] = (
                f"{records} records in {batches} batches, {records / seconds:.0f} and {batches / seconds:.0f} a second"
            )

        phase("a day, ten records at a time", made, range(10, _DAY - 49, 10))
        fault = threading.Timer(0.2, lambda: rig.restart(0))
        fault.start()
        phase("the morning's burst, a collector killed in it", made, [_DAY])
        fault.join()
        result.faults += 1
        phase("three days, half of them away", made[::2], range(2 * _DAY, 4 * _DAY + 1, _DAY))
        phase("the others are back", made[1::2], [4 * _DAY])
        for one in made:
            rig.check(one.key.public.device, 4 * _DAY, result.problems)
        size = rig.ask(lambda c: c.fetchval("SELECT pg_database_size(current_database())"))
    result.records = devices * 4 * _DAY
    result.batches, result.failures = sum(one.batches for one in made), sum(one.failures for one in made)
    result.phases["store"] = f"{size / result.records:.0f} bytes a record, indexes and all"
    return result


class Writer(threading.Thread):
    """Goes on writing a log as a guard does, until it is told to stop."""

    def __init__(self, path: Path, key: DeviceKey) -> None:
        super().__init__(daemon=True)
        self._path, self._key = path, key
        self.ending = threading.Event()

    def run(self) -> None:
        number = 0
        with Store.open(self._path, clock=lambda: datetime.now(UTC)) as store:
            store.sign_with(self._key)
            while not self.ending.wait(0.01):
                number += 1
                id = f"x{number}"
                store.append(
                    "intent", exchange=id, session="s", metadata=INTENT, findings=FINDINGS, local=INTENT_LOCAL
                ).result()
                store.note("outcome", exchange=id, session="s", metadata=OUTCOME, local=OUTCOME_LOCAL)


def store_faults(folder: Path, rounds: int, *, seed: int) -> Result:
    """An hour of faults in minutes: one each round, while logs are written and sent."""
    result, chosen = Result(devices=_LOGS), random.Random(seed)
    with Rig(folder, seed) as rig, ThreadPoolExecutor(_LOGS) as pool:
        devices, writers = [], []
        for number in range(_LOGS):
            home, key = Home(folder / f"m{number}"), DeviceKey(bytes([number + 1]) * 32)
            home.create()
            writer = Writer(home.audit_db, key)
            writer.start()
            writers.append(writer)
            while not home.audit_db.exists():
                time.sleep(0.01)
            reader = LogReader(home.audit_db, key=key, names_key=b"n" * 32, instance="i", clock=lambda: TIME)
            devices.append(Device(home, reader, key, rig))
        ending = threading.Event()

        def send(one: Device) -> None:
            while not ending.is_set():
                step = one.step()
                ending.wait(min(step.wait, 0.1))

        running = [pool.submit(send, one) for one in devices]
        for _ in range(rounds):
            _fault(rig, chosen)
            result.faults += 1
        rig.balancer.cutting = 0.0
        for writer in writers:
            writer.ending.set()
        for writer in writers:
            writer.join(30)
        ending.set()
        for future in running:
            future.result(60)
        list(pool.map(Device.drain, devices))
        for one in devices:
            size = one.reader.size()
            result.records += size
            rig.check(one.key.public.device, size, result.problems)
        _put_back(devices[0], result.problems)
    result.batches, result.failures = sum(one.batches for one in devices), sum(one.failures for one in devices)
    return result


def _fault(rig: Rig, chosen: random.Random) -> None:
    match chosen.randrange(5):
        case 0 | 1:
            number = chosen.randrange(2)
            rig.kill(number)
            time.sleep(chosen.random() / 2)
            rig.start(number)
        case 2:
            rig.postgres.stop(signal.SIGQUIT)
            time.sleep(chosen.random() / 2)
            rig.postgres.start()
        case 3:
            rig.balancer.cutting = chosen.random()
            time.sleep(1)
            rig.balancer.cutting = 0.0
        case _:
            time.sleep(chosen.random())


def _put_back(one: Device, problems: list[str]) -> None:
    """An older copy of a log is put back, which the next sign of life has to show."""
    one.sink.close()
    shutil.rmtree(one.home.state_dir)
    one.home.create()
    with Store.open(one.home.audit_db, clock=lambda: datetime.now(UTC)) as store:
        store.append("control", metadata={"event": "start"})
    sink = CollectorSink(one.agreement, one.key)
    step = Sender(one.reader, sink, one.agreement, Agreements(one.home), now=lambda: TIME).step()
    if not isinstance(step.problem, SinkRefused) or step.problem.code not in ("rollback", "fork"):
        problems.append(f"a log that was put back was not found: {step.problem}")
    sink.close()
