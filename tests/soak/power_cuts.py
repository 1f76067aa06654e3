"""Power cuts at random moments: what a disk that lost its un-synced writes leaves of the log, and whether nothing acknowledged is missing.

While eight threads append, an image of the disk is taken before random writes and syncs, with the receipts that had been given out by
then. Each image is opened as the next start of the guard would: every receipt's record must be there, with its leaf hash, and the log
must verify; then it is written on.
"""

import random
import shutil
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.queries import Log
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Limits, Receipt, Store
from localguard.audit.verify import verify
from tests.soak.disk import Disk

WRITERS = 8
_CUTS_A_LOG = 100
_MOST_EVERY = 60
"""Writes and syncs from one image to the next, at most."""


@dataclass(slots=True)
class Result:
    """What a campaign saw; `problems` is empty where every promise was kept."""

    cuts: int = 0
    acknowledged: int = 0
    """Receipts that were looked for, over all images."""
    lost_unacknowledged: int = 0
    """Records that were queued and did not outlast the cut, as nobody had been told that they would."""
    writes: int = 0
    syncs: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for a person, then the problems."""
        line = (
            f"{self.cuts} power cuts over {self.writes} writes and {self.syncs} syncs: {self.acknowledged} acknowledged records looked"
            f" for, {len(self.problems)} problems"
        )
        return "\n".join([line, *self.problems[:20]])


def power_cuts(folder: Path, cuts: int, *, seed: int, synchronous: bool = True) -> Result:
    """Take so many images below `folder` and look at each. Without `synchronous` nothing is synced, which must be seen."""
    chance = random.Random(seed)
    result = Result()
    while result.cuts < cuts:
        place = folder / f"log-{result.cuts}"
        place.mkdir()
        _one_log(place, min(_CUTS_A_LOG, cuts - result.cuts), chance, synchronous, result)
        shutil.rmtree(place)
    return result


def _one_log(place: Path, cuts: int, chance: random.Random, synchronous: bool, result: Result) -> None:
    path = place / "audit.db"
    Store.open(path, clock=_clock).close()  # the schema: what a first start leaves
    disk = Disk(f"power-{place.name}-{time.monotonic_ns()}")
    disk.adopt(path)
    receipts: list[Receipt] = []
    images: list[tuple[Path, int]] = []
    done = threading.Event()
    left = [chance.randint(1, _MOST_EVERY)]

    def before(kind: str, file: str) -> None:
        left[0] -= 1
        if left[0] > 0 or done.is_set():
            return
        left[0] = chance.randint(1, _MOST_EVERY)
        image = place / f"image-{len(images)}"
        image.mkdir()
        known = len(receipts)  # these were given out before this write or sync
        disk.cut(image, chance)
        images.append((image, known))
        if len(images) == cuts:
            done.set()

    disk.before = before
    with disk.under_the_log(synchronous=synchronous):
        # checkpoints of the WAL come often, as they are where most can go wrong
        limits = Limits(outcome_delay=0.001, checkpoint_every=50)
        with Store.open(path, clock=_clock, limits=limits) as store:
            store.sign_with(DeviceKey(bytes(range(32))))
            connection = store._connection
            assert connection is not None
            connection.execute(f"PRAGMA wal_autocheckpoint = {chance.choice((1, 10, 100, 1000))}")
            threads = [
                threading.Thread(target=_write, args=(store, number, receipts, done)) for number in range(WRITERS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    result.writes += disk.writes
    result.syncs += disk.syncs
    for image, known in images:
        result.cuts += 1
        result.acknowledged += known
        result.problems += [f"{place.name} {image.name}: {one}" for one in _problems(image, receipts[:known])]
        shutil.rmtree(image)


def _write(store: Store, writer: int, receipts: list[Receipt], done: threading.Event) -> None:
    number = 0
    while not done.is_set():
        exchange = f"x{writer}-{number}"
        for kind, metadata in (("intent", {"agent": "a" * 700}), ("outcome", {"state": "completed"})):
            receipts.append(store.append(kind, exchange=exchange, session="s", metadata=metadata).result(30))
        number += 1


def _problems(image: Path, receipts: list[Receipt]) -> list[str]:
    """What is wrong with a disk after a cut, given the receipts that were out by then."""
    path = image / "audit.db"
    try:
        with Store.open(path, clock=_clock) as store:
            with Log(path) as log:
                leaves = {one.seq: one.leaf_hash for one in log.tail(1_000_000)}
            store.append("control", metadata={"event": "start"}).result(30)
    except LogUnavailable as error:
        return [f"the log does not open: {error}"]
    lost = [one.seq for one in receipts if leaves.get(one.seq) != one.leaf_hash]
    report = verify(path)
    return ([f"{len(lost)} acknowledged records are lost, from {lost[0]} on"] if lost else []) + (
        [] if report.consistent else [str(report)]
    )


_BEGAN = time.monotonic()


def _clock() -> datetime:
    return datetime(2026, 1, 31, tzinfo=UTC) + timedelta(seconds=time.monotonic() - _BEGAN)
