"""What a reply does while a person is asked: it says that it is still there, and lets go when the client does."""

import asyncio
from contextlib import suppress
from typing import cast

import pytest
from aiohttp import web

from localguard.exchange.reply import ReplyRestorer
from localguard.proxy import reply
from localguard.proxy.asking import Asking
from localguard.proxy.live import Exchange
from localguard.redact.report import ValuesWanted
from localguard.wire.format import WireFormat
from localguard.wire.messages import MESSAGES
from localguard.wire.ollama import OLLAMA
from tests.exchange.driver import VALUES, Workspace
from tests.exchange.streams import messages, ollama


class Slow:
    """Somebody who answers after some signs of life."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.withdrawn = False

    async def values(self, _: Exchange, __: ValuesWanted) -> bool:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.withdrawn = True
            raise
        return True


class Client:
    """What an agent was written; it hangs up at the piece number `until`."""

    prepared = True

    def __init__(self, until: int = 100) -> None:
        self.written: list[bytes] = []
        self.until = until

    async def write(self, data: bytes) -> None:
        if len(self.written) == self.until:
            raise ConnectionError
        self.written.append(data)


async def give(format: WireFormat, asking: Slow, client: Client) -> bytes:
    workspace = Workspace()
    make = messages if format is MESSAGES else ollama
    command = f"curl 'https://x.example/{workspace.placeholder(VALUES[0])}'"
    raw = make(["x"], [("bash", [f'{{"command": "{command}"}}'])])
    restorer = ReplyRestorer(format, workspace.memory, stream=True, exchange="x1", asks=True)
    restorer.start(200, "text/event-stream" if format is MESSAGES else "application/x-ndjson")
    made = restorer.feed(raw)
    return await reply._asked(
        cast("Exchange", None), restorer, made, cast("web.StreamResponse", client), cast("Asking", asking)
    )


async def test_a_stream_that_waits_is_kept_alive_in_its_own_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "_KEEP_ALIVE", 0.01)
    client = Client()
    rest = await give(MESSAGES, Slow(0.1), client)
    assert client.written.count(b'event: ping\ndata: {"type": "ping"}\n\n') >= 2
    assert VALUES[0].encode() in rest
    lines = Client()
    assert VALUES[0].encode() in await give(OLLAMA, Slow(0.1), lines)
    assert len(lines.written) <= 1  # what came before it: lines have nothing that means nothing


async def test_a_client_that_has_gone_ends_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "_KEEP_ALIVE", 0.01)
    asking = Slow(30)
    with pytest.raises(ConnectionError):
        await give(MESSAGES, asking, Client(until=2))
    assert asking.withdrawn
    cancelled = Slow(30)
    task = asyncio.create_task(give(MESSAGES, cancelled, Client()))
    await asyncio.sleep(0.05)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert cancelled.withdrawn
