"""From a request through a real guard to the trailers of a commit, and back from the commit to the session."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.guard import Guard, policy
from tests.provider.server import Provider

AGENT = """
import subprocess, sys, urllib.request
body = b'{"model": "stub-1", "messages": [{"role": "user", "content": "commit it"}]}'
request = urllib.request.Request(sys.argv[1], body, {"Content-Type": "application/json", "session-id": "s-commit"})
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(request, timeout=20).read()
subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "Do it"], check=True)
"""


@pytest.fixture
def own_guard(running_provider: Provider, tmp_path: Path) -> Iterator[Guard]:
    """A guard that may be stopped."""
    with Guard(tmp_path / "home", policy(running_provider.port)) as started:
        yield started


def test_a_commit_leads_to_its_session_and_the_session_to_its_commit(
    own_guard: Guard, provider: Provider, tmp_path: Path
) -> None:
    guard, work = own_guard, tmp_path / "work"
    work.mkdir()
    names = {f"GIT_{who}_{what}": "dev" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**guard.environment(), **names, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    localguard = (sys.executable, "-m", "localguard.cli.main")
    run("git", "init", "-q")
    run(*localguard, "git", "install")
    run(sys.executable, "-c", AGENT, f"{guard.url}/openai/v1/chat/completions")
    message = run("git", "log", "-1", "--format=%B")
    digest = guard.status()["policy"]["digest"][:16]
    assert message == (
        f"Do it\n\nAgent-Session: s-commit\nAgent-Model: stub-1\nAgent-Endpoint-Class: hosted\nAgent-Policy: {digest}"
    )
    (told,) = json.loads(run(*localguard, "session", "show", "--commit", run("git", "rev-parse", "HEAD"), "--json"))
    assert told["id"] == "s-commit"
    assert str(work) in told["roots"]
    guard.stop()
    guard.stop()
    run("git", "commit", "-q", "--allow-empty", "-m", "Without a guard")
    assert "Agent-Session: s-commit" in run("git", "log", "-1", "--format=%B")
