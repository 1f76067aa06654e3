"""`localguard run` as a process: exit codes, signals, the guard in the background, the token's life."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localguard.config.home import Home
from localguard.config.workspace_tokens import Tokens
from localguard.proxy.control_client import ControlClient
from tests.cli.conftest import COMMAND, process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")


def test_run_starts_a_guard_and_ends_with_the_agents_exit_code(
    home: Home, work: Path, port: int, stopped_afterwards: ControlClient
) -> None:
    script = "import os, sys; print(os.environ['OPENAI_BASE_URL']); sys.exit(7)"
    ran = process("run", "--port", str(port), "--", sys.executable, "-c", script, cwd=work)
    assert ran.returncode == 7
    assert ran.stdout.decode().startswith(f"http://127.0.0.1:{port}/w/lgw_")
    assert ran.stdout.decode().endswith("/openai/v1\n")
    assert stopped_afterwards.is_running()
    assert not Tokens(home).list()
    before = stopped_afterwards.status()["pid"]
    assert process("run", "--port", str(port), "--", "true", cwd=work).returncode == 0
    assert stopped_afterwards.status()["pid"] == before


def test_the_agents_address_reaches_the_guard_with_its_task(
    home: Home, work: Path, port: int, stopped_afterwards: ControlClient
) -> None:
    script = (
        "import json, os, urllib.request as u, urllib.error as e\n"
        "request = u.Request(os.environ['OPENAI_BASE_URL'] + '/chat/completions', b'{', {'Content-Type': 'application/json'})\n"
        "try: u.urlopen(request)\n"
        "except e.HTTPError as error: print(error.code, error.headers['X-LocalGuard-Exchange'])\n"
    )
    ran = process("run", "--port", str(port), "--task", "incident", "--", sys.executable, "-c", script, cwd=work)
    status, exchange = ran.stdout.decode().split()
    assert status == "400"
    shown = json.loads(process("audit", "show", exchange).stdout)
    assert shown[-1]["kind"] == "refusal"
    assert shown[-1]["metadata"]["task"] == "incident"
    explained = process("explain", exchange)
    assert explained.returncode == 0
    assert b"refused by the guard" in explained.stdout


def waiting_agent(work: Path, port: int) -> tuple["subprocess.Popen[bytes]", Path]:
    """Start an agent that writes the names of signals it gets to a file and ends with 5 at SIGTERM."""
    noted = work / "signals"
    script = (
        "import signal, sys, time, pathlib\n"
        f"noted = pathlib.Path({str(noted)!r})\n"
        "def note(number, frame):\n"
        "    with noted.open('a') as file: file.write(signal.Signals(number).name + '\\n')\n"
        "    if number == signal.SIGTERM: sys.exit(5)\n"
        "for name in ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'): signal.signal(getattr(signal, name), note)\n"
        "noted.touch()\n"
        "while True: time.sleep(0.02)\n"
    )
    command = [*COMMAND, "run", "--port", str(port), "--", sys.executable, "-c", script]
    return subprocess.Popen(command, cwd=work, stdin=subprocess.DEVNULL), noted


def wait_until(path: Path, text: str = "") -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"no {text!r} in {path.name}")


def test_signals_are_passed_on_to_the_agent(
    home: Home, work: Path, port: int, stopped_afterwards: ControlClient
) -> None:
    agent, noted = waiting_agent(work, port)
    wait_until(noted)
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        agent.send_signal(number)
        wait_until(noted, number.name)
    assert agent.wait(timeout=10) == 5
    assert noted.read_text().split() == ["SIGUSR1", "SIGHUP", "SIGINT", "SIGTERM"]
    assert not Tokens(home).list()


def test_an_agent_that_a_signal_ended_gives_128_and_its_number(
    home: Home, work: Path, port: int, stopped_afterwards: ControlClient
) -> None:
    ran = process("run", "--port", str(port), "--", "sh", "-c", "kill -KILL $$", cwd=work)
    assert ran.returncode == 128 + signal.SIGKILL


def test_an_interrupt_from_the_terminal_reaches_the_agent_once_and_leaves_the_guard_running(
    home: Home, work: Path, port: int, stopped_afterwards: ControlClient
) -> None:
    noted = work / "interrupts"
    script = (
        "import signal, sys, time, pathlib\n"
        f"noted = pathlib.Path({str(noted)!r})\n"
        "def note(number, frame):\n"
        "    with noted.open('a') as file: file.write('x')\n"
        "signal.signal(signal.SIGINT, note)\n"
        "noted.write_text('-')\n"
        "end = time.monotonic() + 20\n"
        "while 'x' not in noted.read_text() and time.monotonic() < end: time.sleep(0.02)\n"
        "time.sleep(0.5); sys.exit(4)\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(work)
        os.execv(COMMAND[0], [*COMMAND, "run", "--port", str(port), "--", sys.executable, "-c", script])
    wait_until(noted, "-")
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 4
    assert noted.read_text() == "-x"
    assert stopped_afterwards.is_running()


def test_a_guard_that_cannot_start_is_reported_with_its_own_words(home: Home, work: Path, port: int) -> None:
    import socket

    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        ran = process("run", "--port", str(port), "--", "true", cwd=work)
    assert ran.returncode == 3
    assert b"could not start" in ran.stderr
    assert str(port).encode() in ran.stderr


def test_an_agent_for_another_provider_is_not_started(
    home: Home, work: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://other.example.com/v1")
    marker = work / "started"
    assert process("run", "--port", str(port), "--", "touch", str(marker), cwd=work).returncode == 2
    assert not marker.exists()
    assert not ControlClient(home, port).port_taken()
