"""`kill -9` of a process that appends, a thousand times in some minutes: nothing that it was told is durable may be missing afterwards.

The process is a fork of this one, so that starting it costs a few milliseconds; its receipts come through a pipe. `kills` does the same
with the whole guard.
"""

import os
import random
import select
import shutil
import signal
import struct
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.queries import Log
from localguard.audit.store import Limits, Store
from localguard.audit.verify import verify

_WRITERS = 8
_KILLS_A_LOG = 25
_RECEIPT = struct.Struct("<q32s")


@dataclass(slots=True)
class Result:
    """What a campaign saw; `problems` is empty where every promise was kept."""

    kills: int = 0
    acknowledged: int = 0
    records: int = 0
    unknown: int = 0
    """Intents whose outcome the kill took; they got the outcome `unknown` at the next start."""
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for a person, then the problems."""
        line = (
            f"{self.kills} kills: {self.acknowledged} acknowledged, {self.records} records, {self.unknown} unknown outcomes, "
            f"{len(self.problems)} problems"
        )
        return "\n".join([line, *self.problems[:20]])


def store_kills(folder: Path, kills: int, *, seed: int, longest: float = 0.15) -> Result:
    """Kill so many processes, each within `longest` seconds of its first receipt, on logs below `folder`."""
    chance = random.Random(seed)
    result = Result()
    while result.kills < kills:
        place = folder / f"log-{result.kills}"
        place.mkdir()
        path, acknowledged = place / "audit.db", dict[int, bytes]()
        for _ in range(min(_KILLS_A_LOG, kills - result.kills)):
            acknowledged |= _killed(path, chance.uniform(0.0, longest))
            result.kills += 1
            report = verify(path)
            if not report.consistent:
                result.problems.append(f"as the kill left it: {report}")
        with Store.open(path, clock=_now):
            pass
        report = verify(path)
        if not report.consistent:
            result.problems.append(f"after the last start: {report}")
        with Log(path) as log:
            records = log.tail(10_000_000)
            if log.open_exchanges():
                result.problems.append("exchanges are still open after a start")
        leaves = {one.seq: one.leaf_hash for one in records}
        result.problems += [
            f"{place.name}: record {seq} is lost" for seq, leaf in acknowledged.items() if leaves.get(seq) != leaf
        ]
        result.acknowledged += len(acknowledged)
        result.records += len(records)
        result.unknown += sum((one.metadata or {}).get("state") == "unknown" for one in records)
        shutil.rmtree(place)
    return result


def _killed(path: Path, seconds: float) -> dict[int, bytes]:
    """The receipts, seq and leaf hash, that a process gave out before it was killed so long after its first one."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(read)
            _append(path, write)
        finally:
            os._exit(1)
    os.close(write)
    received = b""
    deadline = time.monotonic() + 30
    while (left := deadline - time.monotonic()) > 0:
        if select.select([read], [], [], left)[0]:
            if not received:
                deadline = time.monotonic() + seconds
            part = os.read(read, 1 << 16)
            received += part
            if not part:
                break
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while part := os.read(read, 1 << 16):
        received += part
    os.close(read)
    whole = len(received) - len(received) % _RECEIPT.size
    return dict(_RECEIPT.iter_unpack(received[:whole]))


def _append(path: Path, pipe: int) -> None:
    limits = Limits(outcome_delay=0.005, checkpoint_every=200)
    store = Store.open(path, clock=_now, limits=limits)
    store.sign_with(DeviceKey(bytes(range(32))))

    def write(writer: int) -> None:
        number = 0
        while True:
            exchange = f"{os.getpid()}-{writer}-{number}"
            for kind, metadata in (("intent", {"agent": "a" * 500}), ("outcome", {"state": "completed"})):
                receipt = store.append(kind, exchange=exchange, session="s", metadata=metadata).result()
                os.write(pipe, _RECEIPT.pack(receipt.seq, receipt.leaf_hash))
            number += 1

    for number in range(_WRITERS):
        threading.Thread(target=write, args=(number,), daemon=True).start()
    time.sleep(60)


def _now() -> datetime:
    return datetime.now(UTC)
