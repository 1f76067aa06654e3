"""Break-glass on a real guard: only where policy allows it, for the work that it names, by a person, and in the log."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token, made
from tests.e2e.test_asking import localguard, said, send
from tests.provider.server import Provider

TOKEN = github_token(815)
PAUSE = "[pause]\nmax_minutes = 20\n"
REFUSES = '[pause]\nmax_minutes = 20\nsensitivity = ["public"]\n'


@pytest.fixture
def guard_with(provider: Provider, tmp_path: Path) -> Iterator[Guard]:
    with Guard(tmp_path / "home", policy(provider.port, PAUSE)) as started:
        yield started


def test_a_pause_sends_what_is_found_as_it_is_until_it_ends(guard_with: Guard, provider: Provider) -> None:
    assert said(send(guard_with, f"token {TOKEN} a")) == "200"
    assert TOKEN.encode() not in provider.last.body
    done = localguard(guard_with, "pause", "--minutes", "5", "--reason", "compare replies")
    assert done.returncode == 0, done.stderr
    assert said(send(guard_with, f"token {TOKEN} b")) == "200"
    assert TOKEN.encode() in provider.last.body
    paused = guard_with.records("intent")[-1].metadata
    assert paused is not None
    assert paused["paused"] is True
    assert "GITHUB_TOKEN" in paused["found"]
    assert localguard(guard_with, "resume").returncode == 0
    assert said(send(guard_with, f"token {TOKEN} c")) == "200"
    assert TOKEN.encode() not in provider.last.body
    events = [record for record in guard_with.records("control") if record.metadata]
    told = [(one.metadata["event"], one.metadata.get("reason")) for one in events if one.metadata]
    assert ("pause", "compare replies") in told
    assert "resume" in [event for event, _ in told]
    assert not any(TOKEN.encode() in data for data in guard_with.files().values())


def test_credentials_do_not_pass_in_a_pause(provider: Provider, tmp_path: Path) -> None:
    endpoint = (
        f'[[endpoints]]\nname = "own"\nkind = "openai"\nbase_url = "{provider.url}"\ncredential = "keyring:own"\n'
    )
    with Guard(tmp_path / "home", policy(provider.port, endpoint, PAUSE)) as guard:
        key, spare, used = (made("⟦sk-{alnum:40}⟧", seed)[1] for seed in (31, 32, 33))
        for name, value in (("own", key), ("spare", spare)):  # the second one is used nowhere
            done = subprocess.run(
                [sys.executable, "-m", "localguard.cli.main", "key", "set", name],
                input=value,
                env=guard.environment(),
                text=True,
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        token = json.loads(guard.run("workspace", "token", "--json"))["token"]
        control = (guard.home / "state" / "control.token").read_text()
        assert localguard(guard, "pause", "--minutes", "5", "--reason", "compare replies").returncode == 0
        held = (key, spare, token, control, used)
        for text in (f"token {TOKEN} " + " ".join(held), f"again {TOKEN} " + " or ".join(held)):
            assert said(send(guard, text, authorization=f"Bearer {used}")) == "200"
            body = provider.last.body.decode()
            assert TOKEN in body
            assert [value for value in held if value in body] == []
        assert provider.last.header("authorization") == f"Bearer {used}"
        assert localguard(guard, "resume").returncode == 0
        (guard.home / "state" / "keys.json").write_text("{")  # its keys cannot be kept back
        refused = localguard(guard, "pause", "--minutes", "5", "--reason", "compare replies")
        assert refused.returncode == 1
        assert "the guard's own keys could leave in a pause" in refused.stderr


@pytest.mark.parametrize(
    ("more", "arguments", "words"),
    [
        ("", ("--minutes", "5", "--reason", "x"), "does not let redaction be paused"),
        (PAUSE, ("--minutes", "21", "--reason", "x"), "from 1 to 20"),
        (PAUSE, ("--minutes", "5", "--reason", " "), "Say why"),
    ],
)
def test_what_policy_does_not_allow_is_refused(
    more: str, arguments: tuple[str, ...], words: str, provider: Provider, tmp_path: Path
) -> None:
    with Guard(tmp_path / "home", policy(provider.port, more)) as guard:
        done = localguard(guard, "pause", *arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert said(send(guard, f"token {TOKEN}")) == "200"
        assert TOKEN.encode() not in provider.last.body


def test_work_that_is_more_sensitive_stays_redacted(provider: Provider, tmp_path: Path) -> None:
    with Guard(tmp_path / "home", policy(provider.port, REFUSES)) as guard:  # this repository is internal
        assert localguard(guard, "pause", "--minutes", "5", "--reason", "x").returncode == 0
        assert said(send(guard, f"token {TOKEN}")) == "200"
        assert TOKEN.encode() not in provider.last.body
