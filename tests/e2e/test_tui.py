"""The terminal UI in a real terminal (tmux), in front of a real guard with real traffic; and as lines."""

import getpass
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localguard.audit.queries import Record
from localguard.audit.rows import row_of
from tests.e2e import test_asked_values as asked_values
from tests.e2e.guard import ROOT, Guard, policy
from tests.e2e.test_asking import ASK, said, send
from tests.provider.server import Provider

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed (packaging/debian.sh)")


class Terminal:
    """A tmux session of its own server, with one program in it."""

    def __init__(
        self, folder: Path, command: list[str], environment: dict[str, str], *, width: int, height: int
    ) -> None:
        self._socket = folder / f"tmux-{uuid.uuid4().hex[:8]}"
        # pytest's workers have a size of their own, which would count for more than the terminal's.
        own = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        self._environment = {**own, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        size = ["-x", str(width), "-y", str(height)]
        self._tmux("-f", os.devnull, "new-session", "-d", "-s", "one", *size, "--", *command)

    def keys(self, *keys: str) -> None:
        """Press keys."""
        self._tmux("send-keys", "-t", "one", *keys)

    def resize(self, width: int, height: int) -> None:
        """Another size."""
        self._tmux("resize-window", "-t", "one", "-x", str(width), "-y", str(height))

    def screen(self) -> str:
        """What stands on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "one").stdout

    def until(self, condition: Callable[[str], object], within: float = 20.0) -> str:
        """The screen once something is so on it."""
        end = time.monotonic() + within
        while not condition(text := self.screen()):
            assert time.monotonic() < end, f"it did not come about in time:\n{text}"
            time.sleep(0.1)
        return text

    def close(self) -> None:
        """End it and everything in it."""
        self._tmux("kill-server", check=False)

    def _tmux(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["tmux", "-u", "-S", str(self._socket), *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=check,
        )


@pytest.fixture(scope="module")
def asking(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard that asks about some requests, and waits for the answer."""
    home: Path = tmp_path_factory.mktemp("tui") / "home"
    with Guard(home, policy(running_provider.port, ASK, asked_values.ASK), LOCALGUARD_ASK_SECONDS="30") as started:
        yield started


def command(guard: Guard, *more: str) -> list[str]:
    return [sys.executable, "-m", "localguard.cli.main", "tui", "--port", str(guard.port), *more]


@pytest.fixture
def terminal(asking: Guard, tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path, command(asking), asking.environment(), width=140, height=40)
    yield opened
    opened.close()


def test_live_traffic_is_seen_asked_about_refused_and_found_again_after_a_restart(
    asking: Guard, provider: Provider, terminal: Terminal
) -> None:
    terminal.until(lambda text: "guarding" in text)
    sent = send(asking, "write to jane.roe@northmill.io about it", task="docs", session="tui-1")
    text = terminal.until(lambda text: "✓ done" in text and "LG_EMAIL_" in text)
    assert sent.wait(30) == 0
    assert "jane.roe" not in text
    exchange = next(word for word in text.split() if word.startswith("x0") and len(word) == 17)
    asking.outcomes(1)
    logged = row_of([one for one in asking.records() if one.exchange == exchange])
    assert logged is not None
    assert (logged["replaced"], logged["model"]) == (1, "stub-1")

    waiting = send(asking, "a dear question", session="tui-2")
    terminal.until(lambda text: "press a" in text)
    terminal.keys("a")
    terminal.until(lambda text: "Dear models are asked for." in text and "y yes, this once" in text)
    time.sleep(0.5)
    terminal.keys("y")
    assert waiting.wait(30) == 0
    terminal.until(lambda text: "Allowed" in text and "press a" not in text)
    assert any(one.metadata and one.metadata.get("event") == "approve" for one in asking.records("control"))

    refused = send(asking, "another", session="tui-3")
    terminal.until(lambda text: "press a" in text)
    terminal.keys("a")
    terminal.until(lambda text: "n no" in text)
    time.sleep(0.5)
    terminal.keys("n")
    refused.wait(30)
    terminal.until(lambda text: "✗ refused" in text)

    terminal.keys("/")
    terminal.keys("-l", "state:refused")
    terminal.until(lambda text: "1 of 3 exchanges" in text)
    terminal.keys("Enter")
    terminal.keys("Escape")
    terminal.until(lambda text: " 3 exchanges" in text and " of 3" not in text)

    terminal.keys("3")
    terminal.until(lambda text: "not used yet" in text)
    terminal.keys("1")
    token = (asking.home / "state" / "control.token").read_text()
    asking.stop()
    terminal.until(lambda text: "NOT REACHABLE" in text and "localguard serve" in text)
    asking.start()
    assert (asking.home / "state" / "control.token").read_text() != token
    terminal.keys("r")
    terminal.until(lambda text: "guarding" in text and "3 exchanges" in text)
    send(asking, "after the restart", task="docs", session="tui-4").wait(30)
    terminal.until(lambda text: "4 exchanges" in text)

    terminal.resize(80, 24)
    terminal.until(lambda text: "✓ done" in text and len(text.splitlines()[0]) <= 80)
    terminal.resize(30, 5)
    terminal.until(lambda text: "too small" in text)
    terminal.resize(80, 24)
    terminal.until(lambda text: "guarding" in text)
    terminal.keys("q")


def test_a_command_gets_its_value_by_one_key_and_the_log_says_whose_it_was(
    asking: Guard, provider: Provider, terminal: Terminal
) -> None:
    provider.brain = asked_values.brain
    terminal.until(lambda text: "guarding" in text)
    agent = asked_values.begin(asking, "true tui; ")
    terminal.until(lambda text: "press a" in text)
    terminal.keys("a")
    text = terminal.until(lambda text: "bash would be given real values (GITHUB_TOKEN)" in text and "y yes" in text)
    assert "true tui; curl" in text
    assert asked_values.TOKEN not in text
    time.sleep(0.5)
    terminal.keys("y")
    assert asked_values.TOKEN in said(agent)

    def about_values() -> list[Record]:
        return [one for one in asking.records("control") if (one.metadata or {}).get("detail", {}).get("values")]

    terminal.until(lambda text: "Allowed" in text and len(about_values()) == 2)
    asked, answer = about_values()
    assert answer.metadata is not None
    assert (answer.exchange, answer.metadata["event"]) == (asked.exchange, "approve")
    told = asking.run("explain", answer.exchange or "")
    assert f"{getpass.getuser()} allowed it (this request): answered in the terminal UI" in told


def test_lines_for_screen_readers_and_pipes(asking: Guard, provider: Provider) -> None:
    send(asking, "write to jane.roe@northmill.io again", task="docs", session="lines").wait(30)
    asking.outcomes(1)
    told = asking.run("tui", "--plain", "--no-follow", "-n", "1", "--port", str(asking.port))
    assert "done, " in told
    assert "1 redacted" in told
    assert told.count("\n") == 1
    assert told.isascii() or "\x1b" not in told
    data = json.loads(asking.run("tui", "--json", "--no-follow", "-n", "1", "--port", str(asking.port)))
    assert data["exchange"] in told
    assert asking.run("tui", "--plain", "--no-follow", "--filter", "no-such-thing", "--port", str(asking.port)) == ""
    follower = subprocess.Popen(
        command(asking, "--json", "-n", "1"), env=asking.environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline()) == data
        send(asking, "seen as it comes", task="docs", session="lines").wait(30)
        assert json.loads(follower.stdout.readline())["exchange"] > data["exchange"]
    finally:
        follower.terminate()
        follower.wait(10)


def test_without_a_terminal_it_says_what_to_do(asking: Guard) -> None:
    assert "--plain" in asking.run("tui", "--port", str(asking.port))
    assert "nothing listens" in asking.run("tui", "--plain", "--port", "9")
