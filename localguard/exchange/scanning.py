"""Which texts of a request go to the scanner, and what it found in them and in those that were scanned before."""

from collections.abc import Sequence
from dataclasses import dataclass

from localguard.detect.finding import Finding
from localguard.detect.structured import MESSAGE
from localguard.exchange.memory import Readings, WorkspaceMemory
from localguard.exchange.scans import Scan, locate_all, scans_of

_SHORT = 64
"""Characters of texts that are remembered as clean by themselves; longer ones by digest."""


@dataclass(slots=True)
class _Waiting:
    """A boundary text whose scans are out: where its findings go."""

    key: bytes
    scans: list[Scan]
    clean: str | None


class Scanning:
    """The scans that one request needs. `want` every text, have `texts` scanned, then `receive`; then ask for findings."""

    def __init__(self, memory: WorkspaceMemory, readings: Readings) -> None:
        self._memory = memory
        self._readings = readings
        self._waiting: dict[bytes, _Waiting] = {}
        self._findings: dict[bytes, tuple[Finding, ...]] = {}

    def want(self, text: bytes, context: bytes, clean: str) -> bytes | None:
        """Have a boundary text scanned unless that was done before; `clean` is the text again, as `str`.

        Answers the key of its findings, None where it is known to have none.
        """
        readings = self._readings
        short = not context and len(clean) <= _SHORT
        if short and readings.clean.get(clean):
            return None
        key = self._memory.digest(context, text)
        if key in self._waiting or key in self._findings:
            return key
        known = readings.texts.get(key)
        if known is not None:
            self._findings[key] = known
            return key
        self._waiting[key] = _Waiting(key, scans_of(text, context), clean if short else None)
        return key

    def texts(self) -> list[bytes]:
        """What is to be scanned, for `receive`."""
        return [scan.text for waiting in self._waiting.values() for scan in waiting.scans]

    def receive(self, results: Sequence[Sequence[Finding]]) -> None:
        """Take in one sequence of findings for each of `texts`, in order, and remember them."""
        position = 0
        readings = self._readings
        for waiting in self._waiting.values():
            mine = results[position : position + len(waiting.scans)]
            position += len(waiting.scans)
            findings = locate_all(waiting.scans, mine)
            self._findings[waiting.key] = findings
            if not findings and waiting.clean is not None:
                readings.clean.put(waiting.clean, True)
            else:
                readings.texts.put(waiting.key, findings, 1 + len(findings))
        self._waiting.clear()

    def of(self, key: bytes | None, *, message: bool = False) -> tuple[Finding, ...]:
        """The findings of the text for which `want` answered `key`. Only a `message` may consist of a secret that nothing announces."""
        found = self._findings.get(key, ()) if key is not None else ()
        return found if message else _announced(found)

    def found(self, text: bytes, context: bytes, clean: str) -> tuple[Finding, ...]:
        """The findings of a text that was wanted."""
        if not context and len(clean) <= _SHORT and self._readings.clean.get(clean):
            return ()
        return _announced(self._findings.get(self._memory.digest(context, text), ()))


def _announced(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """`findings` without what was found because its text says nothing else."""
    return tuple(one for one in findings if one.rule != MESSAGE) if findings else findings
