"""The audit log measured by itself: appending, proving, verifying, and reading of a million records."""

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from localguard.audit import record
from localguard.audit.log_end import LogEnd
from localguard.audit.merkle import Frontier
from localguard.audit.pending import Pending
from localguard.audit.queries import Log
from localguard.audit.schema import connect_writer, keep_derived, migrate
from localguard.audit.sessions import session_of
from localguard.audit.store import Limits, Store
from localguard.audit.verify import verify
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, OUTCOME_LOCAL, WITHHELD

A_SESSION = 200
"""Records: a hundred turns."""
_BATCH = 64
_INTENT = ("intent", INTENT, FINDINGS, INTENT_LOCAL)
_OUTCOME = ("outcome", OUTCOME, WITHHELD, OUTCOME_LOCAL)


class Unproven(Frontier):
    """A tree that only counts."""

    def append(self, leaf_hash: bytes) -> list[Any]:
        self.size += 1
        return []

    def copy(self) -> "Unproven":
        made = Unproven()
        made.size = self.size
        return made


def pendings(count: int, salts: bytes = bytes(range(48))) -> Iterator[Pending]:
    """Sealed records, an intent and an outcome in turn, `A_SESSION` of them a session."""
    for number in range(count):
        kind, metadata, findings, local = _OUTCOME if number % 2 else _INTENT
        ids: dict[str, str | None] = {"exchange": f"x{number // 2:016d}", "session": f"s{number // A_SESSION:08d}"}
        sealed = record.seal_record(metadata, findings, local, ids, salts, _Clean())
        moment = datetime.fromtimestamp(1_770_000_000 + number, UTC)
        yield Pending(kind, record.timestamp(moment), sealed.exchange, sealed.session, sealed.sections, 0)


class _Clean:
    """A scrub that finds nothing: what finding costs is measured with the requests."""

    def __call__(self, text: str) -> str:
        return text

    def is_clean(self, texts: object) -> bool:
        return True


def written(path: Path, count: int, batch: int = 1_000) -> None:
    """A log of so many records at `path`, straight through the writer's own batches."""
    connection = connect_writer(path, create=True, busy_seconds=2.0)
    migrate(connection)
    keep_derived(connection)
    end, records = LogEnd(), pendings(count)
    while some := list(itertools.islice(records, batch)):
        end.write(connection, some)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def proof_cost(directory: Path, turns: int = 60) -> tuple[float, float, float]:
    """Seconds of the processor that leaf hashes and tree add to a commit of 64 records, and that it takes without them; and by
    the clock, durable. Medians of turns.
    """
    ways: dict[str, tuple[Any, LogEnd]] = {}
    for name, tree in (("with", Frontier()), ("without", Unproven())):
        connection = connect_writer(directory / f"{name}.db", create=True, busy_seconds=2.0)
        migrate(connection)
        keep_derived(connection)
        ways[name] = connection, LogEnd(tree)
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    commits: list[float] = []
    records = pendings(turns * _BATCH)
    for turn in range(turns):
        batch = list(itertools.islice(records, _BATCH))
        for name in sorted(ways, reverse=turn % 2 == 0):
            connection, end = ways[name]
            with mock.patch.multiple(record, **(_LEAVES if name == "with" else _NO_LEAVES)):
                began, used = time.perf_counter(), time.process_time()
                end.write(connection, batch)
                cpu[name].append(time.process_time() - used)
                if name == "without":
                    commits.append(time.perf_counter() - began)
    for connection, _ in ways.values():
        connection.close()
    without = statistics.median(cpu["without"])
    return statistics.median(cpu["with"]) - without, without, statistics.median(commits)


_LEAVES: dict[str, Any] = {"leaf": record.leaf, "leaf_hash": record.leaf_hash}
_NO_LEAVES: dict[str, Any] = {"leaf": lambda *_: b"", "leaf_hash": lambda _: bytes(32)}


def durable_rate(path: Path, writers: int = 64, seconds: float = 3.0) -> float:
    """Records a second that are durable, where so many threads each wait for their receipt."""
    done = itertools.count()
    with Store.open(path, clock=lambda: datetime.now(UTC), scrub=_Clean(), limits=Limits(outcome_delay=0)) as store:
        until = time.perf_counter() + seconds

        def write(writer: int) -> None:
            number = 0
            while time.perf_counter() < until:
                number += 1
                for kind, metadata, findings, local in (_INTENT, _OUTCOME):
                    store.append(
                        kind,
                        exchange=f"x{writer}-{number}",
                        session=f"s{writer}",
                        metadata=metadata,
                        findings=findings,
                        local=local,
                    ).result()
                    next(done)

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return next(done) / seconds


def verified(path: Path) -> tuple[float, float]:
    """Seconds of processor and of the clock that verifying a log takes. AssertionError where it is not consistent."""
    began, cpu = time.perf_counter(), time.process_time()
    report = verify(path)
    assert report.consistent, str(report)
    return time.process_time() - cpu, time.perf_counter() - began


def reads(path: Path) -> dict[str, float]:
    """Seconds that reading takes, the best of five, each on a connection of its own."""
    with Log(path) as log:
        middle = log.sessions(1)[0][0]
    ways: dict[str, Callable[[Log], object]] = {
        "session show": lambda log: session_of(middle, log.whole_session(middle)),
        "audit tail": lambda log: log.tail(20),
        "session list": lambda log: log.sessions(20),
    }
    return {name: min(_took(path, way) for _ in range(5)) for name, way in ways.items()}


def _took(path: Path, way: Callable[[Log], object]) -> float:
    began = time.perf_counter()
    with Log(path) as log:
        way(log)
    return time.perf_counter() - began
