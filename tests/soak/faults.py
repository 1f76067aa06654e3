"""Disk full, write errors, failed syncs that lose data, a lock held by others, and a clock that jumps by years, in any order.

Every append is acknowledged, and then its record outlasts everything, or refused with `LogUnavailable` before the caller goes on; when
the fault is over the log goes on by itself.
"""

import random
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import apsw

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.queries import Log
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Limits, Receipt, Store
from localguard.audit.verify import verify
from tests.soak.disk import Disk

KINDS = ("full", "write error", "sync error", "none")
_WRITERS = 4


@dataclass(slots=True)
class Result:
    """What a campaign saw; `problems` is empty where every promise was kept."""

    faults: Counter[str] = field(default_factory=Counter)
    """Operations of the disk that failed, by kind."""
    acknowledged: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Appends, by the end of what was said."""
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for a person, then the problems."""
        failed = ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items()))
        line = (
            f"{failed}: {self.acknowledged} appends acknowledged, {self.refused.total()} refused, "
            f"{len(self.problems)} problems"
        )
        return "\n".join([line, *self.problems[:20]])


def faults(folder: Path, phases: int, *, seed: int) -> Result:
    """So many phases, each with one kind of fault or none, on a log below `folder`."""
    chance = random.Random(seed)
    result = Result()
    path = folder / "audit.db"
    Store.open(path, clock=_Jumping(chance)).close()
    disk = Disk(f"faults-{time.monotonic_ns()}")
    disk.adopt(path)
    kind, odds = "none", 0.0
    armed = threading.Event()

    def before(operation: str, file: str) -> None:
        if not armed.is_set() or chance.random() >= odds:
            return
        if operation == "sync" and kind == "sync error":
            result.faults[kind] += 1
            disk.forget(file, chance)
            raise apsw.IOError("a sync failed")
        if operation == "write" and kind in ("full", "write error"):
            result.faults[kind] += 1
            raise apsw.FullError("no room") if kind == "full" else apsw.IOError("a write failed")

    disk.before = before
    receipts: list[Receipt] = []
    with disk.under_the_log(), _quiet():
        limits = Limits(outcome_delay=0.001, checkpoint_every=100, busy=0.05)
        with Store.open(path, clock=_Jumping(chance), limits=limits) as store:
            store.sign_with(DeviceKey(bytes(range(32))))
            for phase in range(phases):
                kind, odds = chance.choice(KINDS), chance.choice((0.05, 0.3, 1.0))
                armed.set()
                _append(store, phase, 5, receipts, result)
                armed.clear()
                before_ = len(receipts)
                _append(store, phase, 1, receipts, result, again=True)
                if len(receipts) != before_ + _WRITERS:
                    result.problems.append(f"phase {phase} ({kind}): the log does not go on when the fault is over")
    _check(path, receipts, result)
    return result


def locks(folder: Path, phases: int, *, seed: int) -> Result:
    """The same with another process's lock, as SQLite knows it, for a random time in each phase."""
    chance = random.Random(seed)
    result = Result()
    path = folder / "audit.db"
    receipts: list[Receipt] = []
    with Store.open(path, clock=_Jumping(chance), limits=Limits(outcome_delay=0.001, busy=0.02)) as store:
        other = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
        for phase in range(phases):
            other.execute("BEGIN IMMEDIATE")
            result.faults["lock"] += 1
            timer = threading.Timer(chance.choice((0.0, 0.01, 0.05)), other.execute, ("ROLLBACK",))
            timer.start()
            _append(store, phase, 3, receipts, result)
            timer.join()
            count = len(receipts)
            _append(store, phase, 1, receipts, result, again=True)
            if len(receipts) != count + _WRITERS:
                result.problems.append(f"phase {phase}: the log does not go on when the lock is gone")
        other.close()
    _check(path, receipts, result)
    return result


def _append(
    store: Store, phase: int, count: int, receipts: list[Receipt], result: Result, *, again: bool = False
) -> None:
    def write(writer: int) -> None:
        for number in range(count):
            name = f"{phase}-{writer}-{number}{'-again' if again else ''}"
            future = store.append("intent", exchange=name, session="s", metadata={"agent": "a" * 500})
            error = future.exception(30)
            if error is None:
                receipts.append(future.result())
                result.acknowledged += 1
            elif isinstance(error, LogUnavailable):
                result.refused[str(error)[:40]] += 1
            else:
                result.problems.append(f"{name}: {error!r}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _check(path: Path, receipts: list[Receipt], result: Result) -> None:
    report = verify(path)
    if not report.consistent:
        result.problems.append(str(report))
    with Log(path) as log:
        records = log.tail(10_000_000)
    leaves = {one.seq: one.leaf_hash for one in records}
    lost = [one.seq for one in receipts if leaves.get(one.seq) != one.leaf_hash]
    if lost:
        result.problems.append(f"{len(lost)} acknowledged records are lost, from {lost[0]} on")
    years = {one.time[:4] for one in records}
    if len(records) > 500 and len(years) < 3:
        result.problems.append("the clock did not jump")


class _Jumping:
    """A clock that now and then jumps by up to ten years, either way."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._now = datetime(2026, 1, 31, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        jump = timedelta(days=self._chance.uniform(-3650, 3650)) if self._chance.random() < 0.05 else timedelta()
        return self._now + jump


@contextmanager
def _quiet() -> Iterator[None]:
    """apsw tells of every error that a disk of ours reports; SQLite is told all the same."""

    def ignore(_: Any) -> None:
        pass

    with mock.patch.object(sys, "unraisablehook", ignore):
        yield
