"""The terminal UI in a pseudo terminal, in front of a real event feed: first paint, processor time, memory."""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import random
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web

from localguard.config.home import Home
from localguard.proxy.admission import Admission, ControlCall
from localguard.proxy.connection import head_of
from localguard.proxy.control import Arguments, Call, Control
from localguard.proxy.control_models import ExchangesQuery
from localguard.proxy.server import GuardServer
from tests.tui.guard import BEGAN, detail, exchange, exchanges

RATE = 200
"""Exchanges a second; each is published when it begins and when it has ended."""
_SECONDS = 8.0
_FLOOD = 12_000
_COLUMNS, _LINES = 140, 40


@dataclass(frozen=True, slots=True)
class Watched:
    """What one run showed: seconds, a share of one core, and megabytes of the process after one flood and after another."""

    first_paint: float
    share: float
    shown: int
    after_one: float
    after_another: float


class _Source:
    """The control addresses of a guard, with made-up exchanges behind them."""

    def __init__(self, home: Home) -> None:
        self.control = Control(home, stop=lambda: None, status=lambda: {"version": "bench", "policy": {}})
        self._rows = list(exchanges(500))
        self._moment, self._chance = BEGAN + timedelta(hours=1), random.Random(1)
        self.control.offer(
            Call("GET", "/exchanges", "The latest.", self._listed, query=ExchangesQuery),
            Call("GET", "/exchanges/{id}", "One.", lambda _: detail(self._rows[-3])),
            Call("GET", "/approvals", "None.", lambda _: {"approvals": []}),
        )
        self.server = GuardServer(self._answer, port=0)
        self.server.bind()
        self._admission = Admission(self.server.port)

    def _listed(self, given: Arguments) -> Mapping[str, object]:
        asked = given.queried(ExchangesQuery)
        rows = [row for row in self._rows if asked.before is None or row["exchange"] < asked.before]
        return {"exchanges": rows[-asked.limit :], "more": True}

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        call = self._admission.admit(head_of(request))
        assert isinstance(call, ControlCall)
        return await self.control.answer(request, call)

    def publish(self, count: int) -> None:
        """So many exchanges, from beginning to end."""
        for _ in range(count):
            self._moment += timedelta(milliseconds=5)
            row: Mapping[str, Any] = exchange(self._chance, self._moment)
            self.control.publish("exchange", {**row, "state": "running"})
            self.control.publish("exchange", row)


async def watch() -> Watched:
    """Run it once: half a minute."""
    with tempfile.TemporaryDirectory(prefix="localguard-watching-") as folder:
        home = Home(Path(folder) / "home")
        home.create()
        source = _Source(home)
        await source.server.start()
        report = Path(folder) / "told.json"
        process = _in_terminal(
            sys.executable, "-m", "tests.bench.watcher", str(home.root), str(source.server.port), str(report)
        )
        try:
            first = await _told(report, lambda told: told["first_paint"] is not None)
            seen = psutil.Process(process.pid)
            began, used = asyncio.get_running_loop().time(), _processor(seen)
            while (spent := asyncio.get_running_loop().time() - began) < _SECONDS:
                source.publish(RATE // 20)
                await asyncio.sleep(0.05 - (asyncio.get_running_loop().time() - began - spent))
            share = (_processor(seen) - used) / (asyncio.get_running_loop().time() - began)
            sizes = []
            for _ in range(2):
                for _ in range(_FLOOD // 200):
                    source.publish(200)
                    await asyncio.sleep(0.12)
                await asyncio.sleep(1.5)
                sizes.append(seen.memory_info().rss / 2**20)
            last = await _told(report, lambda told: True)
            return Watched(first["first_paint"], share, last["held"], *sizes)
        finally:
            process.terminate()
            process.wait(10)
            await source.server.close(grace=0.2)


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _told(report: Path, wanted: Any) -> dict[str, Any]:
    for _ in range(400):
        with contextlib.suppress(OSError, ValueError):
            told: dict[str, Any] = json.loads(await asyncio.to_thread(report.read_text))
            if wanted(told):
                return told
        await asyncio.sleep(0.05)
    raise TimeoutError("the terminal UI does not come")


def _in_terminal(*command: str) -> "subprocess.Popen[bytes]":
    """A program with a terminal of its own, whose output is read and thrown away."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)

    def read() -> None:
        with contextlib.suppress(OSError):
            while os.read(ours, 65536):
                pass

    threading.Thread(target=read, daemon=True).start()
    return process
