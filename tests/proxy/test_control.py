"""The control API: nothing without the token, and no token for a squatter."""

import asyncio
import http.server
import json
import re
import secrets
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from localguard.config.home import Home
from localguard.proxy.admission import Admission, ControlCall
from localguard.proxy.connection import head_of
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_client import (
    ControlClient,
    GuardAnswered,
    GuardNotOurs,
    GuardNotReachable,
    proof,
)
from localguard.proxy.feed import Feed
from localguard.proxy.server import GuardServer
from tests.proxy.conftest import Guard, RawClient


class Running:
    """A guard with nothing but its control addresses."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.stopped = asyncio.Event()
        self.control = Control(
            home,
            stop=self.stopped.set,
            status=lambda: {"version": "1", "path": Path("x")},
            feed=Feed(events=500),
            slowest=0.2,
        )
        self.server = GuardServer(self.handle, port=0)
        self.server.bind()
        self.admission = Admission(self.server.port)
        self.guard = Guard(self.server, self.admission)
        self.client = ControlClient(home, self.server.port)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        call = self.admission.admit(head_of(request))
        assert isinstance(call, ControlCall)
        return await self.control.answer(request, call)

    async def ask(self, target: str, token: str | None = None, method: str = "GET") -> tuple[int, bytes]:
        authorization = "" if token is None else f"Authorization: Bearer {token}\r\n"
        head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{{port}}\r\n{authorization}\r\n"
        answer = await self.guard.ask(head.encode())
        return answer.status, answer.body


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
async def running(home: Home) -> AsyncIterator[Running]:
    running = Running(home)
    await running.server.start()
    yield running
    for client in running.guard.clients:
        client.close()
    await running.server.close(grace=0.2)


@dataclass
class Follower:
    """A reader of `/-/events`."""

    client: RawClient
    last: str = ""

    @classmethod
    async def open(cls, running: Running, last: str | None = None) -> "Follower":
        client = await running.guard.client()
        head = (
            f"GET /-/events HTTP/1.1\r\nHost: 127.0.0.1:{{port}}\r\nAuthorization: Bearer {running.control.token}\r\n"
        )
        await client.send((head + (f"Last-Event-ID: {last}\r\n" if last is not None else "") + "\r\n").encode())
        await client.reader.readuntil(b"\r\n\r\n")
        return cls(client)

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event: its name and data."""
        async with asyncio.timeout(5):
            while True:
                found = re.search(rb"id: (\S+)\nevent: (\S+)\ndata: (.*)$", await self._frame(), re.DOTALL)
                if found is not None:
                    self.last = found[1].decode()
                    return found[2].decode(), json.loads(found[3])

    async def until_the_end(self) -> None:
        while True:
            await self.next()

    async def _frame(self) -> bytes:
        """One event; chunk sizes stand on lines of their own, wherever they are."""
        lines: list[bytes] = []
        while True:
            line = (await self.client.reader.readuntil(b"\n")).rstrip(b"\r\n")
            if line.startswith((b"id:", b"event:", b"data:", b"retry:", b":")):
                lines.append(line)
                if line.startswith(b"data:"):
                    return b"\n".join(lines)


async def threaded(call: Callable[..., Any], *args: object) -> Any:
    return await asyncio.to_thread(call, *args)


async def test_health_needs_no_token(running: Running) -> None:
    assert await running.ask("/-/healthz") == (200, b'{"status":"ok"}')


@pytest.mark.parametrize(
    "target", ["/-/api/status", "/-/api/exchanges", "/-/api/stop", "/-/events", "/-/api/nothing", "/-/", "/-"]
)
@pytest.mark.parametrize("token", [None, "", "wrong", "é", "lgw_" + "x" * 40])
async def test_everything_else_needs_the_token(running: Running, target: str, token: str | None) -> None:
    for method in ("GET", "POST"):
        status, body = await running.ask(target, token, method)
        assert status == 403
        assert running.control.token.encode() not in body
    assert not running.stopped.is_set()


@pytest.mark.skipif(sys.platform == "win32", reason="file modes")
async def test_the_token_is_private_and_new_at_every_start(home: Home, running: Running) -> None:
    assert stat.S_IMODE(home.control_token.stat().st_mode) == 0o600
    assert Running(home).control.token != running.control.token


async def test_the_client_reads_the_status(running: Running) -> None:
    assert await threaded(running.client.is_running) is True
    assert await threaded(running.client.status) == {"version": "1", "path": "x"}


async def test_stop_asks_the_guard_to_end(running: Running) -> None:
    await threaded(running.client.stop)
    async with asyncio.timeout(2):
        await running.stopped.wait()


async def test_stop_is_not_a_get(running: Running) -> None:
    assert (await running.ask("/-/api/stop", running.control.token))[0] == 405
    assert not running.stopped.is_set()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?nonce=",
        "?nonce=abc",
        "?nonce=" + "g" * 64,
        "?nonce=" + "a" * 65,
        "?nonce=" + "a" * 64 + "&nonce=" + "b" * 64,
    ],
)
async def test_a_malformed_challenge_is_refused(running: Running, query: str) -> None:
    assert (await running.ask("/-/challenge" + query))[0] == 400


def test_a_proof_depends_on_token_nonce_and_port() -> None:
    proofs = {proof(token, nonce, port) for token in ("t", "u") for nonce in ("0", "1") for port in (1, 2)}
    assert len(proofs) == 8


async def test_a_guard_of_another_home_gets_no_token(running: Running, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    other.create()
    other.control_token.write_text(secrets.token_urlsafe(32))
    client = ControlClient(other, running.server.port)
    assert await threaded(client.is_running) is False
    assert client.port_taken()
    with pytest.raises(GuardNotOurs):
        await threaded(client.status)


def test_no_guard_is_not_reachable(home: Home) -> None:
    client = ControlClient(home, 1)
    assert not client.is_running()
    assert not client.port_taken()
    with pytest.raises(GuardNotReachable):
        client.status()
    home.control_token.write_text(secrets.token_urlsafe(32))
    with pytest.raises(GuardNotReachable):
        client.status()


class Squatter(http.server.BaseHTTPRequestHandler):
    """Somebody else's process on the guard's port; notes everything that it is told."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[str], bytes] = staticmethod(lambda _: b'{"proof": "%s"}' % (b"0" * 64))
    close = False

    def do_GET(self) -> None:
        self.server.heard.append(f"{self.path} {self.headers}")  # type: ignore[attr-defined]
        body = type(self).answer(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.close:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name http.server looks for

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def squatter() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Fresh", (Squatter,), {}))
    server.heard = []  # type: ignore[attr-defined]
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "answer",
    [
        b'{"proof": "00"}',
        b'{"proof": null}',
        b"[]",
        b"null",
        b"not json",
        b"",
        b'{"proof": "\xc3\xa9"}',
        b'{"status": "ok"}',
    ],
)
def test_a_squatter_gets_no_token(home: Home, squatter: http.server.ThreadingHTTPServer, answer: bytes) -> None:
    token = secrets.token_urlsafe(32)
    home.control_token.write_text(token)
    squatter.RequestHandlerClass.answer = staticmethod(lambda _: answer)  # type: ignore[attr-defined]
    client = ControlClient(home, squatter.server_port)
    assert not client.is_running()
    for call in (client.status, client.stop, client.exchanges):
        with pytest.raises(GuardNotOurs):
            call()
    assert token not in repr(squatter.heard)  # type: ignore[attr-defined]


async def test_a_squatter_that_asks_the_real_guard_gets_no_token(
    running: Running, squatter: http.server.ThreadingHTTPServer
) -> None:
    import http.client

    def relay(path: str) -> bytes:
        real = http.client.HTTPConnection("127.0.0.1", running.server.port, timeout=2)
        real.request("GET", path)
        return real.getresponse().read()

    squatter.RequestHandlerClass.answer = staticmethod(relay)  # type: ignore[attr-defined]
    client = ControlClient(running.home, squatter.server_port)
    with pytest.raises(GuardNotOurs):
        await threaded(client.status)
    assert len(squatter.heard) == 1  # type: ignore[attr-defined]
    assert running.control.token not in repr(squatter.heard)  # type: ignore[attr-defined]


def test_the_token_is_not_sent_on_another_connection(home: Home, squatter: http.server.ThreadingHTTPServer) -> None:
    token = secrets.token_urlsafe(32)
    home.control_token.write_text(token)
    port = squatter.server_port

    def knows(path: str) -> bytes:
        return b'{"proof": "%s"}' % proof(token, path.partition("nonce=")[2], port).encode()

    squatter.RequestHandlerClass.answer = staticmethod(knows)  # type: ignore[attr-defined]
    squatter.RequestHandlerClass.close = True  # type: ignore[attr-defined]
    with pytest.raises((GuardNotOurs, GuardNotReachable)):
        ControlClient(home, port).status()
    assert len(squatter.heard) == 1  # type: ignore[attr-defined]


async def test_a_refused_call_says_its_status(running: Running) -> None:
    with pytest.raises(GuardAnswered) as caught:
        await threaded(running.client.call, "GET", "/nothing")
    assert caught.value.status == 404


async def test_events_come_live_and_do_not_hold_up_a_stop(running: Running) -> None:
    follower = await Follower.open(running)
    assert await follower.next() == ("ready", {"resumed": False})
    running.control.publish("exchange", {"id": "e1", "state": "done"})
    assert await follower.next() == ("exchange", {"id": "e1", "state": "done"})
    assert running.server.running == 0
    async with asyncio.timeout(3):
        await running.server.close(grace=5)
    running.control.publish("exchange", {"id": "nobody listens"})


async def test_a_reader_that_comes_back_misses_nothing(running: Running) -> None:
    first = await Follower.open(running)
    await first.next()
    running.control.publish("exchange", {"id": 1})
    await first.next()
    first.client.close()
    for number in (2, 3):
        running.control.publish("exchange", {"id": number})
    again = await Follower.open(running, last=first.last)
    assert await again.next() == ("ready", {"resumed": True})
    assert [(await again.next())[1]["id"] for _ in range(2)] == [2, 3]
    running.control.publish("exchange", {"id": 4})
    assert (await again.next())[1] == {"id": 4}


async def test_a_reader_that_was_told_only_that_it_is_ready_can_come_back(running: Running) -> None:
    first = await Follower.open(running)
    await first.next()
    first.client.close()
    running.control.publish("exchange", {"id": 1})
    again = await Follower.open(running, last=first.last)
    assert [await again.next(), await again.next()] == [("ready", {"resumed": True}), ("exchange", {"id": 1})]


@pytest.mark.parametrize("missed", ["too much", "another guard", "not an id", "the future"])
async def test_a_reader_that_cannot_be_resumed_is_told_so(running: Running, missed: str) -> None:
    follower = await Follower.open(running)
    await follower.next()
    last = {
        "too much": follower.last,
        "another guard": "0123456789abcdef-0",
        "not an id": "x" * 3000,
        "the future": follower.last.partition("-")[0] + "-999999",
    }[missed]
    for number in range(501):
        running.control.publish("exchange", {"id": number})
    again = await Follower.open(running, last=last)
    assert await again.next() == ("ready", {"resumed": False})
    running.control.publish("exchange", {"id": "new"})
    assert await again.next() == ("exchange", {"id": "new"})


async def test_a_slow_reader_is_cut_off_and_hurts_nobody(running: Running) -> None:
    slow, quick = await Follower.open(running), await Follower.open(running)
    await quick.next()
    for _ in range(60):  # until there is more than all buffers between the two hold
        for number in range(40):
            running.control.publish("exchange", {"id": number, "text": "x" * 25_000})
        for _ in range(40):
            await quick.next()
        if running.control.feed.readers == 1:
            break
    assert running.control.feed.readers == 1
    events, size = running.control.feed.held
    assert events <= 500
    assert size <= 2 * 1024 * 1024
    assert (await running.ask("/-/healthz"))[0] == 200
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await slow.until_the_end()


async def test_no_more_readers_than_a_few_follow(home: Home, running: Running) -> None:
    running.control.feed._most_readers = 2
    followers = [await Follower.open(running) for _ in range(2)]
    for one in followers:
        await one.next()
    assert (await running.ask("/-/events", running.control.token))[0] == 503
    followers[0].client.close()
    async with asyncio.timeout(2):
        while running.control.feed.readers > 1:
            running.control.publish("exchange", {})  # by the write that fails, or before
            await asyncio.sleep(0.02)
    assert await (await Follower.open(running)).next() == ("ready", {"resumed": False})


async def test_a_room_offers_calls_of_its_own(running: Running) -> None:
    def answer(given: Arguments) -> dict[str, object]:
        if given.text("word") == "no":
            raise ControlRefused(409, "That cannot be done.")
        return {"id": given.path["id"], "word": given.text("word"), "times": given.number("times", 1, most=3)}

    running.control.offer(Call("POST", "/things/{id}/say", "Say a word.", answer))
    said = await threaded(lambda: running.client.call("POST", "/things/a/say", word="yes", times=2))
    assert said == {"id": "a", "word": "yes", "times": 2}
    for given, status in (
        ({"word": "no"}, 409),
        ({"word": 3}, 400),
        ({"word": "x" * 3000}, 400),
        ({"word": "yes", "times": 9}, 400),
        ({"word": "yes", "times": True}, 400),
    ):
        with pytest.raises(GuardAnswered) as caught:
            await threaded(lambda given=given: running.client.call("POST", "/things/a/say", **given))
        assert caught.value.status == status
    with pytest.raises(GuardAnswered, match=r"^That cannot be done\.$"):
        await threaded(lambda: running.client.call("POST", "/things/a/say", word="no"))
    for method, path, expected in (("GET", "/things/a/say", 405), ("POST", "/things/a/b/say", 404)):
        with pytest.raises(GuardAnswered) as caught:
            await threaded(lambda method=method, path=path: running.client.call(method, path))
        assert caught.value.status == expected


@pytest.mark.parametrize("body", [b"[]", b"nothing", b'{"a":', b"\xff"])
async def test_a_body_that_is_no_json_object_is_refused(running: Running, body: bytes) -> None:
    head = (
        f"POST /-/api/stop HTTP/1.1\r\nHost: 127.0.0.1:{{port}}\r\nAuthorization: Bearer {running.control.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    assert (await running.guard.ask(head.encode() + body)).status == 400
    assert not running.stopped.is_set()
