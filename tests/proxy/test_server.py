"""The port: exclusive, on this machine only, closed gracefully."""

import asyncio
import socket
import time

import pytest
from aiohttp import web

from localguard.proxy.connection import Reply, read_body
from localguard.proxy.server import GuardServer, PortInUse, bind_loopback
from tests.proxy.conftest import Guard, StartGuard

GET = b"GET /openai/v1/models HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"


async def nothing(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response()


async def test_a_second_guard_on_the_port_is_refused(guard: Guard) -> None:
    second = GuardServer(nothing, port=guard.port)
    with pytest.raises(PortInUse, match="--port"):
        await second.start()
    assert (await guard.ask(GET)).status == 200


@pytest.mark.parametrize("listening", [True, False])
async def test_somebody_on_the_ipv6_address_alone_is_enough_to_refuse(listening: bool) -> None:
    free = bind_loopback(0)
    port = free[0].getsockname()[1]
    for sock in free:
        sock.close()
    if len(free) < 2:
        pytest.skip("this machine has no IPv6")
    with socket.socket(socket.AF_INET6) as squatter:
        squatter.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        squatter.bind(("::1", port))
        if listening:
            squatter.listen()
        with pytest.raises(PortInUse, match="::1"):
            bind_loopback(port)
    for sock in bind_loopback(port):  # the failed attempt holds nothing
        sock.close()


def test_a_port_shared_by_reuseport_is_not_joined() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortInUse):
            bind_loopback(other.getsockname()[1])


async def test_the_port_cannot_be_joined_by_reuseport(guard: Guard) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", guard.port))


async def test_only_loopback_is_bound(guard: Guard) -> None:
    addresses = {sock.getsockname()[0] for sock in guard.server._sockets}
    assert addresses <= {"127.0.0.1", "::1"}
    assert "127.0.0.1" in addresses


async def test_both_addresses_answer_on_one_port(guard: Guard) -> None:
    if len(guard.server._sockets) < 2:
        pytest.skip("this machine has no IPv6")
    reader, writer = await asyncio.open_connection("::1", guard.port)
    writer.write(GET.replace(b"127.0.0.1:{port}", b"[::1]:%d" % guard.port))
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_the_port_is_free_at_once_after_a_stop(start_guard: StartGuard) -> None:
    guard = await start_guard()
    assert (await guard.ask(GET)).status == 200
    port = guard.port
    await guard.server.close()
    for sock in bind_loopback(port):
        sock.close()


async def test_nagle_is_off(start_guard: StartGuard) -> None:
    seen = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        seen.append(request.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return web.Response()

    guard = await start_guard(handler)
    await guard.ask(GET)
    assert seen[0]


async def test_a_running_stream_is_finished_before_the_guard_stops(start_guard: StartGuard) -> None:
    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        reply = Reply(200, "OK", [])
        await reply.prepare(request)
        for number in range(5):
            await asyncio.sleep(0.1)
            await reply.write(b"%d" % number)
        await reply.write_eof()
        return reply

    guard = await start_guard(stream)
    client, idle = await guard.client(), await guard.client()
    await client.send(GET)
    await asyncio.sleep(0.1)
    stopping = asyncio.create_task(guard.server.close(grace=5))
    assert await idle.at_end()
    assert (await client.answer()).body == b"01234"
    assert await client.at_end()
    await stopping
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", client.port)


async def test_a_request_still_arriving_at_a_stop_is_answered(start_guard: StartGuard) -> None:
    guard = await start_guard()
    client = await guard.client()
    await client.send(GET.replace(b"GET", b"POST")[:-2] + b"Content-Length: 4\r\n\r\n{}")
    await asyncio.sleep(0.1)
    stopping = asyncio.create_task(guard.server.close(grace=5))
    await asyncio.sleep(0.1)
    await client.send(b"{}")
    assert (await client.answer()).status == 200
    await stopping
    assert guard.seen[0]["body"] == b"{}{}"


async def test_a_request_that_does_not_end_is_cancelled_after_the_grace_time(start_guard: StartGuard) -> None:
    ended = asyncio.Event()

    async def forever(request: web.BaseRequest) -> web.StreamResponse:
        await read_body(request, guard.server.limits)
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return web.Response()

    guard = await start_guard(forever)
    client = await guard.client()
    await client.send(GET)
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await guard.server.close(grace=0.3)
    await asyncio.sleep(0)
    assert time.monotonic() - began < 3
    assert ended.is_set()
    assert await client.at_end()


async def test_closing_twice_or_before_the_start_is_harmless() -> None:
    server = GuardServer(nothing, port=0)
    server.bind()
    await server.close()
    await server.close()
