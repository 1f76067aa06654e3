"""What a workspace's own files say is confidential, kept current: secret files, authors, the repository's rules.

Looked at before a request is read: known files a second after the last look, the directories for new files half a
minute after. The first request of a workspace waits for the first look, five seconds at most: small files come first, and
what large ones are left is read beside later requests.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from localguard.config import git_authors, secret_files
from localguard.config.rule_files import read_rule_file
from localguard.detect.dictionary import MAX_WORDS
from localguard.detect.finding import Finding
from localguard.detect.rules import Rule, RuleInvalid, merge_packs, parse_pack
from localguard.detect.scanner import Scanner
from localguard.exchange.memory import WorkspaceMemory
from localguard.policy.model import Layer, LayerName

RULES_DIRECTORY: Final = Path(".localguard") / "rules"
_LOOK_SECONDS: Final = 1.0
_WALK_SECONDS: Final = 30.0
_AUTHORS_SECONDS: Final = 600.0
_READ_SECONDS: Final = 5.0
"""For the secret files that a request waits for; a file that was begun is read to its end, at most one MiB."""
_SLICE_SECONDS: Final = 0.2
_MAX_RULE_FILES: Final = 50
_MAX_RULES: Final = 500
"""They run in the daemon, on every new text."""

_Settings = tuple[tuple[str, ...] | None, bool]
"""Globs of secret files (None for the built-in ones), and whether the repository's authors count."""
_Signatures = Mapping[Path, secret_files.Signature | None]


@dataclass(slots=True)
class _Known:
    """What was seen of one workspace, and when to look again (monotonic seconds)."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    settings: "_Settings | None" = None
    next_look: float = 0.0
    next_walk: float = 0.0
    next_authors: float = 0.0
    files: dict[Path, secret_files.Signature | None] = field(default_factory=dict)
    rule_files: _Signatures = field(default_factory=dict)
    authors: tuple[str, ...] = ()
    problem: Exception | None = None
    unread: list[Path] = field(default_factory=list)
    """Files that there was no time for yet."""
    rest: asyncio.Task[None] | None = None


class Knowledge:
    """Keeps the memories of workspaces up to date with their files. `detect` is the guard's own rules."""

    def __init__(self, detect: Callable[[bytes], list[Finding]]) -> None:
        self._detect = detect
        self._known: WeakKeyDictionary[WorkspaceMemory, dict[tuple[Path, ...], _Known]] = WeakKeyDictionary()

    async def refresh(self, memory: WorkspaceMemory, roots: tuple[Path, ...], layers: tuple[Layer, ...]) -> None:
        """Return when `memory` knows what the files below `roots` say under `layers`.

        Raises `RuleInvalid` as long as a rule file of the repository is broken.
        """
        if not roots:
            return
        known = self._known.setdefault(memory, {}).setdefault(roots, _Known())
        settings = _settings(layers)
        if time.monotonic() < known.next_look and known.settings == settings:
            if known.problem is not None:
                raise known.problem
            return
        async with known.lock:
            try:
                await asyncio.to_thread(self._look, memory, known, roots, settings)
            finally:
                if known.unread and (known.rest is None or known.rest.done()):
                    known.rest = asyncio.create_task(self._read_rest(memory, known))

    async def _read_rest(self, memory: WorkspaceMemory, known: _Known) -> None:
        """Read the files that no request waits for, a little at a time."""
        while known.unread:
            async with known.lock:
                await asyncio.to_thread(self._read_files, memory, known, time.monotonic() + _SLICE_SECONDS)
            await asyncio.sleep(_SLICE_SECONDS)

    def _look(self, memory: WorkspaceMemory, known: _Known, roots: tuple[Path, ...], settings: "_Settings") -> None:
        now = time.monotonic()
        if known.settings == settings and now < known.next_look:
            return  # somebody else looked while this one waited
        globs, wants_authors = settings
        if known.settings != settings:
            known.settings = settings
            known.next_walk = known.next_authors = 0.0
        paths: list[Path] = list(known.files)
        if now >= known.next_walk:
            known.next_walk = now + _WALK_SECONDS
            paths = secret_files.find(roots, globs)
        signatures = {path: secret_files.signature(path) for path in dict.fromkeys([*paths, *known.unread])}
        known.files |= {path: None for path, seen in signatures.items() if seen is None}
        changed = [
            (seen[1], path) for path, seen in signatures.items() if seen is not None and seen != known.files.get(path)
        ]
        known.unread = [path for _, path in sorted(changed, reverse=True)]
        self._read_files(memory, known, now + _READ_SECONDS)
        if now >= known.next_authors:
            known.next_authors = now + _AUTHORS_SECONDS
            authors = git_authors.authors(roots[0]) if wants_authors else ()
            if authors != known.authors:
                known.authors, known.rule_files = authors, {Path(): None}
        self._read_rules(memory, known, roots)
        known.next_look = time.monotonic() + _LOOK_SECONDS
        if known.problem is not None:
            raise known.problem

    def _read_files(self, memory: WorkspaceMemory, known: _Known, until: float) -> None:
        """Learn what the unread files hold, the smallest first, as long as there is time."""
        while known.unread and time.monotonic() < until:
            path = known.unread.pop()
            seen = secret_files.signature(path)
            if seen is not None:
                for one in secret_files.read_values(path, self._detect):
                    memory.vault.add_known(one.value, one.type, data_class=one.data_class)
            known.files[path] = seen

    @staticmethod
    def _read_rules(memory: WorkspaceMemory, known: _Known, roots: tuple[Path, ...]) -> None:
        files = {
            path: secret_files.signature(path)
            for root in roots
            for path in sorted((root / RULES_DIRECTORY).glob("*.toml"))[: _MAX_RULE_FILES + 1]
        }
        if files == known.rule_files:
            return
        try:
            if len(files) > _MAX_RULE_FILES:
                raise RuleInvalid(f"{RULES_DIRECTORY}: more than {_MAX_RULE_FILES} rule files")
            rules = []
            for path in files:
                rules += merge_packs([read_rule_file(path)])
                if len(rules) > _MAX_RULES:
                    raise RuleInvalid(f"{path.name}: with it, the repository has more than {_MAX_RULES} rules")
            rules += _rules_of_authors(known.authors)
        except Exception as error:
            known.problem = error
            known.rule_files = {Path(): None}
            raise
        known.problem = None
        known.rule_files = files
        memory.find_also(roots, Scanner(rules).by_rules if rules else None)


def _settings(layers: tuple[Layer, ...]) -> "_Settings":
    """Globs of secret files and whether authors count: a repository may only add to what stands above it."""
    globs: tuple[str, ...] | None = None
    for layer in layers:
        own = layer.known_values.files
        if own is None:
            continue
        if layer.name is LayerName.REPOSITORY:
            globs = (*(secret_files.DEFAULT_FILES if globs is None else globs), *own)
        else:
            globs = own if globs is None else (*globs, *own)
    return globs, any(layer.known_values.git_authors for layer in layers)


def _rules_of_authors(authors: tuple[str, ...]) -> list[Rule]:
    if not authors:
        return []
    names = [one for one in authors if "@" not in one][:MAX_WORDS]
    entries = [
        {"id": "git/authors", "type": "PERSON", "class": "pii", "words": names},
        {"id": "git/addresses", "type": "EMAIL", "class": "pii", "words": [one for one in authors if "@" in one]},
    ]
    return parse_pack({"dictionaries": [entry for entry in entries if entry["words"]]}, "the repository's authors")
