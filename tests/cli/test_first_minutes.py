"""What a new user meets: the bare command, `--help`, colours, completion, and a doctor that knows what to do."""

import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer.main

from localguard.audit.store import Store
from localguard.cli import checks_around
from localguard.cli.checks import CHECKS
from localguard.cli.main import TASKS, app
from localguard.config.home import Home
from tests.audit.samples import INTENT
from tests.cli.conftest import COMMAND, RunLocally


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with Codex and nothing else."""
    place = tmp_path / "user"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "codex").write_text("#!/bin/sh\n")
    (place / "bin" / "codex").chmod(0o755)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("PATH", str(place / "bin"))
    return place


def test_the_bare_command_says_how_things_stand_and_what_to_do_next(
    user: Path, home: Home, localguard: RunLocally
) -> None:
    code, out, _ = localguard()
    assert code == 0
    assert "guard    does not run" in out
    assert "not pointed at it: codex" in out
    steps = out.partition("Next:")[2]
    for step in ("localguard demo", "localguard agents connect codex", "localguard run -- codex", "localguard serve"):
        assert step in steps
    assert not home.root.exists()


def test_what_is_done_is_proposed_no_more(user: Path, home: Home, localguard: RunLocally) -> None:
    localguard("agents", "connect", "codex", "--yes")
    with Store.open(home.audit_db, clock=lambda: datetime.now(UTC)):
        pass
    _, out, _ = localguard()
    assert "at the guard: codex" in out
    assert "localguard demo" not in out
    assert "agents connect" not in out


def test_help_lists_every_command_in_the_order_of_tasks(localguard: RunLocally) -> None:
    commands = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert set(TASKS) == set(commands)
    out = localguard("--help")[1].partition("Commands:")[2]
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    assert tuple(listed[: len(TASKS)]) == TASKS


def coloured(home: Home, **environment: str) -> bytes:
    """What the bare command writes to a terminal."""
    pty = pytest.importorskip("pty")
    main, side = pty.openpty()
    subprocess.run(
        [*COMMAND], env={**os.environ, **environment}, stdin=side, stdout=side, stderr=side, check=True, timeout=30
    )
    os.close(side)
    out = b""
    try:
        while piece := os.read(main, 65536):
            out += piece
    except OSError:  # the end, on Linux
        pass
    os.close(main)
    return out


def test_a_terminal_gets_colours_unless_nobody_wants_them(user: Path, home: Home) -> None:
    assert b"\x1b[" in coloured(home, TERM="xterm")
    assert b"\x1b[" not in coloured(home, TERM="xterm", NO_COLOR="1")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_completion_that_completes(shell: str, home: Home, tmp_path: Path) -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = subprocess.run(
        [*COMMAND, "--show-completion", shell], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert script.returncode == 0, script.stderr
    assert "_LOCALGUARD_COMPLETE" in script.stdout
    asked = {"_LOCALGUARD_COMPLETE": f"complete_{shell}", "COMP_WORDS": "localguard agents con", "COMP_CWORD": "2"}
    asked |= {"_TYPER_COMPLETE_ARGS": "localguard agents con", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(COMMAND, env=environment | asked, capture_output=True, text=True, check=False, timeout=30)
    assert "connect" in done.stdout
    assert "disconnect" not in done.stdout
    if (program := shutil.which(shell)) is not None:
        file = tmp_path / "completion"
        file.write_text(script.stdout)
        assert subprocess.run([program, "-n", str(file)], check=False).returncode == 0


def test_a_bad_option_is_told_with_what_would_be_right(localguard: RunLocally) -> None:
    code, _, err = localguard("status", "--prot", "1")
    assert code == 2
    assert "--port" in err


Check = Callable[[Home, int], tuple[str, str, str]]


def test_doctor_proposes_a_step_wherever_something_is_not_ok(user: Path, home: Home, localguard: RunLocally) -> None:
    names = [name for name, _ in CHECKS]
    assert len(names) == len(set(names))
    assert {"clock", "disk", "agents' settings", "endpoints", "tray", "keys", "port", "extras", "log"} <= set(names)
    assert checks_around.pointed(home, 4141) == (
        "warn",
        "installed and not pointed at the guard: codex",
        "`localguard agents connect codex`, or start them with `localguard run`.",
    )
    localguard("agents", "connect", "codex", "--yes")
    assert checks_around.pointed(home, 4141)[:2] == ("ok", "pointed at the guard: codex")
    (user / ".codex/config.toml").write_text("x =")
    verdict, said, step = checks_around.pointed(home, 4141)
    assert verdict == "warn"
    assert "config.toml" in said
    assert step


@pytest.fixture
def server() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield made.server_address[1]
        made.shutdown()


def test_endpoints_are_connected_to_only_if_somebody_uses_them(home: Home, server: int) -> None:
    assert checks_around.reachable(home, 4141) == ("ok", "no endpoint was used yet", "")
    home.create()
    table = (
        '[[endpoints]]\nname = "{}"\nkind = "openai-compatible"\nbase_url = "http://127.0.0.1:{}"\nclass = "hosted"\n'
    )
    home.policy_file.write_text(f"version = 1\n{table.format('here', server)}")
    assert checks_around.reachable(home, 4141)[:2] == ("ok", "can be connected to: here")
    home.policy_file.write_text(f"version = 1\n{table.format('here', server)}{table.format('gone', 1)}")
    verdict, said, step = checks_around.reachable(home, 4141)
    assert (verdict, said) == ("warn", "gone cannot be reached: connection refused")
    assert "route set" in step


def test_a_clock_before_the_last_record_is_told(home: Home) -> None:
    assert checks_around.clock(home, 4141)[0] == "ok"
    home.create()
    with Store.open(home.audit_db, clock=lambda: datetime.now(UTC) + timedelta(days=2)) as store:
        store.append("intent", exchange="x", session="s", metadata=INTENT)
    verdict, said, step = checks_around.clock(home, 4141)
    assert verdict == "warn"
    assert "before the last record" in said
    assert "trust-clock" in step


def test_a_disk_that_runs_full_is_told_before_requests_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, verdict in ((50_000_000_000, "ok"), (1_000_000_000, "warn"), (1_000_000, "fail")):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(shutil, "disk_usage", lambda place, usage=usage: usage)
        assert checks_around.disk(home, 4141)[0] == verdict


def test_no_command_loads_what_it_does_not_need(home: Home) -> None:
    """`--help` and the bare command stay fast because of this."""
    script = "import sys, localguard.cli.main; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {"aiohttp", "asyncio", "http", "jinja2", "keyring", "orjson", "pydantic", "rich", "sqlite3", "ssl", "tempfile", "textual",
             "tomlkit", "yaml"}  # fmt: skip
    assert heavy.isdisjoint(done.stdout.split())
