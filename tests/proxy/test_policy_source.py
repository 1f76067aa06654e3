"""The organisation's policy from an address: what is verified is kept, and nothing that the address does takes away what was."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from localguard.audit.queries import Log
from localguard.audit.store import Store
from localguard.config.home import Home
from localguard.config.organisation import Source, Trust, store_fetched
from localguard.config.policy_files import load_layers
from localguard.config.policy_problems import PolicyInvalid
from localguard.config.signing import new_key, read_key, signed
from localguard.proxy import policy_source
from localguard.proxy.policy_source import PolicySource, SourceFailed, fetch_and_store
from localguard.proxy.upstream import Upstream
from tests.config.test_organisation import policy

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
Answer = Callable[[web.Request], web.StreamResponse]


@dataclass
class Collector:
    """An address that serves what it is told to, over TLS, and keeps count."""

    url: str
    ca_file: Path
    data: bytes = b""
    answer: Answer | None = None
    asked: list[web.Request] = field(default_factory=list)
    come: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def source(self) -> Source:
        return Source(self.url, str(self.ca_file))

    async def request(self) -> None:
        """Return when the next one has come."""
        self.come.clear()
        await self.come.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.come.set()
        if self.answer is not None:
            return self.answer(request)
        etag = f'"{hash(self.data)}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=self.data, content_type="application/toml", headers={"ETag": etag})


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    application = web.Application()
    runner = web.AppRunner(application)
    made = Collector("", ca_file)
    application.router.add_get("/store/v1/policy", made.handle)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    made.url = f"https://localhost:{port}/store"
    yield made
    await runner.cleanup()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


class Company:
    """Who signs, and a home that trusts them."""

    def __init__(self, home: Home, directory: Path) -> None:
        self.home = home
        public = new_key(directory / "signing.pem")
        self.key = read_key(directory / "signing.pem")
        Trust(home).pin(public, name="acme", now="2026-11-28T12:00:00Z")

    def signed(self, revision: int, *, expires: str = "2099-01-01T00:00:00Z", more: str = "") -> bytes:
        return signed(policy(revision, expires=expires, more=more), self.key)

    def revision(self) -> int:
        return load_layers(self.home)[0].revision


@pytest.fixture
def company(home: Home, tmp_path: Path) -> Company:
    return Company(home, tmp_path)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    yield made
    await made.close()


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    opened = Store.open(home.audit_db, clock=lambda: NOW, scrub=lambda text: text)
    yield opened
    opened.close()


async def test_a_fetched_policy_is_in_force_as_the_file_that_it_becomes(
    company: Company, collector: Collector, upstream: Upstream
) -> None:
    collector.data = company.signed(3)
    layer = await fetch_and_store(company.home, upstream, collector.source, NOW)
    assert layer is not None
    assert (layer.revision, company.revision()) == (3, 3)
    assert await fetch_and_store(company.home, upstream, collector.source, NOW) is None  # it is here
    (first, _) = collector.asked
    assert "authorization" not in first.headers
    assert "user-agent" not in first.headers  # nothing is told of this machine


async def test_a_newer_revision_is_fetched_and_the_same_one_is_not_sent_again(
    company: Company, collector: Collector, upstream: Upstream, store: Store
) -> None:
    looking = PolicySource(company.home, upstream, store, clock=lambda: NOW)
    await looking.look()
    assert collector.asked == []  # nobody named an address
    Trust(company.home).follow(collector.source)
    for revision, asked in ((4, 1), (4, 2), (5, 3)):
        collector.data = company.signed(revision)
        await looking.look()
        assert (company.revision(), len(collector.asked)) == (revision, asked)
    assert "If-None-Match" in collector.asked[1].headers
    assert (looking.error, looking.fetched) == (None, NOW)
    company.home.organisation_file.unlink()
    await looking.look()
    assert company.revision() == 5
    Trust(company.home).follow(None)
    await looking.look()
    assert len(collector.asked) == 4


BAD: dict[str, tuple[str, Callable[[Company], bytes]]] = {
    "an older revision": ("older ones are refused", lambda company: company.signed(6)),
    "another text of the same revision": (
        "Another text was in force",
        lambda company: company.signed(7, more="reason = 'x'"),
    ),
    "one that expired": ("expired on", lambda company: company.signed(8, expires="2026-11-01T00:00:00Z")),
    "one that is not signed": ("not signed", lambda _: policy(8)),
    "one that was changed": ("does not fit", lambda company: company.signed(8).replace(b"r8", b"r9")),
    "no policy": ("", lambda company: signed(b"version = 2\n", company.key)),
    "one without end": ("larger than", lambda _: b"#" * (1 << 21)),
    "nothing": ("not signed", lambda _: b""),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_does_not_count_is_not_stored(
    name: str, company: Company, collector: Collector, upstream: Upstream, store: Store
) -> None:
    words, make = BAD[name]
    collector.data = company.signed(7)
    Trust(company.home).follow(collector.source)
    looking = PolicySource(company.home, upstream, store, clock=lambda: NOW)
    await looking.look()
    kept = company.home.organisation_file.read_bytes()
    assert company.revision() == 7
    collector.data = make(company)
    for _ in range(2):
        await looking.look()
        assert words in (looking.error or "")
        assert company.home.organisation_file.read_bytes() == kept
    store.close()
    with Log(company.home.audit_db) as log:
        told = [one.metadata for one in log.tail(10, kind="control") if one.metadata]
    assert [one["event"] for one in told] == ["policy-source"]  # once, however often it is looked


def redirect(_: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "https://localhost:1/v1/policy"})


def broken(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500, body=b"x" * 100)


def coded(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x", headers={"Content-Encoding": "br"})


@pytest.mark.parametrize(("answer", "words"), [(redirect, "status 302"), (broken, "status 500"), (coded, "coding")])
async def test_an_address_that_answers_otherwise_changes_nothing(
    answer: Answer, words: str, company: Company, collector: Collector, upstream: Upstream
) -> None:
    collector.data = company.signed(7)
    await fetch_and_store(company.home, upstream, collector.source, NOW)
    collector.answer = answer
    with pytest.raises(SourceFailed, match=words):
        await fetch_and_store(company.home, upstream, collector.source, NOW)
    assert company.revision() == 7


async def test_an_address_that_is_down_slow_or_unproven_changes_nothing(
    company: Company, collector: Collector, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.data = company.signed(7)
    await fetch_and_store(company.home, upstream, collector.source, NOW)
    with pytest.raises(SourceFailed, match="certificate"):
        await fetch_and_store(company.home, upstream, Source(collector.url), NOW)
    with pytest.raises(SourceFailed, match="nothing accepts"):
        await fetch_and_store(company.home, upstream, Source("https://localhost:1"), NOW)
    monkeypatch.setattr(policy_source, "_TIMEOUT", 0.3)
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with pytest.raises(SourceFailed, match="takes too long"):
        await fetch_and_store(company.home, upstream, Source(f"https://127.0.0.1:{port}"), NOW)
    listening.close()
    assert company.revision() == 7


def test_two_that_fetch_at_once_never_put_the_older_one_back(company: Company) -> None:
    older, newer = company.signed(8), company.signed(9)
    for data in (newer, older):
        with suppress(PolicyInvalid):
            store_fetched(company.home, data, NOW)
    assert company.revision() == 9


async def test_looking_goes_on_and_ends_when_it_is_told_to(
    company: Company, collector: Collector, upstream: Upstream, store: Store
) -> None:
    Trust(company.home).follow(collector.source)
    collector.data = policy(1)  # not signed: looked for again soon
    looking = PolicySource(company.home, upstream, store, clock=lambda: NOW, interval=0.05, soonest=0.01)
    await looking.start()
    async with asyncio.timeout(10):
        await collector.request()
        await collector.request()
        collector.data = company.signed(2)
        while looking.fetched is None:
            await collector.request()
    assert company.revision() == 2
    await looking.close()
    asked = len(collector.asked)
    await asyncio.sleep(0.15)
    assert len(collector.asked) == asked
