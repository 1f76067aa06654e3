"""A guard's port with an echoing handler behind it, and clients that speak raw bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import orjson
import pytest
from aiohttp import web

from localguard.proxy.admission import Admission, ControlCall
from localguard.proxy.connection import Limits, head_of, read_body
from localguard.proxy.server import GuardServer, Handler


@dataclass
class Answer:
    """One reply as it came: status, header pairs (names in lower case), body, and whether the connection ended after it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    closed: bool = False
    version: str = "HTTP/1.1"

    def header(self, name: str) -> str | None:
        return next((value for given, value in self.headers if given == name), None)

    @property
    def code(self) -> str:
        return str(orjson.loads(self.body)["error"]["code"])


class RawClient:
    """A TCP client that sends exactly the bytes it is told to."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.port = port
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.writer.write(data.replace(b"{port}", str(self.port).encode()))
            await self.writer.drain()

    async def answer(self, *, within: float = 5.0, head_only: bool = False) -> Answer:
        """Read one reply. Raises IncompleteReadError if the connection ends before it does."""
        async with asyncio.timeout(within):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in head[1:] if line)]
            answer = Answer(int(head[0].split(" ")[1]), headers, b"", version=head[0].split(" ")[0])
            if answer.header("transfer-encoding") == "chunked":
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    answer.body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readexactly(2)
            elif not head_only and answer.status >= 200:
                answer.body = await self.reader.readexactly(int(answer.header("content-length") or 0))
            return answer

    async def at_end(self, *, within: float = 5.0) -> bool:
        """Wait until the guard closes the connection; False if it sends something, or does not close it in time."""
        try:
            async with asyncio.timeout(within):
                return await self.reader.read(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    async def ask(self, data: bytes, *, within: float = 5.0) -> Answer:
        """Send `data` and read one reply; notes whether the connection was closed after it."""
        await self.send(data)
        answer = await self.answer(within=within)
        last = answer.header("connection") == "close" or answer.version != "HTTP/1.1"
        answer.closed = last and await self.at_end()
        return answer

    def close(self) -> None:
        self.writer.close()


@dataclass
class Guard:
    """A running guard whose handler admits, reads the body and echoes what it saw; `seen` collects what got through."""

    server: GuardServer
    admission: Admission
    seen: list[dict[str, object]] = field(default_factory=list)
    clients: list[RawClient] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

    async def client(self) -> RawClient:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        self.clients.append(RawClient(self.port, reader, writer))
        return self.clients[-1]

    async def ask(self, data: bytes, *, within: float = 5.0) -> Answer:
        return await (await self.client()).ask(data, within=within)


StartGuard = Callable[..., Awaitable[Guard]]


@pytest.fixture
async def start_guard() -> AsyncIterator[StartGuard]:
    """Answer a function that starts a guard, with an own handler or limits."""
    guards: list[Guard] = []

    async def start(handler: Handler | None = None, limits: Limits | None = None) -> Guard:
        async def echo(request: web.BaseRequest) -> web.StreamResponse:
            head = head_of(request)
            admitted = started.admission.admit(head)
            if isinstance(admitted, ControlCall):
                return web.json_response({"control": admitted.path})
            body = await read_body(request, started.server.limits)
            started.seen.append(
                {
                    "method": head.method,
                    "endpoint": admitted.endpoint,
                    "target": admitted.target,
                    "headers": admitted.headers,
                    "token": admitted.workspace_token,
                    "task": admitted.task,
                    "body": body,
                }
            )
            return web.json_response({"target": admitted.target, "length": len(body)})

        server = GuardServer(handler or echo, port=0, limits=limits)
        server.bind()
        started = Guard(server, Admission(server.port))
        await server.start()
        guards.append(started)
        return started

    yield start
    for one in guards:
        for client in one.clients:
            client.close()
        await one.server.close(grace=0.2)


@pytest.fixture
async def guard(start_guard: StartGuard) -> Guard:
    """A guard with the default limits."""
    return await start_guard()
