"""Provider, floor and guard as processes of their own, and how to reach the provider through each."""

import asyncio
import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from localguard.config import compiled_gates
from localguard.detect.multipattern import Unusable
from localguard.proxy.scan_pool import build_scanner
from tests.bench.client import Connection, get, post

WAYS = ("direct", "floor", "guard")
ROOT = Path(__file__).parents[2]
_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach the provider: `direct`, or through the floor or the guard."""

    name: str
    port: int
    prefix: str

    def post(self, body: bytes, path: str = "/v1/chat/completions", **headers: str) -> bytes:
        """The bytes of a request on this way."""
        return post(self.prefix + path, body, **headers)

    async def connect(self) -> Connection:
        """A connection of its own."""
        return await Connection.open(self.port)


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything that runs, and the guard's process id and home."""

    ways: Mapping[str, Way]
    guard_pid: int
    home: Path

    async def last_upstream(self) -> bytes:
        """The body that the provider saw last."""
        connection = await Connection.open(self.ways["direct"].port)
        try:
            return (await connection.ask(get("/last"))).body
        finally:
            connection.close()


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    """Start everything anew and warm it up; all processes are ended on leaving."""
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="localguard-bench-", ignore_cleanup_errors=True) as folder:
        try:
            provider, floor, port = free_port(), free_port(), free_port()
            home = Path(folder) / "home"
            _compile_gates(home)
            processes.append(_python("-m", "tests.bench.provider", str(provider)))
            processes.append(_python("-m", "tests.bench.floor", str(floor), str(provider)))
            processes.append(start_guard(home, port, provider))
            ways = {
                "direct": Way("direct", provider, ""),
                "floor": Way("floor", floor, ""),
                "guard": Way("guard", port, "/bench"),
            }
            for way in ways.values():
                await asyncio.to_thread(wait_for, way.port, processes[WAYS.index(way.name)])
            made = Rig(ways, processes[-1].pid, home)
            await _warm_up(made)
            yield made
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()


def _compile_gates(home: Path) -> None:
    """What a guard does in the first minute of a home, so that every figure is one of a home that has served before."""
    if not _FORMS:
        folder = tempfile.mkdtemp(prefix="localguard-bench-gates-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        with suppress(Unusable):
            compiled_gates.make(build_scanner(), Path(folder))
        _FORMS.append(Path(folder))
    (home / "state").mkdir(mode=0o700, parents=True)
    for form in _FORMS[0].iterdir():
        shutil.copy2(form, home / "state")


_FORMS: list[Path] = []


async def _warm_up(made: Rig) -> None:
    """One request that has the scanner look closely, so that its engines are loaded; then some that do not."""
    body = b'{"model":"bench-1","messages":[{"role":"user","content":"write to warm.up@%s"}]}' % b"northmill.io"
    for way in made.ways.values():
        connection = await way.connect()
        await connection.timed(way.post(body))
        for number in range(50):
            plain = b'{"model":"bench-1","messages":[{"role":"user","content":"warm up %d"}]}' % number
            await connection.timed(way.post(plain))
        connection.close()


POLICY = """version = 1
extends = "builtin:solo"

[[endpoints]]
name = "bench"
kind = "openai-compatible"
base_url = "http://127.0.0.1:{provider}"
"""


def start_guard(home: Path, port: int, provider: int) -> "subprocess.Popen[bytes]":
    """Start `localguard serve` in `home`, with one endpoint `bench` at the provider's port. Returns at once."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "policy.toml").write_text(POLICY.format(provider=provider), "utf-8")
    return _python("-m", "localguard.cli.main", "serve", "--home", str(home), "--port", str(port))


def wait_for(port: int, process: "subprocess.Popen[bytes]", path: str = "/-/healthz") -> float:
    """Seconds until the port answers HTTP. Raises RuntimeError if the process ends or does not answer in time."""
    began = time.monotonic()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < began + _START_SECONDS:
        with suppress(OSError):
            opener.open(f"http://127.0.0.1:{port}{path}", timeout=5).close()
            return time.monotonic() - began
        if process.poll() is not None:
            break
        time.sleep(0.005)
    raise RuntimeError(f"{process.args!r} does not serve")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _python(*arguments: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "LOCALGUARD_KEYRING": "off"}  # the user's keychain has no part in this
    environment.pop("LOCALGUARD_HOME", None)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed guard has its bytecode
    environment["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "localguard-bench-pycache")
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
