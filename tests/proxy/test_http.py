"""What the guard's port makes of hostile HTTP, spoken over raw sockets.

aiohttp's parser refuses most of it; who refuses what is not this test's matter, only that nobody passes it on. Each case runs
against aiohttp's C parser and against the Python one that is used where no binary wheel fits.
"""

import asyncio
import contextlib
import gzip
import time

import orjson
import pytest
from aiohttp import web
from aiohttp.http_parser import HttpRequestParserPy

from localguard.proxy.connection import Limits, Reply, read_body
from tests.proxy.conftest import Guard, StartGuard

HOST = b"Host: 127.0.0.1:{port}\r\n"
GET = b"GET /openai/v1/models HTTP/1.1\r\n" + HOST
POST = b"POST /openai/v1/chat/completions HTTP/1.1\r\n" + HOST
BODY = b"Content-Length: 2\r\n\r\n{}"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=["c", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.setattr("aiohttp.web_protocol.HttpRequestParser", HttpRequestParserPy)
    return str(request.param)


MALFORMED = {
    "length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "the same length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\ncontent-length: 3\r\n\r\n{}x",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "length +3": POST + b"Content-Length: +3\r\n\r\n{} ",
    "length 0x3": POST + b"Content-Length: 0x3\r\n\r\n{} ",
    "length -1": POST + b"Content-Length: -1\r\n\r\n{} ",
    "length 1_0": POST + b"Content-Length: 1_0\r\n\r\n{}        ",
    "empty length": POST + b"Content-Length:\r\n\r\n{}",
    "length of 20 digits": POST + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "length of 19 digits": POST + b"Content-Length: 9999999999999999999\r\n\r\n{}",
    "length in Arabic digits": POST + "Content-Length: ٢\r\n\r\n{}".encode(),
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked, chunked": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer coding identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "transfer coding xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "transfer coding with a control character": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": POST.replace(b"1.1", b"1.0", 1) + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare line feeds": POST.replace(b"\r\n", b"\n") + BODY.replace(b"\r\n", b"\n"),
    "one bare line feed": POST + b"X: a\n" + BODY,
    "bare carriage return": POST + b"X: a\rb\r\n" + BODY,
    "folded header": POST + b"X: a\r\n b\r\n" + BODY,
    "folded first header": b"POST /openai/v1/x HTTP/1.1\r\n X: y\r\n" + HOST + BODY,
    "NUL in a value": POST + b"X: a\0b\r\n" + BODY,
    "NUL in a name": POST + b"X\0: a\r\n" + BODY,
    "control character in a value": POST + b"X: a\x01b\r\n" + BODY,
    "DEL in a value": POST + b"X: a\x7fb\r\n" + BODY,
    "value that is not UTF-8": POST + b"X: a\xe9b\r\n" + BODY,
    "space before the colon": POST + b"X : a\r\n" + BODY,
    "space in a name": POST + b"X Y: a\r\n" + BODY,
    "no colon": POST + b"XY\r\n" + BODY,
    "empty name": POST + b": a\r\n" + BODY,
    "no Host": b"POST /openai/v1/x HTTP/1.1\r\n" + BODY,
    "no Host in HTTP/1.0": b"POST /openai/v1/x HTTP/1.0\r\n" + BODY,
    "two Hosts": POST + HOST + BODY,
    "chunk size +2": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "chunk size 0x2": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "space after the chunk size": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "line feed after the chunk size": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "chunk without its end": CHUNKED + b"2\r\n{}XX0\r\n\r\n",
    "negative chunk": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0": POST.replace(b"1.1", b"2.0", 1) + BODY,
    "HTTP/1.2": POST.replace(b"1.1", b"1.2", 1) + BODY,
    "HTTP/11": POST.replace(b"1.1", b"11", 1) + BODY,
    "lower-case http": POST.replace(b"HTTP/1.1", b"http/1.1", 1) + BODY,
    "unknown expectation": POST + b"Expect: magic\r\n" + BODY,
    "1,000 headers": POST + b"".join(b"X-%d: 1\r\n" % i for i in range(1000)) + BODY,
    "header of 70 KB": POST + b"X: " + b"a" * 70_000 + b"\r\n" + BODY,
    "headers of 70 KB together": POST + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 1000) for i in range(70)) + BODY,
    "path of 70 KB": b"GET /openai/" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "header name of 70 KB": POST + b"X" * 70_000 + b": a\r\n" + BODY,
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.usefixtures("parser")
async def test_malformed_http_is_refused_and_the_connection_closed(guard: Guard, sent: bytes) -> None:
    answer = await guard.ask(sent + GET + b"\r\n")
    assert answer.status in (400, 417, 431, 505)
    assert answer.code.startswith("localguard_")
    assert answer.header("x-should-retry") == "false"
    assert answer.closed
    assert guard.seen == [], "neither the request nor what was smuggled behind it reaches the handler"


@pytest.mark.parametrize("sent", [CHUNKED + b"2;a\rb\r\n{}\r\n0\r\n\r\n", CHUNKED + b"f" * 17 + b"\r\n{}\r\n0\r\n\r\n"])
async def test_odd_chunk_lines_are_refused(guard: Guard, sent: bytes) -> None:
    assert (await guard.ask(sent)).status == 400
    assert guard.seen == []


async def test_a_refusal_does_not_quote_the_request(guard: Guard, caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary" + "0123456789"
    for sent in (
        POST + b"X: %s\0\r\n",
        POST + b"X: %s\xe9\r\n",
        b"%s\r\n",
        POST + b"Content-Length: %s\r\n",
        b"GET /%s\\ HTTP/1.1\r\n" + HOST,
    ):
        answer = await guard.ask(sent % canary.encode() + b"\r\n")
        assert answer.status >= 400
        assert canary.encode() not in answer.body
    assert canary not in caplog.text


@pytest.mark.usefixtures("parser")
async def test_trailers_reach_neither_this_request_nor_the_next(guard: Guard) -> None:
    trailing = CHUNKED + b"2\r\n{}\r\n0\r\nAuthorization: Bearer evil\r\nX-Api-Key: evil\r\n\r\n"
    client = await guard.client()
    await client.send(trailing + GET + b"\r\n")
    assert (await client.answer()).status == 200
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await client.answer()
    assert "evil" not in repr(guard.seen)
    assert guard.seen[0]["body"] == b"{}"


async def test_a_connection_ends_after_a_chunked_body(guard: Guard) -> None:
    answer = await guard.ask(CHUNKED + b"2\r\n{}\r\n0\r\n\r\n")
    assert (answer.status, answer.closed) == (200, True)


@pytest.mark.usefixtures("parser")
async def test_pipelined_requests_are_answered_in_order(guard: Guard) -> None:
    client = await guard.client()
    count = 60
    await client.send(b"".join(POST.replace(b"chat", b"%d" % i) + BODY for i in range(count)))
    targets = [orjson.loads((await client.answer()).body)["target"] for _ in range(count)]
    assert targets == [f"/v1/{i}/completions" for i in range(count)]


async def test_a_kept_connection_serves_many_requests(guard: Guard) -> None:
    client = await guard.client()
    for _ in range(5):
        assert (await client.ask(POST + BODY)).status == 200


async def test_expect_100_continue_is_answered_before_the_body(guard: Guard) -> None:
    client = await guard.client()
    await client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert (await client.answer()).status == 100
    assert (await client.ask(b"{}")).status == 200
    assert (await client.ask(POST + BODY)).status == 200


async def test_a_refused_request_is_not_told_to_continue(guard: Guard) -> None:
    sent = POST + b"Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n"
    answer = await guard.ask(sent)
    assert (answer.status, answer.code) == (400, "localguard_body_too_large")


async def test_a_body_that_was_sent_without_waiting_is_not_told_to_continue(guard: Guard) -> None:
    answer = await guard.ask(POST + b"Expect: 100-continue\r\n" + BODY)
    assert answer.status == 200


async def test_an_h2c_upgrade_is_ignored(guard: Guard) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    answer = await guard.ask(POST + upgrade + BODY)
    assert (answer.status, answer.closed) == (200, True)
    assert guard.seen[0]["body"] == b"{}"
    answer = await guard.ask(GET + upgrade + b"\r\n")
    assert answer.status == 200


@pytest.mark.usefixtures("parser")
async def test_a_websocket_upgrade_gets_a_clean_426(guard: Guard) -> None:
    upgrade = b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    answer = await guard.ask(GET + upgrade)
    assert (answer.status, answer.code, answer.closed) == (426, "localguard_websocket_unsupported", True)
    assert answer.header("upgrade") is not None


async def test_head_has_no_body(guard: Guard) -> None:
    client = await guard.client()
    await client.send(GET.replace(b"GET", b"HEAD") + b"\r\n" + GET + b"\r\n")
    assert (await client.answer(head_only=True)).status == 200
    assert (await client.answer()).status == 200


# Time and size

QUICK = Limits(
    header_timeout=0.3, body_stall_timeout=0.3, body_timeout=0.8, idle_timeout=0.6, body_bytes=1000, linger=0.5
)


@pytest.mark.parametrize("sent", [b"", b"POST /openai", GET, GET + b"X: y\r\n"])
async def test_a_header_that_does_not_arrive_in_time_is_refused(start_guard: StartGuard, sent: bytes) -> None:
    guard = await start_guard(limits=QUICK)
    answer = await guard.ask(sent)
    assert (answer.status, answer.code, answer.closed) == (408, "localguard_header_timeout", True)


async def test_a_header_that_drips_is_refused(start_guard: StartGuard) -> None:
    guard = await start_guard(limits=QUICK)
    client = await guard.client()

    async def drip() -> None:
        for byte in GET * 10:
            await client.send(bytes([byte]))
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert (await client.answer()).status == 408
    dripping.cancel()


async def test_a_late_header_of_a_further_request_is_refused(start_guard: StartGuard) -> None:
    guard = await start_guard(limits=QUICK)
    client = await guard.client()
    assert (await client.ask(POST + BODY)).status == 200
    await asyncio.sleep(0.4)  # idle is no stalled header
    assert (await client.ask(POST + BODY)).status == 200
    assert (await client.ask(b"POST /op")).status == 408


async def test_a_long_answer_is_not_disturbed_by_the_headers_time(start_guard: StartGuard) -> None:
    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        await read_body(request, QUICK)
        await asyncio.sleep(0.9)
        return web.Response(text="done")

    guard = await start_guard(slow, QUICK)
    client = await guard.client()
    await client.send(POST + b"Content-Length: 2\r\n\r\n{")
    await asyncio.sleep(0.1)
    await client.send(b"}")
    assert (await client.answer()).body == b"done"
    assert (await client.ask(POST + BODY)).body == b"done"


async def test_an_idle_connection_is_closed(start_guard: StartGuard) -> None:
    guard = await start_guard(limits=QUICK)
    client = await guard.client()
    assert (await client.ask(POST + BODY)).status == 200
    began = time.monotonic()
    assert await client.at_end(within=3)
    assert time.monotonic() - began > 0.3


@pytest.mark.parametrize("framing", [b"Content-Length: 10\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
@pytest.mark.parametrize("sent", [b"", b"2\r\n{}"])
async def test_a_stalled_body_is_refused(start_guard: StartGuard, framing: bytes, sent: bytes) -> None:
    guard = await start_guard(limits=QUICK)
    answer = await guard.ask(POST + framing + sent)
    assert (answer.status, answer.code, answer.closed) == (400, "localguard_body_incomplete", True)
    assert guard.seen == []


async def test_a_dripping_body_is_refused_in_the_end(start_guard: StartGuard) -> None:
    guard = await start_guard(limits=QUICK)
    client = await guard.client()
    await client.send(POST + b"Content-Length: 900\r\n\r\n")
    began = time.monotonic()

    async def drip() -> None:
        while True:
            await client.send(b"x")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert (await client.answer()).status == 400
    assert 0.6 < time.monotonic() - began < 2
    dripping.cancel()


async def test_a_body_that_is_cut_off_never_reaches_the_handler(start_guard: StartGuard) -> None:
    guard = await start_guard()
    for sent in (POST + b"Content-Length: 10\r\n\r\n{}", CHUNKED + b"2\r\n{}\r\n", CHUNKED + b"a\r\n{}"):
        client = await guard.client()
        await client.send(sent)
        client.close()
    await asyncio.sleep(0.1)
    assert guard.seen == []
    assert guard.server.running == 0


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_above_the_limit_is_refused(start_guard: StartGuard, framing: str) -> None:
    guard = await start_guard(limits=QUICK)
    if framing == "length":
        sent = POST + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001
    else:
        sent = CHUNKED + b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n" + b"x" * 501 + b"\r\n0\r\n\r\n"
    answer = await guard.ask(sent)
    assert (answer.status, answer.code, answer.closed) == (400, "localguard_body_too_large", True)


async def test_a_client_still_sending_a_body_that_is_too_large_reads_the_refusal(start_guard: StartGuard) -> None:
    guard = await start_guard(limits=QUICK)
    client = await guard.client()
    sending = asyncio.create_task(client.send(POST + b"Content-Length: 20000000\r\n\r\n" + b"x" * 20_000_000))
    assert (await client.answer()).code == "localguard_body_too_large"
    await sending


async def test_a_body_of_the_limit_arrives(start_guard: StartGuard) -> None:
    guard = await start_guard(limits=QUICK)
    assert (await guard.ask(POST + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000)).status == 200


async def test_a_body_of_16_mb_arrives(guard: Guard) -> None:
    body = bytes(range(256)) * (1 << 16)
    answer = await guard.ask(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.status == 200
    assert guard.seen[0]["body"] == body


async def test_coded_bodies_arrive_as_they_were_sent(guard: Guard) -> None:
    body = gzip.compress(b"{}")
    await guard.ask(POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert guard.seen[0]["body"] == body


async def test_connections_above_the_limit_are_turned_away(start_guard: StartGuard) -> None:
    guard = await start_guard(limits=Limits(connections=3))
    held = [await guard.client() for _ in range(3)]
    for client in held:
        assert (await client.ask(POST + BODY)).status == 200
    turned_away = await guard.client()
    assert (await turned_away.answer()).code == "localguard_busy"
    held[0].close()
    await asyncio.sleep(0.1)
    assert (await guard.ask(POST + BODY)).status == 200


# Answers


async def test_a_reply_has_nothing_that_was_not_given(start_guard: StartGuard) -> None:
    given = [("X-A", "1"), ("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("x-a", "2"), ("Date", "today")]

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        reply = Reply(299, "Quite Fine", given)
        await reply.prepare(request)
        await reply.write(b"body")
        await reply.write_eof()
        return reply

    guard = await start_guard(handler)
    client = await guard.client()
    await client.send(GET + b"\r\n")
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 299 Quite Fine"
    lines = head.split(b"\r\n")[1:-2]
    assert sorted(lines) == sorted([*(f"{n}: {v}".encode() for n, v in given), b"Transfer-Encoding: chunked"])


async def test_a_handler_that_fails_before_its_reply_answers_500_and_quotes_nothing(
    start_guard: StartGuard, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        raise ValueError("canary-value")

    guard = await start_guard(handler)
    answer = await guard.ask(POST + BODY)
    assert (answer.status, answer.code) == (500, "localguard_internal")
    assert b"canary" not in answer.body
    assert "canary" not in caplog.text
    assert "ValueError at test_http.py" in caplog.text


async def test_a_handler_that_fails_within_its_reply_cuts_it(start_guard: StartGuard) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        reply = Reply(200, "OK", [])
        await reply.prepare(request)
        await reply.write(b"half")
        raise ValueError("canary-value")

    guard = await start_guard(handler)
    client = await guard.client()
    await client.send(GET + b"\r\n")
    with pytest.raises(asyncio.IncompleteReadError):
        await client.answer()


async def test_chunks_of_a_reply_go_out_at_once(start_guard: StartGuard) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        reply = Reply(200, "OK", [("Content-Type", "text/event-stream")])
        await reply.prepare(request)
        for number in range(5):
            await asyncio.sleep(0.05)
            await reply.write(b"data: %d\n\n" % number)
        await reply.write_eof()
        return reply

    guard = await start_guard(handler)
    client = await guard.client()
    await client.send(GET + b"\r\n")
    await client.reader.readuntil(b"\r\n\r\n")
    times = []
    for number in range(5):
        assert await client.reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: %d\n\n\r\n" % number
        times.append(time.monotonic())
    assert times[-1] - times[0] > 0.15


async def test_a_client_that_hangs_up_cancels_the_handler(start_guard: StartGuard) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        started.set()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return web.Response()

    guard = await start_guard(handler)
    client = await guard.client()
    await client.send(POST + BODY)
    await started.wait()
    client.close()
    async with asyncio.timeout(2):
        await cancelled.wait()
    await asyncio.sleep(0.05)
    assert guard.server.running == 0
