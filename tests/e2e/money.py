"""Requests in any wire format to a guard whose money is looked at, with nothing between."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.guard import Guard

PATHS = {
    "chat": "/openai/v1/chat/completions",
    "responses": "/openai/v1/responses",
    "messages": "/anthropic/v1/messages",
    "ollama": "/ollama/api/chat",
    "azure": "/azure/openai/v1/chat/completions",
    "compatible": "/compatible/v1/chat/completions",
    "count": "/anthropic/v1/messages/count_tokens",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What an agent gets. `body` ends where the connection did."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True

    @property
    def exchange(self) -> str:
        return self.headers["x-localguard-exchange"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def body(wire: str, model: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    """A request of that format that says `text`."""
    said = {"input": text} if wire == "responses" else {"messages": [{"role": "user", "content": text}]}
    limit = {"max_tokens": 100} if wire in ("messages", "count") else {}
    return {"model": model, **limit, **said, **more}


def ask(guard: Guard, wire: str, model: str, *, prefix: str = "", headers: Any = None, **more: Any) -> Reply:
    """Send one request and read its reply, however it ends."""
    connection = http.client.HTTPConnection("127.0.0.1", guard.port, timeout=30)
    try:
        given = {"Content-Type": "application/json", **(headers or {})}
        connection.request("POST", prefix + PATHS[wire], json.dumps(body(wire, model, **more)), given)
        reply = connection.getresponse()
        named = {name.lower(): value for name, value in reply.getheaders()}
        try:
            return Reply(reply.status, named, reply.read())
        except (http.client.IncompleteRead, ConnectionError) as error:
            return Reply(reply.status, named, getattr(error, "partial", b""), whole=False)
    finally:
        connection.close()


def outcome(guard: Guard, exchange: str, within: float = 5.0) -> dict[str, Any]:
    """The metadata of an exchange's outcome, once it is in the log."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        for record in guard.records("outcome"):
            if record.exchange == exchange:
                return record.metadata or {}
        time.sleep(0.05)
    raise AssertionError("no outcome")


def intent(guard: Guard, exchange: str) -> dict[str, Any]:
    """The metadata of an exchange's intent."""
    return next(one.metadata or {} for one in guard.records("intent") if one.exchange == exchange)
