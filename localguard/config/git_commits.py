"""What became of commits: kept, reverted or gone, as a repository says now."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from localguard.config.git_program import read_git

_MOST: Final = 500
_NAME: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REVERTS: Final = re.compile(r"This reverts commit ([0-9a-f]{40}(?:[0-9a-f]{24})?)")


@dataclass(frozen=True, slots=True)
class Fate:
    """Commits by what became of them, full names. `kept` are on some branch or tag and no commit there says it reverts them."""

    kept: tuple[str, ...] = ()
    reverted: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    """On no branch or tag any more, or not in the repository at all: amended, rebased away, dropped."""


def fate_of(root: Path, commits: Sequence[str], *, made_since: str, session: str) -> Fate | None:
    """What became of the commits of a session: of the heads that it saw (full names), and of commits whose trailer names it.

    Only commits made at `made_since` (RFC 3339) or later count, as an older head was there before. A commit that was squashed
    into another one is gone; git does not say where. None where git is not there, is slow, or `root` is no repository.
    """
    since = made_since[:19] + "Z"
    shown = read_git(root, "log", "--all", "--no-show-signature", f"--since={since}", "--format=%H%x00%B%x00")
    if shown is None:
        return None
    parts = shown.split("\0")
    reachable = {one.strip(): text for one, text in zip(parts[0::2], parts[1::2], strict=False)}
    undone = {name for text in reachable.values() for name in _REVERTS.findall(text)}
    trailer = re.compile(rf"^Agent-Session: {re.escape(session)}\s*$", re.MULTILINE)
    named = [one for one in dict.fromkeys(commits) if _NAME.fullmatch(one)][:_MOST]
    named += [one for one, text in reachable.items() if trailer.search(text) and one not in named]
    lost = set(named) - reachable.keys()
    older = _before(root, lost, since) if lost else set()
    return Fate(
        kept=tuple(one for one in named if one in reachable and one not in undone),
        reverted=tuple(one for one in named if one in reachable and one in undone),
        gone=tuple(one for one in named if one in lost and one not in older),
    )


def _before(root: Path, commits: Iterable[str], since: str) -> set[str]:
    """Those of the commits that the repository still holds and that are older."""
    shown = read_git(
        root, "log", "--no-walk", "--ignore-missing", "--no-show-signature", "--format=%H %ct", *sorted(commits)
    )
    moment = datetime.fromisoformat(since).timestamp()
    return {
        name
        for name, _, made in (line.partition(" ") for line in (shown or "").split("\n"))
        if made and int(made) < moment
    }
