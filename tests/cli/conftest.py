"""Command lines run as processes or in this one, each with a home of its own."""

import secrets
import socket
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localguard.cli import main
from localguard.cli.agent_environment import VARIABLES
from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient

COMMAND = [sys.executable, "-m", "localguard.cli.main"]

RunLocally = Callable[..., tuple[int, str, str]]


def made_up_token() -> str:
    """Return a value in the form of an issuer's token."""
    return "gh" + "p_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(36))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home that nothing has been written to, named by the environment; the user's keychain is left alone."""
    place = Home(tmp_path / "home")
    monkeypatch.setenv("LOCALGUARD_HOME", str(place.root))
    monkeypatch.setenv("LOCALGUARD_KEYRING", "off")
    for variable in (*(v.name for v in VARIABLES), "CODEX_HOME", "XDG_CONFIG_HOME", "OPENCODE_CONFIG_CONTENT"):
        monkeypatch.delenv(variable, raising=False)
    return place


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory in no repository."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def localguard(home: Home, work: Path, capfd: pytest.CaptureFixture[str]) -> RunLocally:
    """Run a command line in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main.run(arguments)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def process(
    *arguments: str, data: bytes | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command line as a process of its own."""
    return subprocess.run([*COMMAND, *arguments], input=data, capture_output=True, cwd=cwd, timeout=60, check=False)


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def stopped_afterwards(home: Home, port: int) -> Iterator[ControlClient]:
    """The client of a guard that a test may start in the background; the guard is stopped in the end."""
    client = ControlClient(home, port)
    yield client
    if client.is_running():
        pid = client.status()["pid"]
        client.stop()
        _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    import psutil

    try:
        psutil.Process(pid).wait(timeout=20)
    except psutil.NoSuchProcess:
        return
