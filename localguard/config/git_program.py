"""Running git: no program that a repository configures is run, nothing is fetched, nobody is asked anything (P9)."""

import os
import subprocess
from pathlib import Path
from typing import Final

_HARMLESS: Final = ("--no-pager", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false")
_LOCAL: Final = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}
"""A repository's own configuration may name programs for git to run (to check signatures, to watch files) and places to fetch what is
missing from."""


def git_output(directory: Path, *arguments: str, seconds: float = 10.0) -> bytes | None:
    """What a git command in `directory` prints; None where git is not there, fails, or takes longer than `seconds`."""
    try:
        done = subprocess.run(
            ["git", *_HARMLESS, "-C", str(directory), *arguments],  # noqa: S607  found on the PATH, as everywhere
            env={**os.environ, **_LOCAL},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def read_git(directory: Path, *arguments: str, seconds: float = 10.0) -> str | None:
    """The same as text without white space around it; what is no UTF-8 is replaced."""
    output = git_output(directory, *arguments, seconds=seconds)
    return None if output is None else output.decode("utf-8", "replace").strip()
