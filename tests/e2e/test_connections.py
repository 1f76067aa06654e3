"""One kept-alive connection is no identity: each request is what its own token says, as long as that is known."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localguard.config.home import Home
from localguard.config.workspace_tokens import Tokens
from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token
from tests.provider.server import Provider

WORKSPACES = """
[[workspaces]]
name = "payments"
match = { paths = ["/nowhere/payments"] }

[[workspaces]]
name = "docs"
match = { paths = ["/nowhere/docs"] }
"""


@pytest.fixture(scope="module")
def guarded(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    home: Path = tmp_path_factory.mktemp("connections") / "home"
    with Guard(home, policy(running_provider.port, WORKSPACES)) as started:
        yield started


@pytest.fixture
def connection(guarded: Guard) -> Iterator[http.client.HTTPConnection]:
    """One connection, kept alive."""
    made = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=20)
    made.connect()
    yield made
    made.close()


def ask(connection: http.client.HTTPConnection, text: str, token: str) -> tuple[int, bytes]:
    """Status and body of one request on the connection, which must not have been opened anew."""
    before = connection.sock
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})
    headers = {"Content-Type": "application/json", "X-LocalGuard-Workspace": token}
    connection.request("POST", "/openai/v1/chat/completions", body, headers)
    reply = connection.getresponse()
    answer = reply.status, reply.read()
    assert connection.sock is before
    return answer


def test_a_kept_alive_connection_may_carry_requests_of_two_workspaces(
    guarded: Guard, provider: Provider, connection: http.client.HTTPConnection
) -> None:
    tokens = Tokens(Home(guarded.home))
    secret = f"the token is {github_token(3)}"
    first = tokens.create(workspace="payments", now="2026-01-01T00:00:00Z")
    second = tokens.create(workspace="docs", now="2026-01-01T00:00:00Z")
    for token in (first, second, first):
        assert ask(connection, secret, token)[0] == 200
    intents = guarded.records("intent")[-3:]
    assert [one.metadata["workspace"] for one in intents if one.metadata] == ["payments", "docs", "payments"]
    sent = [json.loads(one.body)["messages"][0]["content"] for one in provider.content]
    assert sent[0] == sent[2]
    assert sent[0] != sent[1]  # placeholders of one workspace mean nothing in another
    assert all(github_token(3) not in one for one in sent)


def test_a_revoked_token_is_refused_on_a_connection_that_used_it(
    guarded: Guard, provider: Provider, connection: http.client.HTTPConnection
) -> None:
    tokens = Tokens(Home(guarded.home))
    token = tokens.create(workspace="payments", now="2026-01-01T00:00:00Z")
    assert ask(connection, "hello", token)[0] == 200
    binding = tokens.lookup(token)
    assert binding is not None
    tokens.revoke(binding.token_id)
    until = time.monotonic() + 5.0  # a connection's caller is looked up again every few seconds
    while (answer := ask(connection, "hello again", token))[0] == 200 and time.monotonic() < until:
        time.sleep(0.1)
    before = len(provider.content)
    status, told = ask(connection, "hello again", token)
    assert (status, answer[0]) == (403, 403)
    assert b"localguard_token_unknown" in told
    assert token.encode() not in told
    assert len(provider.content) == before
