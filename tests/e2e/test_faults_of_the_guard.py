"""What agents are told when the guard itself has a fault that nobody foresaw: once, in their own error shape, with no value."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token
from tests.provider.server import Provider

_FAULTY = """
import os
from localguard.cli import main
from localguard.exchange.reply import ReplyRestorer
from localguard.exchange.request import RequestReading
from localguard.proxy.callers import Callers

def failing(kept, header):
    def step(self, *given, **named):
        if os.path.exists(os.path.join(os.environ["LOCALGUARD_HOME"], header)):
            raise LookupError("the fault quotes " + repr(given))
        return kept(self, *given, **named)
    return step

RequestReading.redact = failing(RequestReading.redact, "fail-redact")
ReplyRestorer.start = failing(ReplyRestorer.start, "fail-reply")
Callers.locate = failing(Callers.locate, "fail-locate")
main.main()
"""


@pytest.fixture(scope="module")
def faulty(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    home: Path = tmp_path_factory.mktemp("faulty") / "home"
    with Guard(home, policy(running_provider.port), command=(sys.executable, "-c", _FAULTY)) as started:
        yield started


def ask(guard: Guard, path: str, agent: str, text: str) -> tuple[int, str, str]:
    """Status, body and `x-should-retry` of one request."""
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": agent, "Authorization": "Bearer k"}
    request = urllib.request.Request(guard.url + path, body, headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as reply:
            return reply.status, reply.read().decode(), ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers["x-should-retry"]


@pytest.mark.parametrize("step", ["redact", "reply", "locate"])
@pytest.mark.parametrize(
    ("agent", "status"), [("codex_exec/0.169", 400), ("opencode/1.18", 400), ("OpenAI/Python 2.1", 500)]
)
def test_a_fault_of_the_guard_is_a_refusal_on_which_nobody_sends_again(
    faulty: Guard, provider: Provider, step: str, agent: str, status: int
) -> None:
    token = github_token(7)
    mark = faulty.home / f"fail-{step}"
    mark.touch()
    try:
        got, body, retry = ask(faulty, "/openai/v1/chat/completions", agent, f"the token is {token}")
        of_anthropic = json.loads(ask(faulty, "/anthropic/v1/messages", agent, "hello")[1])
    finally:
        mark.unlink()
    assert (got, retry) == (status, "false")
    told = json.loads(body)["error"]
    assert told["code"] == "localguard_internal"
    assert "nobody foresaw" in told["message"]
    assert of_anthropic["type"] == "error"
    assert of_anthropic["error"]["type"] == "localguard_internal"
    if step != "reply":
        assert provider.content == []
    assert all(token.encode() not in data for data in faulty.files().values())
    assert ask(faulty, "/openai/v1/chat/completions", agent, "hello")[0] == 200


def test_a_fault_of_the_guard_is_in_the_log_with_its_place(faulty: Guard, provider: Provider) -> None:
    (faulty.home / "fail-redact").touch()
    try:
        ask(faulty, "/openai/v1/chat/completions", "x", "hello")
    finally:
        (faulty.home / "fail-redact").unlink()
    refusal = faulty.records("refusal")[-1]
    assert refusal.metadata is not None
    assert refusal.metadata["code"] == "localguard_internal"
    assert b"LookupError at " in b"".join(
        data for path, data in faulty.files().items() if path.suffix in (".log", ".out")
    )
