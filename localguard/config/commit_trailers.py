"""What commits say of the agent sessions that they were made in, and who commits, read from git.

Trailers are claims: whoever makes a commit writes them. No program that the repository configures is run, and nothing fetched.
"""

import os
import re
import subprocess
from pathlib import Path

from localguard.config.git_authors import HARMLESS, LOCAL

SESSION = "Agent-Session"
_TRAILER = re.compile(rf"^{SESSION}: *([!-~]{{1,200}})$", re.MULTILINE | re.IGNORECASE)
_SECONDS = 5.0


def sessions_named(directory: Path, commit: str) -> list[str]:
    """The sessions in the trailers of a commit (hexadecimal digits), each once; none where git or the commit is missing."""
    said = _git(directory, "cat-file", "commit", commit)
    _, _, message = said.partition("\n\n")
    return list(dict.fromkeys(_TRAILER.findall(message.rstrip().rpartition("\n\n")[2])))


def git_identity(directory: Path) -> str | None:
    """`Name <address>` by git's configuration there; None where it says neither."""
    name, address = (_git(directory, "config", "--get", f"user.{one}").strip()[:200] for one in ("name", "email"))
    return " ".join(filter(None, (name, f"<{address}>" if address else ""))) or None


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", *HARMLESS, "-C", str(directory), *arguments]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **LOCAL},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
