"""The fleet's questions get the right numbers, and their plans touch the days asked for and no others."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.outcomes import verdict_event
from localguard.audit.store import Store as Log
from localguard.collector import administration
from tests.audit.samples import INTENT, OUTCOME, SetClock
from tests.collector.store import Machine, Store
from tests.sync.logs import write_log

DAYS = 12
TODAY = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0)


async def days_of_work(store: Store, tmp_path: Path) -> Machine:
    """A machine that worked on some days, some exchanges more each day, with sessions that were judged."""
    one = Machine(tmp_path / "m", DeviceKey(b"\1" * 32))
    clock = SetClock()
    with Log(one.home.audit_db, clock=clock) as log:
        log.sign_with(one.key)
        log.append(
            "control",
            metadata={"event": "start", "detail": {"version": "0.1.0", "organisation": "acme", "revision": 3}},
        )
        for day in range(DAYS):
            clock.now = TODAY - timedelta(days=DAYS - 1 - day)
            for number in range(day + 1):
                id, session = f"d{day}-{number}", f"s{day}"
                log.append("intent", exchange=id, session=session, metadata=INTENT)
                log.append("outcome", exchange=id, session=session, metadata={**OUTCOME, "cost_usd": "0.5"})
            log.append("control", session=f"s{day}", metadata=verdict_event("bump", "rejected", 3, {}))
            log.append("control", session=f"s{day}", metadata=verdict_event("bump", "accepted", 5, {}))
    await one.enrol(store, await store.serve())
    assert (await one.send()).problem is None
    return one


async def test_reports_count_each_thing_once(store: Store, tmp_path: Path) -> None:
    one = await days_of_work(store, tmp_path)
    connection = await asyncpg.connect(store.url("payments_reader"))
    today = TODAY.date()
    found = await administration.report(connection, today - timedelta(days=2), today)
    await connection.close()
    exchanges = DAYS + DAYS - 1 + DAYS - 2
    [spend] = found["spend"]
    assert (spend["cost_bucket"], spend["model"], spend["workflow"]) == ("payments-eng", "gpt-5", "incident")
    assert (spend["exchanges"], float(spend["cost_usd"])) == (exchanges, exchanges / 2)
    assert [row["exchanges"] for row in found["protection"]] == [DAYS - 2, DAYS - 1, DAYS]
    assert [(row["sensitivity"], row["endpoint_class"], row["exchanges"]) for row in found["data_flow"]] == [
        ("restricted", "hosted", exchanges)
    ]
    assert [(row["device"], row["exchanges"]) for row in found["personal_keys"]] == [(one.device, exchanges)]
    assert [(row["workflow"], row["model"], row["result"], row["sessions"]) for row in found["outcomes"]] == [
        ("bump", "gpt-5", "accepted", 3)
    ]
    assert found["machines"] == []


async def test_machines_with_an_old_policy_silent_or_unverified_are_listed(store: Store, tmp_path: Path) -> None:
    one = await days_of_work(store, tmp_path)
    document = b'version = 1\n[organisation]\nname = "acme"\nrevision = %d\n# localguard-signature: x\n'
    connection = await asyncpg.connect(store.url("officer"))
    for revision, old in ((3, False), (4, True)):
        await administration.publish_policy(connection, document % revision)
        [row] = await administration.devices(connection)
        assert (row["device"], row["old_policy"], row["silent"]) == (one.device, old, False)
    await connection.close()
    await store.fetch("UPDATE localguard.devices SET seen = now() - interval '2 days'")
    [row] = await store.fetch("SELECT * FROM localguard.machines", user="payments_reader")
    assert row["silent"]


def relations(plan: object) -> set[str]:
    if isinstance(plan, list):
        return {name for one in plan for name in relations(one)}
    if isinstance(plan, dict):
        own = {plan["Relation Name"]} if "Relation Name" in plan else set()
        return own | {name for value in plan.values() for name in relations(value)}
    return set()


async def test_plans_touch_the_partitions_of_the_days_asked_for_only(store: Store, tmp_path: Path) -> None:
    await days_of_work(store, tmp_path)
    day = TODAY.date() - timedelta(days=3)
    for view in ("spend", "data_flow", "protection", "refusals", "personal_keys"):
        query = f"EXPLAIN (FORMAT JSON) SELECT * FROM localguard.{view} WHERE day = '{day}'"
        plan = json.loads(await store.value(query, user="payments_reader"))
        assert {name for name in relations(plan) if name.startswith("exchanges")} == {f"exchanges_{day:%Y%m%d}"}, view
        between = f"EXPLAIN (FORMAT JSON) SELECT * FROM localguard.{view} WHERE day BETWEEN '{day}' AND '{day + timedelta(1)}'"
        plan = json.loads(await store.value(between, user="all_reader"))
        assert len({name for name in relations(plan) if name.startswith("exchanges")}) == 2, view


async def test_a_time_that_cannot_be_lies_under_the_day_it_came_and_keeps_its_own(store: Store, tmp_path: Path) -> None:
    one = Machine(tmp_path / "m", DeviceKey(b"\1" * 32))
    for year in (1999, 2040):
        clock = SetClock()
        clock.now = datetime(year, 1, 1, tzinfo=UTC)
        with Log(one.home.audit_db, clock=clock) as log:
            log.append("control", metadata={"event": "start"})
    await one.enrol(store, await store.serve())
    assert (await one.send()).problem is None
    rows = await store.fetch("SELECT day, extract(year FROM time)::int FROM localguard.records ORDER BY seq")
    today = datetime.now(UTC).date()
    assert [tuple(row) for row in rows] == [(today, 1999), (today, 2040)]
    assert (await store.verified(one.device)).problems == ()


async def test_texts_that_postgresql_does_not_take_do_not_stop_a_device(store: Store, tmp_path: Path) -> None:
    one = Machine(tmp_path / "m", DeviceKey(b"\1" * 32))
    with Log(one.home.audit_db, clock=SetClock()) as log:
        strange = {**INTENT, "model": "a\0b\ud800", "cost_bucket": "x" * 5000, "request_bytes": 2**53 - 1}
        log.append("intent", exchange="e\0", session="s\0", metadata=strange)
        log.append("outcome", exchange="e\0", session="s\0", metadata={**OUTCOME, "cost_usd": "1e400", "status": 2**40})
    await one.enrol(store, await store.serve())
    assert (await one.send()).problem is None
    [row] = await store.fetch("SELECT * FROM localguard.exchanges")
    assert (row["model"][:2], row["cost_usd"], row["status"]) == ("ab", None, None)
    assert (await store.verified(one.device)).problems == ()


async def test_devices_fetch_the_newest_policy_once(store: Store) -> None:
    import aiohttp

    to = await store.serve()
    document = b'version = 1\n[organisation]\nname = "acme"\nrevision = 7\n# localguard-signature: x\n'
    async with aiohttp.ClientSession() as client:
        async with client.get(to + "/v1/policy") as answer:
            assert answer.status == 404
        connection = await asyncpg.connect(store.url("officer"))
        await administration.publish_policy(connection, document)
        for bad in (document, document.replace(b"7", b"6"), b"version = 1\n", b"\xff"):
            try:
                await administration.publish_policy(connection, bad)
            except administration.PolicyNotServed:
                continue
            raise AssertionError("an older or unsigned policy is not served")
        await connection.close()
        async with client.get(to + "/v1/policy") as answer:
            assert await answer.read() == document
            tag = answer.headers["ETag"]
        async with client.get(to + "/v1/policy", headers={"If-None-Match": tag}) as answer:
            assert answer.status == 304


async def test_ten_devices_at_once_are_all_held(store: Store, tmp_path: Path) -> None:
    to = await store.serve()
    machines = [Machine(tmp_path / f"m{number}", DeviceKey(bytes([number]) * 32)) for number in range(1, 11)]
    for one in machines:
        write_log(one.home.audit_db, 20, key=one.key)
        await one.enrol(store, to)
    steps = await asyncio.gather(*(one.send() for one in machines))
    assert all(step.problem is None for step in steps)
    for one in machines:
        assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))


async def test_every_query_of_the_dashboard_runs_with_a_reader_s_rights(store: Store, tmp_path: Path) -> None:
    await days_of_work(store, tmp_path)
    dashboard = json.loads((Path(__file__).parents[2] / "packaging" / "grafana-dashboard.json").read_bytes())
    assert len(dashboard["panels"]) == 8
    for panel in dashboard["panels"]:
        query = (
            panel["targets"][0]["rawSql"]
            .replace("$__timeFrom()", "(now() - interval '7 days')")
            .replace("$__timeTo()", "now()")
        )
        found = await store.fetch(query, user="payments_reader")
        assert found or panel["id"] in (5, 7), panel["title"]
