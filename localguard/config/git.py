"""Facts about a git working tree, read from its files: 0.03 ms where `git` itself needs 2 ms.

Worktrees, submodules, packed references and detached heads are followed. What this does not do: follow `include` and
`insteadOf` of git's configuration, or ssh host aliases; a remote spelled by an alias is matched as it is spelled.
Everything read here can be edited by whoever can write to the repository, the agent included.
"""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from localguard.config.home import without_waiting

_MAX_FILE = 1 << 20
"""Bytes read of any one file; a larger `packed-refs` is read line by line up to `_MAX_PACKED`."""
_MAX_PACKED = 64 << 20
_MAX_SYMBOLIC = 5
_OBJECT_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class GitFacts:
    """What a directory's repository says about itself."""

    root: Path
    """The top of the working tree."""
    repository: str | None
    """`host/owner/repo` in lower case of the remote `origin`, else of the first remote; None without a usable one."""
    branch: str | None
    """Short branch name; None when the head is detached."""
    commit: str | None
    """Object name of the head; None before the first commit."""
    remotes: tuple[str, ...] = ()
    """All remotes, fetch and push addresses, normalised like `repository`, which comes first."""


def facts(directory: Path) -> GitFacts | None:
    """Return the facts of the innermost repository that `directory` is in, or None if it is in none.

    A repository that belongs to another user is ignored, as git itself does: whoever can plant `/tmp/.git` must not name
    the work of others. Unreadable or damaged parts are None in the answer; never raises for them.
    """
    for parent in (directory, *directory.parents):
        found = _git_directory(parent)
        if found is not None:
            return _facts_of(parent, found)
    return None


def enclosing(directory: Path, *, limit: int = 4) -> Iterator[GitFacts]:
    """Yield the facts of every repository that `directory` is in, innermost first (submodules, nested clones)."""
    place = directory
    for _ in range(limit):
        found = facts(place)
        if found is None:
            return
        yield found
        if found.root.parent == found.root:
            return
        place = found.root.parent


def _facts_of(root: Path, git: Path) -> GitFacts:
    common = _common_directory(git)
    branch, commit = _head(git, common)
    remotes = _remotes(common)
    return GitFacts(root, remotes[0] if remotes else None, branch, commit, remotes)


def _git_directory(directory: Path) -> Path | None:
    entry = directory / ".git"
    try:
        found = entry.stat()
        if sys.platform != "win32" and found.st_uid != os.geteuid():
            return None
        if entry.is_dir():
            return entry if (entry / "HEAD").exists() else None
    except OSError:
        return None
    pointer = _read(entry)
    if not pointer.startswith("gitdir:"):
        return None
    git = (directory / pointer.removeprefix("gitdir:").strip()).absolute()
    return git if (git / "HEAD").exists() else None


def _common_directory(git: Path) -> Path:
    pointer = _read(git / "commondir").strip()
    return (git / pointer).resolve() if pointer else git


def _head(git: Path, common: Path) -> tuple[str | None, str | None]:
    head = _read(git / "HEAD").strip()
    if not head.startswith("ref:"):
        return None, head if _OBJECT_NAME.fullmatch(head) else None
    reference = head.removeprefix("ref:").strip()
    branch = reference.removeprefix("refs/heads/") if reference.startswith("refs/heads/") else None
    if branch == ".invalid":  # a repository with reftable storage keeps its real head elsewhere
        return None, None
    return branch, _resolve(reference, git, common)


def _resolve(reference: str, git: Path, common: Path) -> str | None:
    for _ in range(_MAX_SYMBOLIC):
        if not re.fullmatch(r"refs/[^\0]+", reference) or ".." in reference.split("/"):
            return None
        value = _read(git / reference).strip() or _read(common / reference).strip()
        if _OBJECT_NAME.fullmatch(value):
            return value
        if not value.startswith("ref:"):
            return _packed(common, reference)
        reference = value.removeprefix("ref:").strip()
    return None


def _packed(common: Path, reference: str) -> str | None:
    wanted = f" {reference}\n".encode()
    try:
        with (common / "packed-refs").open("rb") as file:
            taken = 0
            for line in file:
                taken += len(line)
                if line.endswith(wanted) or line.rstrip(b"\r\n").endswith(wanted[:-1]):
                    name = line.split(b" ", 1)[0].decode("ascii", "replace")
                    return name if _OBJECT_NAME.fullmatch(name) else None
                if taken > _MAX_PACKED:
                    return None
    except OSError:
        return None
    return None


def _remotes(common: Path) -> tuple[str, ...]:
    """Return the normalised addresses of all remotes, `origin` first, without repetition."""
    section = ""
    origin: list[str] = []
    others: list[str] = []
    for raw in _read(common / "config").splitlines():
        line = raw.strip()
        if header := re.match(r"\[\s*([A-Za-z0-9.-]+)(?:\s+\"((?:[^\"\\]|\\.)*)\")?\s*\]", line):
            section = header[2] or "" if header[1].lower() == "remote" else ""
            line = line[header.end() :].strip()
        if section and (entry := re.match(r"(?:url|pushurl)\s*=\s*(.*)", line, re.IGNORECASE)):
            address = normalise_remote(_config_value(entry[1]))
            if address is not None:
                (origin if section == "origin" else others).append(address)
    return tuple(dict.fromkeys([*origin, *others]))


def _config_value(text: str) -> str:
    if text.startswith('"'):
        quoted = re.match(r'"((?:[^"\\]|\\.)*)"', text)
        return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else ""
    return re.split(r"\s[#;]", text, maxsplit=1)[0].strip()


def normalise_remote(url: str) -> str | None:
    """Return `host/owner/repo` in lower case for any spelling of a remote, None for a local path or no address.

    User, password, port, `.git`, and the extra segments of Azure DevOps go; both its spellings give
    `dev.azure.com/organisation/project/repo`. Never raises.
    """
    text = url.strip()
    if not text or any(ord(c) < 0x21 for c in text):
        return None
    if "://" in text:
        try:
            parts = urlsplit(text)
            host = parts.hostname or ""
        except ValueError:
            return None
        if parts.scheme.lower() == "file":
            return None
        path = parts.path
    else:
        scp = re.fullmatch(r"(?:[^@/:]*@)?(\[[^\]]+\]|[^/:\[\]]{2,}):(?!//)(.*)", text)
        if scp is None:
            return None
        host, path = scp[1].strip("[]"), scp[2]
    host = host.lower().rstrip(".")
    segments: list[str] = []
    for segment in unquote(path).lower().split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    host, segments = _canonical(host, segments)
    if not host or not segments:
        return None
    segments[-1] = segments[-1].removesuffix(".git") or segments[-1]
    return "/".join([host, *segments])


def _canonical(host: str, segments: list[str]) -> tuple[str, list[str]]:
    """Bring the second addresses of large hosts to their first."""
    if host == "ssh.github.com":
        return "github.com", segments
    if host == "altssh.gitlab.com":
        return "gitlab.com", segments
    if host == "altssh.bitbucket.org":
        return "bitbucket.org", segments
    if host in ("ssh.dev.azure.com", "vs-ssh.visualstudio.com") and segments[:1] == ["v3"]:
        return "dev.azure.com", segments[1:]
    if host == "dev.azure.com":
        return host, [segment for segment in segments if segment != "_git"]
    if host.endswith(".visualstudio.com"):
        rest = [segment for segment in segments if segment not in ("_git", "defaultcollection")]
        return "dev.azure.com", [host.removesuffix(".visualstudio.com"), *rest]
    return host, segments


def _read(path: Path) -> str:
    """Return a small text file; empty when it is missing, unreadable, not regular or too large."""
    try:
        with open(path, "rb", opener=without_waiting) as file:
            data = file.read(_MAX_FILE + 1)
    except OSError:
        return ""
    return data.decode("utf-8", "replace") if data and len(data) <= _MAX_FILE else ""
