"""`explain` says where a failure came from, with what shows it: each origin through a real guard, and its id in every reply."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localguard.exchange.request import RequestRefused
from localguard.proxy.refusals import of_request
from tests.e2e.guard import Guard, free_port, policy
from tests.e2e.planted import github_token
from tests.provider.script import Answer, Turn
from tests.provider.server import Provider

MORE = """
[[endpoints]]
name = "down"
kind = "openai"
class = "hosted"
base_url = "http://127.0.0.1:{down}"
support = "platform-team"

[[endpoints]]
name = "stopped"
kind = "ollama"
class = "local"
base_url = "http://127.0.0.1:{down}"

[[endpoints]]
name = "slow"
kind = "openai"
class = "hosted"
base_url = "http://127.0.0.1:{provider}"
limits = {{ per_minute = 1, wait = 0.2 }}

[[rules]]
id = "the-rest"
effect = "allow"

[[rules]]
id = "no-pay"
effect = "deny"
when = {{ models = ["forbidden"] }}
reason = "Not this model."

[[budgets]]
models = ["dear"]
limit_usd = 0.000001
period = "day"
timezone = "UTC"
on_exceed = "deny"
"""


@dataclass(frozen=True)
class Told:
    """What an agent got, and what `explain` says of it."""

    status: int
    exchange: str
    text: str

    def has(self, *lines: str) -> None:
        for line in lines:
            assert line in self.text, f"{line!r} is not in\n{self.text}"


@pytest.fixture(scope="module")
def failing(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    home: Path = tmp_path_factory.mktemp("failing") / "home"
    more = MORE.format(down=free_port(), provider=running_provider.port)
    with Guard(home, policy(running_provider.port, more)) as started:
        yield started


def ask(guard: Guard, path: str = "/openai/v1/chat/completions", body: bytes | None = None, **asked: Any) -> Told:
    """One request of an agent, and the explanation of the exchange that its reply names."""
    usual = {"model": "m", "messages": [{"role": "user", "content": "hello"}]} | asked
    connection = http.client.HTTPConnection("127.0.0.1", guard.port, timeout=30)
    connection.request("POST", path, body or json.dumps(usual).encode(), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    exchange = reply.getheader("X-LocalGuard-Exchange") or ""
    with contextlib.suppress(http.client.HTTPException):
        reply.read()
    connection.close()
    assert exchange
    if not guard.records("refusal") or guard.records("refusal")[-1].exchange != exchange:
        guard.outcomes(sum(one.exchange is not None for one in guard.records("intent")))
    return Told(reply.status, exchange, guard.run("explain", exchange))


def answers(provider: Provider, status: int, body: Any, kind: str = "application/json") -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    provider.brain = lambda _: Answer(status, raw, (("Content-Type", kind),))


CHAT, MESSAGES, OLLAMA = "/openai/v1/chat/completions", "/anthropic/v1/messages", "/ollama/api/chat"
STATUSES = [
    (CHAT, 400, {"error": {"code": "invalid_value", "message": "m"}}, "agent", "code invalid_value", "not accept"),
    (CHAT, 404, {"error": {"code": "model_not_found", "message": "m"}}, "agent", "code model_not_found", "no model m"),
    (CHAT, 401, {"error": {"code": "invalid_api_key", "message": "m"}}, "provider", "invalid_api_key", "does not take the key"),
    (CHAT, 429, {"error": {"code": "rate_limit_exceeded"}}, "rate limit", "That limit is the provider's", "Wait"),
    (CHAT, 429, {"error": {"code": "insufficient_quota"}}, "rate limit", "insufficient_quota", "no money or quota left"),
    (CHAT, 500, {"error": {"type": "server_error", "message": "m"}}, "provider", "code server_error", "status page"),
    (CHAT, 503, {"error": {"message": "overloaded", "type": "server_error"}}, "provider", "answered 503", "Send again"),
    (CHAT, 503, b"<html>unavailable</html>", "gateway", "no provider's error, but a page", "A gateway"),
    (CHAT, 502, b"<html>bad gateway</html>", "gateway", "had no answer from behind it", "A gateway"),
    (CHAT, 504, {"error": {"message": "m"}}, "gateway", "had no answer from behind it", "A gateway"),
    (MESSAGES, 529, {"type": "error", "error": {"type": "overloaded_error"}}, "provider", "overloaded_error", "Send again"),
    (OLLAMA, 404, {"error": "model 'm' not found"}, "local model", "answered 404", "ollama pull m"),
    (OLLAMA, 500, {"error": "model requires more memory"}, "local model", "answered 500", "may not fit into memory"),
    (OLLAMA, 503, {"error": "loading model"}, "local model", "answered 503", "still loads m"),
    (OLLAMA, 400, {"error": "m does not support tools"}, "agent", "not accepted", "not accept"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "status", "body", "origin", "shown", "step"), STATUSES)
def test_a_status_of_the_endpoint_says_whose_failure_it_is(
    path: str, status: int, body: Any, origin: str, shown: str, step: str, failing: Guard, provider: Provider
) -> None:
    answers(provider, status, body, "text/html" if isinstance(body, bytes) else "application/json")
    told = ask(failing, path)
    assert told.status == status
    told.has(f"failed with status {status}; the origin is the {origin}.", shown, "Next step: ", step)


ERRORS = [
    (CHAT, "provider", "server_error"),
    (MESSAGES, "provider", "overloaded_error"),
    ("/openai/v1/responses", "provider", "server_error"),
    (OLLAMA, "local model", "ollama_error"),
]


@pytest.mark.parametrize(("path", "origin", "code"), ERRORS)
def test_an_error_inside_a_stream_of_status_200_is_a_failure(
    path: str, origin: str, code: str, failing: Guard, provider: Provider
) -> None:
    provider.brain = lambda _: Turn(text="half of an answer", error_after=2)
    more: dict[str, Any] = {"input": "hello"} if path.endswith("/responses") else {}
    told = ask(failing, path, stream=True, **more)
    assert told.status == 200
    told.has(f"failed with status 200; the origin is the {origin}.", f"an error stood inside it, code {code}")


def test_a_rate_limit_inside_a_stream_is_one(failing: Guard, provider: Provider) -> None:
    event = b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"m"}}\n\n'
    answers(provider, 200, event, "text/event-stream")
    ask(failing, MESSAGES, stream=True).has("the origin is the rate limit.", "code rate_limit_error")


def test_a_stream_that_breaks_off_came_from_the_network_or_from_the_local_server(
    failing: Guard, provider: Provider
) -> None:
    provider.brain = lambda _: Turn(text="a long answer that is cut", cut=2)
    ask(failing, stream=True).has("broken off before the reply was whole; the origin is the network.", "was lost")
    ask(failing, OLLAMA, stream=True).has("the origin is the local model.")


def test_what_cannot_be_reached_is_the_networks_or_a_server_that_does_not_run(
    failing: Guard, provider: Provider
) -> None:
    ask(failing, "/down/v1/chat/completions").has(
        "the origin is the network.",
        "nothing accepts connections",
        "supported by: platform-team",
        "platform-team supports",
    )
    ask(failing, "/stopped/v1/chat/completions").has(
        "the origin is the local model.", "does not run", "Start it", "failed without an answer"
    )


def test_what_the_guard_itself_stops_says_by_which_rule(failing: Guard, provider: Provider) -> None:
    ask(failing, model="forbidden").has("localguard_policy_denied", "origin: policy", "by: no-pay", "Not this model.")
    ask(failing, model="dear")
    ask(failing, model="dear").has("localguard_budget_exceeded", "origin: budget", "by: budget ", "Next step: ")
    ask(failing, "/slow/v1/chat/completions")
    ask(failing, "/slow/v1/chat/completions").has(
        "localguard_rate_limited",
        "origin: rate limit",
        "by: limits of slow",
        "Nothing of it was sent",
        "use another endpoint",
    )
    ask(failing, body=b'{"model": "m", "model": "n"}').has(
        "localguard_body_invalid", "origin: agent", "by: json-strict"
    )


def test_what_cannot_be_redacted_is_no_fault_of_the_agent() -> None:
    for code, origin in (("name_holds_value", "redaction"), ("body_invalid", "agent"), ("head_invalid", "agent")):
        assert of_request(RequestRefused(400, code, "rule", "Why.", "What now.")).origin == origin


def test_a_request_of_which_only_the_head_is_known_can_be_explained(failing: Guard, provider: Provider) -> None:
    told = ask(failing, "/nowhere/v1/chat/completions")
    assert told.status == 404
    told.has("localguard_no_endpoint", "origin: agent", "by: admission", "localguard endpoint list")


def test_no_text_of_an_error_reaches_the_log(failing: Guard, provider: Provider) -> None:
    told = github_token(5)
    answers(provider, 400, {"error": {"code": f"bad {told}", "type": told, "message": f"the key {told} is wrong"}})
    ask(failing).has("the origin is the agent.")
    assert all(told.encode() not in content for content in failing.files().values())
