"""Finding the values again that a detect-secrets baseline speaks of.

A baseline (`.secrets.baseline`, format of detect-secrets 1.x) names file, line and the SHA-1 of each value, so that the
value can be recognised where it stands, and nowhere else.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localguard.errors import LocalguardError

_MAX_LINE = 65_536
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|`([^`]*)`")
_TOKEN = re.compile(r"[^\s\"'`,;()\[\]{}<>]+")
_PARTS = re.compile(r"[=:@]")


class BaselineInvalid(LocalguardError):
    """The file is no baseline of detect-secrets."""


@dataclass(slots=True)
class Allowed:
    """Values that a baseline lets through, each once, and a sentence for every entry that was left out."""

    values: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Allowed {len(self.values)} values>"


def allowed_values(baseline: Path, *, everything: bool) -> Allowed:
    """The values of entries marked as no secret, or of all entries. Paths are relative to the baseline's directory.

    Raises BaselineInvalid.
    """
    try:
        results = json.loads(baseline.read_bytes())["results"]
        entries = [(str(name), entry) for name, listed in results.items() for entry in listed]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BaselineInvalid(f"{baseline.name} is no baseline of detect-secrets.") from None
    found = Allowed()
    for name, entry in entries:
        if not isinstance(entry, Mapping):
            continue
        if entry.get("is_secret") is False or (everything and entry.get("is_secret") is not True):
            _look_up(baseline.parent / name, name, entry, found)
    found.values = list(dict.fromkeys(found.values))
    return found


def _look_up(file: Path, name: str, entry: Mapping[str, Any], found: Allowed) -> None:
    number = entry.get("line_number")
    place = f"{name}:{number}"
    try:
        line = file.read_text(encoding="utf-8", errors="replace").split("\n")[int(str(number)) - 1]
    except (OSError, ValueError, IndexError):
        found.left_out.append(f"{place}: there is no such line any more")
        return
    wanted = str(entry.get("hashed_secret", "")).lower()
    for value in _candidates(line[:_MAX_LINE]):
        if hashlib.sha1(value.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest() == wanted:
            found.values.append(value)
            return
    found.left_out.append(f"{place}: the value is not there any more")


def _candidates(line: str) -> Iterator[str]:
    """What of a line may be a value: quoted strings, tokens, and what stands behind `=`, `:` or `@` in them."""
    for quoted in _QUOTED.finditer(line):
        yield next(group for group in quoted.groups() if group is not None)
    for token in _TOKEN.finditer(line):
        yield token[0]
        yield token[0].rstrip(".:!?")
        for part in _PARTS.finditer(token[0]):
            yield token[0][part.end() :]
    for part in _PARTS.finditer(line):
        yield line[part.end() :].strip()
        yield line[part.end() :].strip().rstrip(",;")
    yield from _PARTS.split(line)
