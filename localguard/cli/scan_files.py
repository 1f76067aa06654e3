"""Which files a scan reads, and their text."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from localguard.cli.exit_codes import WrongUse

MAX_BYTES = 64 * 1024 * 1024
"""Larger files are reported and not read; the guard's own limit of a body."""
_PROBE_BYTES = 8192
_VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".jj"})
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class Unreadable(Exception):
    """A file is left out; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Target:
    """A file to scan. `named`: given on the command line, so that leaving it out is worth a word."""

    path: Path
    named: bool


def targets(paths: Sequence[Path]) -> list[Target]:
    """Return the files behind the paths, each once, directories walked in order of name; links are not followed.

    In a git working tree what git ignores is left out, unless it is named itself. Raises WrongUse for a path that is not
    there.
    """
    found: dict[Path, Target] = {}
    for path in paths:
        if path.is_dir():
            for file in _in_directory(path):
                found.setdefault(file, Target(file, named=False))
        elif path.exists():
            found[path] = Target(path, named=True)
        else:
            raise WrongUse(f"There is no file or directory {path}.")
    return list(found.values())


def _in_directory(directory: Path) -> Iterator[Path]:
    names = _git_names(directory)
    if names is None:
        yield from _walk(directory)
        return
    for name in names:
        path = directory / name
        if path.is_file() and not path.is_symlink():
            yield path


def _git_names(directory: Path) -> list[str] | None:
    """Return tracked and untracked files that git does not ignore; None outside a working tree, or where all is ignored."""
    git = ["git", "-C", str(directory)]
    try:
        if subprocess.run([*git, "check-ignore", "--quiet", "."], capture_output=True, check=False).returncode == 0:
            return None  # the directory is ignored as a whole, and yet it was named
        command = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return None
    if listed.returncode != 0:
        return None
    return sorted({os.fsdecode(name) for name in listed.stdout.split(b"\0") if name})


def _walk(directory: Path) -> Iterator[Path]:
    for root, directories, files in os.walk(directory):
        directories[:] = sorted(name for name in directories if name not in _VERSION_CONTROL)
        for name in sorted(files):
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                yield path


def read_text(path: Path) -> bytes:
    """Return a file's text as UTF-8; UTF-16 with a byte order mark and Latin-1 are converted. Raises Unreadable."""
    try:
        with path.open("rb") as file:
            data = file.read(_PROBE_BYTES)
            mark = _MARKS.get(data[:2])
            if mark is None and b"\0" in data:
                raise Unreadable("binary")
            data += file.read(MAX_BYTES + 1 - len(data))
    except OSError as error:
        raise Unreadable(error.strerror or "cannot be read") from None
    if len(data) > MAX_BYTES:
        raise Unreadable("larger than 64 MiB")
    return as_utf8(data)


def as_utf8(data: bytes) -> bytes:
    """Return text as UTF-8; UTF-16 with a byte order mark and Latin-1 are converted. Raises Unreadable for binary data."""
    mark = _MARKS.get(data[:2])
    if mark is None and b"\0" in data[:_PROBE_BYTES]:
        raise Unreadable("binary")
    if mark is not None:
        return data.decode(mark, "replace").encode()
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1").encode()
    return data
