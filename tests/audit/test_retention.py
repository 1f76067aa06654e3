"""Pruned content is gone for good, and the tree, the checkpoints and every proof still hold."""

from pathlib import Path

import pytest

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.export import check_lines, export_lines
from localguard.audit.queries import Log
from localguard.audit.record import timestamp
from localguard.audit.retention import Retention
from localguard.audit.store import Store
from localguard.audit.verify import verify
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, SetClock

KEY = DeviceKey(bytes(range(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """600 exchanges, one an hour, and one that is still open."""
    path, clock = tmp_path / "audit.db", SetClock()
    with Store.open(path, clock=clock) as store:
        store.sign_with(KEY)
        for number in range(600):
            clock.move(hours=1)
            metadata = {**INTENT, "task": f"task{number}"}
            store.append("intent", exchange=f"x{number}", metadata=metadata, findings=FINDINGS, local=INTENT_LOCAL)
            store.append("outcome", exchange=f"x{number}", metadata=OUTCOME)
        store.flush()
    return path


def prune(path: Path, retention: Retention, hours: int) -> int:
    clock = SetClock()
    clock.move(hours=hours)
    with Store.open(path, clock=SetClock()) as store:
        store.sign_with(KEY)
        return store.prune(retention, timestamp(clock()))


def test_sections_of_old_records_are_dropped_and_everything_still_verifies(path: Path) -> None:
    anchor = next(line for line in export_lines(path) if "checkpoint" in line[:16])
    assert b'task99"' in path.read_bytes()
    assert prune(path, Retention(("metadata", "local"), ("intent",)), 501) == 500
    with Log(path) as log:
        old, new = log.show("x10")[0], log.show("x599")[0]
    assert (old.metadata, old.local) == (None, None)
    assert old.findings == FINDINGS
    assert new.metadata is not None
    report = verify(path)
    assert report.consistent, report
    assert report.pruned == 1000
    assert b'task99"' not in path.read_bytes()  # overwritten
    assert prune(path, Retention(("metadata", "local"), ("intent",)), 501) == 0
    lines = list(export_lines(path))
    assert check_lines(lines, KEY.public) == report.records - 1
    assert anchor


def test_checkpoints_are_never_pruned_and_nonsense_is_an_error() -> None:
    for sections, kinds in (
        (("metadata",), ("checkpoint",)),
        (("salt",), ("intent",)),
        ((), ("intent",)),
        (("local",), ()),
    ):
        with pytest.raises(ValueError):
            Retention(sections, kinds)


def test_what_is_still_open_is_left_alone(tmp_path: Path) -> None:
    path, clock = tmp_path / "audit.db", SetClock()
    with Store.open(path, clock=clock) as store:
        store.append("intent", exchange="x1", metadata=INTENT).result(10)
        clock.move(days=1)
        assert store.prune(Retention(), timestamp(clock())) == 0
