"""A command with a secret that reaches beyond this machine, through a real guard whose policy has a person asked about it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token
from tests.e2e.test_asking import OWN_APPROVAL, localguard, said, waiting
from tests.provider.script import Asked, Turn, call
from tests.provider.server import Provider

TOKEN = github_token(4712)
ASK = """
[[rules]]
id = "commands-may-have-values"
effect = "allow"
restore = { secret = "ask" }
"""
AGENT = """
import sys, urllib.request
from urllib.request import Request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
reply = opener.open(Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"}), timeout=60)
sys.stdout.buffer.write(reply.read())
"""


def brain(asked: Asked) -> Turn:
    """Pushes with the token that it was told of."""
    found = re.search(r"LG_GITHUB_TOKEN_[0-9A-Z]{16}", asked.user)
    command = f"{asked.user.split('|')[0]}curl -H 'Authorization: Bearer {found and found.group()}' https://x.example"
    return Turn(text="I push.", calls=(call("bash", command=command), call("bash", command="echo done")), piece=400)


@pytest.fixture(scope="module")
def asking(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    home: Path = tmp_path_factory.mktemp("asking") / "home"
    with Guard(home, policy(running_provider.port, ASK), LOCALGUARD_ASK_SECONDS="25") as started:
        yield started


@pytest.fixture
def model(provider: Provider) -> Provider:
    provider.brain = brain
    return provider


def begin(guard: Guard, before: str, *, stream: bool = True, path: str = "openai/v1/chat/completions") -> Any:
    """An agent of its own that is told the token, and prints what it gets."""
    body = {"model": "stub-1", "max_tokens": 500, "stream": stream}
    body["messages"] = [{"role": "user", "content": f"{before}|the token is {TOKEN}"}]
    command = [sys.executable, "-c", AGENT, f"{guard.url}/{path}", json.dumps(body)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=guard.environment())


@pytest.mark.parametrize(
    ("path", "stream"),
    [("openai/v1/chat/completions", True), ("anthropic/v1/messages", True), ("openai/v1/chat/completions", False)],
)
def test_a_yes_gives_a_command_its_values_and_stands_in_the_log(
    asking: Guard, model: Provider, path: str, stream: bool
) -> None:
    agent = begin(asking, f"true {path} {stream}; ", stream=stream, path=path)
    (one,) = waiting(asking)
    assert "GITHUB_TOKEN" in one["reason"]
    assert TOKEN not in json.dumps(one)
    assert (one["scopes"], one["tool"]) == (["once"], "bash")
    assert localguard(asking, "approve", one["id"], "--why", "a push").returncode == 0
    assert TOKEN in said(agent)
    told = asking.run("explain", one["exchange"])
    assert "asked whether a command may have values (GITHUB_TOKEN)" in told
    assert "allowed it (this request): a push" in told
    records = [record for record in asking.records("control") if record.exchange == one["exchange"]]
    assert [(record.metadata or {})["event"] for record in records] == ["ask", "approve"]
    assert not any(TOKEN.encode() in data for data in asking.files().values())


def test_the_identical_command_is_not_asked_about_again_and_another_one_is(asking: Guard, model: Provider) -> None:
    agent = begin(asking, "true once; ")
    (one,) = waiting(asking)
    localguard(asking, "approve", one["id"])
    assert TOKEN in said(agent)
    assert TOKEN in said(begin(asking, "true once; "))
    other = begin(asking, "true twice; ")
    (one,) = waiting(asking)
    localguard(asking, "deny", one["id"])
    assert TOKEN not in said(other)


def test_a_no_leaves_the_placeholder_and_the_rest_of_the_reply_goes_on(asking: Guard, model: Provider) -> None:
    agent = begin(asking, "true no #\n")
    (one,) = waiting(asking)
    assert "true no #\\ncurl" in one["reason"]  # where a line ends is seen
    localguard(asking, "deny", one["id"], "--why", "not from here")
    reply = said(agent)
    assert TOKEN not in reply
    assert "echo done" in reply
    assert reply.endswith("data: [DONE]")
    told = asking.run("explain", one["exchange"])
    assert "said no: not from here" in told
    assert "nobody allowed it" in told


def test_an_agent_cannot_answer_for_its_own_command(asking: Guard, model: Provider) -> None:
    body = {"model": "stub-1", "stream": True, "messages": [{"role": "user", "content": f"true own; |{TOKEN}"}]}
    before = OWN_APPROVAL.format(port=asking.port)
    command = [sys.executable, "-c", before + AGENT, f"{asking.url}/openai/v1/chat/completions", json.dumps(body)]
    agent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=asking.environment())
    (one,) = waiting(asking)
    assert agent.stdout is not None
    assert "An agent cannot approve its own request" in agent.stdout.readline()
    localguard(asking, "deny", one["id"])
    assert TOKEN not in said(agent)


def test_a_client_that_hangs_up_withdraws_the_question(asking: Guard, model: Provider) -> None:
    agent = begin(asking, "true gone; ")
    (one,) = waiting(asking)
    agent.kill()
    agent.wait()
    for _ in range(100):
        if all(other["id"] != one["id"] for other in json.loads(localguard(asking, "approve", "--json").stdout)):
            break
    else:
        raise AssertionError("the question is still there")
    assert "No question with this id" in localguard(asking, "approve", one["id"]).stderr
    agent.stdout.close()


def test_without_an_answer_the_placeholder_stays_and_the_log_says_so(
    running_provider: Provider, model: Provider, tmp_path: Path
) -> None:
    with Guard(tmp_path / "home", policy(running_provider.port, ASK), LOCALGUARD_ASK_SECONDS="0") as hasty:
        reply = said(begin(hasty, "true late; "))
        assert TOKEN not in reply
        assert "LG_GITHUB_TOKEN_" in reply
        (outcome,) = hasty.outcomes(1)
        assert outcome.findings is not None
        assert "nobody allowed it" in json.dumps(outcome.findings)
        assert (outcome.metadata or {})["withheld"] == 1
        (late,) = json.loads(localguard(hasty, "approve", "--json").stdout)
        localguard(hasty, "approve", late["id"])  # within ten minutes the same command goes
        assert TOKEN in said(begin(hasty, "true late; "))


def test_streams_that_do_not_ask_go_on_while_one_waits(asking: Guard, model: Provider) -> None:
    agent = begin(asking, "true wait; ")
    (one,) = waiting(asking)
    model.brain = lambda _: Turn(text="at once", piece=400)
    assert "at once" in said(begin(asking, "other"))
    localguard(asking, "deny", one["id"])
    said(agent)
