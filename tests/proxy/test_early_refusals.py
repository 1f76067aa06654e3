"""Refusals of heads are recorded one by one up to a limit, and counted together beyond it; each id can be explained."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from localguard.audit.explain import explain_together
from localguard.audit.queries import Log
from localguard.audit.rows import time_of
from localguard.audit.store import Store
from localguard.proxy.early_refusals import EarlyRefusals


async def test_many_heads_fill_no_disk_and_each_id_can_be_explained(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with Store.open(path, clock=lambda: datetime.now(UTC)) as store:
        early = EarlyRefusals(store, now=lambda: 120.0)
        ids = [early.refused(400, "localguard_path_invalid", "The address is odd.", "codex/1") for _ in range(70)]
        await early.record("x", {"status": 404, "code": "localguard_no_endpoint"})
        early.close()
        early.close()
        await asyncio.to_thread(store.flush)
    with Log(path) as log:
        assert log.count_by_kind() == {"control": 1, "refusal": 60}
        assert [one.metadata is not None for one in log.show(ids[59])] == [True]
        assert log.show(ids[60]) == []
        began = time_of(ids[60])
        assert began is not None
        record = log.refused_together(began)
        assert record is not None
        told = str(explain_together(ids[60], record))
        assert "localguard_path_invalid: 10" in told
        assert "localguard_no_endpoint: 1" in told
        assert log.refused_together("2020-01-01T00:00:00.000Z") is None
        assert log.refused_together("2090-01-01T00:00:00.000Z") is None


async def test_the_next_minute_records_again(tmp_path: Path) -> None:
    minute = [0.0]
    with Store.open(tmp_path / "audit.db", clock=lambda: datetime.now(UTC)) as store:
        early = EarlyRefusals(store, now=lambda: minute[0])
        assert [early.admits("c") for _ in range(61)] == [True] * 60 + [False]
        minute[0] = 60.0
        assert early.admits("c")
        early.close()


async def test_a_log_that_is_closed_keeps_nobody_from_being_told(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "audit.db", clock=lambda: datetime.now(UTC))
    early = EarlyRefusals(store)
    store.close()
    assert early.refused(400, "localguard_bad_request", "It is not HTTP.", None)
    await early.record("x", {"status": 404, "code": "localguard_no_endpoint"})
