"""Keys of the guard's own: who made them, where they go, who may use them, who paid."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from localguard.config.home import Home
from localguard.config.keys import Keys
from localguard.config.workspace_tokens import Tokens
from tests.e2e.guard import ROOT, Guard, policy
from tests.e2e.money import ask, intent
from tests.provider.server import Provider

MADE = "made-up-credential-0001"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def with_credential(provider: Provider, credential: str, *more: str) -> str:
    text = policy(provider.port, *more)
    return text.replace('name = "compatible"', f'name = "compatible"\ncredential = {json.dumps(credential)}')


def workspace(name: str, place: Path, sensitivity: str = "internal") -> str:
    return (
        f'[[workspaces]]\nname = "{name}"\nmatch = {{ paths = ["{place}"] }}\nsensitivity = "{sensitivity}"\n'
        f'cost_bucket = "{name}-bucket"\n'
    )


def token(guard: Guard, name: str, **more: Any) -> str:
    return Tokens(Home(guard.home)).create(workspace=name, now="2026-11-28T00:00:00+00:00", **more)


def command(program: str) -> str:
    return "command:" + shlex.join([sys.executable, "-c", program])


def test_a_command_s_answer_goes_to_its_endpoint_and_is_written_nowhere(home: Path, provider: Provider) -> None:
    text = with_credential(provider, command(f"print({MADE!r})"), workspace("w", Path("/nowhere")))
    with Guard(home, text) as guard:
        prefix = "/w/" + token(guard, "w")
        reply = ask(guard, "compatible", "m", prefix=prefix, headers={"Authorization": "Bearer agents-own-key-1"})
        assert reply.status == 200
        assert provider.last.header("authorization") == f"Bearer {MADE}"
        ask(guard, "compatible", "m", prefix=prefix, text=f"print {MADE} please")
        assert MADE.encode() not in provider.last.body, "what the guard adds is known, and redacted in bodies"
        name = Path(sys.executable).name
        assert intent(guard, reply.exchange)["credential"] == f"command:{name}"
        ask(guard, "chat", "m", prefix=prefix)
        assert provider.last.header("authorization") is None, "another endpoint gets nothing of it"
        assert f"command:{name}" in guard.run("endpoint", "list")
    for path, data in guard.files().items():
        if path.name != "policy.toml":
            assert MADE.encode() not in data, path


def test_a_command_that_fails_refuses_and_sends_nothing(home: Path, provider: Provider) -> None:
    text = with_credential(provider, command("raise SystemExit(9)"), workspace("w", Path("/nowhere")))
    with Guard(home, text) as guard:
        refused = ask(guard, "compatible", "m", prefix="/w/" + token(guard, "w"))
    assert refused.status == 503
    assert "ended with status 9" in refused.json["error"]["message"]
    assert provider.content == []


def test_a_key_that_was_stored_for_one_origin_goes_to_no_other(home: Path, provider: Provider) -> None:
    with Guard(home, with_credential(provider, "keyring:work", workspace("w", Path("/nowhere")))) as guard:
        prefix = "/w/" + token(guard, "w")
        keys = Keys(Home(home), env={"LOCALGUARD_KEYRING": "off"})
        keys.set("work", MADE, now="2026-11-28T00:00:00Z", origin="https://elsewhere.example.com")
        refused = ask(guard, "compatible", "m", prefix=prefix)
        assert refused.status == 503
        assert "was stored for https://elsewhere.example.com only" in refused.json["error"]["message"]
        assert provider.content == []
        keys.set("work", MADE, now="2026-11-28T00:00:00Z", origin=provider.url)
        assert ask(guard, "compatible", "m", prefix=prefix).status == 200
        assert provider.last.header("authorization") == f"Bearer {MADE}"


PERSONAL = """
[[rules]]
id = "no-personal-keys"
effect = "deny"
when = { identities = ["personal"], sensitivity = ["sensitive", "restricted"] }
reason = "Personal keys are not for serious work."

[[rules]]
id = "rest"
effect = "allow"
"""


def test_a_rule_forbids_personal_keys_in_sensitive_workspaces_and_every_record_says_who_paid(
    home: Path, provider: Provider
) -> None:
    places = workspace("secret", Path("/nowhere/secret"), "restricted") + workspace("open", Path("/nowhere/open"))
    text = policy(provider.port, places, PERSONAL)
    text = text.replace('name = "openai"', 'name = "openai"\nidentity = "personal"')
    text = text.replace('name = "compatible"', 'name = "compatible"\nidentity = "team"')
    with Guard(home, text) as guard:
        secret, free = "/w/" + token(guard, "secret"), "/w/" + token(guard, "open")
        refused = ask(guard, "chat", "m", prefix=secret)
        assert refused.status == 403
        assert "Personal keys are not for serious work." in refused.json["error"]["message"]
        allowed = [ask(guard, "chat", "m", prefix=free), ask(guard, "compatible", "m", prefix=secret)]
        assert [reply.status for reply in allowed] == [200, 200]
        told = [
            ((one.metadata or {})["identity"], (one.metadata or {})["cost_bucket"])
            for one in guard.records()
            if one.kind in ("intent", "refusal")
        ]
    assert told == [("personal", "secret-bucket"), ("personal", "open-bucket"), ("team", "secret-bucket")]


def test_a_token_is_good_for_its_endpoints_and_its_time_only(home: Path, provider: Provider) -> None:
    with Guard(home, policy(provider.port, workspace("w", Path("/nowhere")))) as guard:
        narrow = "/w/" + token(guard, "w", endpoints=("openai",))
        over = "/w/" + token(guard, "w", expires="2026-01-01T00:00:00Z")
        lasting = "/w/" + token(guard, "w", expires="2999-01-01T00:00:00Z")
        statuses = [ask(guard, wire, "m", prefix=narrow).status for wire in ("chat", "compatible", "messages")]
        assert statuses == [200, 403, 403]
        refused = ask(guard, "messages", "m", prefix=narrow).json
        assert refused["error"]["type"] == "localguard_token_scope"
        assert ask(guard, "chat", "m", prefix=over).json["error"]["code"] == "localguard_token_expired"
        assert ask(guard, "chat", "m", prefix=lasting).status == 200
        made = json.loads(
            guard.run("workspace", "token", "--workspace", "w", "--endpoint", "openai", "--expires", "8h", "--json")
        )
        listed = json.loads(guard.run("workspace", "tokens", "--json"))
        assert [one["endpoints"] for one in listed].count(["openai"]) == 2
        assert listed[-1]["expires"] == made["expires"]
        assert guard.run("workspace", "tokens", "--revoke", listed[-1]["token_id"]).endswith("is revoked.\n")
    state = (home / "state" / "tokens.json").read_bytes()
    assert narrow.removeprefix("/w/").encode() not in state
    assert made["token"].encode() not in state


def test_a_token_used_from_another_workspace_s_directory_is_bound_by_both_and_recorded(
    home: Path, provider: Provider
) -> None:
    places = workspace("here", ROOT, "restricted") + workspace("other", Path("/nowhere/other"), "public")
    rule = """
[[rules]]
id = "inside"
effect = "deny"
when = { workspaces = ["here"], classes = ["hosted"] }
reason = "This work stays inside."

[[rules]]
id = "rest"
effect = "allow"
"""
    with Guard(home, policy(provider.port, places, rule)) as guard:
        prefix = "/w/" + token(guard, "other")
        refused = ask(guard, "chat", "m", prefix=prefix)
        assert refused.status == 403
        assert "This work stays inside." in refused.json["error"]["message"]
        local = ask(guard, "azure", "m", prefix=prefix)
        assert local.status == 200
        record = intent(guard, local.exchange)
        assert (record["workspace"], record["attribution"]) == ("other", "token")
        assert record["token_elsewhere"] is True
        assert record["sensitivity"] == "restricted"
        assert record["cost_bucket"] == "other-bucket", "the token's workspace pays"
