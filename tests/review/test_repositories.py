"""A repository is written by others: what its files say may add protection, and can neither take any away nor hold the guard up."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.review.harness import Guarded, Provider, chat, letters, token

CHAT = "openai/v1/chat/completions"
LAX = """
[[rules]]
id = "all-but-secrets-may-leave"
effect = "allow"
redact = { pii = "allow", custom = "allow" }
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    started = Provider()
    yield started
    started.close()


@pytest.fixture(scope="module")
def guard(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    started = Guarded(Path(tmp_path_factory.mktemp("repositories")) / "home", provider, LAX)
    yield started
    started.remove()


class Repository:
    """A working copy with a workspace of its own."""

    def __init__(self, guard: Guarded, place: Path) -> None:
        self.guard = guard
        self.place = place
        self.rules = place / ".localguard" / "rules"
        self.rules.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(place)], check=True)
        self.token = self.localguard("workspace", "token").strip()

    def localguard(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "localguard.cli.main", *arguments]
        environment = self.guard.environment()
        done = subprocess.run(
            command, env=environment, cwd=self.place, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def say(self, text: str) -> tuple[int, bytes]:
        return self.guard.post(f"/w/{self.token}/{CHAT}", chat(text))


@pytest.fixture
def repository(guard: Guarded, tmp_path: Path) -> Repository:
    return Repository(guard, tmp_path / "repository")


@pytest.mark.parametrize(
    "pattern",
    ["{value}", "key {value} here", "[^\\n]+", "ghp_[A-Za-z0-9]{{30}}"],
    ids=["same", "around", "line", "part"],
)
@pytest.mark.parametrize("kind", ["pii", "custom"])
def test_P12_a_repository_s_rule_makes_no_secret_something_that_may_leave(
    repository: Repository, pattern: str, kind: str
) -> None:
    value = token()
    (repository.rules / "own.toml").write_text(
        f'[[rules]]\nid = "a/a"\ntype = "GITHUB_TOKEN"\nclass = "{kind}"\ndescription = "x"\ndistinctive = false\n'
        f"pattern = '''({pattern.format(value=value)})'''\n"
    )
    status, upstream = repository.say(f"the\nkey {value} here\nand the rest")
    assert status == 200
    assert value.encode() not in upstream
    assert b"LG_GITHUB_TOKEN_" in upstream
    status, upstream = repository.say(f"again: x={value};")
    assert value.encode() not in upstream


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
@pytest.mark.parametrize("kind", ["pipe", "endless", "huge"])
def test_P3_what_stands_for_a_rule_file_is_refused_and_holds_nobody_up(repository: Repository, kind: str) -> None:
    file = repository.rules / "own.toml"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "endless":
        file.symlink_to("/dev/zero")
    else:
        with file.open("wb") as made:
            made.truncate(8 * 1024**3)
    begun = time.monotonic()
    status, upstream = repository.say("hello")
    assert time.monotonic() - begun < 5
    assert status == 503
    assert not upstream
    file.unlink()
    time.sleep(1.1)
    assert repository.say("hello")[0] == 200


def test_a_value_of_a_file_that_was_allowed_is_looked_for_again_once_it_is_not(repository: Repository) -> None:
    value = letters(11) + "4b" + letters(11)
    (repository.place / ".env").write_text(f"INTERNAL_CODE={value}\n")
    text = f"what does {value} mean"
    assert value.encode() not in repository.say(text)[1]
    exchange = repository.guard.send(
        "POST",
        f"/w/{repository.token}/{CHAT}",
        b'{"model":"m","messages":[{"role":"user","content":"%s"}]}' % text.encode(),
        {"Content-Type": "application/json"},
    )[1]["X-LocalGuard-Exchange"]
    time.sleep(0.5)
    repository.localguard("allow", "add", "--from-exchange", exchange, "--reason", "a test")
    time.sleep(1.2)
    assert value.encode() in repository.say(text)[1]
    (repository.place / ".env").write_text(f"# touched\nINTERNAL_CODE={value}\n")
    time.sleep(1.2)
    assert value.encode() in repository.say(text)[1], "allowed is allowed, also when the file is read again"
    listed = repository.localguard("allow", "list", "--json")
    fingerprint = listed.partition('"fingerprint": "')[2].partition('"')[0]
    repository.localguard("allow", "remove", fingerprint)
    time.sleep(1.2)
    assert value.encode() not in repository.say(text)[1]


@pytest.mark.parametrize("files", [1, 60], ids=["in one file", "in many files"])
def test_P3_more_rules_than_are_run_are_refused_not_left_out(repository: Repository, files: int) -> None:
    for number in range(files):
        rules = "".join(
            f'[[rules]]\nid = "own/r{number}-{at}"\ntype = "CODE"\nclass = "custom"\ndescription = "x"\npattern = "(heron{at})"\n'
            for at in range(600 // files)
        )
        (repository.rules / f"{number:03}.toml").write_text(rules)
    status, upstream = repository.say("hello heron9")
    assert status == 503
    assert not upstream


def test_P3_rules_that_are_slow_hold_no_other_workspace_up(repository: Repository, guard: Guarded) -> None:
    (repository.rules / "own.toml").write_text(
        "".join(
            f'[[rules]]\nid = "own/r{at}"\ntype = "CODE"\nclass = "custom"\ndescription = "x"\n'
            f"pattern = '((?:[a-z ]{{1,50}}x?){{0,15}}{at})'\n"
            for at in range(6)
        )
    )
    slow = threading.Thread(target=repository.say, args=("a b " * 22_000,))
    slow.start()
    time.sleep(1)
    begun = time.monotonic()
    assert guard.post(f"/{CHAT}", chat("hello"))[0] == 200
    assert time.monotonic() - begun < 5
    slow.join()
