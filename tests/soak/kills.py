"""`kill -9` under load through the real guard process: what must be in the log afterwards, and what must not be upstream.

Every request carries a mark of its own as its session id, so that what the provider saw, what the agent was told and what
the log holds can be compared one by one. The provider notes a mark as soon as the head of a request arrives.
"""

import asyncio
import random
import shutil
import signal
import string
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from aiohttp import web

from localguard.audit.queries import Log
from localguard.audit.verify import verify
from tests.bench.client import Answer, Broken, Connection, get, post
from tests.bench.rig import free_port, start_guard

LOADERS = 8
_LEAST = 5
_PATIENCE = 15.0
OUTCOME_SECONDS = 1.0
"""P2: an outcome is durable this long after the reply's end."""


@dataclass(slots=True)
class Acknowledged:
    """What one agent was told before the kill."""

    mark: str
    status: int
    exchange: str
    ended: float


@dataclass(slots=True)
class Result:
    """What a campaign saw. `problems` is empty where every promise was kept."""

    kills: int = 0
    acknowledged: int = 0
    upstream: int = 0
    records: int = 0
    unknown: int = 0
    """Intents whose outcome the kill took; they got the outcome `unknown` at the next start."""
    back: list[float] = field(default_factory=list)
    """Seconds from each start of the process to its first answer."""
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for a person, then the problems."""
        slowest = max(self.back, default=0.0)
        median = sorted(self.back)[len(self.back) // 2] if self.back else 0.0
        line = (
            f"{self.kills} kills: {self.acknowledged} acknowledged, {self.upstream} upstream, {self.records} records, "
            f"{self.unknown} unknown outcomes, back in {median:.2f} s (slowest {slowest:.2f} s), "
            f"{len(self.problems)} problems"
        )
        return "\n".join([line, *self.problems[:20]])


class Campaign:
    """Kills the guard of one home again and again. `planted` must never be seen upstream."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._home = folder / "home"
        self._chance = random.Random(seed)
        self._planted = "".join(self._chance.choices(string.ascii_letters + string.digits, k=24))
        self._port = free_port()
        self._provider_port = free_port()
        self._seen: set[str] = set()
        self._acknowledged: list[Acknowledged] = []
        self._number = 0
        self._killed_at: dict[str, float] = {}
        self._enough = asyncio.Event()
        self._wanted = 0
        self.result = Result()

    async def run(self, kills: int, *, shortest: float, longest: float) -> Result:
        """Start the guard, load it for a random time (seconds), kill it, and look at the log; `kills` times."""
        provider = web.ServerRunner(web.Server(self._provide))
        await provider.setup()
        await web.TCPSite(provider, "127.0.0.1", self._provider_port).start()
        try:
            for _ in range(kills):
                await self._round(self._chance.uniform(shortest, longest))
            await self._last_start()
        finally:
            await provider.cleanup()
        self.result.upstream = len(self._seen)
        self.result.acknowledged = len(self._acknowledged)
        return self.result

    async def _round(self, seconds: float) -> None:
        began = time.monotonic()
        process = start_guard(self._home, self._port, self._provider_port)
        try:
            await self._until_it_answers(process, began)
            self._enough.clear()
            self._wanted = len(self._acknowledged) + _LEAST
            load = [asyncio.create_task(self._load(number)) for number in range(LOADERS)]
            await asyncio.sleep(seconds)
            with suppress(TimeoutError):  # a kill before anything was answered would show nothing
                await asyncio.wait_for(self._enough.wait(), _PATIENCE)
        finally:
            process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            await asyncio.to_thread(process.wait)
        await asyncio.wait(load, timeout=10)
        for task in load:
            if not task.done():
                self.result.problems.append("an agent hangs after the kill")
                task.cancel()
            elif error := task.exception():
                raise error
        self.result.kills += 1
        for one in self._acknowledged:
            self._killed_at.setdefault(one.exchange, killed)
        await asyncio.to_thread(self._look)

    async def _last_start(self) -> None:
        began = time.monotonic()
        process = start_guard(self._home, self._port, self._provider_port)
        try:
            await self._until_it_answers(process, began)
        finally:
            process.send_signal(signal.SIGTERM)
            if await asyncio.to_thread(process.wait, 60):
                self.result.problems.append(f"the guard ended with {process.returncode} when asked to stop")
        await asyncio.to_thread(self._look_closely)

    async def _until_it_answers(self, process: "subprocess.Popen[bytes]", began: float) -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                connection = await Connection.open(self._port)
                answer = await connection.ask(get("/-/healthz"))
                connection.close()
                if answer.status == 200:
                    self.result.back.append(time.monotonic() - began)
                    return
            if process.poll() is not None or time.monotonic() > began + 30:
                raise RuntimeError(f"the guard does not come back (exit code {process.returncode})")
            await asyncio.sleep(0.01)

    # the agents

    async def _load(self, number: int) -> None:
        """Send requests until the connection breaks: plain ones, streamed ones, refused ones, and ones with a secret."""
        with suppress(Broken, ConnectionError):
            connection = await Connection.open(self._port)
            while True:
                self._number += 1
                mark = f"mark-{self._number}"
                answer = await connection.ask(self._request(mark, number))
                self._acknowledge(mark, answer)

    def _request(self, mark: str, loader: int) -> bytes:
        if loader == 0:  # waits for the scanner after a start, so it does not share a connection with others
            text = f'password = "{self._planted}#1" {mark}'
        else:
            text = f"Explain line {self._number} of the parser."
        body = orjson.dumps(
            {"model": "soak-1", "stream": loader % 2 == 1, "messages": [{"role": "user", "content": text}]}
        )
        if loader == 7 and self._number % 5 == 0:
            body = body[:-1]  # refused: not JSON
        return post("/bench/v1/chat/completions", body, x_session_id=mark)

    def _acknowledge(self, mark: str, answer: Answer) -> None:
        exchange = answer.header("x-localguard-exchange")
        if exchange is None:
            self.result.problems.append(f"{mark}: a reply with status {answer.status} names no exchange")
        elif answer.status not in (200, 400, 503):
            self.result.problems.append(f"{mark}: status {answer.status}: {answer.body[:200]!r}")
        else:
            self._acknowledged.append(Acknowledged(mark, answer.status, exchange, time.monotonic()))
            if len(self._acknowledged) >= self._wanted:
                self._enough.set()

    # the provider

    async def _provide(self, request: web.BaseRequest) -> web.StreamResponse:
        self._seen.add(request.headers.get("x-session-id", "a request without mark"))
        body = await request.read()
        if self._planted.encode() in body:
            self.result.problems.append(f"{request.headers.get('x-session-id')}: the planted value went upstream")
        if not orjson.loads(body)["stream"]:
            return web.Response(body=_WHOLE, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(5):
                await response.write(b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"so "}}]}\n\n')
                await asyncio.sleep(0.005)
            await response.write(b"data: [DONE]\n\n")
        return response

    # the log

    def _look(self) -> None:
        """The log as the kill left it: sound, and with an intent for all that went upstream."""
        report = verify(self._home / "state" / "audit.db")
        if not report.consistent:
            self.result.problems.append(str(report))

    def _look_closely(self) -> None:
        """The log after the last start, against what agents and provider saw."""
        problems = self.result.problems
        report = verify(self._home / "state" / "audit.db")
        if not report.consistent:
            problems.append(str(report))
        self.result.records = report.records
        with Log(self._home / "state" / "audit.db") as log:
            records = log.tail(10_000_000)
            if left_open := log.open_exchanges():
                problems.append(f"{len(left_open)} exchanges are still open after a start")
        intents = {record.exchange: record for record in records if record.kind == "intent"}
        outcomes = {record.exchange: record for record in records if record.kind == "outcome"}
        refusals = {record.exchange for record in records if record.kind == "refusal"}
        states = {name: (record.metadata or {}).get("state") for name, record in outcomes.items()}
        self.result.unknown = sum(state == "unknown" for state in states.values())
        if len(outcomes) != sum(record.kind == "outcome" for record in records) or set(intents) != set(outcomes):
            problems.append(f"{len(intents)} intents, but {len(outcomes)} of them have an outcome, or some have two")
        with_intent = {record.session for record in intents.values()}
        problems += [f"{mark}: went upstream without an intent" for mark in sorted(self._seen - with_intent)]
        for one in self._acknowledged:
            if one.status == 200 and (one.exchange not in intents or intents[one.exchange].session != one.mark):
                problems.append(f"{one.mark}: answered, but its intent is not in the log")
            elif one.status != 200 and one.exchange not in refusals:
                problems.append(f"{one.mark}: refused, but its refusal is not in the log")
            old = self._killed_at[one.exchange] - one.ended > OUTCOME_SECONDS
            if one.status == 200 and old and states.get(one.exchange) == "unknown":
                problems.append(f"{one.mark}: ended more than a second before the kill, but its outcome is lost")
        for path in self._home.rglob("*"):
            if path.is_file() and self._planted.encode() in path.read_bytes():
                problems.append(f"the planted value stands in {path.name}")


_WHOLE = b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"so"},"finish_reason":"stop"}]}'


async def campaign(folder: Path, kills: int, *, seed: int, shortest: float, longest: float, a_home: int = 25) -> Result:
    """Run a campaign in `folder`, with a new home every `a_home` kills so that looking at the log stays quick."""
    total = Result()
    for number in range(0, kills, a_home):
        one = folder / f"{number}"
        one.mkdir()
        part = await Campaign(one, seed + number).run(min(a_home, kills - number), shortest=shortest, longest=longest)
        total.kills += part.kills
        total.acknowledged += part.acknowledged
        total.upstream += part.upstream
        total.records += part.records
        total.unknown += part.unknown
        total.back += part.back
        total.problems += part.problems
        shutil.rmtree(one, ignore_errors=True)
    return total
