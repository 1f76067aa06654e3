"""The last look at every text before it is written down (P10): known values and what our own rules find are taken out.

This is a net under the redaction of requests, for what does not come from them: branch and directory names, model names
that a provider answers, commands that a model wrote. It runs in the daemon, so it uses the linear rules only, not the
engines of the scanner workers.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache

from localguard.detect.scanner import Scanner
from localguard.redact.vault import Vault

_REMEMBERED = 4096
_MAX_REMEMBERED = 256
"""Characters. A record is made of some sixty short texts (names, rules, classes), and nearly all were in the last one."""


class _Clean:
    """Short texts in which nothing was found, as long as no vault learns another value."""

    def __init__(self, known: tuple[tuple[Vault, int], ...]) -> None:
        self.known = known
        self.texts: set[str] = set()


class Scrubber:
    """Callable on any text; thread-safe. `vaults` gives the vaults of the workspaces at work."""

    def __init__(self, scanner: Scanner, vaults: Callable[[], Iterable[Vault]]) -> None:
        self._vaults = vaults
        self._find = lru_cache(maxsize=4096)(lambda text: self._without_findings(scanner, text))
        self._clean = _Clean(())

    def __call__(self, text: str) -> str:
        """`text` with every value in it replaced by its placeholder, or by the type of what was found."""
        if len(text) < 4:
            return text
        known = tuple([(vault, vault.generation) for vault in self._vaults()])
        clean = self._clean
        if clean.known != known or len(clean.texts) >= _REMEMBERED:
            clean = self._clean = _Clean(known)  # whoever still looks under the old one notes its texts there
        if text in clean.texts:
            return text
        scrubbed = text
        for vault, _ in known:
            scrubbed = _without_known(scrubbed, vault)
        scrubbed = self._find(scrubbed)
        if scrubbed == text and len(text) <= _MAX_REMEMBERED:
            clean.texts.add(text)
        return scrubbed

    @staticmethod
    def _without_findings(scanner: Scanner, text: str) -> str:
        raw = text.encode("utf-8", "surrogatepass")
        parts: list[bytes] = []
        position = 0
        for finding in scanner.by_rules(raw):
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
