"""What a git change brings in: the staged version of files, or the files of each commit in a range.

Contents come from git's objects, not from the working tree. A line counts as new if the version before had no such line,
so a finding that only moved is none.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from localguard.cli.exit_codes import WrongUse
from localguard.cli.scan_files import MAX_BYTES, Unreadable, as_utf8

_GIT = "git"
_NO_BLOB = "0" * 7
_REGULAR = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class Change:
    """One file of a change. `commit` is None for what is staged; blob names are None where there is no version."""

    commit: str | None
    path: str
    before: str | None
    after: str

    @property
    def name(self) -> str:
        """How the file is called in findings: `path`, or `commit:path` with the first 12 digits of the commit."""
        return self.path if self.commit is None else f"{self.commit[:12]}:{self.path}"


def staged(directory: Path) -> list[Change]:
    """The files whose staged version differs from the last commit's. Raises WrongUse outside a repository."""
    head = _git(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", may_fail=True).strip()
    base = head or _git(directory, "hash-object", "-t", "tree", os.devnull).strip()
    listed = _git(directory, "diff-index", "--cached", "-z", "--raw", "--no-renames", "--abbrev=64", base, "--")
    return list(_changes(listed, None))


def commits(directory: Path, revisions: str) -> Iterator[Change]:
    """The files of every commit in a range such as `main..HEAD` or `--all`, oldest commit first, each version once.

    Raises WrongUse for a range that git does not know.
    """
    chosen = ["--all"] if revisions == "--all" else ["--end-of-options", revisions]
    seen: set[tuple[str, str]] = set()
    for commit in _git(directory, "rev-list", "--reverse", *chosen).split():
        listed = _git(
            directory, "diff-tree", "-r", "-m", "-z", "--raw", "--root", "--no-renames", "--no-commit-id", commit
        )
        for change in _changes(listed, commit):
            if (change.path, change.after) not in seen:
                seen.add((change.path, change.after))
                yield change


def count_commits(directory: Path, revisions: str) -> int:
    """How many commits a range has. Raises WrongUse."""
    chosen = ["--all"] if revisions == "--all" else ["--end-of-options", revisions]
    return int(_git(directory, "rev-list", "--count", *chosen))


class Blobs:
    """Reads objects of a repository through one `git cat-file`. Use as a context manager."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._answers = answers

    def text(self, blob: str) -> bytes:
        """The blob's text as UTF-8. Raises Unreadable for binary, large and missing ones."""
        self._requests.write(blob.encode() + b"\n")
        self._requests.flush()
        header = self._answers.readline().split()
        if len(header) != 3:
            raise Unreadable("git has no such object")
        size = int(header[2])
        data = self._answers.read(min(size, MAX_BYTES + 1))
        left = size - len(data)
        while left > 0:
            left -= len(self._answers.read(min(left, 1 << 20))) or left
        self._answers.read(1)
        if size > MAX_BYTES:
            raise Unreadable("larger than 64 MiB")
        return as_utf8(data)


@contextmanager
def blobs(directory: Path) -> Iterator[Blobs]:
    """Objects of the repository that `directory` lies in."""
    with subprocess.Popen(
        [_GIT, "-C", str(directory), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Blobs(process.stdin, process.stdout)
        finally:
            process.stdin.close()


def new_lines(before: bytes, after: bytes) -> frozenset[int]:
    """Numbers, from 1, of the lines of `after` that `before` does not have."""
    old = frozenset(before.split(b"\n"))
    return frozenset(number for number, line in enumerate(after.split(b"\n"), 1) if line not in old)


def _changes(listed: str, commit: str | None) -> Iterator[Change]:
    """Parse `--raw -z`: `:mode mode blob blob status`, NUL, path, NUL."""
    fields = listed.split("\0")
    for entry, path in zip(fields[::2], fields[1::2], strict=False):
        parts = entry.lstrip(":").split(" ")
        if len(parts) == 5 and parts[1] in _REGULAR and not parts[3].startswith(_NO_BLOB):
            before = parts[2] if parts[0] in _REGULAR and not parts[2].startswith(_NO_BLOB) else None
            yield Change(commit, path, before, parts[3])


def _git(directory: Path, *arguments: str, may_fail: bool = False) -> str:
    try:
        done = subprocess.run([_GIT, "-C", str(directory), *arguments], capture_output=True, check=False)
    except OSError:
        raise WrongUse("git is not installed.") from None
    if done.returncode != 0 and not may_fail:
        raise WrongUse(_said(done.stderr))
    return os.fsdecode(done.stdout)


def _said(stderr: bytes) -> str:
    first: Sequence[str] = stderr.decode("utf-8", "replace").strip().splitlines()
    return f"git says: {first[0][:200]}" if first else "git failed."
