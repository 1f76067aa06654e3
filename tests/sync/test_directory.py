"""The directory as a sink holds each record once, whatever is cut off, and shows what was changed in it."""

from pathlib import Path

import pytest

from localguard.config.home import Home
from localguard.sync.agreement import Agreement, Agreements
from localguard.sync.batch import BatchInvalid
from localguard.sync.directory import DirectorySink, check
from localguard.sync.disclosure import Disclosure
from localguard.sync.sender import Pace, Sender
from localguard.sync.sink import Receipt, SinkUnavailable
from tests.sync.logs import KEY, TIME, reader, write_log


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


def sender(home: Home, root: Path, *, since: int = 0, records: int = 100) -> Sender:
    agreement = Agreement(to=root.as_uri(), level="metadata", agreed=TIME, since=since)
    sink = DirectorySink(root, KEY.public.device)
    return Sender(
        reader(home.audit_db, records=records),
        sink,
        agreement,
        Agreements(home),
        now=lambda: TIME,
        pace=Pace(between=0),
    )


def run(one: Sender) -> int:
    """Steps until nothing is left; the number of records sent."""
    sent = 0
    while (step := one.step()).sent:
        sent += step.sent
    assert step.problem is None, step.problem
    return sent


def held(root: Path) -> list[int]:
    return [line.seq for opened in check(root / f"device={KEY.public.device}", KEY.public) for line in opened.lines]


def test_the_whole_log_arrives_once_over_several_runs(home: Home, tmp_path: Path) -> None:
    write_log(home.audit_db, 120)
    root = tmp_path / "out"
    first = sender(home, root).step()
    assert first.sent == 100
    assert run(sender(home, root)) == reader(home.audit_db).size() - 100
    write_log(home.audit_db, 20, prefix="y")
    run(sender(home, root, records=7))
    assert held(root) == list(range(1, reader(home.audit_db).size() + 1))
    assert run(sender(home, root)) == 0
    assert Agreements(home).progress().size == reader(home.audit_db).size()


def test_records_before_consent_stay_here(home: Home, tmp_path: Path) -> None:
    write_log(home.audit_db, 20)
    since = reader(home.audit_db).size()
    write_log(home.audit_db, 10, prefix="y")
    run(sender(home, tmp_path / "out", since=since))
    assert held(tmp_path / "out") == list(range(since + 1, reader(home.audit_db).size() + 1))


def test_a_log_that_was_put_back_is_refused_and_named(home: Home, tmp_path: Path) -> None:
    write_log(home.audit_db, 20)
    run(sender(home, tmp_path / "out"))
    home.audit_db.unlink()
    write_log(home.audit_db, 5)
    step = sender(home, tmp_path / "out").step()
    assert "older copy was put back" in str(step.problem)
    assert Agreements(home).progress().code == "rollback"


def test_another_history_in_the_directory_is_found(home: Home, tmp_path: Path) -> None:
    write_log(home.audit_db, 20)
    run(sender(home, tmp_path / "out", records=10))
    home.audit_db.unlink()
    write_log(home.audit_db, 40, model="other")
    run(sender(home, tmp_path / "out", records=10))
    with pytest.raises(BatchInvalid) as raised:
        held(tmp_path / "out")
    assert raised.value.code == "fork"


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_or_missing_file_is_found(home: Home, tmp_path: Path, damage: str) -> None:
    write_log(home.audit_db, 20)
    run(sender(home, tmp_path / "out", records=10))
    file = sorted((tmp_path / "out").glob("*/*.zst"))[1]
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data[:-5] if damage == "cut" else data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with pytest.raises(BatchInvalid):
        held(tmp_path / "out")


def test_a_directory_that_cannot_be_written_is_tried_again(home: Home, tmp_path: Path) -> None:
    write_log(home.audit_db, 5)
    blocked = tmp_path / "out"
    blocked.write_text("a file where the directory should be")
    one = sender(home, blocked)
    waits = [one.step().wait for _ in range(12)]
    assert isinstance(one.step().problem, SinkUnavailable)
    assert max(waits) <= 300
    blocked.unlink()
    run(one)
    assert held(blocked)
    assert Agreements(home).progress().problem is None


def test_a_lost_acknowledgement_doubles_nothing(home: Home, tmp_path: Path) -> None:
    write_log(home.audit_db, 30)

    class Forgetful(DirectorySink):
        lost = 0

        def write(self, batch: object) -> Receipt:
            super().write(batch)  # type: ignore[arg-type]
            self.lost += 1
            if self.lost % 2:
                raise SinkUnavailable("the connection was cut after the batch was durable")
            return Receipt(batch.head.last)  # type: ignore[attr-defined]

    one = sender(home, tmp_path / "out", records=7)
    one._sink = Forgetful(tmp_path / "out", KEY.public.device)
    while not (step := one.step()).wait > 1:
        assert step.problem is None or isinstance(step.problem, SinkUnavailable)
    assert held(tmp_path / "out") == list(range(1, reader(home.audit_db).size() + 1))


def test_a_closed_sender_sends_nothing_more(home: Home, tmp_path: Path) -> None:
    write_log(home.audit_db, 5)
    one = sender(home, tmp_path / "out")
    one.close()
    assert one.step().sent == 0
    assert not (tmp_path / "out").exists()


def test_the_log_can_be_written_and_checked_in_while_a_sink_hangs(home: Home) -> None:
    write_log(home.audit_db, 5)
    batch = reader(home.audit_db).batch(0, Disclosure("metadata"))
    write_log(home.audit_db, 5, prefix="y")
    assert not home.audit_db.with_name("audit.db-wal").exists(), "closing the writer checked everything in"
    assert batch.head.last < reader(home.audit_db).size()
