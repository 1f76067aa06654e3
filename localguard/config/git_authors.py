"""The people of a repository, as its history names them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from localguard.config.git_program import read_git

_COMMITS: Final = 2_000
_MAX_AUTHORS: Final = 500
_SECONDS: Final = 5.0
_LISTED: Final = (f"-n{_COMMITS}", "--format=%an%n%ae%n%cn%n%ce", "--no-show-signature", "--no-patch", "--all")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]{2,}")
_NO_PERSON: Final = re.compile(r"\bbot\b|\[bot\]|noreply|^root$|^github$", re.IGNORECASE)


def authors(root: Path) -> tuple[str, ...]:
    """Names of two words or more, and e-mail addresses, of the last 2,000 commits' authors and committers, each once.

    Bots and `noreply` addresses are nobody. Empty where git is not there, is slow, or the directory is no repository.
    """
    listed = read_git(root, "log", *_LISTED, seconds=_SECONDS)
    return tuple(_people((listed or "").split("\n")))[:_MAX_AUTHORS]


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
