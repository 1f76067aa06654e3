"""The last look at every text before it is written down (P10): known values and what our own rules find are taken out.

This is a net under the redaction of requests, for what does not come from them: branch and directory names, model names
that a provider answers, commands that a model wrote. It runs in the daemon, so it uses the linear rules only, not the
engines of the scanner workers.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the daemon has a scrubber before it imports these
    from localguard.detect.scanner import Scanner
    from localguard.redact.vault import Vault

_REMEMBERED = 4096
_MAX_REMEMBERED = 256
"""Bytes. A record is made of some hundred short texts (names, rules, classes), and nearly all were in the last one."""
_EXCHANGE = re.compile(r"x[0-9a-hjkmnp-tv-z]{16}")
"""An exchange id: the guard's own making."""
_EXCHANGE_BYTES = re.compile(_EXCHANGE.pattern.encode())


@dataclass(frozen=True, slots=True)
class _Swept:
    """Texts, as JSON spells them, in which these vaults at this generation (of all together) know no value."""

    vaults: "Sequence[Vault]"
    generation: int
    texts: set[bytes] = field(default_factory=set)


class Scrubber:
    """Callable on any text, and on all texts of a record at once; thread-safe. Changes nothing until it is armed."""

    def __init__(self) -> None:
        self._vaults: Callable[[], Sequence[Vault]] = tuple
        self._scanner: Scanner | None = None
        self._ruled: set[bytes] = set()
        """JSON spellings of texts in which our rules found nothing."""
        self._swept = _Swept((), 0)
        self._own: set[bytes] = set()
        self._find = lru_cache(maxsize=_REMEMBERED)(self._without_findings)

    def arm(self, scanner: "Scanner", vaults: "Callable[[], Sequence[Vault]]") -> None:
        """Scrub from now on. `vaults` gives those of the workspaces at work: the same sequence while they are the same."""
        self._vaults = vaults
        self._scanner = scanner
        self._find.cache_clear()
        self._ruled = set()
        self._swept = _Swept((), 0)

    def trust(self, fingerprint: str) -> None:
        """Know a keyed fingerprint that the guard made: nearly every exchange has a new one, and no rule need look at it."""
        if len(self._own) >= _REMEMBERED:
            self._own = set()
        self._own.add(fingerprint.encode())

    def __call__(self, text: str) -> str:
        """`text` with every value in it replaced by its placeholder, or by the type of what was found."""
        if len(text) < 4 or _EXCHANGE.fullmatch(text):
            return text
        for vault in self._vaults():
            text = _without_known(text, vault)
        return self._find(text)

    def is_clean(self, texts: Sequence[bytes]) -> bool:
        """Whether no text of a record holds a known value or anything that our rules find, placeholders aside.

        Only what was not looked at before is: nearly all texts of a record were in the last one.
        """
        swept = self._swept_now()
        new = [text for text in set(texts) - swept.texts - self._own if not _EXCHANGE_BYTES.fullmatch(text)]
        if not new:
            return True
        joined = b'"'.join(new)  # as they stand in the record: no value reaches from one into the next
        if any(vault.sweep(joined) for vault in swept.vaults) or not self._without_rules(new):
            return False
        if len(swept.texts) <= _REMEMBERED:
            swept.texts.update(text for text in new if len(text) <= _MAX_REMEMBERED)
        else:
            self._swept = _Swept(swept.vaults, swept.generation)
        return True

    def _swept_now(self) -> _Swept:
        """What was swept under all that the vaults know now; asked for before anything is looked for."""
        vaults, swept = self._vaults(), self._swept
        generation = sum(vault.generation for vault in vaults)
        if swept.vaults is not vaults or swept.generation != generation:
            self._swept = swept = _Swept(vaults, generation)
        return swept

    def _without_rules(self, texts: Sequence[bytes]) -> bool:
        """Whether our rules find nothing in these texts but placeholders."""
        scanner, ruled = self._scanner, self._ruled
        if scanner is None:
            return True
        for text in texts:
            if text in ruled:
                continue
            if any(not text.startswith(b"LG_", one.start) for one in scanner.by_rules(text)):
                return False
            if len(ruled) >= _REMEMBERED:
                ruled = self._ruled = set()
            if len(text) <= _MAX_REMEMBERED:
                ruled.add(text)
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


def _without_known(text: str, vault: "Vault") -> str:
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
