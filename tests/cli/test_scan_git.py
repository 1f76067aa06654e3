"""`localguard scan --staged` and `--commits`: what a change brings in, and nothing that was there before."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import RunLocally, made_up_token


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(work: Path) -> Path:
    git("init", "-q", "-b", "main")
    return work


def commit(place: Path, name: str, text: str) -> None:
    (place / name).write_text(text)
    git("add", name)
    git("commit", "-q", "-m", name)


def test_only_what_is_staged_and_new_is_found(localguard: RunLocally, repository: Path) -> None:
    old, new, unstaged = made_up_token(), made_up_token(), made_up_token()
    commit(repository, "a.env", f"A={old}\n")
    (repository / "a.env").write_text(f"A={old}\nB={new}\n")
    git("add", "a.env")
    (repository / "a.env").write_text(f"A={old}\nB={new}\nC={unstaged}\n")
    assert localguard("scan", "--staged")[:2] == (1, "a.env:2:3: GITHUB_TOKEN (secret, github/token)\n")


def test_the_first_commit_of_a_repository_is_looked_at_too(localguard: RunLocally, repository: Path) -> None:
    (repository / "ü b.env").write_text(f"A={made_up_token()}\n")
    git("add", ".")
    code, out, _ = localguard("scan", "--staged")
    assert code == 1
    assert out.startswith("ü b.env:1:3: ")


def test_nothing_staged_is_nothing_found(localguard: RunLocally, repository: Path) -> None:
    (repository / "a.env").write_text(f"A={made_up_token()}\n")
    assert localguard("scan", "--staged")[0] == 0


def test_a_value_that_was_removed_again_is_found_in_the_history(localguard: RunLocally, repository: Path) -> None:
    commit(repository, "a.env", "A=1\n")
    commit(repository, "a.env", f"A=1\nB={made_up_token()}\n")
    commit(repository, "a.env", "A=1\n")
    assert localguard("scan")[0] == 0
    code, out, _ = localguard("scan", "--commits", "HEAD~2..HEAD", "--format", "json")
    assert code == 1
    (finding,) = json.loads(out)["findings"]
    sha = subprocess.run(["git", "rev-parse", "HEAD~1"], capture_output=True, text=True, check=True).stdout[:12]
    assert (finding["path"], finding["line"]) == (f"{sha}:a.env", 2)
    assert localguard("scan", "--commits", "HEAD~1..HEAD")[0] == 0
    assert localguard("scan", "--commits", "--all")[0] == 1


def test_binary_files_are_left_out_and_large_histories_are_read_once_a_version(
    localguard: RunLocally, repository: Path
) -> None:
    (repository / "x.bin").write_bytes(b"\0" * 100 + made_up_token().encode())
    git("add", ".")
    git("commit", "-q", "-m", "x")
    git("checkout", "-q", "-b", "side")
    commit(repository, "a.env", f"A={made_up_token()}\n")
    git("checkout", "-q", "main")
    commit(repository, "b.txt", "b\n")
    git("merge", "-q", "side", "-m", "merged")
    _, out, _ = localguard("scan", "--commits", "HEAD")
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--commits", "nowhere..HEAD"), ("--staged", "a.env"), ("--commits", "-x")])
def test_what_git_does_not_know_is_wrong_use(
    localguard: RunLocally, repository: Path, arguments: tuple[str, ...]
) -> None:
    code, _, err = localguard("scan", *arguments)
    assert code == 2
    assert err.startswith("localguard: ")


def test_outside_a_repository_it_is_wrong_use(localguard: RunLocally, work: Path) -> None:
    assert localguard("scan", "--staged")[0] == 2
