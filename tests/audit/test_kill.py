"""P2: `kill -9` at any instant loses nothing that was acknowledged, and the log verifies afterwards."""

import os
import random
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localguard.audit.queries import Log
from localguard.audit.store import Store
from localguard.audit.verify import verify
from tests.audit.samples import SetClock

ROUNDS = 10
SCRIPT = Path(__file__).with_name("store_process.py")


def acknowledged_before_the_kill(path: Path, seconds: float) -> list[tuple[int, str, str]]:
    """Run the load on the log until ``seconds`` after its first receipt, kill it, and return every receipt it gave out."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    process = subprocess.Popen([sys.executable, SCRIPT, "load", path], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    with process.stdout as pipe:
        received = b""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if select.select([pipe], [], [], max(0, deadline - time.monotonic()))[0]:
                if not received:
                    deadline = time.monotonic() + seconds
                received += os.read(pipe.fileno(), 1 << 16)
        process.kill()
        received += pipe.read()
    process.wait()
    lines = received.decode().split("\n")[:-1]
    return [(int(seq), exchange, kind) for seq, exchange, kind in map(str.split, lines)]


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_nothing_acknowledged_is_lost_by_kill_9_under_load(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    chance = random.Random(20260131)
    acknowledged: dict[int, tuple[str, str]] = {}
    unknown = 0
    for _ in range(ROUNDS):
        receipts = acknowledged_before_the_kill(path, chance.uniform(0.02, 0.3))
        acknowledged |= {seq: (exchange, kind) for seq, exchange, kind in receipts}
        assert verify(path).consistent
        with Store.open(path, clock=SetClock()) as store:
            unknown += store.recovered
        assert verify(path).consistent
    with Log(path) as log:
        written = {record.seq: (record.exchange, record.kind) for record in log.tail(1_000_000)}
        assert log.open_exchanges() == []
    assert len(acknowledged) > 20 * ROUNDS
    assert {seq: written.get(seq) for seq in acknowledged} == acknowledged
    assert unknown > 0
    print(f"{ROUNDS} kills: {len(acknowledged)} acknowledged, {len(written)} in the log, {unknown} unknown outcomes")
