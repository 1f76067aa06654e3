"""What commits say of the agent sessions that they were made in, and who commits, read from git.

Trailers are claims: whoever makes a commit writes them. No program that the repository configures is run, and nothing fetched.
"""

import re
from pathlib import Path

from localguard.config.git_program import read_git

SESSION = "Agent-Session"
_TRAILER = re.compile(rf"^{SESSION}: *([!-~]{{1,200}})$", re.MULTILINE | re.IGNORECASE)
_SECONDS = 5.0


def sessions_named(directory: Path, commit: str) -> list[str]:
    """The sessions in the trailers of a commit (hexadecimal digits), each once; none where git or the commit is missing."""
    said = read_git(directory, "cat-file", "commit", commit, seconds=_SECONDS) or ""
    _, _, message = said.partition("\n\n")
    return list(dict.fromkeys(_TRAILER.findall(message.rstrip().rpartition("\n\n")[2])))


def git_identity(directory: Path) -> str | None:
    """`Name <address>` by git's configuration there; None where it says neither."""
    name, address = (
        (read_git(directory, "config", "--get", f"user.{one}", seconds=_SECONDS) or "")[:200]
        for one in ("name", "email")
    )
    return " ".join(filter(None, (name, f"<{address}>" if address else ""))) or None
