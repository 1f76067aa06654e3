"""`serve`, `status`, `demo` and `doctor` with a real guard."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from localguard.cli import background, demo
from localguard.cli.checks import CHECKS, Check, Verdict, run_checks, variables_around
from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient
from tests.cli.conftest import COMMAND, RunLocally, process


@pytest.fixture
def guard(home: Home, port: int) -> Iterator[ControlClient]:
    """A guard that serves."""
    home.create()
    child = background.start(home, port, None, home.log_dir / "serve.log")
    background.wait_until_running(home, port, child)
    yield ControlClient(home, port)
    child.terminate()
    child.wait(timeout=20)


def test_serve_answers_health_and_ends_cleanly_at_an_interrupt(home: Home, port: int) -> None:
    child = subprocess.Popen([*COMMAND, "serve", "--port", str(port)])
    background.wait_until_running(home, port, child)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/healthz", timeout=5) as answer:
        assert answer.status == 200
    child.send_signal(2)
    assert child.wait(timeout=20) == 0
    assert not home.port_file.exists()
    assert process("audit", "verify").returncode == 0


def test_serve_says_that_the_port_is_taken(home: Home, port: int) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        ran = process("serve", "--port", str(port))
    assert ran.returncode == 1
    assert str(port).encode() in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_a_second_guard_of_a_home_is_refused(guard: ControlClient) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        other = probe.getsockname()[1]
    ran = process("serve", "--port", str(other))
    assert ran.returncode == 1
    assert b"already runs" in ran.stderr


def test_the_guards_files_are_its_owners_alone(guard: ControlClient, home: Home) -> None:
    for path in (home.state_dir, home.log_dir, home.control_token, home.audit_db, home.log_dir / "serve.log"):
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_status_shows_the_guard_and_its_counters(guard: ControlClient, port: int, localguard: RunLocally) -> None:
    code, out, _ = localguard("status", "--port", str(port), "--json")
    assert code == 0
    shown = json.loads(out)
    assert shown["running"] is True
    assert shown["guard"]["port"] == port
    assert shown["guard"]["counters"]["exchanges"] == 0
    assert isinstance(shown["direct"], list)
    assert f"The guard runs on 127.0.0.1:{port}." in localguard("status", "--port", str(port))[1]


def test_commands_find_the_guard_of_their_home_by_themselves(
    guard: ControlClient, port: int, home: Home, localguard: RunLocally
) -> None:
    assert f"The guard runs on 127.0.0.1:{port}." in localguard("status", "--home", str(home.root))[1]
    free = port + 1 if port < 65_535 else port - 1
    assert localguard("status", "--port", str(free))[0] == 3  # what is named is what counts


def test_status_without_a_guard_says_how_to_start_one(port: int, localguard: RunLocally) -> None:
    code, out, _ = localguard("status", "--port", str(port))
    assert code == 3
    assert "localguard serve" in out


@pytest.mark.skipif(sys.platform != "linux", reason="an agent made of a copied interpreter")
def test_status_names_an_agent_that_goes_around_the_guard(
    guard: ControlClient, port: int, localguard: RunLocally, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)):
        pass
    try:
        model_server = socket.create_server(("127.0.0.1", 11434))
    except OSError:
        pytest.fail("port 11434 must be free for this test")
    script = tmp_path / "opencode.py"
    script.write_text(
        "import socket, sys\n"
        "held = socket.create_connection(('127.0.0.1', 11434))\n"
        "print('connected', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with (
        model_server,
        subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent,
    ):
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"connected\n"
        shown = json.loads(localguard("status", "--port", str(port), "--json")[1])
        assert [agent.pid] == [entry["pid"] for entry in shown["direct"] if entry["name"] == "opencode"]
        text = localguard("status", "--port", str(port))[1]
        assert f"Around the guard: opencode (pid {agent.pid})" in text
        assert agent.stdin is not None
        agent.stdin.close()


def test_the_demonstration_holds_what_it_says(home: Home) -> None:
    shown, planted = demo.perform()
    assert [name for name, passed in shown.checks if not passed] == []
    assert len(shown.checks) == 4
    for value in planted.values:
        assert value in shown.before
        assert value in shown.after
        assert value not in shown.upstream
    assert re.search(r"GITHUB_TOKEN=LG_[A-Z_]+_[0-9A-Z]{16}\n", shown.upstream)
    assert not home.root.exists()


def test_the_demonstration_is_coloured_on_a_terminal_only(localguard: RunLocally) -> None:
    code, out, _ = localguard("demo")
    assert code == 0
    assert "\x1b" not in out
    assert out.count("\nok  ") == 4


def results(home: Home, port: int) -> dict[str, Check]:
    return {check.name: check for check in run_checks(home, port)}


def test_doctor_finds_nothing_wrong_with_a_running_guard(
    guard: ControlClient, port: int, localguard: RunLocally
) -> None:
    code, out, _ = localguard("doctor", "--port", str(port), "--json")
    assert code == 0
    checks = {check["name"]: check for check in json.loads(out)}
    assert list(checks) == [name for name, _ in CHECKS]
    assert {check["verdict"] for name, check in checks.items() if name != "agents"} == {"ok"}


def test_doctor_before_the_first_start_changes_nothing(home: Home, port: int) -> None:
    assert all(check.verdict is Verdict.OK for name, check in results(home, port).items() if name != "agents")
    assert not home.root.exists()


def test_doctor_names_a_broken_policy_by_file_and_line(home: Home, port: int, localguard: RunLocally) -> None:
    home.create()
    home.policy_file.write_text('version = 1\n[[rules]]\nid = "a"\neffekt = "deny"\n', "utf-8")
    code, out, _ = localguard("doctor", "--port", str(port))
    assert code == 1
    assert f"{home.policy_file}:2" in out
    assert "localguard policy check" in out


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_doctor_names_files_that_others_can_read(home: Home, port: int) -> None:
    home.create()
    home.control_token.write_text("x")
    home.control_token.chmod(0o644)
    check = results(home, port)["home"]
    assert check.verdict is Verdict.FAIL
    assert check.next_step == f"Run: chmod go-rwx {home.control_token}"


def test_doctor_names_a_taken_port(home: Home, port: int) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        assert results(home, port)["port"].verdict is Verdict.FAIL


def test_doctor_names_a_log_that_was_changed(guard: ControlClient, home: Home, port: int) -> None:
    import sqlite3

    with sqlite3.connect(home.audit_db) as connection:
        connection.execute("PRAGMA trusted_schema = ON")
        connection.execute("UPDATE records SET time = '2000-01-01T00:00:00.000000Z' WHERE seq = 1")
    assert results(home, port)["log"].verdict is Verdict.FAIL
    assert process("audit", "verify").returncode == 1


def test_doctor_warns_of_a_key_in_a_file(home: Home, port: int) -> None:
    from localguard.config.keys import Keys

    home.create()
    Keys(home, env=os.environ).workspace_key("a")
    assert results(home, port)["keys"].verdict is Verdict.WARN


def test_a_check_that_breaks_is_a_failed_check_without_its_text(
    home: Home, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("made-up-word")

    monkeypatch.setattr("localguard.config.policy_files.load_policy", broken)
    check = results(home, port)["policy"]
    assert check.verdict is Verdict.FAIL
    assert "made-up-word" not in f"{check.said}{check.next_step}"


def test_variables_that_point_around_the_guard_are_named() -> None:
    given = {
        "OPENAI_BASE_URL": "https://api.openai.com/v1",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:4141/anthropic",
        "PATH": "/bin",
    }
    assert variables_around(given, 4141) == ["OPENAI_BASE_URL"]
