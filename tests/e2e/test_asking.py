"""Asking through a real guard: nothing leaves before somebody has answered, and who answered stands in the log."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.guard import Guard, policy
from tests.provider.server import Provider

ASK = """
[[rules]]
id = "all-else"
effect = "allow"

[[rules]]
id = "expensive"
effect = "ask"
when = { models = ["stub-*"], tasks = ["code"] }
reason = "Dear models are asked for."
"""
AGENT = """
import sys, urllib.request, urllib.error
from urllib.request import Request
body, url, headers = sys.argv[1].encode(), sys.argv[2], {"Content-Type": "application/json", **eval(sys.argv[3])}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    print(opener.open(Request(url, body, headers), timeout=60).status)
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""

OWN_APPROVAL = """
import json, subprocess, sys, threading, time
command = [sys.executable, "-m", "localguard.cli.main", "approve", "--port", "{port}"]
def approve():
    while not (found := json.loads(subprocess.run([*command, "--json"], capture_output=True).stdout)):
        time.sleep(0.1)
    done = subprocess.run([*command, found[0]["id"]], capture_output=True, text=True)
    print((done.stdout + done.stderr).strip(), flush=True)
threading.Thread(target=approve).start()
"""


@pytest.fixture(scope="module")
def patient(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard that waits for an answer."""
    home: Path = tmp_path_factory.mktemp("patient") / "home"
    with Guard(home, policy(running_provider.port, ASK), LOCALGUARD_ASK_SECONDS="30") as started:
        yield started


@pytest.fixture(scope="module")
def hasty(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard that waits for nobody."""
    home: Path = tmp_path_factory.mktemp("hasty") / "home"
    with Guard(home, policy(running_provider.port, ASK), LOCALGUARD_ASK_SECONDS="0") as started:
        yield started


def send(
    guard: Guard,
    text: str,
    *,
    session: str = "s-1",
    task: str = "code",
    before: str = "",
    after: str = "",
    endpoint: str = "openai",
    place: Path | None = None,
    authorization: str = "",
) -> "subprocess.Popen[str]":
    """An agent of its own, in a process of its own, which runs `before` first and `after` last."""
    body = {"model": "stub-1", "messages": [{"role": "user", "content": text}]}
    url = f"{guard.url}/{endpoint}/v1/chat/completions"
    headers = {"X-LocalGuard-Task": task, "session-id": session}
    if authorization:
        headers["Authorization"] = authorization
    command = [sys.executable, "-c", before + AGENT + after, json.dumps(body), url, repr(headers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=guard.environment(), cwd=place)


def said(agent: "subprocess.Popen[str]") -> str:
    return agent.communicate(timeout=60)[0].strip()


def localguard(guard: Guard, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "localguard.cli.main", *arguments, "--port", str(guard.port)]
    return subprocess.run(command, env=guard.environment(), capture_output=True, text=True, timeout=60, check=False)


def waiting(guard: Guard, count: int = 1) -> list[dict[str, Any]]:
    """The requests that wait, once there are `count` of them."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        listed = localguard(guard, "approve", "--json")
        found: list[dict[str, Any]] = [one for one in json.loads(listed.stdout or "[]") if one["waiting"]]
        if len(found) >= count:
            return found
    raise AssertionError(f"{count} requests should wait: {listed.stdout}{listed.stderr}")


def test_a_request_waits_with_no_byte_sent_until_it_is_allowed(patient: Guard, provider: Provider) -> None:
    agent = send(patient, "first")
    (one,) = waiting(patient)
    assert (one["endpoint"], one["model"], one["task"]) == ("openai", "stub-1", "code")
    assert "Dear models are asked for." in one["reason"]
    assert agent.poll() is None
    assert provider.content == []
    done = localguard(patient, "approve", one["id"], "--why", "a release is due")
    assert "goes on" in done.stdout
    assert said(agent) == "200"
    assert len(provider.content) == 1
    assert said(send(patient, "first")) == "200"  # the identical request, within ten minutes
    records = [record for record in patient.records() if record.exchange == one["id"]]
    assert [record.kind for record in records][:3] == ["control", "control", "intent"]
    answer = records[1]
    assert answer.metadata is not None
    assert answer.local is not None
    assert (answer.metadata["event"], answer.metadata["reason"]) == ("approve", "a release is due")
    assert answer.local["by"]
    told = patient.run("explain", one["id"])
    assert "allowed it (this request): a release is due" in told


def test_a_no_refuses_the_request_in_the_words_that_were_given(patient: Guard, provider: Provider) -> None:
    agent = send(patient, "second")
    (one,) = waiting(patient)
    assert localguard(patient, "deny", one["id"], "--why", "use the small model").returncode == 0
    answer = said(agent)
    assert answer.startswith("403")
    assert "expensive" in answer
    assert "use the small model" in answer
    assert provider.content == []


def test_an_approval_for_a_session_lets_all_go_that_wait_in_it_and_nothing_else(
    patient: Guard, provider: Provider
) -> None:
    agents = [send(patient, "title", session="s-2"), send(patient, "prompt", session="s-2")]
    other = send(patient, "elsewhere", session="s-3")
    found = waiting(patient, 3)
    assert all("session" in one["scopes"] for one in found)
    bodies = {one["id"]: one for one in found}
    first = next(iter(bodies))
    # which session the first one belongs to is the log's to say
    record = next(record for record in patient.records("control") if record.exchange == first)
    session = record.metadata["session"] if record.metadata else None
    localguard(patient, "approve", first, "--for", "session")
    together = agents if session == "s-2" else [other]
    assert [said(agent) for agent in together] == ["200"] * len(together)
    left = [agent for agent in (*agents, other) if agent not in together]
    assert all(agent.poll() is None for agent in left)
    for one in waiting(patient, len(left)):
        localguard(patient, "deny", one["id"])
    assert all(said(agent).startswith("403") for agent in left)
    assert len(provider.content) == len(together)


def test_an_agent_cannot_approve_its_own_request(patient: Guard, provider: Provider) -> None:
    agent = send(patient, "by myself", before=OWN_APPROVAL.format(port=patient.port))
    assert agent.stdout is not None
    assert "cannot approve its own request" in agent.stdout.readline()
    (one,) = waiting(patient)
    localguard(patient, "deny", one["id"])
    assert said(agent).startswith("403")
    assert provider.content == []


def test_without_an_answer_the_refusal_says_how_to_approve_and_a_later_approval_counts(
    hasty: Guard, provider: Provider
) -> None:
    answer = said(send(hasty, "late"))
    assert answer.startswith("403")
    error = json.loads(answer[4:])["error"]
    assert error["code"] == "localguard_policy_ask"
    exchange = error["message"].partition("localguard approve ")[2].partition("`")[0]
    assert provider.content == []
    assert "send the same request again" in localguard(hasty, "approve", exchange).stdout
    assert said(send(hasty, "another")).startswith("403")
    assert said(send(hasty, "late")) == "200"
    assert len(provider.content) == 1


def test_an_approval_ends_with_the_repository_s_policy_that_asked(hasty: Guard, tmp_path: Path) -> None:
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    (tmp_path / ".git" / "refs").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    rule = 'version = 1\n[[rules]]\nid = "here"\neffect = "ask"\nwhen = {{ models = ["{}"] }}\nreason = "Not without me."\n'
    (tmp_path / ".localguard.toml").write_text(rule.format("stub-1") + '[[rules]]\nid = "rest"\neffect = "allow"\n')
    answer = said(send(hasty, "in a repository", task="docs", place=tmp_path))
    assert "Not without me." in answer
    exchange = answer.partition("localguard approve ")[2].partition("`")[0]
    localguard(hasty, "approve", exchange, "--for", "hour")
    assert said(send(hasty, "another there", task="docs", place=tmp_path)) == "200"
    (tmp_path / ".localguard.toml").write_text(rule.format("*") + '[[rules]]\nid = "rest"\neffect = "allow"\n')
    time.sleep(1.1)  # for which a process's policy may be kept
    assert said(send(hasty, "another there", task="docs", place=tmp_path)).startswith("403")


def test_what_no_rule_asks_about_is_not_asked_about(hasty: Guard, provider: Provider) -> None:
    assert said(send(hasty, "docs", task="docs")) == "200"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("approve", "01NOSUCH"), 1, "No question with this id"),
        (("approve", "01NOSUCH", "--for", "ever"), 1, "scope is none of"),
        (("deny", "../stop"), 1, "The address"),
    ],
)
def test_answers_to_nothing_are_errors(arguments: tuple[str, ...], code: int, words: str, hasty: Guard) -> None:
    done = localguard(hasty, *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
