"""What loosens is for persons: an agent that has the control token, and knows the command, is told so and changes nothing."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localguard.audit.verify import verify
from tests.e2e.guard import ROOT, Guard, policy
from tests.e2e.planted import github_token
from tests.e2e.test_asking import said, send
from tests.provider.server import Provider

RUN = """
import subprocess
command = {command!r}
for _ in range({deep}):
    command = ["sh", "-c", '"$@"; true', "sh", *command]  # as build tools and package managers nest
done = subprocess.run(command, capture_output=True, text=True)
print(done.stdout + done.stderr, flush=True)
"""
LOOSENING = {
    "an endpoint on": ("route", "set", "openai", "on"),
    "all endpoints on": ("route", "set", "policy"),
    "the budgets' clock": ("budget", "trust-clock", "--yes"),
    "the log": ("audit", "prune", "--older-than", "3000d", "--yes"),
    "the fingerprints": ("audit", "erase", "--yes"),
    "an experiment": ("experiment", "start", "--endpoint", "trial", "--hours", "1", "--reason", "x"),
    "a pause": ("pause", "--minutes", "1", "--reason", "x"),
}
TABLES = """
[pause]
max_minutes = 5
sensitivity = ["public", "internal", "sensitive", "restricted"]

[[endpoints]]
name = "trial"
kind = "openai-compatible"
base_url = "http://127.0.0.1:9"
class = "experimental"
"""


@pytest.fixture(scope="module")
def guard(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    home: Path = tmp_path_factory.mktemp("persons") / "home"
    with Guard(home, policy(running_provider.port, TABLES)) as started:
        yield started


def from_agent(guard: Guard, *arguments: str, deep: int = 0) -> str:
    """What a command says that an agent runs, after it has sent a request."""
    command = [sys.executable, "-m", "localguard.cli.main", *arguments, "--port", str(guard.port)]
    return said(send(guard, "hello", endpoint="lmstudio", after=RUN.format(command=command, deep=deep)))


@pytest.mark.parametrize("what", LOOSENING)
def test_an_agent_loosens_nothing(guard: Guard, what: str) -> None:
    assert "An agent cannot" in from_agent(guard, *LOOSENING[what])


def test_however_deep_below_the_agent_a_command_runs(guard: Guard) -> None:
    guard.run("route", "set", "openai", "off", "--port", str(guard.port))
    assert "An agent cannot switch endpoints on" in from_agent(guard, "route", "set", "openai", "on", deep=12)
    assert said(send(guard, "hello")).startswith("403")


DETACHED = """
import os, subprocess, sys, time
out = {out!r}
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(0.3)
        {more}
        done = subprocess.run({command!r}, capture_output=True, text=True)
        open(out + ".new", "w").write(str(os.getppid()) + " " + done.stdout + done.stderr)
        os.rename(out + ".new", out)
    os._exit(0)
"""
"""Forks twice and begins a session of its own, as daemons do: what its parent was is forgotten."""


def detached(guard: Guard, out: Path, *, more: str = "pass", run: bool = False) -> str:
    """What a command says that an agent leaves behind before it ends."""
    command = [sys.executable, "-m", "localguard.cli.main", *LOOSENING["a pause"], "--port", str(guard.port)]
    program = DETACHED.format(out=str(out), command=command, more=more)
    if run:
        program += "time.sleep(2)"
        supervised = [sys.executable, "-m", "localguard.cli.main", "run", "--port", str(guard.port), "--"]
        begun = subprocess.Popen([*supervised, sys.executable, "-c", program], env=guard.environment())
        begun.wait(30)
    else:
        assert said(send(guard, "hello", endpoint="lmstudio", after=program)) == "200"
    until = time.monotonic() + 20
    while not out.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    return out.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="tells processes apart by /proc")
def test_a_command_that_leaves_its_agent_behind_is_no_person(guard: Guard, tmp_path: Path) -> None:
    assert "nothing shows by whom" in detached(guard, tmp_path / "a")
    pty = "import pty; pty.fork()[0] and (time.sleep(5), os._exit(0))"  # a terminal of its own changes nothing
    assert "nothing shows by whom" in detached(guard, tmp_path / "b", more=pty)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_below_localguard_run_nothing_gets_away(guard: Guard, tmp_path: Path) -> None:
    assert "below `localguard run`" in detached(guard, tmp_path / "out", run=True)


def test_what_tightens_is_for_everybody(guard: Guard) -> None:
    assert "Only local endpoints are on." in from_agent(guard, "route", "set", "local")
    assert "Policy decides." in guard.run("route", "set", "policy", "--port", str(guard.port))


def test_a_person_destroys_the_key_of_a_workspace_s_fingerprints(guard: Guard) -> None:
    def fingerprints() -> list[str]:
        assert said(send(guard, f"a key {token}", endpoint="lmstudio", place=ROOT)) == "200"
        newest = [one for one in guard.records("intent") if one.findings][-1]
        return [one["fingerprint"] for one in newest.findings or ()]

    token = github_token(91)
    before, again = fingerprints(), fingerprints()
    assert before == again
    place = next(one.metadata for one in guard.records("intent") if one.findings) or {}
    told = guard.run("audit", "erase", "--yes", "--port", str(guard.port))
    assert told == f"The fingerprints of {place['workspace']} can no longer be linked to values.\n"
    record = guard.records("control")[-1]
    assert (record.metadata or {})["event"] == "erase"
    assert (record.metadata or {})["detail"] == {"workspace": place["workspace"], "what": "fingerprint key"}
    assert (record.local or {})["by"]
    after = fingerprints()
    assert not set(after) & set(before)
    assert fingerprints() == after
    assert verify(guard.database).consistent
