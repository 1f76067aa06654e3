import shutil
import sqlite3
import tracemalloc
from pathlib import Path

import pytest

from localguard.audit import record
from localguard.audit.queries import Log
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Limits, Store
from localguard.audit.verify import Report, verify
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, SetClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed log of 20 exchanges: records 1 to 40, intents odd, outcomes even."""
    path = tmp_path / "audit.db"
    write(path, 20)
    return path


def write(path: Path, exchanges: int) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(outcome_delay=60)) as store:
        for number in range(exchanges):
            for kind, metadata in (("intent", INTENT), ("outcome", OUTCOME)):
                store.append(
                    kind,
                    exchange=f"x{number}",
                    session=f"s{number % 3}",
                    metadata=metadata,
                    findings=FINDINGS,
                    local=INTENT_LOCAL,
                )
            if number % 1_000 == 999:
                store.flush()


def tamper(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def failed(report: Report) -> set[int]:
    return {step.number for step in report.steps if not step.passed}


def test_an_untouched_log_is_internally_consistent_and_no_more_is_claimed(path: Path) -> None:
    report = verify(path)
    assert report.consistent
    assert report.records == 40
    assert report.verdict.startswith("Internally consistent: 40 records.")
    assert "does not show" in report.verdict
    assert [step.number for step in report.steps] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert "4. ok   every section has the hash that its record states: 120 sections, 0 pruned" in str(report)


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ("UPDATE records SET metadata = replace(metadata, 'gpt-5', 'gpt-4') WHERE seq = 7", 4),
        ("UPDATE records SET findings = '[]' WHERE seq = 7", 4),
        ("UPDATE records SET local = local || ' ' WHERE seq = 7", 4),
        ("UPDATE records SET metadata_salt = randomblob(16) WHERE seq = 7", 4),
        ("UPDATE records SET local_salt = NULL WHERE seq = 7", 4),
        ("UPDATE records SET findings_hash = randomblob(32) WHERE seq = 7", 4),
        ("UPDATE records SET findings = NULL, findings_hash = randomblob(32) WHERE seq = 7", 5),
        ("UPDATE records SET time = '2026-01-31T08:15:00.000001Z' WHERE seq = 7", 5),
        ("UPDATE records SET kind = 'control' WHERE seq = 7", 5),
        ("UPDATE records SET leaf_hash = randomblob(32) WHERE seq = 7", 5),
        ("UPDATE records SET seq = 700 WHERE seq = 7", 3),
        ("UPDATE records SET exchange = 'x0' WHERE seq = 7", 6),
        ("UPDATE records SET session = NULL WHERE seq = 7", 6),
        ("DELETE FROM records WHERE seq = 7", 3),
        ("DELETE FROM records WHERE seq = 1", 3),
        ("INSERT INTO records SELECT 99, kind, time, exchange, session, metadata, metadata_salt, metadata_hash, findings, "
         "findings_salt, findings_hash, local, local_salt, local_hash, leaf_hash FROM records WHERE seq = 7", 5),
        ("INSERT INTO open_exchanges VALUES ('x999', NULL)", 9),
        ("PRAGMA user_version = 99", 1),
        ("PRAGMA user_version = 0", 1),
    ],
)  # fmt: skip
def test_a_change_is_found(path: Path, change: str, step: int) -> None:
    tamper(path, change)
    report = verify(path)
    assert step in failed(report)
    assert "NOT consistent" in report.verdict


def test_two_records_that_changed_places_are_found(path: Path) -> None:
    tamper(
        path,
        "UPDATE records SET seq = 1000 WHERE seq = 3",
        "UPDATE records SET seq = 3 WHERE seq = 5",
        "UPDATE records SET seq = 5 WHERE seq = 1000",
    )
    assert 5 in failed(verify(path))


def test_an_index_that_hides_a_record_is_found(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = sql || ' WHERE seq > 20' WHERE name = 'records_exchange'")
    connection.commit()
    connection.close()
    assert 2 in failed(verify(path))


def test_columns_of_a_wrong_type_are_found_and_do_not_stop_verification(path: Path) -> None:
    tamper(
        path,
        "CREATE TABLE loose AS SELECT * FROM records",
        "DROP TABLE records",
        "ALTER TABLE loose RENAME TO records",
        "UPDATE records SET metadata_hash = 7, leaf_hash = 'x' WHERE seq = 7",
        "UPDATE records SET metadata = '[1]' WHERE seq = 8",
        "UPDATE records SET kind = 5 WHERE seq = 9",
    )
    report = verify(path)
    assert report.records == 40
    assert {4, 5, 6} & failed(report)


@pytest.mark.parametrize("name", ["findings", "local", "metadata"])
def test_a_pruned_section_leaves_the_rest_verifiable(path: Path, name: str) -> None:
    tamper(path, f"UPDATE records SET {name} = NULL, {name}_salt = NULL WHERE seq <= 10")
    report = verify(path)
    assert report.consistent
    assert report.pruned == 10
    with Log(path) as log:
        [intent, _] = log.show("x0")
    assert getattr(intent, name) is None


def test_a_section_with_its_salt_proves_itself_without_the_others(path: Path) -> None:
    connection = sqlite3.connect(path)
    row = connection.execute("SELECT * FROM records WHERE seq = 7").fetchone()
    connection.close()
    seq, kind, time, _, _, metadata, salt, metadata_hash, _, _, findings_hash, _, _, local_hash, leaf_hash = row
    assert record.section_hash(salt, metadata.encode()) == metadata_hash
    assert record.leaf_hash(record.leaf(kind, seq, time, metadata_hash, findings_hash, local_hash)) == leaf_hash


def test_what_cannot_be_found_without_an_anchor_is_not_found(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    shutil.copyfile(path, old)
    write(path, 5)
    assert verify(old).consistent  # an older copy
    tamper(path, "DELETE FROM records WHERE seq > 30")
    assert verify(path).consistent  # the tail cut off


def test_problems_are_counted_and_only_some_are_shown(path: Path) -> None:
    tamper(path, "UPDATE records SET findings = '[]'")
    [step] = [step for step in verify(path).steps if not step.passed]
    assert step.failures == 40
    assert len(step.problems) == 10
    assert "and 30 more" in str(verify(path))


def test_open_exchanges_are_named_and_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with Store.open(path, clock=SetClock()) as store:
        store.append("intent", exchange="x1", metadata=INTENT).result(10)
        report = verify(path)
        with Log(path) as log:
            assert log.open_exchanges() == ["x1"]
    assert report.consistent
    assert report.steps[-1].result.startswith("1 open (in flight")


def test_verification_beside_a_running_guard_sees_one_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with Store.open(path, clock=SetClock()) as store:
        seen = []

        def write_meanwhile(done: int, total: int) -> None:
            seen.append((done, total))
            store.append("control", metadata={"event": "pause"}).result(10)

        for number in range(1_500):
            store.append("control", metadata={"event": "start", "detail": {"n": number}})
        store.flush()
        report = verify(path, progress=write_meanwhile)
    assert report.consistent
    assert seen == [(1_000, 1_500), (1_500, 1_500)]


def test_verification_runs_in_bounded_memory(tmp_path: Path) -> None:
    def peak(exchanges: int) -> int:
        path = tmp_path / f"{exchanges}.db"
        write(path, exchanges)
        tracemalloc.start()
        try:
            assert verify(path).consistent
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(2_000) < peak(200) + 200_000


def test_a_reader_never_writes(path: Path) -> None:
    before = path.read_bytes(), path.stat().st_mtime_ns
    verify(path)
    with Log(path) as log:
        log.tail()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            log._connection.execute("DELETE FROM records")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_reader_leaves_the_wal_of_a_killed_guard_to_the_next_guard(path: Path) -> None:
    with Store.open(path, clock=SetClock()) as store:
        store.append("control", metadata={"event": "start"}).result(10)
        files = {name: path.with_name(name).read_bytes() for name in ("audit.db", "audit.db-wal")}
    for name, content in files.items():
        path.with_name(name).write_bytes(content)
    assert verify(path).records == 41
    assert {name: path.with_name(name).read_bytes() for name in files} == files


def test_there_is_no_log_yet(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="no audit log yet"):
        verify(tmp_path / "audit.db")
    assert list(tmp_path.iterdir()) == []


def test_tail_shows_the_last_records_and_follows(path: Path) -> None:
    with Log(path) as log:
        assert [entry.seq for entry in log.tail(3)] == [38, 39, 40]
        assert [entry.seq for entry in log.tail(3, kind="intent")] == [35, 37, 39]
        assert log.tail(10, after_seq=40) == []
        write(path, 1)
        assert [entry.seq for entry in log.tail(1, after_seq=40)] == [41]
        assert [entry.seq for entry in log.tail(10, after_seq=40, kind="outcome")] == [42]
        assert log.count_by_kind() == {"intent": 21, "outcome": 21}
        assert [entry.exchange for entry in log.session("s2", limit=3)] == ["x2", "x2", "x5"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM records WHERE exchange = 'x1' ORDER BY seq",
        "SELECT * FROM records WHERE session = 's1' ORDER BY seq",
        "SELECT exchange, session FROM open_exchanges WHERE exchange = 'x1'",
    ],
)
def test_lookups_use_an_index(path: Path, query: str) -> None:
    connection = sqlite3.connect(path)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
    connection.close()
    assert "USING INDEX" in str(plan)
    assert "SCAN" not in str(plan)


def test_a_flipped_bit_of_a_salt_or_hash_is_found(path: Path) -> None:
    connection = sqlite3.connect(path)
    names = (
        "metadata_salt",
        "metadata_hash",
        "findings_salt",
        "findings_hash",
        "local_salt",
        "local_hash",
        "leaf_hash",
    )
    for name in names:
        (original,) = connection.execute(f"SELECT {name} FROM records WHERE seq = 9").fetchone()
        for at in (0, 7, len(original) - 1):
            flipped = original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :]
            connection.execute(f"UPDATE records SET {name} = ? WHERE seq = 9", (flipped,))
            connection.commit()
            assert not verify(path).consistent
        connection.execute(f"UPDATE records SET {name} = ? WHERE seq = 9", (original,))
        connection.commit()
    connection.close()
    assert verify(path).consistent
