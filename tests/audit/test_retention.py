"""Pruned content is gone for good, and the tree, the checkpoints and every proof still hold."""

from pathlib import Path

import pytest

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.export import check_lines, export_lines
from localguard.audit.queries import Log
from localguard.audit.record import timestamp
from localguard.audit.retention import Retention
from localguard.audit.schema import connect_reader
from localguard.audit.store import Limits, Store
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


def test_no_file_of_a_running_log_holds_what_was_pruned(tmp_path: Path) -> None:
    path, clock = tmp_path / "audit.db", SetClock()
    with Store.open(path, clock=clock) as store:
        for number in range(50):
            local = {**INTENT_LOCAL, "branch": f"secret-project-{number}"}
            store.append("intent", exchange=f"x{number}", metadata=INTENT, local=local)
            store.append("outcome", exchange=f"x{number}", metadata=OUTCOME)
        clock.move(days=1)
        assert store.prune(Retention(("local",)), timestamp(clock())) == 100
        for file in tmp_path.iterdir():
            assert b"secret-project" not in file.read_bytes(), file
        store.append("control", metadata={"event": "start"}).result(10)
    assert verify(path).consistent


def test_a_reader_that_is_in_the_middle_keeps_the_rest_out_until_the_next_time(tmp_path: Path) -> None:
    """What a reader still looks at stays in the WAL; the guard goes on, and it goes with the next checkpoint of the WAL."""
    path, clock = tmp_path / "audit.db", SetClock()
    with Store.open(path, clock=clock, limits=Limits(busy=0.05)) as store:
        store.append("control", metadata={"event": "secret-event"}).result(10)
        reader = connect_reader(path)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM records").fetchone() == (1,)
        clock.move(days=1)
        assert store.prune(Retention(), timestamp(clock())) == 1
        assert store.append("control", metadata={"event": "start"}).result(10).seq == 2
        reader.close()
    assert b"secret-event" not in path.read_bytes()
