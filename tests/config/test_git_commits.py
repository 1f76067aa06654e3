"""What became of commits, asked of real repositories."""

import subprocess
from pathlib import Path

import pytest

from localguard.config.git_commits import Fate, fate_of

BEGAN = "2026-01-31T08:00:00.000000Z"


class Repository:
    """A repository with a commit of the day before."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.base = self.commit("base", "2026-01-30T08:00:00Z")

    def git(self, *arguments: str, at: str = "2026-01-31T09:00:00Z") -> str:
        names = {f"GIT_{who}_{what}": "dev@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.root),
            "GIT_AUTHOR_DATE": at,
            "GIT_COMMITTER_DATE": at,
        } | names
        done = subprocess.run(
            ["git", "-C", str(self.root), *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message: str, at: str = "2026-01-31T09:00:00Z") -> str:
        (self.root / "file").write_text(message)
        self.git("add", "file")
        self.git("commit", "-q", "-m", message, at=at)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "work")


def fate(repository: Repository, *commits: str) -> Fate | None:
    return fate_of(repository.root, commits, made_since=BEGAN, session="s-1")


def test_commits_are_kept_reverted_or_gone(repository: Repository) -> None:
    kept, undone = repository.commit("one"), repository.commit("two")
    repository.git("revert", "--no-edit", "HEAD")
    dropped = repository.commit("three")
    repository.git("reset", "-q", "--hard", "HEAD~1")
    assert fate(repository, repository.base, kept, undone, dropped) == Fate((kept,), (undone,), (dropped,))


def test_a_commit_on_another_branch_is_kept(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    made = repository.commit("one")
    repository.git("checkout", "-q", "main")
    assert fate(repository, made) == Fate(kept=(made,))


def test_a_commit_whose_trailer_names_the_session_counts_though_no_request_saw_it(repository: Repository) -> None:
    made = repository.commit("one\n\nAgent-Session: s-1")
    repository.commit("two\n\nAgent-Session: s-12")
    assert fate(repository) == Fate(kept=(made,))


def test_an_older_head_that_was_amended_is_not_of_the_session(repository: Repository) -> None:
    repository.git("commit", "-q", "--amend", "-m", "other")
    assert fate(repository, repository.base) == Fate()


def test_where_there_is_no_repository_nothing_is_said(tmp_path: Path) -> None:
    assert fate_of(tmp_path, ["a" * 40], made_since=BEGAN, session="s") is None
    assert fate_of(tmp_path / "nowhere", [], made_since=BEGAN, session="s") is None
