"""An organisation's policy published in the store, on real guards: in force there, replaced by a newer one, never by an older one."""

import asyncio
import ssl
import time
from pathlib import Path

import asyncpg
import pytest
import trustme

from localguard.collector.administration import PolicyNotServed, publish_policy
from localguard.config.signing import new_key, read_key, signed
from tests.collector.store import Store
from tests.config.test_organisation import policy as company_policy
from tests.e2e.guard import Guard, policy
from tests.e2e.test_asking import said, send
from tests.provider.server import Provider


async def publish(store: Store, document: bytes) -> int:
    connection = await asyncpg.connect(store.url("officer"))
    try:
        return await publish_policy(connection, document)
    finally:
        await connection.close()


def in_force(guard: Guard, revision: int) -> None:
    """Return once a revision is in force."""
    until = time.monotonic() + 15
    while (guard.status()["policy"]["organisation"] or {}).get("revision") != revision:
        assert time.monotonic() < until, guard.status()["policy"]
        time.sleep(0.05)


async def test_what_is_published_is_in_force_on_a_guard_until_it_is_replaced_and_an_older_one_never_is(
    store: Store, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    public = new_key(tmp_path / "signing.pem")
    key = read_key(tmp_path / "signing.pem")
    first = signed(company_policy(1, more='reason = "Not before the audit."\n'), key)
    second = signed(company_policy(2, effect="allow"), key)
    url = await store.serve(tls=context)
    trust = ("policy", "trust", str(public), "--from", url, "--ca-file", str(tmp_path / "ca.pem"))

    with Provider() as provider:
        guard = Guard(tmp_path / "home", policy(provider.port))
        assert "nothing could be fetched yet: it answers with status 404" in await asyncio.to_thread(guard.run, *trust)
        assert await publish(store, first) == 1
        await asyncio.to_thread(guard.start)  # it looks when it starts, and every quarter of an hour
        try:
            await asyncio.to_thread(in_force, guard, 1)
            assert "Not before the audit." in said(send(guard, "hello"))

            assert await publish(store, second) == 2
            assert "acme, revision 2, was fetched" in await asyncio.to_thread(guard.run, *trust)
            in_force(guard, 2)
            assert said(send(guard, "hello")) == "200"

            with pytest.raises(PolicyNotServed, match="Revision 2 is served"):
                await publish(store, first)
            await store.fetch("DELETE FROM localguard.policies WHERE revision = 2")  # as from an older backup
            refused = await asyncio.to_thread(guard.run, *trust)
            assert "This is revision 1, and 2 was in force: older ones are refused." in refused
            in_force(guard, 2)
            assert said(send(guard, "hello")) == "200"
        finally:
            guard.stop()
