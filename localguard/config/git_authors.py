"""The people of a repository, as its history names them."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_COMMITS: Final = 2_000
_MAX_AUTHORS: Final = 500
_SECONDS: Final = 5.0
_LISTED: Final = (f"-n{_COMMITS}", "--format=%an%n%ae%n%cn%n%ce", "--no-show-signature", "--no-patch", "--all")
HARMLESS: Final = ("--no-pager", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false")
LOCAL: Final = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}
"""A repository's own configuration may name programs for `git log` to run (to check signatures) and places to fetch what
is missing from: none is run, and none is asked (P9)."""
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]{2,}")
_NO_PERSON: Final = re.compile(r"\bbot\b|\[bot\]|noreply|^root$|^github$", re.IGNORECASE)


def authors(root: Path) -> tuple[str, ...]:
    """Names of two words or more, and e-mail addresses, of the last 2,000 commits' authors and committers, each once.

    Bots and `noreply` addresses are nobody. Empty where git is not there, is slow, or the directory is no repository.
    """
    command = ["git", *HARMLESS, "-C", str(root), "log", *_LISTED]
    try:
        listed = subprocess.run(
            command, env={**os.environ, **LOCAL}, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    if listed.returncode != 0:
        return ()
    return tuple(_people(listed.stdout.decode("utf-8", "replace").split("\n")))[:_MAX_AUTHORS]


def _people(lines: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for line in lines:
        text = " ".join(line.split())
        if _NO_PERSON.search(text):
            continue
        if _ADDRESS.fullmatch(text) or (
            "@" not in text and len([word for word in text.split(" ") if len(word) > 1]) > 1
        ):
            found[text] = None
    return list(found)
