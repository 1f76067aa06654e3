"""Policy through a real guard: what a rule obliges to is done, and what it refuses is said in words."""

import json
import random
import string
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from localguard.config.home import Home
from localguard.config.organisation import Trust
from localguard.config.signing import new_key, read_key, signed
from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token
from tests.provider.script import Asked, Turn, call
from tests.provider.server import Provider

CHAT = "/v1/chat/completions"
NOW = datetime.now(UTC)
DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LATER = f"{DAY[(NOW + timedelta(days=3)).weekday()]} 00:00-24:00 UTC"
ALWAYS = "mon-sun 00:00-24:00 UTC"

RULES = f"""
[[models]]
name = "gpt-5"
aliases = ["prod-five"]

[[workspaces]]
name = "docs"
match = {{ paths = ["/nowhere/docs"] }}
tasks = {{ "x/*" = "x" }}

[[rules]]
id = "everything"
effect = "allow"

[[rules]]
id = "moved"
effect = "allow"
when = {{ models = ["old-*"] }}
route = {{ endpoint = "ollama", models = {{ "old-big" = "qwen3:8b" }} }}

[[rules]]
id = "moved-as-a-whole"
effect = "allow"
when = {{ endpoints = ["routed"] }}
route = {{ endpoint = "ollama" }}

[[rules]]
id = "moved-to-nobody"
effect = "allow"
when = {{ models = ["lost-*"] }}
route = {{ endpoint = "azure" }}

[[rules]]
id = "needs-a-task"
effect = "allow"
when = {{ models = ["gpt-5"] }}
require_task = true
reason = "Expensive models are for declared tasks."

[[rules]]
id = "short"
effect = "allow"
when = {{ models = ["short-*"] }}
max_input_tokens = 200

[[rules]]
id = "kept"
effect = "allow"
when = {{ models = ["kept-*"] }}
restore = {{ secret = "keep" }}

[[rules]]
id = "quiet"
effect = "allow"
when = {{ models = ["quiet-*"] }}
record = "metadata"

[[rules]]
id = "not-now"
effect = "deny"
when = {{ models = ["timed-*"], times = ["{ALWAYS}"] }}
reason = "Not at this time of the day."

[[rules]]
id = "not-then"
effect = "deny"
when = {{ models = ["later-*"], times = ["{LATER}"] }}

[[rules]]
id = "no-secrets-here"
effect = "deny"
when = {{ models = ["clean-*"], findings = ["secret"] }}
reason = "Secrets do not go to this model, redacted or not."
"""


@pytest.fixture(scope="module")
def ruled(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    home: Path = tmp_path_factory.mktemp("ruled") / "home"
    routed = f'[[endpoints]]\nname = "routed"\nkind = "openai"\nbase_url = "{running_provider.url}"\n'
    with Guard(home, policy(running_provider.port, routed, RULES)) as started:
        yield started


@pytest.fixture(scope="module")
def address(ruled: Guard) -> str:
    """The prefix of addresses of this repository, which is where the requests come from too."""
    return f"/w/{json.loads(ruled.run('workspace', 'token', '--port', str(ruled.port), '--json'))['token']}"


def ask(guard: Guard, path: str, model: str, text: str = "hello", **headers: str) -> tuple[int, dict[str, Any], str]:
    """Status, reply and exchange id of one chat request."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
    request = urllib.request.Request(
        guard.url + path,
        body,
        {"Content-Type": "application/json", "Authorization": "Bearer agent-key-of-its-own", **headers},
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as reply:
            return reply.status, json.loads(reply.read()), reply.headers["X-LocalGuard-Exchange"]
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), error.headers["X-LocalGuard-Exchange"]


def message(reply: dict[str, Any]) -> str:
    return str(reply["error"]["message"])


def intent(guard: Guard, exchange: str) -> Any:
    """The record of what was sent."""
    return next(record for record in guard.records("intent") if record.exchange == exchange)


def test_a_route_sends_another_model_to_another_endpoint_without_the_agent_s_key(
    ruled: Guard, provider: Provider, address: str
) -> None:
    status, _, exchange = ask(ruled, f"{address}/openai{CHAT}", "old-big")
    assert status == 200
    assert provider.last.json["model"] == "qwen3:8b"
    assert provider.last.header("authorization") is None
    recorded = intent(ruled, exchange).metadata
    assert (recorded["endpoint"], recorded["model"], recorded["endpoint_class"]) == ("ollama", "qwen3:8b", "local")
    assert recorded["routed_from"] == {"endpoint": "openai", "model": "old-big"}
    assert recorded["obligations"]["route"] == "ollama"
    assert "routed from: openai (old-big)" in ruled.run("explain", exchange)


def test_a_list_of_models_stays_where_it_is_asked_for(ruled: Guard, provider: Provider, address: str) -> None:
    assert b"stub-1" in ruled.get(f"{address}/routed/v1/models")
    assert provider.last.path == "/v1/models"


def test_a_route_to_an_endpoint_without_a_key_of_the_guard_s_own_is_refused(
    ruled: Guard, provider: Provider, address: str
) -> None:
    status, reply, _ = ask(ruled, f"{address}/openai{CHAT}", "lost-big")
    assert status == 403
    assert "azure has no key of the guard's own" in message(reply)
    assert not provider.content


def test_a_route_cannot_change_the_wire_format(ruled: Guard, provider: Provider, address: str) -> None:
    status, reply, _ = ask(ruled, f"{address}/compatible/api/unknown", "old-big")
    assert status == 403
    assert "does not speak generic-json" in message(reply)
    assert not provider.content


def test_a_task_is_required_and_can_be_set_for_the_workspace(ruled: Guard, provider: Provider, address: str) -> None:
    path = f"{address}/openai{CHAT}"
    for model in ("gpt-5", "prod-five"):
        status, reply, _ = ask(ruled, path, model)
        assert (status, reply["error"]["code"]) == (403, "localguard_task_required")
        assert "Expensive models are for declared tasks." in message(reply)
        assert "localguard task set" in message(reply)
    assert not provider.content
    port = ("--port", str(ruled.port))
    assert "is refactoring now." in ruled.run("task", "set", "refactoring", *port)
    assert "Work in docs is writing now." in ruled.run("task", "set", "writing", "--workspace", "docs", *port)
    status, reply, exchange = ask(ruled, path, "gpt-5")
    assert status == 200, reply
    assert intent(ruled, exchange).metadata["task"] == "refactoring"
    assert "refactoring" in ruled.run("task", "show", *port)
    _, _, exchange = ask(ruled, path, "gpt-5", **{"X-LocalGuard-Task": "docs"})
    assert intent(ruled, exchange).metadata["task"] == "docs"
    assert "No task is set for" in ruled.run("task", "set", "--none", *port)
    assert ask(ruled, path, "gpt-5")[0] == 403
    controls: list[Any] = [record.metadata for record in ruled.records("control")]
    events = [one for one in controls if one["event"] == "task"]
    assert [event["detail"]["task"] for event in events] == ["refactoring", "writing", None]


def test_a_request_beyond_its_limit_of_tokens_is_refused_with_what_to_do(
    ruled: Guard, provider: Provider, address: str
) -> None:
    assert ask(ruled, f"{address}/openai{CHAT}", "short-1", "few words")[0] == 200
    status, reply, _ = ask(ruled, f"{address}/openai{CHAT}", "short-1", "many words " * 100)
    assert (status, reply["error"]["code"]) == (403, "localguard_input_too_long")
    assert "policy allows 200 here" in message(reply)
    assert len(provider.content) == 1


def test_a_class_that_policy_keeps_stays_a_placeholder_and_never_gets_into_a_file(
    ruled: Guard, provider: Provider, address: str
) -> None:
    secret = github_token(5)
    path = f"{address}/openai{CHAT}"
    _, reply, exchange = ask(ruled, path, "kept-1", f"token: {secret}")
    said = reply["choices"][0]["message"]["content"]
    assert secret not in said
    assert "LG_" in said
    found: Any = next(one for one in ruled.outcomes(len(ruled.records("intent"))) if one.exchange == exchange)
    assert found.metadata["withheld"] == 1

    def edit(asked: Asked) -> Turn:
        return Turn(calls=(call("write", filePath="/tmp/x", content=asked.user),))

    provider.brain = edit
    status, reply, _ = ask(ruled, path, "kept-1", f"token: {secret}")
    assert status == 502
    assert "policy does not turn placeholders of this class back" in message(reply)
    assert secret in json.dumps(ask(ruled, path, "free-1", f"token: {secret}")[1])


def test_findings_are_not_written_down_where_policy_says_metadata(
    ruled: Guard, provider: Provider, address: str
) -> None:
    path = f"{address}/openai{CHAT}"
    _, _, exchange = ask(ruled, path, "quiet-1", f"token: {github_token(7)}")
    quiet = intent(ruled, exchange)
    assert (quiet.findings, quiet.metadata["obligations"]["record"]) == ([], "metadata")
    _, _, exchange = ask(ruled, path, "loud-1", f"token: {github_token(7)}")
    assert intent(ruled, exchange).findings


def test_times_of_day_count(ruled: Guard, provider: Provider, address: str) -> None:
    status, reply, exchange = ask(ruled, f"{address}/openai{CHAT}", "timed-1")
    assert status == 403
    assert "Not at this time of the day. Rule: not-now" in message(reply)
    refusal: Any = next(record for record in ruled.records("refusal") if record.exchange == exchange)
    assert refusal.metadata["rules"][0]["fields"] == ["models", "times"]
    assert ask(ruled, f"{address}/openai{CHAT}", "later-1")[0] == 200


def test_a_value_that_is_only_known_from_elsewhere_counts_as_found(
    ruled: Guard, provider: Provider, address: str
) -> None:
    value = "".join(random.Random(6).choices(string.ascii_letters + string.digits, k=14))
    path = f"{address}/openai{CHAT}"
    assert ask(ruled, path, "clean-1", f"is {value} a fine name?")[0] == 200  # nothing says that it is a secret
    assert ask(ruled, path, "free-1", f'db_password = "{value}"')[0] == 200
    sent = len(provider.content)
    status, reply, _ = ask(ruled, path, "clean-1", f"is {value} a good name?")
    assert status == 403
    assert "Secrets do not go to this model, redacted or not." in message(reply)
    assert len(provider.content) == sent


def test_a_new_policy_counts_without_a_request_being_dropped(running_provider: Provider, tmp_path: Path) -> None:
    """Requests go on while the file is replaced again and again; each is allowed or denied by one policy or the other."""
    deny = '[[rules]]\nid = "second"\neffect = "deny"\nwhen = { models = ["m"] }\n'
    allow = '[[rules]]\nid = "first"\neffect = "allow"\n'
    with Guard(tmp_path / "home", policy(running_provider.port, allow)) as guard, ThreadPoolExecutor(4) as pool:
        assert ask(guard, f"/openai{CHAT}", "m")[0] == 200
        statuses: list[int] = []
        for turn in range(4):
            guard.write_policy(policy(running_provider.port, allow, *([] if turn % 2 else [deny])))
            wanted = 200 if turn % 2 else 403
            until = time.monotonic() + 20
            found: list[int] = []
            while wanted not in found and time.monotonic() < until:
                found = list(pool.map(lambda _: ask(guard, f"/openai{CHAT}", "m")[0], range(8)))
                statuses += found
            assert wanted in found
        assert set(statuses) == {200, 403}


def test_an_organisation_s_policy_binds_whatever_the_user_says_of_an_endpoint(
    running_provider: Provider, provider: Provider, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    home.create()
    public = new_key(tmp_path / "signing.pem")
    Trust(home).pin(public, name="acme", now="2026-11-22T12:00:00Z")
    inside = (
        'version = 1\n[organisation]\nname = "acme"\nrevision = 1\nexpires = 2099-01-01T00:00:00Z\n'
        '[[endpoints]]\nname = "company"\nkind = "openai"\nclass = "enterprise"\n'
        f'base_url = "http://127.0.0.1:{running_provider.port}"\n'
        '[[rules]]\nid = "inside-only"\neffect = "allow"\nwhen = { classes = ["enterprise"] }\n'
    )
    home.organisation_file.write_bytes(signed(inside.encode(), read_key(tmp_path / "signing.pem")))
    claim = (
        '[[endpoints]]\nname = "mine"\nkind = "openai-compatible"\nclass = "enterprise"\n'
        f'base_url = "http://127.0.0.1:{running_provider.port}"\n'
        '[[rules]]\nid = "all"\neffect = "allow"\n'
    )
    with Guard(home.root, policy(running_provider.port, claim)) as guard:
        assert ask(guard, f"/company{CHAT}", "m")[0] == 200
        for endpoint in ("mine", "azure"):  # the user's file calls both enterprise
            status, reply, _ = ask(guard, f"/{endpoint}{CHAT}", "m")
            assert status == 403
            assert "organisation policy allows" in message(reply)
            assert f"endpoint {endpoint} (hosted)" in message(reply)  # in the organisation's words
        assert len(provider.content) == 1
        home.organisation_file.unlink()
        assert ask(guard, f"/company{CHAT}", "m")[0] == 200
    with Guard(home.root, policy(running_provider.port, claim)) as guard:
        status, reply, _ = ask(guard, f"/company{CHAT}", "m")
        assert status in (403, 404)
