"""The allow list through a real guard: one value of one workspace passes, by fingerprint, for as long as it is allowed."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token
from tests.provider.server import Provider

ALLOWED, OTHER = github_token(71), github_token(72)


@pytest.fixture
def own_guard(provider: Provider, tmp_path: Path) -> Iterator[Guard]:
    with Guard(tmp_path / "home", policy(provider.port)) as started:
        yield started


def ask(guard: Guard) -> httpx.Response:
    body = {"model": "stub-1", "messages": [{"role": "user", "content": f"keys {ALLOWED} and {OTHER}"}]}
    return httpx.post(f"{guard.url}/openai/v1/chat/completions", json=body, timeout=20)


def localguard(guard: Guard, *arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "localguard.cli.main", *arguments]
    return subprocess.run(
        command, env=guard.environment(), cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_an_allowed_value_passes_until_it_is_removed_and_no_other_does(own_guard: Guard, provider: Provider) -> None:
    exchange = ask(own_guard).headers["X-LocalGuard-Exchange"]
    assert ALLOWED.encode() not in provider.last.body
    several = localguard(own_guard, "allow", "add", "--from-exchange", exchange, "--reason", "sandbox key")
    assert several.returncode == 2
    assert "--finding" in several.stderr
    added = localguard(
        own_guard, "allow", "add", "--from-exchange", exchange, "--finding", "1", "--reason", "sandbox key"
    )
    assert added.returncode == 0, added.stderr
    time.sleep(1.2)
    ask(own_guard)
    sent = provider.last.body
    assert (ALLOWED.encode() in sent, OTHER.encode() in sent) == (True, False)
    (entry,) = json.loads(localguard(own_guard, "allow", "list", "--json").stdout)
    assert (entry["reason"], entry["current"], entry["type"]) == ("sandbox key", True, "GITHUB_TOKEN")
    assert localguard(own_guard, "allow", "remove", entry["fingerprint"][:8]).returncode == 0
    time.sleep(1.2)
    ask(own_guard)
    assert ALLOWED.encode() not in provider.last.body
    state = b"".join(file.read_bytes() for file in (own_guard.home / "state").glob("*") if file.is_file())
    assert ALLOWED.encode() not in state


def test_a_damaged_allow_list_allows_nothing_and_is_told(own_guard: Guard, provider: Provider) -> None:
    (own_guard.home / "state" / "allow.json").write_text('{"version": 1, "entries": [{}]}')
    ask(own_guard)
    assert ALLOWED.encode() not in provider.last.body
    told = localguard(own_guard, "allow", "list")
    assert told.returncode == 1
    assert "Nothing is allowed" in told.stderr


def test_what_a_baseline_marks_as_no_secret_passes_from_its_repository(
    own_guard: Guard, provider: Provider, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    (repository / "app.py").write_text(f'KEY = "{ALLOWED}"\nSECOND = "{OTHER}"\n')
    listed = [
        {"type": "x", "line_number": line, "hashed_secret": hashlib.sha1(value.encode()).hexdigest(), **marked}
        for line, value, marked in [(1, ALLOWED, {"is_secret": False}), (2, OTHER, {})]
    ]
    (repository / ".secrets.baseline").write_text(json.dumps({"version": "1.5.0", "results": {"app.py": listed}}))
    done = localguard(own_guard, "allow", "import", ".secrets.baseline", cwd=repository)
    assert (done.returncode, done.stdout) == (0, "1 values may leave from repository.\n")
    token = localguard(own_guard, "workspace", "token", cwd=repository).stdout.strip()
    body = {"model": "stub-1", "messages": [{"role": "user", "content": f"keys {ALLOWED} and {OTHER}"}]}
    httpx.post(f"{own_guard.url}/w/{token}/openai/v1/chat/completions", json=body, timeout=20)
    sent = provider.last.body
    assert (ALLOWED.encode() in sent, OTHER.encode() in sent) == (True, False)
    ask(own_guard)
    assert ALLOWED.encode() not in provider.last.body  # from anywhere else it does not
