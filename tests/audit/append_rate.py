"""Durable records a second at 1, 16 and 64 writers that each wait for their receipt: `python -m tests.audit.append_rate [DIR]`.

Half of the records are intents, half outcomes. The last column verifies the log that was written.
"""

import secrets
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from localguard.audit.store import Limits, Store
from localguard.audit.verify import verify
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, OUTCOME_LOCAL, WITHHELD

SECONDS = 3.0


def measure(directory: Path, writers: int) -> str:
    """One line of the table for this number of writers."""
    path = directory / f"{writers}.db"
    path.parent.mkdir(exist_ok=True)
    waits: list[float] = []
    with Store.open(path, clock=lambda: datetime.now(UTC), scrub=str, limits=Limits(outcome_delay=0)) as store:
        until = time.perf_counter() + SECONDS

        def write() -> None:
            while (started := time.perf_counter()) < until:
                exchange = secrets.token_hex(8)
                store.append(
                    "intent", exchange=exchange, session="s", metadata=INTENT, findings=FINDINGS, local=INTENT_LOCAL
                ).result()
                middle = time.perf_counter()
                store.append(
                    "outcome", exchange=exchange, session="s", metadata=OUTCOME, findings=WITHHELD, local=OUTCOME_LOCAL
                ).result()
                waits.extend((middle - started, time.perf_counter() - middle))

        threads = [threading.Thread(target=write) for _ in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    started = time.perf_counter()
    consistent = verify(path).consistent
    rate = len(waits) / (time.perf_counter() - started)
    waits.sort()
    return (
        f"{writers:3} writers  {len(waits) / SECONDS:7.0f} records/s  p50 {waits[len(waits) // 2] * 1e3:6.2f} ms  "
        f"p99 {waits[len(waits) * 99 // 100] * 1e3:6.2f} ms  {path.stat().st_size / len(waits):6.0f} B/record  "
        f"verify {rate:6.0f}/s {'consistent' if consistent else 'NOT CONSISTENT'}"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        for count in (1, 16, 64):
            print(measure(Path(name), count))
