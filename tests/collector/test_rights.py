"""Who adds cannot read, who reads cannot write and sees its teams only, and neither can reach around the views."""

from pathlib import Path

import asyncpg
import pytest

from localguard.audit.checkpoint import DeviceKey
from tests.collector.store import Machine, Store
from tests.sync.logs import write_log

DENIED = asyncpg.InsufficientPrivilegeError


async def filled(store: Store, tmp_path: Path) -> None:
    to = await store.serve()
    for number, team in ((1, "payments"), (2, "search")):
        one = Machine(tmp_path / f"m{number}", DeviceKey(bytes([number]) * 32))
        write_log(one.home.audit_db, 5 * number, key=one.key)
        await one.enrol(store, to, team=team)
        assert (await one.send()).problem is None


async def test_the_rights_of_each_role(store: Store, tmp_path: Path) -> None:
    await filled(store, tmp_path)
    [[part]] = await store.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent"
        " WHERE p.relname = 'records'"
    )
    denied = {
        "ingester": (
            "SELECT * FROM localguard.records",
            f"SELECT * FROM localguard.{part}",
            "SELECT * FROM localguard.exchanges",
            "SELECT * FROM localguard.session_results",
            "SELECT * FROM localguard.spend",
            "SELECT * FROM localguard.tokens",
            f"UPDATE localguard.{part} SET kind = 'x'",
            f"DELETE FROM localguard.{part}",
            "UPDATE localguard.devices SET revoked = NULL",
            "UPDATE localguard.devices SET team = 'search'",
            "INSERT INTO localguard.devices (device, key, team, name) VALUES ('x', 'x', 'x', 'x')",
            "DELETE FROM localguard.alarms",
            "INSERT INTO localguard.readers VALUES ('ingester', '*')",
            "SELECT localguard.open_day('1999-01-01')",
        ),
        "all_reader": (
            "INSERT INTO localguard.records SELECT * FROM localguard.records",
            "DELETE FROM localguard.exchanges",
            "UPDATE localguard.devices SET revoked = now()",
            f"SELECT * FROM localguard.{part}",
            "SELECT * FROM localguard.tokens",
            "INSERT INTO localguard.readers VALUES ('all_reader', '*')",
            "SELECT localguard.enrol('x', 'x', 'x')",
        ),
        "officer": ("DELETE FROM localguard.records", "UPDATE localguard.devices SET key = 'x'"),
    }
    for user, statements in denied.items():
        for statement in statements:
            with pytest.raises((DENIED, asyncpg.RaiseError)):
                await store.fetch(statement, user=user)


VIEWS = ("spend", "data_flow", "protection", "refusals", "personal_keys", "machines")


async def test_a_reader_sees_its_teams_and_no_other_through_every_view_and_table(store: Store, tmp_path: Path) -> None:
    await filled(store, tmp_path)
    for name in (*VIEWS, "records", "exchanges", "devices", "checkpoints"):
        query = f"SELECT DISTINCT team FROM localguard.{name} ORDER BY 1"
        assert [row[0] for row in await store.fetch(query, user="payments_reader")] in (["payments"], []), name
        seen = [row[0] for row in await store.fetch(query, user="all_reader")]
        assert seen == (["search"] if name == "refusals" else ["payments", "search"]), name
    assert await store.value("SELECT count(*) FROM localguard.cursors", user="payments_reader") == 1
