"""What the workspace's own files say is confidential does not leave through a real guard, whatever stands around it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.guard import Guard, policy
from tests.e2e.planted import made
from tests.provider.server import Provider


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    place.mkdir()
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    return place


@pytest.fixture
def own_guard(provider: Provider, tmp_path: Path) -> Iterator[Guard]:
    with Guard(tmp_path / "home", policy(provider.port, "[known_values]\ngit_authors = true\n")) as started:
        yield started


def token(guard: Guard, repository: Path) -> str:
    command = [sys.executable, "-m", "localguard.cli.main", "workspace", "token"]
    done = subprocess.run(command, env=guard.environment(), cwd=repository, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def say(guard: Guard, token: str, text: str) -> httpx.Response:
    body = {"model": "stub-1", "messages": [{"role": "user", "content": text}]}
    return httpx.post(f"{guard.url}/w/{token}/openai/v1/chat/completions", json=body, timeout=20)


def test_a_value_of_an_env_file_is_replaced_where_no_detector_would_look(
    own_guard: Guard, provider: Provider, repository: Path
) -> None:
    line, value = made("INTERNAL_CODE=⟦{alnum:24}⟧", 91)
    (repository / ".env").write_text(line + "\n")
    lgw = token(own_guard, repository)
    assert say(own_guard, lgw, f"what does {value} mean").status_code == 200
    assert value.encode() not in provider.last.body
    line, second = made("INTERNAL_CODE=⟦{alnum:24}⟧", 92)
    (repository / ".env").write_text(line + "\n")
    time.sleep(1.2)
    say(own_guard, lgw, f"and {second}")
    assert second.encode() not in provider.last.body
    say(own_guard, lgw, f"what does {value} mean")
    assert value.encode() not in provider.last.body  # it was a secret, and may still be one


def test_a_repository_adds_rules_and_words_of_its_own_and_takes_none_away(
    own_guard: Guard, provider: Provider, repository: Path
) -> None:
    rules = repository / ".localguard" / "rules"
    rules.mkdir(parents=True)
    (rules / "own.toml").write_text(
        '[[dictionaries]]\nid = "own/names"\ntype = "CODE_NAME"\nwords = ["Blue Heron"]\n'
        '[[rules]]\nid = "github/token"\ntype = "GITHUB_TOKEN"\ndescription = "x"\npattern = "never"\nenabled = false\n'
    )
    lgw = token(own_guard, repository)
    line, value = made("⟦ghp_{alnum:36}⟧", 93)
    say(own_guard, lgw, f"blue_heron uses {line}")
    sent = provider.last.body
    assert b"LG_CODE_NAME_" in sent
    assert b"heron" not in sent
    assert value.encode() not in sent
    (rules / "own.toml").write_text("broken = [")
    time.sleep(1.2)
    refused = say(own_guard, lgw, "hello")
    assert refused.status_code == 503
    assert "own.toml" in refused.json()["error"]["message"]


def test_authors_of_the_repository_are_personal_data_where_the_policy_says_so(
    own_guard: Guard, provider: Provider, repository: Path
) -> None:
    who = {
        f"GIT_{role}_{what}": text
        for role in ("AUTHOR", "COMMITTER")
        for what, text in (("NAME", "Jo Doe"), ("EMAIL", "jo@acme-corp.io"))
    }
    command = ["git", "-C", str(repository), "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(repository), **who})
    say(own_guard, token(own_guard, repository), json.dumps({"reviewer": "jo doe"}))
    assert b"LG_PERSON_" in provider.last.body
    assert b"jo doe" not in provider.last.body


def test_a_language_model_that_is_not_there_refuses_every_request_and_doctor_says_why(
    provider: Provider, tmp_path: Path
) -> None:
    with Guard(tmp_path / "home", policy(provider.port, '[names]\nmodel = "no-such-model"\n')) as guard:
        body = {"model": "stub-1", "messages": [{"role": "user", "content": "key = q7Xm2Lp9Rt4Wz8Kb1Nc5"}]}
        refused = httpx.post(f"{guard.url}/openai/v1/chat/completions", json=body, timeout=60)
        assert refused.status_code == 503
        command = [sys.executable, "-m", "localguard.cli.main", "doctor"]
        told = subprocess.run(command, env=guard.environment(), capture_output=True, text=True, check=False)
        assert "There is no language model at" in told.stdout + told.stderr
