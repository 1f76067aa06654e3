"""Whose work a request is, where the process does not say it alone: every candidate must allow it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token
from tests.provider.server import Provider

WORK = """
import http.client, json, os, subprocess, sys
children = [subprocess.Popen(["sleep", "60"], cwd=place) for place in sys.argv[2:]]
try:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    body = sys.stdin.read()
    connection.request("POST", "/openai/v1/chat/completions", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    print(reply.status, reply.read().decode())
finally:
    for child in children:
        child.kill()
        child.wait()
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("work")
    made = {}
    for name in ("payments", "blog", "notes"):
        place = top / name
        (place / ".git" / "objects").mkdir(parents=True)
        (place / ".git" / "refs").mkdir()
        (place / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        made[name] = place
    (made["notes"] / ".localguard.toml").write_text('version = 1\ndefault = "deny"\n')
    return made


@pytest.fixture(scope="module")
def guarded(
    running_provider: Provider, places: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guard]:
    rules = f"""
[[workspaces]]
name = "payments"
match = {{ paths = ["{places["payments"]}"], remotes = ["github.com/acme/payments"] }}
sensitivity = "restricted"

[[rules]]
id = "restricted-stays"
effect = "deny"
when = {{ sensitivity = ["restricted"] }}

[[rules]]
id = "rest"
effect = "allow"
"""
    with Guard(tmp_path_factory.mktemp("attribution") / "home", policy(running_provider.port, rules)) as started:
        yield started


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that is called like an editor."""
    made: Path = tmp_path_factory.mktemp("bin") / "code"
    shutil.copy(Path(sys.executable).resolve(), made)
    return made


def send(guard: Guard, editor: Path, text: str, *open_in: Path, program: Path | None = None, cwd: str = "/") -> int:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})
    environment = {"PATH": "/usr/bin:/bin", "PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
    done = subprocess.run(
        [program or editor, "-c", WORK, str(guard.port), *open_in],
        input=body,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return int(done.stdout.split()[0])


def test_an_editor_with_one_folder_works_there(
    guarded: Guard, provider: Provider, editor: Path, places: dict[str, Path]
) -> None:
    assert send(guarded, editor, f"the token is {github_token(5)}", places["blog"]) == 200
    intent = guarded.records("intent")[-1]
    assert intent.metadata is not None
    assert intent.local is not None
    assert (intent.metadata["attribution"], intent.metadata["sensitivity"]) == ("peer", "internal")
    assert intent.local["root"] == str(places["blog"])
    assert all(github_token(5).encode() not in one.body for one in provider.content)


def test_an_editor_with_several_folders_may_do_what_all_of_them_may(
    guarded: Guard, provider: Provider, editor: Path, places: dict[str, Path]
) -> None:
    for beside in ("payments", "notes"):  # by the policy's sensitivity, by the repository's own file
        assert send(guarded, editor, "hello", places["blog"], places[beside]) == 403
    refusal = guarded.records("refusal")[-2]
    assert refusal.metadata is not None
    assert refusal.local is not None
    assert (refusal.metadata["attribution"], refusal.metadata["sensitivity"]) == ("peers", "restricted")
    assert set(refusal.local["beside"]) == {"blog", "payments"}
    assert not provider.content


@pytest.mark.parametrize(
    "said", ["<cwd>{place}</cwd>", "Working directory: {place}", "origin\tgit@github.com:acme/payments.git"]
)
def test_a_prompt_that_speaks_of_a_more_sensitive_place_is_held_to_it(
    guarded: Guard, provider: Provider, editor: Path, places: dict[str, Path], said: str
) -> None:
    here = {"program": Path(sys.executable), "cwd": str(places["blog"])}
    assert send(guarded, editor, said.format(place=places["payments"]), **here) == 403  # type: ignore[arg-type]
    assert send(guarded, editor, f"<cwd>{places['blog']}</cwd>", **here) == 200  # type: ignore[arg-type]
    assert len(provider.content) == 1


def test_a_prompt_that_speaks_of_a_less_sensitive_place_gains_nothing(
    guarded: Guard, provider: Provider, editor: Path, places: dict[str, Path]
) -> None:
    here = {"program": Path(sys.executable), "cwd": str(places["payments"])}
    assert send(guarded, editor, f"<cwd>{places['blog']}</cwd>", **here) == 403  # type: ignore[arg-type]
    assert send(guarded, editor, f"<cwd>{places['blog']}</cwd>") == 403
    assert not provider.content
