"""Files of a workspace that hold secrets, and what is secret in them. Values are read into memory and never stored.

A value counts if the guard's own rules find it in the file, or if it is assigned in an environment file and looks like
nothing else. What is common or short is left to detection: `DEBUG=true` must not replace every `true` (P4).
"""

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localguard.config.home import without_waiting
from localguard.detect.candidate import Candidate
from localguard.detect.finding import DataClass, Finding
from localguard.detect.tokens import random_looking
from localguard.detect.words import word_set

DEFAULT_FILES: Final = (
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    "*.pem",
    "*.key",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "*.ppk",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".htpasswd",
    ".dockercfg",
    "credentials",
    "credentials.json",
    "credentials.y*ml",
    "secrets.json",
    "secrets.toml",
    "secrets.y*ml",
    "secret.y*ml",
    "service-account*.json",
    "kubeconfig",
    "kubeconfig.y*ml",
    "*.tfvars",
    "*.tfvars.json",
    "local.settings.json",
    "wp-config.php",
    "master.key",
)
"""Names of files that hold secrets by convention."""

_TEMPLATES: Final = ("*.example", "*.sample", "*.template", "*.dist", "*.tmpl", "*.pub", "*.crt", ".env.defaults")
_SKIPPED: Final = word_set(
    ".git .hg .svn .jj node_modules .venv venv site-packages vendor target dist build __pycache__ .tox .mypy_cache "
    ".terraform bower_components Pods .gradle .next .cache"
)
_MAX_DEPTH: Final = 5
_MAX_ENTRIES: Final = 20_000
_MAX_FILES: Final = 200
_MAX_BYTES: Final = 1024 * 1024
_ASSIGNED: Final = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]{0,80})[ \t]*=[ \t]*(?:\"([^\"\n]+)\"|'([^'\n]+)'|([^\s#\"'][^\s#]*))",
    re.MULTILINE,
)
_OPAQUE: Final = re.compile(
    r"(?=[^A-Z]*[A-Z]|[^a-z]*[a-z])(?=[^0-9]*[0-9])(?![0-9a-f]{40}\Z)(?![0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-)[\w+/=~!@%^&*-]{16,}"
)
"""One run of letters and digits without dots, spaces or colons; no commit and no UUID."""
_WORDS: Final = re.compile(r"(?:[A-Za-z]+|[0-9]+)(?:[^A-Za-z0-9]+(?:[A-Za-z]+|[0-9]+))*")
_ENV_NAMES: Final = (".env", ".env.*", "*.env", ".envrc")

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A value that a file holds, with its type and class. `repr` does not show the value."""

    value: str
    type: str
    data_class: str

    def __repr__(self) -> str:
        return f"<SecretValue {self.type}>"


def find(roots: Iterable[Path], globs: Sequence[str] | None = None) -> list[Path]:
    """The secret files below `roots`: regular files, at most 200 of them, five directories deep, in order of name.

    A glob with a slash is matched against the path below its root, one without against the name. Templates
    (`.env.example`) and directories of dependencies are left out. Links are not followed. Never raises.
    """
    wanted = DEFAULT_FILES if globs is None else tuple(globs)
    found: dict[Path, None] = {}
    budget = _MAX_ENTRIES
    for root in roots:
        for path, relative in _walk(root):
            budget -= 1
            if budget <= 0 or len(found) >= _MAX_FILES:
                return list(found)
            if _matches(relative, wanted):
                found[path] = None
    return list(found)


def signature(path: Path) -> Signature | None:
    """What changes when the file changes; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def read_values(path: Path, detect: Callable[[bytes], list[Finding]]) -> list[SecretValue]:
    """The secrets of one file, each once. `detect` is the guard's own rules. What cannot be read holds none."""
    text = _read(path)
    if text is None:
        return []
    values: dict[str, SecretValue] = {}
    for finding in detect(text):
        if finding.data_class is not DataClass.PII:
            value = text[finding.start : finding.end].decode("utf-8", "replace")
            values.setdefault(value, SecretValue(value, finding.type, str(finding.data_class)))
    if _matches(path.name, _ENV_NAMES):
        for assigned in _ASSIGNED.finditer(text.decode("utf-8", "replace")):
            value = next(group for group in assigned.groups()[1:] if group)
            if (
                _OPAQUE.fullmatch(value)
                and not _WORDS.fullmatch(value)
                and random_looking(Candidate(value, assigned[1], "", ""))
            ):
                values.setdefault(value, SecretValue(value, "SECRET", "secret"))
    return list(values.values())


def _read(path: Path) -> bytes | None:
    try:
        with open(path, "rb", opener=without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            data = file.read(_MAX_BYTES + 1)
    except OSError:
        return None
    return None if len(data) > _MAX_BYTES or b"\0" in data[:8192] else data


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """Files below `root` with their paths relative to it, breadth first."""
    pending: list[tuple[str, str, int]] = [(str(root), "", 0)]
    while pending:
        directory, prefix, depth = pending.pop(0)
        try:
            with os.scandir(directory) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in ordered:
            relative = prefix + entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _SKIPPED and depth < _MAX_DEPTH:
                        pending.append((entry.path, relative + "/", depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), relative
            except OSError:
                continue


def _matches(relative: str, globs: Sequence[str]) -> bool:
    name = relative.rpartition("/")[2]
    if any(fnmatch.fnmatchcase(name, glob) for glob in _TEMPLATES):
        return False
    return any(fnmatch.fnmatchcase(relative if "/" in glob else name, glob) for glob in globs)
