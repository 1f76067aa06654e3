"""What a request says about the place of the work: directories and remotes, as agents write them into prompts and headers.

Claims, not facts: whoever writes the prompt writes them. They serve to find that a more sensitive workspace may be
concerned, never that none is. Seen in November 2026: Codex `<cwd>` and its turn metadata (JSON in a string, in a header and
in the body), Claude Code and opencode `Working directory: …`, Cline `Current Working Directory (…)`, Gemini CLI `working in
the directory: …`, Copilot CLI `Git repository root: …`, and what `git remote -v` answers.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from ahocorasick_rs import BytesAhoCorasick, MatchKind

_PLACE_MARKS = (
    b"cwd",
    b"CWD",
    b"orking dir",
    b"orking Dir",
    b"orking_dir",
    b"orkingDir",
    b"in the director",
    b"orkspace",
    b"epository root",
    b"git_root",
    b"gitRoot",
    b"roject root",
)
"""With one of them, or the letter before it, whatever `_PLACE` matches begins; letter case as agents write it."""
_REMOTE_MARKS = (b"remote", b"origin")
_MARKED = BytesAhoCorasick((*_PLACE_MARKS, *_REMOTE_MARKS), matchkind=MatchKind.LeftmostFirst)
"""Of the kinds of matches only the leftmost ones have ahocorasick's packed search."""
_LOOKED_AT = 262_144
"""Bytes at the beginning of a piece: agents say it there."""
_AROUND = 600
_MOST_MARKS = 256
MOST = 32
"""Claims that are kept of one request."""

_PLACE = re.compile(
    rb"(?:cwd|working[ _]?dir(?:ectory|ectories)?|in the director(?:y|ies)|workspaces?(?:[ _]?(?:root|folder|path|dir"
    rb"(?:ectory)?)s?)?|(?:git |project |repository |git_)root|gitRoot)(?: folder| path| is)?"
    rb"(?:\\[nt\"]|[^\w/~]){1,24}(?P<place>(?:~|[A-Za-z]:)?/[^\"'`<>|\\\r\n)\],]{0,400})",
    re.IGNORECASE,
)
_REMOTE = re.compile(
    rb"(?:remote|origin)(?:[ _]?urls?)?(?:\\[nt\"]|[^\w/~]){1,24}(?P<remote>(?:[\w.+-]{1,60}@[\w.-]{1,200}:|(?:ssh|https?|git)://)"
    rb"[^\s\"'`<>|\\)\]]{3,300})",
    re.IGNORECASE,
)


class Claims(NamedTuple):
    """Directories and remotes that a text names as the place of the work, each once, in its order."""

    paths: tuple[str, ...] = ()
    remotes: tuple[str, ...] = ()

    def plus(self, others: "Iterable[Claims]") -> "Claims":
        """These and others, as many as are kept."""
        paths, remotes = dict.fromkeys(self.paths), dict.fromkeys(self.remotes)
        for one in others:
            paths |= dict.fromkeys(one.paths)
            remotes |= dict.fromkeys(one.remotes)
        return Claims(tuple(paths)[:MOST], tuple(remotes)[:MOST])


NONE = Claims()


def claims_of(raw: bytes) -> Claims:
    """The claims in a text or a piece of JSON, escaped as it stands. Linear in what is looked at."""
    head = raw[:_LOOKED_AT] if len(raw) > _LOOKED_AT else raw
    marks = _MARKED.find_matches_as_indexes(head)
    if not marks:
        return NONE
    paths: dict[str, None] = {}
    remotes: dict[str, None] = {}
    for mark, start, _ in marks[:_MOST_MARKS]:
        end = start + _AROUND
        if mark >= len(_PLACE_MARKS):
            if found := _REMOTE.match(head, start, end):
                remotes[found["remote"].decode("utf-8", "replace").rstrip(".,;")] = None
        elif found := _PLACE.match(head, max(0, start - 1), end) or _PLACE.match(head, start, end):
            paths[found["place"].decode("utf-8", "replace").rstrip(" .:;/") or "/"] = None
    return Claims(tuple(paths)[:MOST], tuple(remotes)[:MOST])
