"""Who stands behind a session's commits, as a repository says now: their authors, and who merged them where.

Names in commits are claims of whoever made them, an agent too where it commits: they count where policy says so, and a signed
commit proves more than this reads. A merge without a merge commit (fast-forward, squash, rebase) is not seen as one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localguard.config.git_program import read_git

_MOST_COMMITS: Final = 500
_MOST_BRANCHES: Final = 20
_MOST_MERGES: Final = 50
_FORMAT: Final = "%H%x00%P%x00%an <%ae>%x00%aI%x00%(trailers:key=Agent-Session,valueonly,separator=%x2C)%x00"

_FIELDS: Final = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """Somebody whom git names: what they did, in which commit, when (RFC 3339, with an offset)."""

    event: str
    """`commit-author` or `merge`."""
    identity: str
    """`Name <address>`."""
    commit: str
    time: str
    branch: str = ""
    """That was merged into."""


@dataclass(frozen=True, slots=True)
class _Commit:
    name: str
    parents: tuple[str, ...]
    author: str
    time: str
    sessions: tuple[str, ...]


def standing_behind(
    root: Path, session: str, *, made_since: str, authors: bool, merges_into: Callable[[str], bool]
) -> list[Standing]:
    """Return the authors of the commits whose trailer names `session`, and of the merges that brought one into a branch.

    Only commits made at `made_since` (RFC 3339) or later count. Empty where git is not there, is slow, or `root` is no repository.
    """
    since = f"--since={made_since[:19]}Z"
    named = {one.name: one for one in _commits(root, "--all", "--no-merges", since) or () if session in one.sessions}
    found: list[Standing] = []
    if authors:
        seen: set[str] = set()
        for one in named.values():
            if one.author not in seen:
                seen.add(one.author)
                found.append(Standing("commit-author", one.author, one.name, one.time))
    for branch in _branches(root):
        if named and merges_into(branch):
            found += _merges(root, branch, since, set(named))
    return found


def _merges(root: Path, branch: str, since: str, named: set[str]) -> list[Standing]:
    """Each of the commits counts where it came in first: on the branch's own line, from the oldest merge on."""
    found: list[Standing] = []
    missing = set(named)
    for merge in reversed(_commits(root, f"refs/heads/{branch}", "--merges", "--first-parent", since)[-_MOST_MERGES:]):
        brought = read_git(root, "rev-list", f"--max-count={_MOST_COMMITS}", merge.name, f"^{merge.parents[0]}")
        if missing & set((brought or "").split()):
            missing -= set((brought or "").split())
            found.append(Standing("merge", merge.author, merge.name, merge.time, branch))
    return found


def _branches(root: Path) -> list[str]:
    shown = read_git(root, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
    return (shown or "").split("\n")[:_MOST_BRANCHES] if shown else []


def _commits(root: Path, *which: str) -> list[_Commit]:
    shown = read_git(root, "log", f"--max-count={_MOST_COMMITS}", "--no-show-signature", f"--format={_FORMAT}", *which)
    parts = (shown or "").split("\0")
    made: list[_Commit] = []
    for at in range(0, len(parts) - _FIELDS, _FIELDS):
        name, parents, author, time, sessions = parts[at : at + _FIELDS]
        made.append(_Commit(name.strip(), tuple(parents.split()), author[:300], time, tuple(sessions.split(","))))
    return made
