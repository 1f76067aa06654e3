"""The authors of a repository are read from its history, and nothing that the repository configures is run for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from localguard.config.git_authors import authors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs of these tests are shell scripts")

PERSON = "Example Person <person@example.com> 1700000000 +0000"


def git(place: Path, *arguments: str, said: str = "") -> str:
    done = subprocess.run(["git", "-C", str(place), *arguments], input=said, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(place: Path, *more: str, author: str = PERSON) -> str:
    """A commit that was written by hand, with these further lines in its head."""
    tree = git(place, "hash-object", "-t", "tree", "-w", "--stdin")
    lines = [
        f"tree {tree}",
        *(one for one in more if one.startswith("parent ")),
        f"author {author}",
        f"committer {author}",
        *(one for one in more if not one.startswith("parent ")),
        "",
        "a change\n",
    ]
    return git(place, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", said="\n".join(lines))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    return place


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that leaves a trace where it is run."""
    script = tmp_path / "program"
    script.write_text(f"#!/bin/sh\ntouch '{tmp_path}/trace'\n")
    script.chmod(0o700)
    return script


def test_a_program_to_check_signatures_with_is_not_run(repository: Path, program: Path) -> None:
    seal = ["gpgsig -----BEGIN PGP SIGNATURE-----", " ", " aGVsbG8=", " -----END PGP SIGNATURE-----"]
    git(repository, "update-ref", "refs/heads/main", commit(repository, *seal))
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "gpg.program", str(program))
    assert authors(repository) == ("Example Person", "person@example.com")
    assert not (program.parent / "trace").exists()


def test_P9_a_commit_that_is_missing_is_not_fetched(repository: Path, program: Path) -> None:
    git(repository, "update-ref", "refs/heads/main", commit(repository, f"parent {'1' * 40}"))
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{program}",
        "protocol.ext.allow": "always",
    }.items():
        git(repository, "config", name, value)
    authors(repository)
    assert not (program.parent / "trace").exists()


@pytest.mark.parametrize("address", ["@", "a@", "@b", "", "a b@c"])
def test_what_is_no_address_is_nobody(repository: Path, address: str) -> None:
    made = commit(repository, author=f"Example Person <{address}> 1700000000 +0000")
    git(repository, "update-ref", "refs/heads/main", made)
    assert authors(repository) == ("Example Person",)
