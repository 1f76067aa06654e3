"""A guard as a process of its own, with a home of its own, in front of a scripted provider."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from localguard.audit.queries import Log, Record
from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient

ROOT = Path(__file__).parents[2]
CLIENTS = Path(os.environ.get("LOCALGUARD_TEST_CLIENTS", ROOT / ".clients"))
"""Where the real agents are installed (packaging/clients.sh)."""
_START_SECONDS = 30.0

ENDPOINTS = (
    ("openai", "openai", "hosted"),
    ("anthropic", "anthropic", "hosted"),
    ("ollama", "ollama", "local"),
    ("azure", "azure-openai", "enterprise"),
    ("foundry", "foundry", "enterprise"),
    ("lmstudio", "lmstudio", "local"),
    ("compatible", "openai-compatible", "hosted"),
)
"""Name, kind and class of the endpoints that stand for the one provider."""


def policy(provider: int, *more: str) -> str:
    """A policy file whose endpoints all lead to the provider's port; `more` are TOML tables behind them."""
    tables = [
        f'[[endpoints]]\nname = "{name}"\nkind = "{kind}"\nbase_url = "http://127.0.0.1:{provider}"\nclass = "{group}"\n'
        for name, kind, group in ENDPOINTS
    ]
    return "\n".join(["version = 1\n", *tables, *more])


class Guard:
    """`localguard serve` with a policy of its own. `start` and `stop` may be repeated: home and port stay."""

    def __init__(self, home: Path, policy: str, *, command: Sequence[str] = (), **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self._command = [*(command or (sys.executable, "-m", "localguard.cli.main")), "serve"]
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.write_policy(policy)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running guard."""
        assert self.process is not None
        return self.process.pid

    @property
    def database(self) -> Path:
        """The audit log."""
        return self.home / "state" / "audit.db"

    def write_policy(self, text: str) -> None:
        """Replace the policy file as editors do: a new file that takes the old one's name."""
        new = self.home / "policy.toml.new"
        new.write_text(text, "utf-8")
        new.replace(self.home / "policy.toml")

    def environment(self, given: Mapping[str, str] = os.environ) -> dict[str, str]:
        """What every process of this home gets: no keychain, no other home, no proxy."""
        unwanted = ("LOCALGUARD_HOME", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY")
        kept = {name: value for name, value in given.items() if name not in unwanted}
        return {**kept, "LOCALGUARD_KEYRING": "off", "LOCALGUARD_HOME": str(self.home), **self._environment}

    def start(self) -> None:
        """Start, and wait until it answers. RuntimeError if it does not."""
        with (self.home / "guard.out").open("ab") as out:
            self.process = subprocess.Popen(
                [*self._command, "--home", str(self.home), "--port", str(self.port)],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(OSError):
                self.get("/-/healthz")
                return
            time.sleep(0.02)
        raise RuntimeError(f"the guard does not start: {(self.home / 'guard.out').read_text('utf-8')[-2000:]}")

    def stop(self) -> None:
        """End it in good order; what it still writes is written."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.process = None

    def get(self, path: str) -> bytes:
        """The body of a GET. Raises OSError where nothing answers, urllib's HTTPError for an error status."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=10) as reply:
            body: bytes = reply.read()
            return body

    def run(self, *arguments: str) -> str:
        """The output of a command of this home, standard error behind it."""
        done = subprocess.run(
            [sys.executable, "-m", "localguard.cli.main", *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        return ControlClient(Home(self.home), self.port, timeout=10).status()

    def counters(self) -> dict[str, int]:
        """What it did since its start."""
        counters: dict[str, int] = self.status()["counters"]
        return counters

    def records(self, kind: str | None = None) -> list[Record]:
        """The log's records, oldest first."""
        with Log(self.database) as log:
            return log.tail(100_000, kind=kind)

    def outcomes(self, count: int, within: float = 5.0) -> list[Record]:
        """At least `count` outcomes, once they are in the log (outcomes follow within a second)."""
        until = time.monotonic() + within
        while len(found := self.records("outcome")) < count and time.monotonic() < until:
            time.sleep(0.05)
        assert len(found) >= count, f"{len(found)} outcomes, {count} expected"
        return found

    def outcome_of(self, exchange: str, within: float = 10.0) -> Record:
        """The outcome of one exchange, once it is in the log."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            for one in self.records("outcome"):
                if one.exchange == exchange:
                    return one
            time.sleep(0.05)
        raise AssertionError(f"no outcome of {exchange} within {within} s")

    def files(self) -> dict[Path, bytes]:
        """Everything that it has written: the database, its WAL, logs, output, state."""
        return {path: path.read_bytes() for path in sorted(self.home.rglob("*")) if path.is_file()}


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
