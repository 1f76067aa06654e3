"""A history that broke is refused and named: rolled back, rewritten, cloned, with a gap; a stranger's word counts for nothing."""

import asyncio
import secrets
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from localguard.audit.checkpoint import DeviceKey
from localguard.sync.agreement import Agreements
from localguard.sync.collector_sink import CollectorSink
from localguard.sync.sink import SinkRefused, SinkUnavailable
from tests.collector.store import Machine, Store
from tests.sync.logs import write_log


async def enrolled(store: Store, place: Path, *, exchanges: int = 40) -> Machine:
    """A machine whose log is in the store."""
    one = Machine(place, DeviceKey(b"\1" * 32))
    write_log(one.home.audit_db, exchanges, key=one.key)
    await one.enrol(store, await store.serve())
    assert (await one.send()).problem is None
    return one


async def alarms(store: Store) -> list[str]:
    return [row["code"] for row in await store.fetch("SELECT code FROM localguard.alarms WHERE cleared IS NULL")]


def code(step: object) -> str | None:
    return getattr(getattr(step, "problem", None), "code", None)


async def test_a_log_that_was_rolled_back_is_found_at_its_next_sign_of_life(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    shutil.copytree(one.home.root, tmp_path / "backup")
    write_log(one.home.audit_db, 20, key=one.key, prefix="y")
    await one.send()
    held = await store.seqs(one.device)
    shutil.rmtree(one.home.root)
    shutil.copytree(tmp_path / "backup", one.home.root)
    step = await one.send()
    assert code(step) == "rollback"
    assert await alarms(store) == ["rollback"]
    assert Agreements(one.home).progress().code == "rollback"
    write_log(one.home.audit_db, 40, key=one.key, prefix="z")
    assert code(await one.send()) == "rollback", "no longer log makes it good"
    assert await store.seqs(one.device) == held


async def test_a_rolled_back_log_that_went_on_is_found_as_a_fork(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    one.home.audit_db.unlink()
    write_log(one.home.audit_db, 80, key=one.key, model="other")
    assert code(await one.send()) == "fork"
    assert await alarms(store) == ["fork"]
    rows = await store.fetch("SELECT unverified FROM localguard.machines", user="all_reader")
    assert [row["unverified"] for row in rows] == ["fork"]


async def test_a_copied_key_shows_as_a_clone_when_both_go_on(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    shutil.copytree(one.home.root, tmp_path / "copy")
    two = Machine(tmp_path / "copy", one.key, instance="i2")
    two.agreement = one.agreement
    write_log(two.home.audit_db, 10, key=one.key, prefix="there")
    assert (await two.send()).problem is None, "alone it may be a machine that was moved"
    write_log(one.home.audit_db, 10, key=one.key, prefix="here")
    assert code(await one.send()) == "clone"
    assert await alarms(store) == ["clone"]


async def test_a_gap_is_refused_and_told_and_filled_without_anybody_s_help(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    size = one.reader.size()
    write_log(one.home.audit_db, 20, key=one.key, prefix="y")
    assert one.agreement is not None
    sink = CollectorSink(one.agreement, one.key)
    with pytest.raises(SinkRefused) as raised:
        await asyncio.to_thread(sink.write, one.reader.batch(size + 5, one.agreement.disclosure))
    sink.close()
    assert raised.value.code == "gap"
    assert f"next record is {size + 1}" in str(raised.value)
    assert await alarms(store) == ["gap"]
    assert (await one.send()).problem is None
    assert await alarms(store) == []
    assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))


async def test_a_sign_of_life_is_seen_and_stores_nothing(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    before = await store.value("SELECT seen FROM localguard.devices")
    assert (await one.send()).problem is None
    assert await store.value("SELECT seen FROM localguard.devices") > before
    assert await store.value("SELECT count(*) FROM localguard.checkpoints") == 1


async def test_a_new_enrolment_begins_a_new_history_and_keeps_the_old(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    old = len(await store.seqs(one.device))
    one.home.audit_db.unlink()
    write_log(one.home.audit_db, 5, key=one.key, model="other")
    assert code(await one.send()) in ("fork", "rollback")
    assert one.agreement is not None
    await one.enrol(store, one.agreement.to)
    assert (await one.send()).problem is None
    assert await store.seqs(one.device) == list(range(1, one.reader.size() + 1))
    assert await store.value("SELECT count(*) FROM localguard.records") == old + one.reader.size()
    assert (await store.verified(one.device)).problems == ()


async def test_a_revoked_device_is_refused_at_once(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    held = await store.seqs(one.device)
    await store.fetch("UPDATE localguard.devices SET revoked = now()", user="officer")
    write_log(one.home.audit_db, 5, key=one.key, prefix="y")
    assert code(await one.send()) == "revoked"
    assert await store.seqs(one.device) == held


async def test_a_token_is_good_once_in_its_time_and_for_a_key_that_is_had(store: Store, tmp_path: Path) -> None:
    one = Machine(tmp_path / "m", DeviceKey(b"\1" * 32))
    to = await store.serve()
    await one.enrol(store, to)
    assert one.agreement is not None
    token, late = await store.token(), await store.token(hours=-1)
    two = CollectorSink(one.agreement, DeviceKey(b"\2" * 32))
    await asyncio.to_thread(two.enrol, token)
    for used in (token, late, "lge_" + secrets.token_urlsafe(32)):
        with pytest.raises(SinkRefused) as raised:
            await asyncio.to_thread(two.enrol, used)
        assert raised.value.code == "token"
    assert await store.value("SELECT count(*) FROM localguard.devices") == 2


async def test_a_stranger_and_another_device_s_batch_are_refused(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    assert one.agreement is not None
    other = Machine(tmp_path / "other", DeviceKey(b"\2" * 32))
    write_log(other.home.audit_db, 5, key=other.key)
    stranger = CollectorSink(one.agreement, other.key)
    with pytest.raises(SinkRefused) as raised:
        await asyncio.to_thread(stranger.resume)
    assert raised.value.code == "unknown"
    await other.enrol(store, one.agreement.to)
    with pytest.raises(SinkRefused) as raised:
        await asyncio.to_thread(stranger.write, one.reader.batch(0, one.agreement.disclosure))
    assert raised.value.code == "signature"
    assert await store.seqs(other.device) == []


async def test_a_receipt_of_another_collector_s_key_is_none(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    assert one.agreement is not None
    write_log(one.home.audit_db, 5, key=one.key, prefix="y")
    one.agreement = replace(one.agreement, collector_key=DeviceKey(b"\7" * 32).public.encoded())
    anchor = Agreements(one.home).anchor()
    step = await one.send()
    assert isinstance(step.problem, SinkUnavailable)
    assert "not signed by the key" in str(step.problem)
    assert Agreements(one.home).anchor() == anchor


async def test_what_was_changed_in_the_store_is_found(store: Store, tmp_path: Path) -> None:
    one = await enrolled(store, tmp_path / "m")
    assert (await store.verified(one.device)).problems == ()
    changes = (
        "UPDATE localguard.records SET metadata = replace(convert_from(metadata, 'UTF8'), 'gpt-5', 'gpt-4')::bytea WHERE seq = 7",
        "DELETE FROM localguard.records WHERE seq = 9",
        "DELETE FROM localguard.records WHERE seq > 40",
        "UPDATE localguard.checkpoints SET root = sha256('x')",
        "UPDATE localguard.records SET time = time + interval '1 second' WHERE seq = 3",
    )
    for change in changes:
        await store.fetch("CREATE TABLE kept_r AS SELECT * FROM localguard.records")
        await store.fetch("CREATE TABLE kept_c AS SELECT * FROM localguard.checkpoints")
        await store.fetch(change)
        assert (await store.verified(one.device)).problems, change
        for table, kept in (("records", "kept_r"), ("checkpoints", "kept_c")):
            await store.fetch(f"DELETE FROM localguard.{table}")
            await store.fetch(f"INSERT INTO localguard.{table} SELECT * FROM {kept}")
            await store.fetch(f"DROP TABLE {kept}")
    assert (await store.verified(one.device)).problems == ()
