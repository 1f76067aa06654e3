"""The meaning of a gitleaks.toml, as its README of version 8 describes it (read 2026-11): an interpreter for measuring.

Nothing of gitleaks is in this repository; whoever measures gives the file with `--gitleaks FILE`. A rule is tried where one
of its keywords stands in the text, lower case; its regex (RE2, as Go's) is applied to the whole text; the secret is group
`secretGroup`, else the first group that matched, else the match; entropy is Shannon's, in bits per character, and must
exceed the rule's; allowlists of the rule and the global ones drop a finding.
"""

import math
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import re2

from tests.bench.detection.tools import Span


class Gitleaks:
    """The rules of one file. Rules whose regex this RE2 refuses are counted in `refused` and left out."""

    name = "gitleaks rules"

    def __init__(self, path: Path) -> None:
        config = tomllib.loads(path.read_text("utf-8"))
        self.refused: list[str] = []
        self._global = _allowlists(config)
        self._rules: list[tuple[str, Sequence[str], Any, int, float, list[_AllowList]]] = []
        options = re2.Options()
        options.log_errors = False
        options.max_mem = 1 << 28
        for rule in config.get("rules", ()):
            if "regex" not in rule:
                continue
            try:
                pattern = re2.compile(rule["regex"], options)
            except re2.error:
                self.refused.append(rule["id"])
                continue
            words = [word.lower() for word in rule.get("keywords", ())]
            entry = (
                rule["id"],
                words,
                pattern,
                int(rule.get("secretGroup", 0)),
                float(rule.get("entropy", 0)),
                _allowlists(rule),
            )
            self._rules.append(entry)

    def find(self, text: str) -> list[Span]:
        lower = text.lower()
        spans = []
        for name, words, pattern, group, entropy, allowed in self._rules:
            if words and not any(word in lower for word in words):
                continue
            for match in pattern.finditer(text):
                used = group or next((i for i in range(1, pattern.groups + 1) if match.group(i)), 0)
                secret = match.group(used)
                if not secret or (entropy and shannon(secret) <= entropy):
                    continue
                if any(one.drops(text, match, secret) for one in (*allowed, *self._global)):
                    continue
                start, end = match.span(used)
                spans.append(Span(start, end, "secret", f"gitleaks/{name}"))
        return spans


class _AllowList:
    def __init__(self, entry: dict[str, Any]) -> None:
        options = re2.Options()
        options.log_errors = False
        self._target = entry.get("regexTarget", "secret")
        self._patterns = [re2.compile(text, options) for text in entry.get("regexes", ())]
        self._words = [word.lower() for word in entry.get("stopwords", ())]
        self._all = entry.get("condition", "OR").upper() in ("AND", "&&")
        self._paths = bool(entry.get("paths") or entry.get("commits"))

    def drops(self, text: str, match: Any, secret: str) -> bool:
        if self._all and self._paths:
            return False  # a text of the sets has no path
        target = secret
        if self._target == "match":
            target = match.group(0)
        elif self._target == "line":
            end = text.find("\n", match.end())
            target = text[text.rfind("\n", 0, match.start()) + 1 : end if end >= 0 else len(text)]
        checks = []
        if self._patterns:
            checks.append(any(pattern.search(target) for pattern in self._patterns))
        if self._words:
            lower = secret.lower()
            checks.append(any(word in lower for word in self._words))
        return bool(checks) and (all(checks) if self._all else any(checks))


def _allowlists(table: dict[str, Any]) -> list[_AllowList]:
    entries = [*table.get("allowlists", ()), *([table["allowlist"]] if "allowlist" in table else ())]
    return [_AllowList(entry) for entry in entries if not entry.get("targetRules")]


def shannon(text: str) -> float:
    """Bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
