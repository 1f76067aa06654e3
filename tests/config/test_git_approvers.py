"""Who stands behind a session's commits, from real repositories."""

import os
import subprocess
from pathlib import Path

import pytest

from localguard.config.git_approvers import Standing, standing_behind

SINCE = "2020-01-01T00:00:00.000Z"


class Repository:
    """A repository on disk, worked in by several people."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit("begin", by="ann")

    def git(self, *arguments: str, by: str = "ann") -> str:
        names = {f"GIT_{who}_NAME": by for who in ("AUTHOR", "COMMITTER")}
        names |= {f"GIT_{who}_EMAIL": f"{by}@dev.example" for who in ("AUTHOR", "COMMITTER")}
        environment = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, text: str, *, by: str, session: str | None = None) -> str:
        message = text if session is None else f"{text}\n\nAgent-Session: {session}"
        self.git("commit", "-q", "--allow-empty", "-m", message, by=by)
        return self.git("rev-parse", "HEAD")

    def standing(
        self, session: str = "s-1", *, authors: bool = True, branches: tuple[str, ...] = ("main",)
    ) -> list[Standing]:
        return standing_behind(
            self.root, session, made_since=SINCE, authors=authors, merges_into=lambda branch: branch in branches
        )


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def who(found: list[Standing]) -> list[tuple[str, str]]:
    return [(one.event, one.identity) for one in found]


def test_authors_of_the_sessions_commits_are_named_once_and_others_not(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "work")
    first = repository.commit("one", by="bob", session="s-1")
    repository.commit("two", by="bob", session="s-1")
    repository.commit("three", by="eve", session="s-10")
    repository.commit("four\n\nAgent-Session: s-1\n\nnot a trailer", by="eve")
    found = repository.standing()
    assert who(found) == [("commit-author", "bob <bob@dev.example>")]
    assert found[0].commit != first  # the latest one of them
    assert repository.standing(authors=False) == []
    assert repository.standing("nobody") == []


def test_whoever_merged_a_commit_of_it_into_a_named_branch_counts_once(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "work")
    repository.commit("one", by="bob", session="s-1")
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "Merge work", "work", by="carol")
    merge = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-q", "-b", "other")
    repository.commit("later", by="eve")
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "Merge other", "other", by="eve")  # brings nothing of it
    found = repository.standing(authors=False)
    assert who(found) == [("merge", "carol <carol@dev.example>")]
    assert (found[0].commit, found[0].branch) == (merge, "main")
    assert repository.standing(authors=False, branches=("release",)) == []


def test_a_merge_that_brings_the_branch_up_to_date_is_none_of_it(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "work")
    repository.commit("one", by="bob", session="s-1")
    repository.git("checkout", "-q", "main")
    repository.commit("meanwhile", by="ann")
    repository.git("checkout", "-q", "work")
    repository.git("merge", "-q", "--no-ff", "-m", "Merge main", "main", by="bob")
    assert repository.standing(authors=False, branches=("main", "work")) == []


def test_what_is_no_repository_tells_nothing(tmp_path: Path) -> None:
    assert standing_behind(tmp_path, "s", made_since=SINCE, authors=True, merges_into=lambda _: True) == []


def test_commits_from_before_the_session_do_not_count(repository: Repository) -> None:
    repository.commit("one", by="bob", session="s-1")
    future = "2099-01-01T00:00:00.000Z"
    assert standing_behind(repository.root, "s-1", made_since=future, authors=True, merges_into=lambda _: True) == []
