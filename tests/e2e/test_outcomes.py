"""What became of a session is said to the running guard, and what git says of its commits goes with it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient, GuardAnswered
from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token
from tests.provider.server import Provider

ASKS = """
import http.client, subprocess, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
body = '{"model": "m", "messages": [{"role": "user", "content": "bump it"}]}'
connection.request(
    "POST", "/openai/v1/chat/completions", body, {"Content-Type": "application/json", "X-Session-Id": sys.argv[2]}
)
assert connection.getresponse().status == 200
if sys.argv[3:]:
    print(subprocess.run([sys.executable, "-m", "localguard.cli.main", *sys.argv[3:]], capture_output=True, text=True).stderr)
"""
RATE = ("--workflow", "bump", "--result")


@pytest.fixture(scope="module")
def rated(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard to which no request comes from the process of these tests: an agent may not judge its own work."""
    home: Path = tmp_path_factory.mktemp("rated") / "home"
    with Guard(home, policy(running_provider.port)) as started:
        yield started


def ask(guard: Guard, session: str, *then: str, at: Path | None = None) -> str:
    """One turn of a process of its own, which then runs a command; what that says of a failure."""
    return subprocess.run(
        [sys.executable, "-c", ASKS, str(guard.port), session, *then],
        cwd=at,
        env=guard.environment(),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_a_result_goes_through_the_running_guard_and_its_note_is_scrubbed(rated: Guard, provider: Provider) -> None:
    ask(rated, "outcome-1")
    token, port = github_token(77), ("--port", str(rated.port))
    note = ("--review-minutes", "3", "--note", f"found {token}")
    rated.run("session", "outcome", "outcome-1", *RATE, "accepted", *note, *port)
    told = json.loads(rated.run("session", "outcome", "outcome-1", "--json"))
    assert (told["workflow"], told["result"], told["review_minutes"], told["exchanges"]) == ("bump", "accepted", 3, 1)
    assert told["note"].startswith("found <")
    assert all(token.encode() not in content for content in rated.files().values())
    line = next(one for one in json.loads(rated.run("compare", "--by", "workflow", "--json")) if one["name"] == "bump")
    assert (line["rated"], line["accepted_share"]) == (1, 1.0)


FAILS = """
import http.client, json, sys
def turn(messages):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages})
    connection.request(
        "POST", "/anthropic/v1/messages", body, {"Content-Type": "application/json", "X-Session-Id": "outcome-5"}
    )
    assert connection.getresponse().status == 200
def result(id, bad):
    call = {"type": "tool_use", "id": id, "name": "shell", "input": {"command": "make test"}}
    answer = {"type": "tool_result", "tool_use_id": id, "is_error": bad, "content": "line " * 2000}
    return [{"role": "assistant", "content": [call]}, {"role": "user", "content": [answer]}]
said = [{"role": "user", "content": "bump it"}]
turn(said)
for number, bad in enumerate((True, False, True)):
    said += result(f"toolu_{number}", bad)
    turn(said)
"""


def test_calls_of_tools_that_failed_are_counted_once_each(rated: Guard, provider: Provider) -> None:
    """Though every request brings the whole history again."""
    subprocess.run([sys.executable, "-c", FAILS, str(rated.port)], check=True, timeout=60)
    told = [(one.metadata or {}).get("tool_results") for one in rated.records("intent") if one.session == "outcome-5"]
    assert told == [None, {"returned": 1, "failed": 1}, {"returned": 1, "failed": 0}, {"returned": 1, "failed": 1}]
    known = json.loads(rated.run("session", "outcome", "outcome-5", "--json"))
    assert known["tool_calls_failed"] == 2
    assert (known["tests_passed"], known["tests_failed"]) == (1, 2)
    assert "tests run: 2 failed, 1 passed" in rated.run("session", "show", "outcome-5")


def test_an_agent_cannot_judge_its_own_work(rated: Guard, provider: Provider) -> None:
    said = ask(rated, "outcome-3", "session", "outcome", "outcome-3", *RATE, "accepted", "--port", str(rated.port))
    assert "An agent cannot say what became of its own work" in said
    assert [one for one in rated.records("control") if one.session == "outcome-3"] == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "no such session"),
        ({"workflow": "a b"}, "A workflow holds letters"),
        ({"result": "fine"}, "accepted, rejected, reworked"),
        ({"review_minutes": -1}, "whole number"),
        ({"commits": [1]}, "an object"),
    ],
)
def test_a_verdict_that_cannot_be_is_refused(
    given: dict[str, object], told: str, rated: Guard, provider: Provider
) -> None:
    client = ControlClient(Home(rated.home), rated.port, timeout=10)
    ask(rated, "outcome-4")
    usual: dict[str, object] = {"session": "outcome-4" if given else "nobody", "workflow": "bump", "result": "accepted"}
    with pytest.raises(GuardAnswered, match=told):
        client.call("POST", "/session-outcomes", **(usual | given))


def test_commits_of_the_sessions_time_are_counted_by_what_became_of_them(
    rated: Guard, provider: Provider, tmp_path: Path
) -> None:
    root = tmp_path / "work"
    root.mkdir()

    def git(*arguments: str, at: str = "") -> str:
        named = ["-c", "user.name=dev", "-c", "user.email=dev@localhost"]
        dates = {"GIT_COMMITTER_DATE": at} if at else {}
        return subprocess.run(
            ["git", "-C", str(root), *named, *arguments],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **dates},
        ).stdout.strip()

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "base", at="2026-01-01T00:00:00Z")
    ask(rated, "outcome-2", at=root)
    for subject in ("one", "two"):
        git("commit", "-q", "--allow-empty", "-m", subject)
        ask(rated, "outcome-2", at=root)
    git("commit", "-q", "--allow-empty", "-m", f"Undo\n\nThis reverts commit {git('rev-parse', 'HEAD')}.")
    rated.run("session", "outcome", "outcome-2", *RATE, "reworked", "--port", str(rated.port))
    (record,) = [one for one in rated.records("control") if one.session == "outcome-2"]
    detail = (record.metadata or {})["detail"]
    assert (detail["commits_kept"], detail["commits_reverted"], detail["commits_gone"]) == (1, 1, 0)
