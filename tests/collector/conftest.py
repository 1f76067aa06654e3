"""One PostgreSQL for all tests of this room; a database for each test that wants one."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from localguard.collector import administration, database
from tests.collector.postgres import Postgres, binaries
from tests.collector.store import Store


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    found = binaries()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed: sh packaging/debian.sh")
        pytest.skip("PostgreSQL is not installed: sudo apt-get install postgresql")
    with Postgres(found) as started:
        asyncio.run(_template(started))
        yield started


async def _template(postgres: Postgres) -> None:
    """A database that is migrated, with one role of each kind, to be copied."""
    connection = await asyncpg.connect(postgres.url())
    await connection.execute("CREATE DATABASE template_store")
    for role in ("ingester", "payments_reader", "all_reader", "officer"):
        await connection.execute(f"CREATE ROLE {role} LOGIN")
    await connection.close()
    connection = await asyncpg.connect(postgres.url("template_store"))
    await database.migrate(connection)
    await administration.grant(connection, "ingester", ingest=True, team=None)
    await administration.grant(connection, "payments_reader", ingest=False, team="payments")
    await administration.grant(connection, "all_reader", ingest=False, team="*")
    await connection.execute("GRANT localguard_admin TO officer")
    await connection.close()


@pytest.fixture
async def store(postgres: Postgres) -> AsyncIterator[Store]:
    """An empty store of its own."""
    name = f"store_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres.url())
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE template_store")
    made = Store(postgres, name)
    try:
        yield made
    finally:
        await made.close()
        if connection.is_closed():
            connection = await asyncpg.connect(postgres.url())
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()
