"""What a device was acknowledged is in the store exactly once and verifies, whatever is cut off on the way."""

import asyncio
import signal
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from localguard.audit.checkpoint import DeviceKey, is_cosigned
from localguard.audit.verify import verify
from localguard.collector import database
from localguard.collector.service import Settings
from localguard.sync.agreement import Agreements
from localguard.sync.collector_sink import CollectorSink
from localguard.sync.directory import compressed
from localguard.sync.request_signature import signed_headers
from localguard.sync.sink import SinkUnavailable
from tests.collector.store import COLLECTOR, Machine, Store
from tests.sync.logs import write_log


def machine(tmp_path: Path, number: int = 1, **given: object) -> Machine:
    return Machine(tmp_path / f"m{number}", DeviceKey(bytes([number]) * 32), **given)  # type: ignore[arg-type]


async def test_the_whole_log_arrives_once_is_cosigned_and_verifies(store: Store, tmp_path: Path) -> None:
    one, to = machine(tmp_path), await store.serve()
    write_log(one.home.audit_db, 120, key=one.key)
    await one.enrol(store, to)
    assert (await one.send()).problem is None
    write_log(one.home.audit_db, 30, key=one.key, prefix="y")
    assert (await one.send()).problem is None
    size = one.reader.size()
    assert await store.seqs(one.device) == list(range(1, size + 1))
    checked = await store.verified(one.device)
    assert (checked.records, checked.problems) == (size, ())
    anchor = Agreements(one.home).anchor()
    assert anchor is not None
    assert is_cosigned(anchor, COLLECTOR.public)
    report = verify(one.home.audit_db, anchors=[anchor])
    assert report.anchor is not None
    assert report.anchor.size == size
    assert report.consistent


async def test_records_before_consent_never_come_and_the_rest_goes_on(store: Store, tmp_path: Path) -> None:
    one, to = machine(tmp_path), await store.serve()
    write_log(one.home.audit_db, 20, key=one.key)
    since = one.reader.size()
    write_log(one.home.audit_db, 20, key=one.key, prefix="y")
    await one.enrol(store, to, since=since)
    assert (await one.send()).problem is None
    assert await store.seqs(one.device) == list(range(since + 1, one.reader.size() + 1))
    assert (await store.verified(one.device)).problems == ()


async def test_questions_are_answered_from_intent_and_outcome_even_over_two_batches(
    store: Store, tmp_path: Path
) -> None:
    one, to = machine(tmp_path, records=1), await store.serve()
    write_log(one.home.audit_db, 10, key=one.key)
    await one.enrol(store, to)
    await one.send()
    rows = await store.fetch("SELECT * FROM localguard.exchanges ORDER BY seq")
    assert [row["kind"] for row in rows] == ["outcome"] * 9 + ["refusal"]
    first = rows[0]
    assert (first["model"], first["cost_bucket"], first["task"], first["identity"]) == (
        "gpt-5",
        "payments-eng",
        "incident",
        "personal",
    )
    assert (str(first["cost_usd"]), first["redacted"], first["input_tokens"], first["cached_tokens"]) == (
        "0.123400",
        2,
        1000,
        90_000,
    )
    assert rows[9]["code"] == "localguard_policy_denied"


async def test_at_the_level_metadata_no_finding_is_stored(store: Store, tmp_path: Path) -> None:
    one, to = machine(tmp_path), await store.serve()
    write_log(one.home.audit_db, 3, key=one.key)
    await one.enrol(store, to, level="metadata")
    await one.send()
    assert await store.value("SELECT count(*) FROM localguard.records WHERE findings IS NOT NULL") == 0
    assert await store.value("SELECT count(*) FROM localguard.records WHERE metadata IS NOT NULL") > 3
    assert (await store.verified(one.device)).problems == ()


async def test_the_same_batch_many_times_at_once_is_held_once(store: Store, tmp_path: Path) -> None:
    one, to = machine(tmp_path, records=1000), await store.serve()
    write_log(one.home.audit_db, 50, key=one.key)
    await one.enrol(store, to)
    assert one.agreement is not None
    batch = one.reader.batch(0, one.agreement.disclosure)
    sinks = [CollectorSink(one.agreement, one.key) for _ in range(6)]
    receipts = await asyncio.gather(*(asyncio.to_thread(sink.write, batch) for sink in sinks), return_exceptions=True)
    assert all(getattr(receipt, "size", None) == batch.head.last for receipt in receipts), receipts
    assert await store.seqs(one.device) == list(range(1, batch.head.last + 1))


async def test_overlapping_batches_are_held_once(store: Store, tmp_path: Path) -> None:
    one, to = machine(tmp_path, records=40), await store.serve()
    write_log(one.home.audit_db, 50, key=one.key)
    await one.enrol(store, to)
    assert one.agreement is not None
    sink = CollectorSink(one.agreement, one.key)
    for after, records in ((0, 40), (20, 30), (45, 100), (0, 40)):
        one.records = records
        batch = one.reader.batch(after, one.agreement.disclosure)
        await asyncio.to_thread(sink.write, batch)
    sink.close()
    assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))


class Cutting:
    """A balancer that cuts answers off: every `every`-th request reaches a collector, and its answer does not come back."""

    def __init__(self, targets: list[str], every: int) -> None:
        self._targets = targets
        self._every = every
        self.count = 0

    async def serve(self) -> tuple[asyncio.Server, str]:
        server = await asyncio.start_server(self._one, "127.0.0.1", 0)
        return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                body = await reader.readexactly(length)
                self.count += 1
                port = int(self._targets[self.count % len(self._targets)].rpartition(":")[2])
                there, away = await asyncio.open_connection("127.0.0.1", port)
                away.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body)
                answer = await there.read()
                away.close()
                if self.count % self._every == 0:
                    writer.transport.abort()
                    return
                writer.write(answer)
                await writer.drain()
                writer.close()
                return
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


async def test_two_collectors_behind_a_balancer_that_loses_answers_hold_everything_once(
    store: Store, tmp_path: Path
) -> None:
    targets = [await store.serve(), await store.serve()]
    server, to = await Cutting(targets, every=3).serve()
    machines = [machine(tmp_path, number, records=17) for number in range(1, 5)]
    for one in machines:
        write_log(one.home.audit_db, 60, key=one.key)
        await one.enrol(store, targets[0])
        assert one.agreement is not None
        one.agreement = replace(one.agreement, to=to)
    senders = [one.sender() for one in machines]

    async def drive(one: Machine, at: int) -> None:
        for _ in range(200):
            step = await asyncio.to_thread(senders[at].step)
            assert step.problem is None or isinstance(step.problem, SinkUnavailable)
            if step.problem is None and not step.sent:
                return
        raise AssertionError("it never came to an end")

    await asyncio.gather(*(drive(one, at) for at, one in enumerate(machines)))
    server.close()
    for one in machines:
        assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))
        assert (await store.verified(one.device)).problems == ()


async def test_a_collector_that_dies_between_commit_and_answer_doubles_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, to = machine(tmp_path, records=20), await store.serve()
    write_log(one.home.audit_db, 40, key=one.key)
    await one.enrol(store, to)
    true_ingest, died = database.ingest, list[int]()

    async def dying(*given: object) -> None:
        await true_ingest(*given)  # type: ignore[arg-type]
        if len(died) < 3:
            died.append(1)
            raise ConnectionResetError("killed after the commit")

    monkeypatch.setattr(database, "ingest", dying)
    sender = one.sender()
    while not (step := await asyncio.to_thread(sender.step)).wait > 1 or step.problem is not None:
        pass
    sender.close()
    assert len(died) == 3
    assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))


async def test_a_store_that_crashes_and_comes_back_has_everything_once(store: Store, tmp_path: Path) -> None:
    one, to = machine(tmp_path, records=20), await store.serve()
    write_log(one.home.audit_db, 60, key=one.key)
    await one.enrol(store, to)
    sender = one.sender()
    assert (await asyncio.to_thread(sender.step)).sent == 20
    store.postgres.stop(signal.SIGQUIT)
    assert isinstance((await asyncio.to_thread(sender.step)).problem, SinkUnavailable)
    store.postgres.start()
    for _ in range(50):
        step = await asyncio.to_thread(sender.step)
        if step.problem is None and not step.sent:
            break
    sender.close()
    assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))
    assert (await store.verified(one.device)).problems == ()


async def test_a_store_that_refuses_writes_loses_and_doubles_nothing(store: Store, tmp_path: Path) -> None:
    one, to = machine(tmp_path, records=20), await store.serve()
    write_log(one.home.audit_db, 30, key=one.key)
    await one.enrol(store, to)
    await store.fetch(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION SQLSTATE '53100'; END $$"
    )
    await store.fetch("CREATE TRIGGER full_disk BEFORE INSERT ON localguard.checkpoints EXECUTE FUNCTION full_disk()")
    step = await one.send()
    assert isinstance(step.problem, SinkUnavailable)
    assert await store.seqs(one.device) == []
    await store.fetch("DROP TRIGGER full_disk ON localguard.checkpoints")
    assert (await one.send()).problem is None
    assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))


async def test_a_device_that_sends_too_much_is_slowed_and_loses_nothing(store: Store, tmp_path: Path) -> None:
    one = machine(tmp_path, records=50)
    to = await store.serve(settings=Settings(records_per_second=400, burst=60))
    write_log(one.home.audit_db, 60, key=one.key)
    await one.enrol(store, to)
    step = await one.send()
    assert isinstance(step.problem, SinkUnavailable)
    assert step.wait >= 1, "it waits as long as it was asked to"
    sender, tries = one.sender(), 0
    while not (step := await asyncio.to_thread(sender.step)).wait > 4 or step.problem is not None:
        tries += step.problem is not None
        await asyncio.sleep(0.05)
    sender.close()
    assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))


async def test_a_clock_that_is_hours_off_is_told_the_time_and_its_records_come(store: Store, tmp_path: Path) -> None:
    one = machine(tmp_path)
    write_log(one.home.audit_db, 5, key=one.key)
    await one.enrol(store, await store.serve())
    assert one.agreement is not None
    late = await store.serve(clock=lambda: time.time() + 7200)
    one.agreement = replace(one.agreement, to=late)
    assert (await one.send()).problem is None
    assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))


async def test_oversize_and_nonsense_are_refused_and_the_service_goes_on(store: Store, tmp_path: Path) -> None:
    one, to = machine(tmp_path), await store.serve()
    write_log(one.home.audit_db, 5, key=one.key)
    await one.enrol(store, to)
    async with aiohttp.ClientSession() as client:

        async def post(body: bytes, path: str = "/v1/batches") -> tuple[int, str]:
            headers = signed_headers(one.key, "POST", path, body, int(time.time()))
            async with client.post(to + path, data=body, headers=headers) as answer:
                return answer.status, (await answer.json())["error"]["code"]

        assert await post(b"x" * (9 << 20)) == (413, "oversize")
        assert await post(compressed(b"\0" * (64 << 20))) == (400, "form")
        assert await post(compressed(b"{}\n{}\n")) == (400, "form")
        assert await post(b"") == (400, "form")
        assert await post(b"[1]", "/v1/enrol") == (400, "form")
        async with client.get(to + "/v1/other") as answer:
            assert answer.status == 404
        async with client.post(to + "/v1/batches", data=b"x") as answer:
            assert answer.status == 401
    assert (await one.send()).problem is None


async def test_a_body_that_does_not_come_is_given_up_and_a_stranger_s_is_not_waited_for(store: Store) -> None:
    to = await store.serve(settings=Settings(body_seconds=0.2))
    for path, status in ((b"enrol", b" 408 "), (b"batches", b" 401 ")):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(to.rpartition(":")[2]))
        writer.write(b"POST /v1/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc" % path)
        assert status in await asyncio.wait_for(reader.readline(), 5)
        writer.close()


async def test_health_and_numbers_say_what_happened(store: Store, tmp_path: Path) -> None:
    one, to = machine(tmp_path), await store.serve()
    write_log(one.home.audit_db, 5, key=one.key)
    await one.enrol(store, to)
    await one.send()
    async with aiohttp.ClientSession() as client:
        async with client.get(to + "/healthz") as answer:
            assert answer.status == 200
        async with client.get(to + "/metrics") as answer:
            text = await answer.text()
    assert f"localguard_collector_records_total {one.reader.size()}" in text
    assert 'localguard_collector_batches_total{result="stored"} 1' in text
    assert one.device not in text
    assert (await _closed(store, to)) == 503


async def _closed(store: Store, to: str) -> int:
    for pool in store._pools:
        pool.terminate()
    async with aiohttp.ClientSession() as client, client.get(to + "/healthz") as answer:
        return answer.status


async def test_a_store_of_another_version_is_not_served(store: Store) -> None:
    connection = await asyncpg.connect(store.url())
    await connection.execute("INSERT INTO localguard.migrations (step) VALUES (99)")
    with pytest.raises(database.SchemaUnknown):
        await database.migrate(connection)
    await connection.close()
    pool = await database.open_pool(store.url("ingester"))
    with pytest.raises(database.SchemaUnknown):
        await database.check_schema(pool)
    pool.terminate()
