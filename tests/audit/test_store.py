import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localguard.audit.lock import AlreadyRunning
from localguard.audit.queries import Log
from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogCorrupted, LogUnavailable
from localguard.audit.store import Limits, Receipt, Store
from localguard.audit.verify import verify
from tests.audit.samples import FINDINGS, INTENT, INTENT_LOCAL, OUTCOME, OUTCOME_LOCAL, WITHHELD, SetClock

posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX modes and processes")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path, clock=SetClock(), limits=Limits(busy=0.2)) as store:
        yield store


def intent(store: Store, exchange: str, session: str | None = "s1") -> Receipt:
    future = store.append(
        "intent", exchange=exchange, session=session, metadata=INTENT, findings=FINDINGS, local=INTENT_LOCAL
    )
    return future.result(10)


def outcome(store: Store, exchange: str) -> Receipt:
    future = store.append(
        "outcome", exchange=exchange, session="s1", metadata=OUTCOME, findings=WITHHELD, local=OUTCOME_LOCAL
    )
    return future.result(10)


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_receipt_means_that_another_connection_reads_the_record(store: Store, path: Path) -> None:
    receipt = intent(store, "x1")
    with Log(path) as log:
        [stored] = log.show("x1")
    assert (stored.seq, stored.kind, stored.time, stored.leaf_hash) == (1, "intent", receipt.time, receipt.leaf_hash)
    assert stored.metadata == {**INTENT, "exchange": "x1", "session": "s1"}
    assert stored.findings == FINDINGS
    assert stored.local == INTENT_LOCAL


def test_the_writer_is_durable_at_every_commit(store: Store) -> None:
    connection = store._connection
    assert connection is not None
    pragmas = ("journal_mode", "synchronous", "fullfsync", "checkpoint_fullfsync", "secure_delete")
    assert [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == ["wal", 2, 1, 1, 1]


def test_many_writers_get_a_gapless_sequence(store: Store, path: Path) -> None:
    seqs: list[int] = []

    def write(writer: int) -> None:
        for number in range(25):
            seqs.append(intent(store, f"x{writer}-{number}").seq)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs) == list(range(1, 401))
    assert verify(path).consistent


def test_records_that_wait_together_are_committed_together(store: Store) -> None:
    commits: list[str] = []
    connection = store._connection
    assert connection is not None
    connection.set_trace_callback(lambda statement: commits.append(statement) if statement == "COMMIT" else None)
    futures = [store.append("control", metadata={"event": "start", "detail": {"n": n}}) for n in range(500)]
    assert [future.result(10).seq for future in futures] == list(range(1, 501))
    assert len(commits) < 100


def test_an_outcome_is_durable_within_a_second_without_company(store: Store, path: Path) -> None:
    intent(store, "x1")
    started = time.monotonic()
    assert outcome(store, "x1").seq == 2
    assert time.monotonic() - started < 1


def test_an_outcome_goes_along_with_the_next_intent(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(outcome_delay=60)) as store:
        intent(store, "x1")
        waiting = store.append("outcome", exchange="x1", metadata=OUTCOME)
        assert not waiting.done()
        intent(store, "x2")
        assert waiting.result(1).seq == 2


def test_closing_writes_what_waits(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(outcome_delay=60)) as store:
        intent(store, "x1")
        waiting = store.append("outcome", exchange="x1", metadata=OUTCOME)
    assert waiting.result(0).seq == 2
    assert not path.with_name("audit.db-wal").exists()


def test_flush_waits_for_everything_appended_before(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(outcome_delay=60)) as store:
        intent(store, "x1")
        waiting = store.append("outcome", exchange="x1", metadata=OUTCOME)
        store.flush()
        assert waiting.done()


def test_appending_to_a_closed_log_fails(path: Path) -> None:
    store = Store.open(path, clock=SetClock())
    store.close()
    store.close()
    with pytest.raises(LogUnavailable, match="closed"):
        intent(store, "x1")


def test_the_time_is_that_of_the_append_even_if_the_clock_jumps_back(path: Path) -> None:
    clock = SetClock()
    with Store.open(path, clock=clock) as store:
        times = []
        for years in (0, 10, -20):
            clock.move(days=365 * years)
            times.append(intent(store, f"x{years}").time[:4])
    assert times == ["2026", "2036", "2016"]
    assert verify(path).consistent


@pytest.mark.parametrize("kind", ["intent", "outcome", "refusal"])
def test_an_exchange_record_needs_an_exchange(store: Store, kind: str) -> None:
    with pytest.raises(RecordInvalid, match="exchange"):
        store.append(kind, metadata={})


def test_an_unknown_kind_or_a_float_is_refused_and_nothing_is_queued(store: Store, path: Path) -> None:
    with pytest.raises(RecordInvalid, match="kind"):
        store.append("note", metadata={})
    with pytest.raises(RecordInvalid, match=r"metadata\.cost_usd: a float"):
        store.append("outcome", exchange="x1", metadata={"state": "completed", "cost_usd": 0.5})
    assert intent(store, "x1").seq == 1


def test_a_record_does_not_change_with_the_caller_s_objects(path: Path) -> None:
    tools = ["shell"]
    with Store.open(path, clock=SetClock(), limits=Limits(outcome_delay=60)) as store:
        future = store.append("outcome", exchange="x1", metadata={"state": "completed", "tools": tools})
        tools.append("later")
    assert future.result(0)
    with Log(path) as log:
        assert (log.show("x1")[0].metadata or {})["tools"] == ["shell"]


async def test_a_task_that_gives_up_does_not_stop_the_record(store: Store, path: Path) -> None:
    waiting = asyncio.create_task(store.durable("intent", exchange="x1", metadata=INTENT))
    await asyncio.sleep(0)
    waiting.cancel()
    await store.durable("intent", exchange="x2", metadata=INTENT)
    with Log(path) as log:
        assert log.count_by_kind() == {"intent": 2}


async def test_the_tasks_of_one_commit_are_woken_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    wakes: list[object] = []
    call_soon_threadsafe = loop.call_soon_threadsafe

    def counted(*args: object, **kwargs: object) -> object:
        wakes.append(args)
        return call_soon_threadsafe(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    with store._lock:  # the writer waits until all are in the queue
        for number in range(40):
            store._queue.append(store._seal("intent", f"x{number}", None, INTENT, (), {}, None))
            store._queue[-1].waiter = loop.create_future()
        waiters = [pending.waiter for pending in store._queue]
    store.flush()
    receipts = await asyncio.gather(*[waiter for waiter in waiters if isinstance(waiter, asyncio.Future)])
    assert [receipt.seq for receipt in receipts] == list(range(1, 41))
    assert len(wakes) == 1


async def test_a_record_that_others_crowd_waits_for_them_and_not_for_long(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(company_delay=0.05)) as store, Log(path) as log:
        first = asyncio.create_task(store.durable("intent", crowded=True, exchange="x1", metadata=INTENT))
        await asyncio.sleep(0.01)
        assert log.count_by_kind() == {}
        assert (await store.durable("intent", exchange="x2", metadata=INTENT)).seq == 2
        assert (await first).seq == 1
        async with asyncio.timeout(2):
            await store.durable("intent", crowded=True, exchange="x3", metadata=INTENT)


def test_a_loop_that_ended_before_it_rang_keeps_no_other_waiting(path: Path) -> None:
    async def record(store: Store, exchange: str, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await store.durable("intent", crowded=True, exchange=exchange, metadata=INTENT)

    with Store.open(path, clock=SetClock(), limits=Limits(company_delay=0.2)) as opened:
        with pytest.raises(TimeoutError):
            asyncio.run(record(opened, "x1", 0.01))
        asyncio.run(record(opened, "x2", 2))


async def test_a_task_is_told_why_its_record_could_not_be_written(store: Store, path: Path) -> None:
    await asyncio.to_thread(path.rename, path.with_name("elsewhere.db"))
    with pytest.raises(LogUnavailable, match="moved"):
        await store.durable("intent", exchange="x1", metadata=INTENT)


def test_a_note_is_written_though_nobody_waits(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(outcome_delay=60)) as store:
        intent(store, "x1")
        store.note("outcome", exchange="x1", metadata=OUTCOME)
        store.flush()
        with Log(path) as log:
            assert [record.kind for record in log.show("x1")] == ["intent", "outcome"]


def test_a_note_that_is_no_outcome_is_written_at_once(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(outcome_delay=60)) as store, Log(path) as log:
        for number in range(1, 4):
            store.note("control", metadata={"event": "start"})
            assert eventually(lambda: log.count_by_kind() == {"control": number})  # noqa: B023


def test_outcomes_are_written_within_their_delay_however_busy_or_idle_the_log_was(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(outcome_delay=0.05)) as store, Log(path) as log:
        for number, pause in enumerate((0.0, 0.01, 0.04, 0.06, 0.2, 0.0), start=1):
            time.sleep(pause)
            intent(store, f"x{number}")
            time.sleep(pause)
            store.note("outcome", exchange=f"x{number}", metadata=OUTCOME)
            assert eventually(lambda: log.count_by_kind().get("outcome") == number)  # noqa: B023


# -- what is open when the guard stops -----------------------------------------------------------------------------------


def test_intents_without_outcome_become_unknown_at_the_next_start(path: Path) -> None:
    with Store.open(path, clock=SetClock()) as store:
        for exchange in ("x1", "x2", "x3", "x4"):
            intent(store, exchange, session=f"session-{exchange}")
        outcome(store, "x1")
        store.append("refusal", exchange="x2", metadata={"status": 503}).result(10)
        store.append("refusal", exchange="x9", metadata={"status": 403}).result(10)
    with Store.open(path, clock=SetClock()) as store:
        assert store.recovered == 2
    with Log(path) as log:
        assert [record.kind for record in log.show("x1")] == ["intent", "outcome"]
        assert [record.kind for record in log.show("x2")] == ["intent", "refusal"]
        for exchange in ("x3", "x4"):
            _, unknown = log.show(exchange)
            assert unknown.session == f"session-{exchange}"
            assert unknown.metadata is not None
            assert unknown.metadata["state"] == "unknown"
        assert log.open_exchanges() == []
    assert verify(path).consistent
    with Store.open(path, clock=SetClock()) as store:
        assert store.recovered == 0


def test_an_exchange_whose_scrubbed_id_changes_again_is_recovered_once(path: Path) -> None:
    for _ in range(3):
        with Store.open(path, clock=SetClock(), scrub=lambda text: text + "'") as store:
            recovered = store.recovered
            if not recovered:
                store.append("intent", exchange="x", metadata={}).result(10)
    assert verify(path).consistent


# -- grouped metadata calls ----------------------------------------------------------------------------------------------


def test_metadata_calls_become_one_control_record_an_interval(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(metadata_calls_every=0.1)) as store:
        for _ in range(300):
            store.count_metadata_call("openai", "GET", "/v1/models", 200, "payments")
        store.count_metadata_call("ollama", "HEAD", "/", 200, None)
        with Log(path) as log:
            assert eventually(lambda: log.count_by_kind() == {"control": 1})
            [control] = log.tail()
    assert control.metadata == {
        "event": "metadata-calls",
        "since": "2026-01-31T08:15:00.000000Z",
        "calls": [
            {
                "endpoint": "openai",
                "method": "GET",
                "path": "/v1/models",
                "status": 200,
                "workspace": "payments",
                "count": 300,
            },
            {"endpoint": "ollama", "method": "HEAD", "path": "/", "status": 200, "workspace": None, "count": 1},
        ],
        "exchange": None,
        "session": None,
    }


def test_metadata_calls_are_written_at_close_and_their_kinds_are_bounded(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(metadata_call_kinds=3)) as store:
        for number in range(100):
            store.count_metadata_call("openai", "GET", f"/v1/models/{number}", 200, None)
    with Log(path) as log:
        [control] = log.tail()
    calls = (control.metadata or {})["calls"]
    assert sum(call["count"] for call in calls) == 100
    assert len(calls) == 4
    assert calls[-1]["path"] == "*"


def test_metadata_calls_survive_a_time_without_disk(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(metadata_calls_every=0.05, busy=0.02)) as store:
        with locked(path):
            store.count_metadata_call("openai", "GET", "/v1/models", 200, None)
            assert eventually(lambda: store.failure is not None)
        with Log(path) as log:
            assert eventually(lambda: log.count_by_kind() == {"control": 1})


def test_a_scrub_that_fails_on_metadata_calls_does_not_stop_the_writer(path: Path) -> None:
    def scrub(text: str) -> str:
        if text == "/v1/models":
            raise RuntimeError(text)
        return text

    with Store.open(path, clock=SetClock(), scrub=scrub, limits=Limits(metadata_calls_every=0.01)) as store:
        store.count_metadata_call("openai", "GET", "/v1/models", 200, None)
        assert eventually(lambda: store.failure is not None)
        assert intent(store, "x1").seq == 1


# -- no raw value --------------------------------------------------------------------------------------------------------


def test_a_planted_value_never_lands_in_database_or_wal(path: Path) -> None:
    canary = "gh" + "p_" + "Zx7" * 12
    record = {
        "agent": f"codex {canary}",
        canary: canary,
        "deep": [{"remote": f"https://dev:{canary}@github.com/acme/x"}, f"a{canary}b"],
    }
    with Store.open(path, clock=SetClock(), scrub=lambda text: text.replace(canary, "LG_X")) as store:
        store.append(
            "intent", exchange=canary, session=canary, metadata=record, findings=[record], local=record
        ).result(10)
        store.count_metadata_call(canary, canary, canary, 200, canary)
        store.flush()
        while_open = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.name != "audit.db-shm"}
    assert {"audit.db", "audit.db-wal"} <= set(while_open)
    for content in (*while_open.values(), *(file.read_bytes() for file in path.parent.iterdir())):
        assert canary.encode() not in content
    assert b"LG_X" in path.read_bytes()
    assert verify(path).consistent


def test_a_scrub_that_fails_refuses_the_record(path: Path) -> None:
    store = Store.open(path, clock=SetClock(), scrub=lambda text: text[999])
    with store, pytest.raises(RecordInvalid, match="could not be scrubbed"):
        store.append("control", metadata={"event": "start"})


@posix_only
def test_the_files_are_private_even_if_they_were_not(path: Path) -> None:
    with Store.open(path, clock=SetClock()) as store:
        intent(store, "x1")
        assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == dict.fromkeys(
            ("audit.db", "audit.db-wal", "audit.db-shm", "guard.lock"), 0o600
        )
    path.chmod(0o644)
    with Store.open(path, clock=SetClock()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.with_name("audit.db-wal").stat().st_mode) == 0o600


# -- faults of the storage -----------------------------------------------------------------------------------------------


class locked:  # noqa: N801  reads as a state
    """Another process's write transaction, as far as SQLite can tell."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


def test_a_log_locked_by_another_process_refuses_and_recovers(store: Store, path: Path) -> None:
    intent(store, "x1")
    with locked(path):
        with pytest.raises(LogUnavailable, match="locked by another process"):
            intent(store, "x2")
        assert store.failure is not None
    assert intent(store, "x3").seq == 2
    assert store.failure is None
    with Log(path) as log:
        assert log.show("x2") == []
    assert verify(path).consistent


def test_everyone_in_a_failed_batch_is_told(store: Store, path: Path) -> None:
    with locked(path):
        futures = [store.append("intent", exchange=f"x{number}", metadata=INTENT) for number in range(20)]
        assert all(isinstance(future.exception(10), LogUnavailable) for future in futures)


def test_a_queue_that_is_full_refuses_at_once(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(queued=10, busy=1)) as store, locked(path):
        futures = [store.append("intent", exchange=f"x{number}", metadata=INTENT) for number in range(30)]
        refused = [future for future in futures if future.done()]
        assert len(refused) >= 10
        assert "cannot keep up" in str(refused[0].exception())


def test_the_queue_is_bounded_in_bytes(path: Path) -> None:
    with Store.open(path, clock=SetClock(), limits=Limits(queued_bytes=3_000_000, busy=1)) as store, locked(path):
        futures = [store.append("control", metadata={"event": "x" * 1_000_000}) for _ in range(8)]
        assert sum(future.done() for future in futures) >= 4


@posix_only
def test_a_log_that_was_deleted_under_the_guard_refuses_until_it_is_back(store: Store, path: Path) -> None:
    intent(store, "x1")
    aside = path.with_name("aside.db")
    path.rename(aside)
    for exchange in ("x2", "x3"):
        with pytest.raises(LogUnavailable):
            intent(store, exchange)
    assert not path.exists()
    aside.rename(path)
    intent(store, "x4")
    assert verify(path).consistent


@posix_only
def test_a_wal_that_was_deleted_under_the_guard_loses_nothing_acknowledged(store: Store, path: Path) -> None:
    for number in range(5):
        intent(store, f"x{number}")
    path.with_name("audit.db-wal").unlink()
    with pytest.raises(LogUnavailable, match="moved, replaced or deleted"):
        intent(store, "x5")
    intent(store, "x6")
    with Log(path) as log:
        assert all(log.show(f"x{number}") for number in (0, 1, 2, 3, 4, 6))
    assert verify(path).consistent


def test_a_file_that_is_no_database_is_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"this is not a database\n" * 500)
    with pytest.raises(LogCorrupted, match="evidence"):
        Store.open(path, clock=SetClock())
    assert path.read_bytes() == b"this is not a database\n" * 500
    with pytest.raises(LogCorrupted):
        Log(path)


OLDER = {
    1: "DROP TABLE tree_tiles; DROP INDEX records_checkpoint; DROP TABLE charges; PRAGMA user_version = 1",
    2: "DROP TABLE tree_tiles; DROP INDEX records_checkpoint; PRAGMA user_version = 2",
}
"""What takes a log of today back to an older version."""


@pytest.mark.parametrize("version", OLDER)
def test_a_log_of_an_older_version_is_read_as_it_is_and_brought_up_at_the_next_start(path: Path, version: int) -> None:
    def schema() -> list[tuple[object, ...]]:
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
        connection.close()
        return found

    with Store.open(path, clock=SetClock()) as store:
        for number in range(300):
            store.append("intent", exchange=f"x{number}", metadata=INTENT)
            store.append("outcome", exchange=f"x{number}", metadata=OUTCOME)
    now, root = schema(), verify(path).root
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(OLDER[version])
    connection.close()
    assert verify(path).consistent
    with Store.open(path, clock=SetClock()) as store:
        assert intent(store, "y1").seq == 601
        outcome(store, "y1")
    assert schema() == now
    report = verify(path)
    assert report.consistent, report
    assert report.records == 602
    assert report.root != root


def test_a_log_of_a_newer_version_is_refused(path: Path) -> None:
    Store.open(path, clock=SetClock()).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LogUnavailable, match="newer localguard"):
        Store.open(path, clock=SetClock())


def test_a_damaged_page_refuses_or_is_found(path: Path) -> None:
    with Store.open(path, clock=SetClock()) as store:
        for number in range(300):
            store.append("intent", exchange=f"x{number}", metadata=INTENT, local=INTENT_LOCAL)
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 8192):
        content[page * 8192 : page * 8192 + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(LogCorrupted):
        Store.open(path, clock=SetClock())
    report = verify(path)
    assert not report.consistent
    assert "NOT consistent" in report.verdict


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO open_exchanges VALUES ('', NULL)",
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = replace(replace(sql, 'STRICT', ''), 'NOT NULL', '') WHERE name = 'records';"
        "PRAGMA writable_schema = RESET; UPDATE records SET leaf_hash = 'x'",
    ],
)
def test_a_log_whose_open_exchanges_or_hashes_are_none_is_damaged(path: Path, statement: str) -> None:
    with Store.open(path, clock=SetClock()) as store:
        intent(store, "x1")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(statement)
    connection.close()
    with pytest.raises(LogCorrupted):
        Store.open(path, clock=SetClock())


def test_a_record_that_is_no_json_is_said_to_be_damaged(path: Path) -> None:
    with Store.open(path, clock=SetClock()) as store:
        intent(store, "x1")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE records SET local = '{' WHERE seq = 1")
    connection.close()
    with Log(path) as log, pytest.raises(LogCorrupted, match="audit verify"):
        log.tail()
    assert "record 1: local" in str(verify(path))


def test_a_missing_directory_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="could not be opened"):
        Store.open(tmp_path / "none" / "audit.db", clock=SetClock())


# -- one guard a home ----------------------------------------------------------------------------------------------------


def test_a_second_store_in_this_process_is_refused_and_does_not_free_the_lock(store: Store, path: Path) -> None:
    for _ in range(2):
        with pytest.raises(AlreadyRunning) as caught:
            Store.open(path, clock=SetClock())
        assert caught.value.pid == os.getpid()
    assert run("open", path).stdout.strip() == f"AlreadyRunning {os.getpid()}"


def test_a_second_process_is_told_who_holds_the_home(store: Store, path: Path) -> None:
    assert run("open", path).stdout.strip() == f"AlreadyRunning {os.getpid()}"
    store.close()
    assert run("open", path).stdout.strip() == "opened"


@posix_only
def test_workers_that_outlive_a_killed_guard_do_not_keep_its_lock(path: Path) -> None:
    guard = subprocess.Popen([sys.executable, SCRIPT, "fork", path], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert guard.stdout is not None
    worker = int(guard.stdout.readline())
    guard.kill()
    guard.wait()
    try:
        os.kill(worker, 0)
        Store.open(path, clock=SetClock()).close()
    finally:
        os.kill(worker, 9)
        guard.stdout.close()


def test_sqlite_utils_is_imported_only_where_the_schema_is_behind(path: Path) -> None:
    assert run("imports", path).stdout.strip() == "True"
    assert run("imports", path).stdout.strip() == "False"


# -- faults that need their own process ----------------------------------------------------------------------------------

SCRIPT = str(Path(__file__).with_name("store_process.py"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def run(command: str, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, command, str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=ENVIRONMENT,
    )


@posix_only
def test_a_full_disk_refuses_and_the_log_goes_on_when_there_is_room(path: Path) -> None:
    lines = run("file-size-limit", path).stdout.split("\n")
    assert lines[0].startswith("refused LogUnavailable")
    assert lines[1] == "recovered"
    assert verify(path).consistent


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small tmpfs")
def test_a_full_file_system_refuses_and_the_log_goes_on_when_there_is_room(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("may not mount here")
    try:
        lines = run("fill", small / "audit.db").stdout.split("\n")
        assert "the disk is full" in lines[0]
        assert lines[1] == "recovered"
        assert verify(small / "audit.db").consistent
    finally:
        subprocess.run(["umount", small], check=True)


@posix_only
def test_a_read_only_directory_is_a_clear_error(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    Store.open(home / "audit.db", clock=SetClock()).close()
    said = run("read-only", home / "audit.db").stdout
    assert "read-only" in said or "may not be opened" in said


def test_making_a_log_imports_neither_numpy_nor_pandas() -> None:
    program = (
        "import sqlite3, sys; from localguard.audit.schema import MIGRATIONS, migrate, schema_version\n"
        "log = sqlite3.connect(':memory:', isolation_level=None); migrate(log)\n"
        "assert schema_version(log) == len(MIGRATIONS) and 'sqlite_utils' in sys.modules\n"
        "assert 'numpy' not in sys.modules and 'pandas' not in sys.modules\n"
        "import numpy"  # installed with the tests, and not spoiled
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
