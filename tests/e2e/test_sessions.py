"""Which records belong together: by the client's session id, else by how the conversation began."""

import json
import urllib.request

from tests.e2e.guard import Guard
from tests.provider.server import Provider


def ask(guard: Guard, said: list[str], **headers: str) -> str | None:
    """The session under which one turn is recorded."""
    messages = [{"role": "assistant" if index % 2 else "user", "content": one} for index, one in enumerate(said)]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    headers = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(guard.url + "/openai/v1/chat/completions", body, headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as reply:
        reply.read()
    return guard.records("intent")[-1].session


def test_turns_of_one_conversation_have_one_session_without_an_id(guard: Guard, provider: Provider) -> None:
    first = ask(guard, ["rename the function"])
    assert first
    assert ask(guard, ["rename the function", "done", "and test it"]) == first
    assert ask(guard, ["write the docs"]) not in (first, None)
    assert "rename" not in first


def test_the_clients_own_session_id_counts_first(guard: Guard, provider: Provider) -> None:
    assert ask(guard, ["rename the function"], x_session_id="abc-123") == "abc-123"
