"""The head of one request: scanned where it is new, redacted, put together again."""

from collections.abc import Iterator, Sequence

from localguard.detect.finding import Finding
from localguard.detect.types import TYPE_PRECEDENCE
from localguard.exchange.head import Head, head_bytes, head_texts, redact_head
from localguard.exchange.items import Replaced
from localguard.exchange.memory import Readings, WorkspaceMemory
from localguard.exchange.rewriting import MIN_SWEPT, replaced_at
from localguard.exchange.scanning import Scanning
from localguard.redact.redactor import Actions, replacements

_MAX_UNCHANGED = 512


class HeadReading:
    """Path, query and headers of one request. Agents send the same ones on every turn: clean heads are known by digest."""

    def __init__(self, memory: WorkspaceMemory, readings: Readings, scanning: Scanning, head: Head) -> None:
        self._memory = memory
        self._readings = readings
        self._scanning = scanning
        self._head = head
        self._digest = memory.digest(b"head", head_bytes(head))
        self._clean = readings.heads.get(self._digest)
        self._texts = head_texts(head) if self._clean is None else []
        for text in self._texts:
            scanning.want(text.raw, text.context, text.text)

    def receive(self) -> None:
        """Take note of what the scanner found, once that is in: a head without findings is not read again."""
        if any(self._scanning.found(text.raw, text.context, text.text) for text in self._texts):
            return
        self._texts = []
        if self._clean is None:
            self._clean = {}
            self._readings.heads.put(self._digest, self._clean)

    def findings(self) -> Iterator[tuple[bytes, Sequence[Finding]]]:
        """Each text of the head in which something was found, with what was found."""
        for text in self._texts:
            if findings := self._scanning.found(text.raw, text.context, text.text):
                yield text.raw, findings

    def redact(self, actions: Actions) -> tuple[str, str, Sequence[tuple[str, str]], list[Replaced]]:
        """Path, query and headers as they may leave under `actions`, and what was replaced in them."""
        memory = self._memory
        replaced: list[Replaced] = []
        unchanged = self._readings.unchanged
        under = "".join(f"{name}={actions[name]};" for name in sorted(actions))
        generation = memory.vault.generation
        if self._clean is not None and self._clean.get(under) == generation:
            return self._head.path, self._head.query, self._head.headers, []  # heads are the same on every turn

        def clean(text: str, where: str, context: bytes) -> str:
            if unchanged.get((under, text, context)) == generation:
                return text
            raw = text.encode()
            findings = self._scanning.found(raw, context, text)
            if not findings and len(raw) < MIN_SWEPT:
                return text
            ordered = replacements(raw, findings, memory.vault, actions, TYPE_PRECEDENCE)
            if not ordered:
                if len(text) <= _MAX_UNCHANGED:
                    unchanged.put((under, text, context), generation)
                return text
            parts: list[bytes] = []
            position = 0
            for one in ordered:
                parts += [raw[position : one.start], one.placeholder.encode()]
                position = one.end
                replaced.append(replaced_at(memory, raw[one.start : one.end], one, where))
            return b"".join([*parts, raw[position:]]).decode()

        path, query, headers = redact_head(self._head, clean)
        if self._clean is not None and not replaced:
            self._clean[under] = generation
        return path, query, headers, replaced
