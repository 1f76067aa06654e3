"""The last look at every text before it is written down (P10): known values and what our own rules find are taken out.

This is a net under the redaction of requests, for what does not come from them: branch and directory names, model names
that a provider answers, commands that a model wrote. It runs in the daemon, so it uses the linear rules only, not the
engines of the scanner workers.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from localguard.detect.scanner import Scanner
from localguard.redact.vault import Vault

_REMEMBERED = 4096
_MAX_REMEMBERED = 256
"""Bytes. A record is made of some hundred short texts (names, rules, classes), and nearly all were in the last one."""
_EXCHANGE = re.compile(r"x[0-9a-hjkmnp-tv-z]{16}")
"""An exchange id: the guard's own making."""
_STRINGS = re.compile(rb'"((?:[^"\\]++|\\.)*+)"')


class Scrubber:
    """Callable on any text, and on whole sections of a record; thread-safe. Changes nothing until it is armed."""

    def __init__(self) -> None:
        self._vaults: Callable[[], Iterable[Vault]] = tuple
        self._scanner: Scanner | None = None
        self._clean: set[bytes] = set()
        """JSON spellings of texts in which our rules found nothing."""
        self._find = lru_cache(maxsize=_REMEMBERED)(self._without_findings)

    def arm(self, scanner: Scanner, vaults: Callable[[], Iterable[Vault]]) -> None:
        """Scrub from now on. `vaults` gives those of the workspaces at work."""
        self._vaults = vaults
        self._scanner = scanner
        self._find.cache_clear()
        self._clean = set()

    def __call__(self, text: str) -> str:
        """`text` with every value in it replaced by its placeholder, or by the type of what was found."""
        if len(text) < 4 or _EXCHANGE.fullmatch(text):
            return text
        for vault in self._vaults():
            text = _without_known(text, vault)
        return self._find(text)

    def is_clean(self, section: bytes) -> bool:
        """Whether the JSON of a section holds no known value and nothing that our rules find, placeholders aside."""
        if any(vault.sweep(section) for vault in self._vaults()):
            return False
        scanner = self._scanner
        if scanner is None:
            return True
        for text in set(_STRINGS.findall(section)) - self._clean:
            if any(not text.startswith(b"LG_", one.start) for one in scanner.by_rules(text)):
                return False
            if len(self._clean) >= _REMEMBERED:
                self._clean = set()
            if len(text) <= _MAX_REMEMBERED:
                self._clean.add(text)
        return True

    def _without_findings(self, text: str) -> str:
        if self._scanner is None:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        parts: list[bytes] = []
        position = 0
        for finding in self._scanner.by_rules(raw):
            if finding.start < position or raw.startswith(b"LG_", finding.start):
                continue
            parts += [raw[position : finding.start], f"<{finding.type}>".encode()]
            position = finding.end
        return b"".join([*parts, raw[position:]]).decode("utf-8", "surrogatepass") if parts else text


def _without_known(text: str, vault: Vault) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    spans = vault.sweep(raw)
    if not spans:
        return text
    parts: list[bytes] = []
    position = 0
    for span in spans:
        parts += [raw[position : span.start], span.placeholder.encode()]
        position = span.end
    return b"".join([*parts, raw[position:]]).decode("utf-8", "surrogatepass")
