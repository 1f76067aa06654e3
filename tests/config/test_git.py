import os
from pathlib import Path

import pytest

from localguard.config.git import enclosing, facts, normalise_remote
from tests.config.conftest import GitRun


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/payments",
        "https://github.com/acme/payments.git",
        "https://github.com/acme/payments.git/",
        "https://GitHub.com/Acme/Payments.git",
        "https://someone:" + "tok" + "en@github.com/acme/payments.git",
        "https://github.com:443//acme/./payments",
        "https://github.com/acme/other/../payments",
        "https://github.com/acme%2Fpayments",
        "git@github.com:acme/payments.git",
        "github.com:acme/payments.git",
        "git@github.com:/acme/payments.git",
        "ssh://git@github.com/acme/payments.git",
        "ssh://git@github.com:22/acme/payments.git",
        "ssh://git@ssh.github.com:443/acme/payments.git",
        "git+ssh://git@github.com/acme/payments",
        "git://github.com./acme/payments.git",
    ],
)
def test_every_spelling_of_a_remote_gives_the_same_name(url: str) -> None:
    assert normalise_remote(url) == "github.com/acme/payments"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://acme@dev.azure.com/acme/core/_git/payments", "dev.azure.com/acme/core/payments"),
        ("git@ssh.dev.azure.com:v3/acme/core/payments", "dev.azure.com/acme/core/payments"),
        ("https://acme.visualstudio.com/DefaultCollection/core/_git/payments", "dev.azure.com/acme/core/payments"),
        ("https://gitlab.example/group/sub/group/app.git", "gitlab.example/group/sub/group/app"),
        ("ssh://git@[2001:db8::1]:7999/a/b.git", "2001:db8::1/a/b"),
        ("/srv/git/x.git", None),
        ("../x", None),
        ("file:///srv/git/x.git", None),
        ("C:/src/x", None),
        ("C:\\work\\x", None),
        ("", None),
        ("https://", None),
        ("https://[::1/x", None),
        ("https://github.com", None),
        ("host:a\nb", None),
    ],
)
def test_other_hosts_and_what_is_no_address(url: str, expected: str | None) -> None:
    assert normalise_remote(url) == expected


def test_facts_of_a_repository_from_any_directory_in_it(repository: Path, git: GitRun) -> None:
    deep = repository / "a" / "b"
    deep.mkdir(parents=True)
    found = facts(deep)
    assert found is not None
    assert found.root == repository
    assert found.repository == "github.com/acme/payments"
    assert found.branch == "main"
    assert found.commit == git(repository, "rev-parse", "HEAD")


def test_branches_with_slashes_packed_references_and_a_detached_head(repository: Path, git: GitRun) -> None:
    git(repository, "checkout", "-q", "-b", "incident/2026/db")
    git(repository, "pack-refs", "--all")
    found = facts(repository)
    assert found is not None
    assert (found.branch, found.commit) == ("incident/2026/db", git(repository, "rev-parse", "HEAD"))
    git(repository, "checkout", "-q", "--detach")
    found = facts(repository)
    assert found is not None
    assert (found.branch, found.commit) == (None, git(repository, "rev-parse", "HEAD"))


def test_a_repository_without_commit_or_remote(tmp_path: Path, git: GitRun) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    found = facts(tmp_path)
    assert found is not None
    assert (found.repository, found.branch, found.commit) == (None, "trunk", None)


def test_a_worktree_has_its_own_branch_and_the_common_remotes(repository: Path, git: GitRun, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    git(repository, "worktree", "add", "-q", "-b", "docs/x", str(tree))
    found = facts(tree)
    assert found is not None
    assert (found.root, found.branch, found.repository) == (tree, "docs/x", "github.com/acme/payments")
    assert found.commit == git(tree, "rev-parse", "HEAD")


def test_a_submodule_lies_in_two_repositories(repository: Path, git: GitRun, tmp_path: Path) -> None:
    other = tmp_path / "library"
    other.mkdir()
    git(other, "init", "-q", "-b", "main")
    git(other, "commit", "-q", "--allow-empty", "-m", "Start")
    git(repository, "submodule", "--quiet", "add", str(other), "vendored")
    inner, outer = enclosing(repository / "vendored")
    assert (inner.root, inner.repository) == (repository / "vendored", None)
    assert inner.commit == git(other, "rev-parse", "HEAD")
    assert (outer.root, outer.repository) == (repository, "github.com/acme/payments")


def test_origin_names_the_repository_and_all_remotes_are_known(repository: Path, git: GitRun) -> None:
    git(repository, "remote", "add", "aaa", "https://gitlab.com/fork/payments")
    git(repository, "remote", "set-url", "--push", "origin", "git@github.com:acme/payments-push.git")
    found = facts(repository)
    assert found is not None
    assert found.repository == "github.com/acme/payments"
    assert set(found.remotes) == {
        "github.com/acme/payments",
        "github.com/acme/payments-push",
        "gitlab.com/fork/payments",
    }


def test_a_repository_of_another_user_names_nobodys_work(repository: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(repository / ".git", 12345, 12345)
    assert facts(repository) is None


@pytest.mark.parametrize("damage", ["HEAD", "config"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\0", b"ref: ../../../etc/passwd\n", b"ref: refs/heads/../../x", b"x" * (2 << 20)]
)
def test_a_damaged_repository_gives_no_exception(repository: Path, damage: str, content: bytes) -> None:
    (repository / ".git" / damage).write_bytes(content)
    found = facts(repository)
    assert found is not None
    assert (found.commit is None) is (damage == "HEAD")


def test_a_pipe_or_directory_in_place_of_a_file_holds_nobody_up(repository: Path) -> None:
    head, config = repository / ".git" / "HEAD", repository / ".git" / "config"
    head.unlink()
    os.mkfifo(head)
    config.unlink()
    config.mkdir()
    found = facts(repository)
    assert found is not None
    assert (found.commit, found.repository) == (None, None)


def test_outside_any_repository_there_are_no_facts(tmp_path: Path) -> None:
    assert facts(tmp_path) is None
    assert facts(tmp_path / "missing" / "deeper") is None
