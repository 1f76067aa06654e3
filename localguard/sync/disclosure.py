"""What of a record is handed out: whole sections by level, nothing of excluded work, local names as keyed digests at most. Pure."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from localguard.policy.matching import glob_matches

Level = Literal["metadata", "findings"]
LEVELS: Final[tuple[str, ...]] = get_args(Level)
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {"metadata": ("metadata",), "findings": ("metadata", "findings")}
"""The sections that a level discloses. `local` is never among them."""

MAX_SECTION = 256 * 1024
"""Bytes. A larger section goes as its hash: a batch has to fit into memory, here and there."""

_MOST_NAMES = 100
_NAMED: Final = ("repository", "branch", "commit")


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What a developer agreed to. `exclude` are globs over workspace names and repositories."""

    level: Level
    names: bool = False
    """Repository, branch, commit, command and file names go as keyed digests."""
    exclude: tuple[str, ...] = ()

    def excludes(self, metadata: Mapping[str, Any] | None, local: Mapping[str, Any] | None) -> bool:
        """Whether a record speaks of excluded work itself. One of which nothing can be said any more counts as excluded."""
        if not self.exclude:
            return False
        if metadata is None or local is None:
            return True
        places = [local.get("workspace"), local.get("repository"), local.get("root"), *(local.get("beside") or ())]
        named = [*_workspaces(metadata), *places]
        return any(isinstance(name, str) and glob_matches(self.exclude, name) for name in named)

    def opens(self, section: str, size: int) -> bool:
        """Whether a section of so many bytes is disclosed, of a record that is not excluded."""
        return section in SECTIONS[self.level] and size <= MAX_SECTION


def digests(key: bytes, local: Mapping[str, Any]) -> dict[str, list[str]]:
    """Keyed digests of the names in a record's `local`, by what they name; 24 hexadecimal digits each, 100 of a kind at most."""
    made: dict[str, list[str]] = {}
    for kind in _NAMED:
        if isinstance(local.get(kind), str):
            made[kind] = [_digest(key, kind, local[kind])]
    for kind, member, name in (("command", "commands", "command"), ("file", "files", "path")):
        found = [one.get(name) for one in local.get(member) or () if isinstance(one, dict)]
        if found:
            made[kind] = [_digest(key, kind, text) for text in found[:_MOST_NAMES] if isinstance(text, str)]
    return made


def _digest(key: bytes, kind: str, text: str) -> str:
    return hmac.digest(key, f"{kind}\0{text}".encode("utf-8", "surrogatepass"), "sha256")[:12].hex()


def _workspaces(value: object) -> Sequence[object]:
    """Everything that stands under a key `workspace`, at any depth."""
    if isinstance(value, dict):
        own = [value["workspace"]] if "workspace" in value else []
        return [*own, *(name for item in value.values() for name in _workspaces(item))]
    if isinstance(value, list):
        return [name for item in value for name in _workspaces(item)]
    return []
