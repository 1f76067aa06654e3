"""The client towards providers, against real sockets: bytes arrive as they are, and a cut reply is an error."""

import asyncio
import contextlib
import datetime
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from localguard.proxy.upstream import (
    Destination,
    Upstream,
    UpstreamBroken,
    UpstreamError,
    UpstreamForbidden,
    UpstreamLoops,
    UpstreamNotLocal,
    UpstreamTimeout,
    UpstreamTLSInvalid,
    UpstreamUnreachable,
    embedded,
    joined_url,
)

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OPENAI = Destination("openai")
HEAD = b"HTTP/1.1 200 OK\r\n"


@dataclass
class Provider:
    """A socket that does what a script says, for every request it gets."""

    script: Script
    port: int = 0
    connections: int = 0
    received: list[bytes] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    server: asyncio.Server | None = None

    async def start(self) -> "Provider":
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
                self.received.append(head + body)
                await self.script(reader, writer)
                if writer.is_closing():
                    return


def says(*parts: bytes, then: str = "keep", pause: float = 0.0) -> Script:
    """Send `parts`, then keep, close or reset the connection, or stall."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if then == "close":
            writer.close()
        elif then == "reset":
            await asyncio.sleep(0.05)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        elif then == "stall":
            await asyncio.sleep(30)

    return script


StartProvider = Callable[..., Awaitable[Provider]]


@pytest.fixture
async def provider() -> AsyncIterator[StartProvider]:
    providers: list[Provider] = []

    async def start(script: Script, tls: ssl.SSLContext | None = None) -> Provider:
        providers.append(await Provider(script, tls=tls).start())
        return providers[-1]

    yield start
    for one in providers:
        if one.server is not None:
            one.server.close()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    client = Upstream(own_ports=[4141], connect_timeout=2)
    yield client
    await client.close()


async def fetch(
    upstream: Upstream,
    url: str,
    destination: Destination = OPENAI,
    *,
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (("Content-Length", "2"),),
    body: bytes | None = b"{}",
) -> tuple[int, bytes]:
    async with asyncio.timeout(10), upstream.send(destination, method, url, headers, body) as reply:
        return reply.status, b"".join([chunk async for chunk in reply.chunks()])


class Names(AbstractResolver):
    """A name server under the test's control: each lookup takes the next answer, the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = [*answers]

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


# What goes out


async def test_path_query_headers_and_body_go_out_byte_for_byte(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(says(HEAD + b"Content-Length: 0\r\n\r\n"))
    target = "/v1/models/a%2Fb%20c%3a!$&'()*+,;=:@~x?api-version=2024-10-21&q=a+b%20c&&empty=&%C3%A9=%e9"
    headers = (("x-B", "2"), ("X-a", "1"), ("x-b", "3"), ("anthropic-beta", "a,b"), ("Content-Length", "3"))
    await fetch(upstream, joined_url(echo.url, target), headers=headers, body=b"\0\xffz")
    head, _, body = echo.received[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        f"POST {target} HTTP/1.1".encode(),
        f"Host: 127.0.0.1:{echo.port}".encode(),
        b"x-B: 2",
        b"X-a: 1",
        b"x-b: 3",
        b"anthropic-beta: a,b",
        b"Content-Length: 3",
    ]
    assert body == b"\0\xffz"


async def test_a_request_without_body_has_none(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(says(HEAD + b"Content-Length: 0\r\n\r\n"))
    await fetch(upstream, echo.url + "/v1/models", method="GET", headers=(), body=None)
    assert echo.received[0] == b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % echo.port


async def test_a_body_of_16_mb_arrives_whole_and_without_warning(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(says(HEAD + b"Content-Length: 0\r\n\r\n"))
    body = b"0123456789abcdef" * (1 << 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await fetch(upstream, echo.url + "/", headers=(("Content-Length", str(len(body))),), body=body)
    assert echo.received[0].endswith(body)


async def test_a_provider_that_answers_before_a_long_body_is_there_is_heard_and_its_connection_dropped(
    upstream: Upstream,
) -> None:
    ended: list[asyncio.Task[None]] = []

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.current_task())  # type: ignore[arg-type]
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"Content-Length: 2\r\n\r\nno")
        await asyncio.sleep(0.2)  # reads no further
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 20):
                pass
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for _ in range(2):
        length = (("Content-Length", str(32 << 20)),)
        assert await fetch(upstream, url, body=bytes(32 << 20), headers=length) == (200, b"no")
    assert len(ended) == 2  # no second request was sent behind half of the first
    await asyncio.wait(ended, timeout=5)
    server.close()


async def test_a_control_character_in_a_header_is_not_sent(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(says(HEAD + b"Content-Length: 0\r\n\r\n"))
    for value in ("a\r\nx-evil: 1", "a\nb", "a\0b"):
        with pytest.raises(ValueError):
            await fetch(upstream, echo.url, headers=(("x-a", value),))
    assert not echo.received


async def test_connections_are_kept_alive(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(says(HEAD + b"Content-Length: 2\r\n\r\nok"))
    for _ in range(3):
        assert await fetch(upstream, echo.url + "/") == (200, b"ok")
    assert echo.connections == 1


async def test_environment_proxies_are_not_used(
    upstream: Upstream, provider: StartProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    echo = await provider(says(HEAD + b"Content-Length: 2\r\n\r\nok"))
    assert await fetch(upstream, echo.url + "/") == (200, b"ok")


# What comes back


async def test_status_reason_and_headers_come_back_as_they_are(upstream: Upstream, provider: StartProvider) -> None:
    raw = (
        b"HTTP/1.1 529 Overloaded Now\r\nx-RateLimit-Remaining: 0\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw"
    )
    echo = await provider(says(raw))
    async with upstream.send(OPENAI, "GET", echo.url + "/", (), None) as reply:
        assert (reply.status, reply.reason) == (529, "Overloaded Now")
        assert reply.raw_headers == (
            (b"x-RateLimit-Remaining", b"0"),
            (b"Set-Cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"Content-Encoding", b"gzip"),
            (b"Content-Length", b"3"),
        )
        assert b"".join([chunk async for chunk in reply.chunks()]) == b"raw"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_passed_on_and_not_followed(
    upstream: Upstream, provider: StartProvider, status: int
) -> None:
    other = await provider(says(HEAD + b"Content-Length: 0\r\n\r\n"))
    location = f"http://127.0.0.1:{other.port}/steal".encode()
    echo = await provider(says(b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, location)))
    async with upstream.send(OPENAI, "POST", echo.url + "/", (("x-api-key", "k"),), b"") as reply:
        assert reply.status == status
        assert (b"Location", location) in reply.raw_headers
    assert other.received == []


async def test_cookies_of_one_reply_do_not_go_into_the_next_request(
    upstream: Upstream, provider: StartProvider
) -> None:
    echo = await provider(says(HEAD + b"Set-Cookie: sid=1; Path=/\r\nContent-Length: 0\r\n\r\n"))
    await fetch(upstream, echo.url + "/")
    await fetch(upstream, echo.url + "/")
    assert b"cookie" not in echo.received[1].lower()


async def test_interim_replies_are_skipped(upstream: Upstream, provider: StartProvider) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    echo = await provider(says(interim + HEAD + b"Content-Length: 2\r\n\r\nok"))
    assert await fetch(upstream, echo.url + "/") == (200, b"ok")


async def test_an_unasked_protocol_switch_is_an_error(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(
        says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nstuff", then="close")
    )
    with pytest.raises(UpstreamBroken):
        await fetch(upstream, echo.url + "/")


async def test_chunks_come_as_they_arrive(upstream: Upstream, provider: StartProvider) -> None:
    events = [b"data: %d\n\n" % number for number in range(5)]
    parts = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    head = HEAD + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    echo = await provider(says(head, *parts, b"0\r\n\r\n", pause=0.05))
    loop = asyncio.get_running_loop()
    times, chunks = [], []
    async with upstream.send(OPENAI, "POST", echo.url + "/", (), b"{}") as reply:
        async for chunk in reply.chunks():
            times.append(loop.time())
            chunks.append(chunk)
    assert chunks == events
    assert times[-1] - times[0] > 0.15


async def test_a_head_reply_keeps_its_length_and_has_no_body(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(says(HEAD + b"Content-Length: 1234\r\n\r\n"))
    async with upstream.send(OPENAI, "HEAD", echo.url + "/", (), None) as reply:
        assert (b"Content-Length", b"1234") in reply.raw_headers
        assert [chunk async for chunk in reply.chunks()] == []
        assert not reply.close_delimited


async def test_leaving_early_closes_the_connection(upstream: Upstream, provider: StartProvider) -> None:
    gone = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        gone.set()
        writer.close()

    echo = await provider(script)
    async with upstream.send(OPENAI, "POST", echo.url + "/", (), b"") as reply:
        assert await anext(reply.chunks()) == b"ab"
    async with asyncio.timeout(2):
        await gone.wait()


# What goes wrong

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = HEAD + b"Content-Length: 10\r\n\r\n"
CUT = {
    "before the head": (b"", "close"),
    "in the head": (b"HTTP/1.1 200 OK\r\nContent-", "close"),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "close"),
    "short of its length": (LENGTH + b"abc", "close"),
    "in a chunk": (CHUNKED + b"a\r\nabc", "close"),
    "between chunks": (CHUNKED + b"3\r\nabc\r\n", "close"),
    "before the last line": (CHUNKED + b"3\r\nabc\r\n0\r\n", "close"),
    "reset before the head": (b"", "reset"),
    "reset in a body with length": (LENGTH + b"abc", "reset"),
    "reset between chunks": (CHUNKED + b"3\r\nabc\r\n", "reset"),
    "reset in a body without length": (HEAD + b"\r\nabc", "reset"),
    "broken chunk size": (CHUNKED + b"3\r\nabc\r\nzz\r\n", "close"),
    "two lengths": (HEAD + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", "close"),
    "a coding beside the chunks": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "close"),
    "a coding without chunks": (HEAD + b"Transfer-Encoding: gzip\r\n\r\nab", "close"),
    "length and chunks": (HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "close"),
}


@pytest.mark.parametrize(("sent", "then"), CUT.values(), ids=CUT.keys())
async def test_a_cut_or_malformed_reply_is_an_error(
    upstream: Upstream, provider: StartProvider, sent: bytes, then: str
) -> None:
    echo = await provider(says(sent, then=then))
    with pytest.raises(UpstreamBroken):
        await fetch(upstream, echo.url + "/")
    assert len(echo.received) == 1, "a request that may have been carried out is not sent again"


async def test_a_body_without_length_says_that_its_end_proves_nothing(
    upstream: Upstream, provider: StartProvider
) -> None:
    echo = await provider(says(HEAD + b"\r\nabc", then="close"))
    async with upstream.send(OPENAI, "POST", echo.url + "/", (), b"") as reply:
        assert reply.close_delimited
        assert b"".join([chunk async for chunk in reply.chunks()]) == b"abc"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", CHUNKED, CHUNKED + b"3\r\nabc\r\n", HEAD + b"\r\nabc"])
async def test_a_stalled_provider_is_a_timeout(upstream: Upstream, provider: StartProvider, sent: bytes) -> None:
    echo = await provider(says(sent, then="stall"))
    with pytest.raises(UpstreamTimeout):
        await fetch(upstream, echo.url + "/", Destination("openai", read_timeout=0.3))


async def test_a_slow_drip_is_no_timeout(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(says(LENGTH, *[b"x"] * 10, pause=0.1))
    assert await fetch(upstream, echo.url + "/", Destination("openai", read_timeout=0.5)) == (200, b"x" * 10)


async def test_a_closed_port_is_unreachable(upstream: Upstream) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(UpstreamUnreachable, match="openai"):
        await fetch(upstream, f"http://127.0.0.1:{port}/")


async def test_an_unknown_name_is_unreachable() -> None:
    class Nobody(Names):
        async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
            raise OSError("no such name")

    upstream = Upstream(resolver=lambda: Nobody([]))
    with pytest.raises(UpstreamUnreachable, match="does not resolve"):
        await fetch(upstream, "http://api.example/")
    await upstream.close()


async def test_a_provider_that_does_not_accept_is_a_timeout(provider: StartProvider) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", port))
        upstream = Upstream(connect_timeout=0.5)
        with pytest.raises((UpstreamTimeout, UpstreamUnreachable)):
            await fetch(upstream, f"http://127.0.0.1:{port}/", Destination("openai", read_timeout=0.5))
        await upstream.close()
        for sock in waiting:
            sock.close()


# Where it may connect


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "127.0.0.2", "[64:ff9b::7f00:1]"],
)
async def test_the_guards_own_port_is_a_loop(upstream: Upstream, host: str) -> None:
    with pytest.raises(UpstreamLoops):
        await fetch(upstream, f"http://{host}:4141/openai/v1/models")


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "100.100.100.200", "168.63.129.16"],
)
@pytest.mark.parametrize("local", [False, True])
async def test_metadata_addresses_are_refused(upstream: Upstream, host: str, local: bool) -> None:
    with pytest.raises(UpstreamForbidden):
        await fetch(upstream, f"http://{host}/latest/meta-data", Destination("openai", local=local))


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662", "127.1"])
async def test_other_spellings_of_an_address_do_not_get_through(upstream: Upstream, host: str) -> None:
    with pytest.raises((UpstreamForbidden, UpstreamUnreachable)):
        await fetch(upstream, f"http://{host}/latest/meta-data")


async def test_a_name_that_resolves_to_a_metadata_address_is_refused() -> None:
    upstream = Upstream(resolver=lambda: Names(["169.254.169.254"]))
    with pytest.raises(UpstreamForbidden):
        await fetch(upstream, "http://api.example/")
    await upstream.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "0.0.0.0", "10.0.0.1"])
async def test_a_local_endpoint_elsewhere_is_refused(upstream: Upstream, host: str) -> None:
    with pytest.raises(UpstreamNotLocal):
        await fetch(upstream, f"http://{host}:11434/api/chat", Destination("ollama", local=True))


async def test_a_local_endpoint_on_loopback_is_reached(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(says(HEAD + b"Content-Length: 2\r\n\r\nok"))
    for host in ("127.0.0.1", "localhost"):
        url = f"http://{host}:{echo.port}/api/chat"
        assert await fetch(upstream, url, Destination("ollama", local=True)) == (200, b"ok")


async def test_a_local_name_that_moves_away_from_loopback_and_back_is_refused_while_it_is_away(
    provider: StartProvider,
) -> None:
    echo = await provider(says(HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nok", then="close"))
    names = Names(["127.0.0.1"], ["192.0.2.1"], ["127.0.0.1", "192.0.2.1"], ["127.0.0.1"])
    upstream = Upstream(resolver=lambda: names)
    local = Destination("ollama", local=True)
    url = f"http://box.example:{echo.port}/api/chat"

    async def forget() -> None:
        for connector in upstream._connectors.values():
            connector.clear_dns_cache()  # time passing

    assert await fetch(upstream, url, local) == (200, b"ok")
    for _ in range(2):
        await forget()
        with pytest.raises(UpstreamNotLocal):
            await fetch(upstream, url, local)
    await forget()
    assert await fetch(upstream, url, local) == (200, b"ok")
    assert echo.connections == 2
    await upstream.close()


async def test_a_connection_of_a_hosted_endpoint_is_not_lent_to_a_local_one(provider: StartProvider) -> None:
    echo = await provider(says(HEAD + b"Content-Length: 2\r\n\r\nok"))
    upstream = Upstream(resolver=lambda: Names(["127.0.0.1"]))
    url = f"http://box.example:{echo.port}/"
    await fetch(upstream, url, Destination("gateway"))
    await fetch(upstream, url, Destination("ollama", local=True))
    assert echo.connections == 2
    await upstream.close()


def test_embedded_addresses_are_seen_through() -> None:
    import ipaddress

    for text in ("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"):
        assert str(embedded(ipaddress.ip_address(text))) == "10.0.0.1"
    assert str(embedded(ipaddress.ip_address("2001:db8::1"))) == "2001:db8::1"


# Certificates


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


OK = says(HEAD + b"Content-Length: 2\r\n\r\nok")


async def test_a_valid_certificate_of_the_endpoints_authority_is_accepted(
    upstream: Upstream, provider: StartProvider, authority: trustme.CA, ca_file: Path
) -> None:
    echo = await provider(OK, serving(authority.issue_cert("127.0.0.1", "localhost")))
    for host in ("127.0.0.1", "localhost"):
        assert await fetch(upstream, f"https://{host}:{echo.port}/", Destination("gw", ca_file=ca_file)) == (200, b"ok")


@pytest.mark.parametrize(
    ("fault", "says_so"),
    [("host", "another host"), ("expired", "expired"), ("future", "clock"), ("issuer", "issuer|self-signed")],
)
async def test_an_invalid_certificate_is_refused_before_anything_is_sent(
    upstream: Upstream, provider: StartProvider, authority: trustme.CA, ca_file: Path, fault: str, says_so: str
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = {
        "host": lambda: authority.issue_cert("api.example"),
        "expired": lambda: authority.issue_cert("127.0.0.1", not_before=now - 9 * day, not_after=now - day),
        "future": lambda: authority.issue_cert("127.0.0.1", not_before=now + day, not_after=now + 9 * day),
        "issuer": lambda: trustme.CA().issue_cert("127.0.0.1"),
    }[fault]()
    echo = await provider(OK, serving(certificate))
    with pytest.raises(UpstreamTLSInvalid, match=says_so):
        await fetch(upstream, f"https://127.0.0.1:{echo.port}/", Destination("gw", ca_file=ca_file))
    assert echo.received == []


async def test_a_self_signed_certificate_is_refused(
    upstream: Upstream, provider: StartProvider, authority: trustme.CA
) -> None:
    echo = await provider(OK, serving(authority.issue_cert("127.0.0.1")))
    with pytest.raises(UpstreamTLSInvalid, match="ca_file"):
        await fetch(upstream, f"https://127.0.0.1:{echo.port}/")
    assert echo.received == []


async def test_a_plain_server_behind_https_is_refused(upstream: Upstream, provider: StartProvider) -> None:
    echo = await provider(says(b"HTTP/1.1 400 Bad\r\n\r\n", then="close"))
    with pytest.raises(UpstreamError):
        await fetch(upstream, f"https://127.0.0.1:{echo.port}/", Destination("gw", read_timeout=1))


async def test_an_unreadable_ca_file_is_said_and_may_be_repaired(
    upstream: Upstream, provider: StartProvider, authority: trustme.CA, tmp_path: Path
) -> None:
    echo = await provider(OK, serving(authority.issue_cert("127.0.0.1")))
    destination = Destination("gw", ca_file=tmp_path / "late.pem")
    with pytest.raises(UpstreamTLSInvalid, match="ca_file"):
        await fetch(upstream, f"https://127.0.0.1:{echo.port}/", destination)
    authority.cert_pem.write_to_path(tmp_path / "late.pem")
    assert await fetch(upstream, f"https://127.0.0.1:{echo.port}/", destination) == (200, b"ok")


async def test_a_tls_reply_without_length_that_is_reset_is_an_error(
    upstream: Upstream, provider: StartProvider, authority: trustme.CA, ca_file: Path
) -> None:
    echo = await provider(says(HEAD + b"\r\nabc", then="reset"), serving(authority.issue_cert("127.0.0.1")))
    with pytest.raises(UpstreamBroken):
        await fetch(upstream, f"https://127.0.0.1:{echo.port}/", Destination("gw", ca_file=ca_file))


async def test_a_real_server_streams_through(upstream: Upstream) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(3):
            await response.write(b"%d\n" % number + await request.read())
        return response

    app = web.Application()
    app.router.add_post("/v1/{rest:.*}", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    assert await fetch(upstream, f"http://127.0.0.1:{port}/v1/chat") == (200, b"0\n{}1\n{}2\n{}")
    await runner.cleanup()
