"""Rules of a `gitleaks.toml` as rules of ours. Pure: takes parsed TOML, answers entries of a rule file.

Both use RE2 syntax, so patterns are taken as they are. What has no counterpart here is told, not dropped in silence:
rules by path only, allow lists by path or commit, and allow lists that look at more than the value.
Source: the "Configuration" chapter of gitleaks' own README.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import re2

from localguard.detect.rules import compile_pattern

_ID: Final = re.compile(r"[^a-z0-9.]+")
_TYPE: Final = re.compile(r"[^A-Z0-9]+")
_OVER_LINES: Final = re.compile(r"\\s\\S|\\S\\s|\\n|\(\?[a-z]*s[a-z]*[:)]")
_MAX_TYPE: Final = 28
_REACH: Final = 8192
"""Bytes after the line of a keyword that a pattern over several lines may need."""


@dataclass(slots=True)
class Imported:
    """Entries for `[[rules]]`, and a sentence for everything that could not be taken over."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def import_gitleaks(data: Mapping[str, Any]) -> Imported:
    """The rules of a parsed `gitleaks.toml`."""
    made = Imported()
    if isinstance(data.get("extend"), Mapping) and data["extend"].keys() & {"path", "url", "useDefault"}:
        made.left_out.append("[extend]: the configuration that it extends is not read; import that one too")
    shared = _allow(_tables(data, "allowlist", "allowlists"), "the global allow list", made.left_out)
    for entry in data.get("rules", []):
        if isinstance(entry, Mapping):
            _rule(entry, shared, made)
    return made


def _rule(entry: Mapping[str, Any], shared: Sequence[str], made: Imported) -> None:
    name = str(entry.get("id", "")) or "unnamed"
    pattern = entry.get("regex")
    if not isinstance(pattern, str):
        made.left_out.append(f"{name}: it has no regex (rules by path only have no counterpart)")
        return
    try:
        groups = compile_pattern(pattern.encode()).groups
    except re2.error as error:
        made.left_out.append(f"{name}: its regex is not RE2 ({error})")
        return
    if entry.get("path"):
        made.left_out.append(f"{name}: its path is not taken over; the rule holds for every text")
    keywords = [word for word in entry.get("keywords", []) if isinstance(word, str) and word]
    wanted = entry.get("secretGroup", 0)
    rule: dict[str, Any] = {
        "id": "gitleaks/" + (_ID.sub("-", name.lower()).strip("-.") or "unnamed"),
        "type": _type_of(name),
        "description": str(entry.get("description", name)),
        "keywords": keywords,
        "pattern": pattern,
        "group": wanted if isinstance(wanted, int) and 0 < wanted <= groups else [1] if groups else 0,
    }
    if _OVER_LINES.search(pattern):
        rule["reach"] = _REACH
    if keywords and "reach" in rule:  # a gate stands within one line
        rule["gate"] = "(?i:" + "|".join(re.escape(word) for word in keywords) + ")"
    if isinstance(entry.get("entropy"), int | float):
        rule["entropy"] = float(entry["entropy"])
    allow = [*shared, *_allow(_tables(entry, "allowlist", "allowlists"), name, made.left_out)]
    if allow:
        rule["allow"] = allow
    made.rules.append(rule)


def _tables(entry: Mapping[str, Any], one: str, many: str) -> list[Mapping[str, Any]]:
    several = entry.get(many)
    found = [entry.get(one), *(several if isinstance(several, list) else ())]
    return [table for table in found if isinstance(table, Mapping)]


def _allow(tables: Sequence[Mapping[str, Any]], whose: str, left_out: list[str]) -> list[str]:
    """The patterns of values that allow lists let pass."""
    patterns: list[str] = []
    for table in tables:
        if table.keys() & {"paths", "commits"}:
            left_out.append(f"{whose}: allowed paths and commits are not taken over")
            if str(table.get("condition", "OR")).upper() == "AND":
                continue  # what holds only at these places would hold everywhere
        if table.get("regexes") and table.get("regexTarget", "secret") != "secret":
            left_out.append(f"{whose}: allowed regexes that look at the {table['regexTarget']} are not taken over")
        else:
            patterns += [each for each in table.get("regexes", []) if _compiles(each, whose, left_out)]
        words = [re.escape(word) for word in table.get("stopwords", []) if isinstance(word, str) and word]
        if words:
            patterns.append("(?i:" + "|".join(words) + ")")
    return patterns


def _compiles(pattern: object, whose: str, left_out: list[str]) -> bool:
    try:
        compile_pattern(str(pattern).encode())
    except re2.error:
        left_out.append(f"{whose}: an allowed regex is not RE2")
        return False
    return isinstance(pattern, str)


def _type_of(name: str) -> str:
    made = _TYPE.sub("_", name.upper()).strip("_")
    made = made if made[:1].isalpha() else f"RULE_{made}".strip("_")
    return made[:_MAX_TYPE].rstrip("_")
