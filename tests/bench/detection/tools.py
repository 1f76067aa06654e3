"""The detectors that are measured, each behind one function: text in, spans of code points out."""

import json
import os
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Span:
    """A finding: half-open span of code points, its class (`secret`, `pii` or `custom`) and what found it."""

    start: int
    end: int
    data_class: str
    rule: str


class Tool(Protocol):
    """A detector under measurement."""

    name: str

    def find(self, text: str) -> list[Span]:
        """All findings of a text."""
        ...


class LocalGuard:
    """The guard's own scanner with the rules that it ships, in this process."""

    name = "localguard"

    @cached_property
    def scanner(self) -> Any:
        from localguard.proxy.scan_pool import build_scanner

        built = build_scanner()
        built.load()
        return built

    def compile(self) -> None:
        """What a guard does once for a home, where Hyperscan is installed."""
        from localguard.detect.multipattern import Matcher, available, compiled

        if available():
            self.scanner.accelerate(Matcher(self.scanner.patterns, compiled(self.scanner.patterns)))

    def find(self, text: str) -> list[Span]:
        data = text.encode()
        found = self.scanner.scan(data)
        if data.isascii():
            return [Span(f.start, f.end, str(f.data_class), f.rule) for f in found]
        return [Span(_points(data, f.start), _points(data, f.end), str(f.data_class), f.rule) for f in found]


class LocalGuardCommand:
    """The same through `localguard scan --format jsonl -`, as users have it."""

    name = "localguard scan"

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="localguard-bench-")
        program = str(Path(sys.executable).parent / "localguard")
        environment = os.environ | {"LOCALGUARD_HOME": self._home.name}
        self._process = subprocess.Popen(
            [program, "scan", "--format", "jsonl", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def find(self, text: str) -> list[Span]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"id": 1, "text": text}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return [Span(f["start"], f["end"], f["class"], f["rule"]) for f in answer["findings"]]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._home.cleanup()


class DetectSecrets:
    """detect-secrets with its default plugins and filters, on a file that holds the text."""

    name = "detect-secrets"

    def find(self, text: str) -> list[Span]:
        from detect_secrets.core.secrets_collection import SecretsCollection
        from detect_secrets.settings import default_settings

        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            collection = SecretsCollection()
            with default_settings():
                collection.scan_file(file.name)
            lines = text.splitlines(keepends=True)
            starts = [0]
            for line in lines:
                starts.append(starts[-1] + len(line))
            spans = []
            for _, secret in collection:
                value = secret.secret_value
                if value is None or secret.line_number > len(lines):
                    continue
                at = lines[secret.line_number - 1].find(value)
                if at >= 0:
                    start = starts[secret.line_number - 1] + at
                    spans.append(Span(start, start + len(value), "secret", f"detect-secrets/{secret.type}"))
        return spans


class Presidio:
    """Presidio's predefined recognizers for English that work by pattern, without a language model.

    Findings with a score below 0.35, which are its patterns for any number of some length, do not count, and neither do
    URLs and dates, which are no personal data here. Its public-suffix list is the one that it ships; nothing is fetched.
    """

    name = "presidio"

    @cached_property
    def _recognizers(self) -> Sequence[Any]:
        import tldextract
        from presidio_analyzer import PatternRecognizer, predefined_recognizers
        from presidio_analyzer.recognizer_registry import RecognizerRegistry

        tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # type: ignore[assignment]
        registry = RecognizerRegistry()
        registry.load_predefined_recognizers(languages=["en"])
        kinds = (PatternRecognizer, predefined_recognizers.PhoneRecognizer)
        return [one for one in registry.recognizers if isinstance(one, kinds)]

    def find(self, text: str) -> list[Span]:
        spans = []
        for recognizer in self._recognizers:
            for found in recognizer.analyze(text, recognizer.supported_entities, None) or ():
                if found.score >= 0.35 and found.entity_type not in ("URL", "DATE_TIME"):
                    spans.append(Span(found.start, found.end, "pii", f"presidio/{found.entity_type}"))
        return spans


def covered(label: tuple[int, int], spans: Iterable[Span]) -> bool:
    """Whether the union of the findings holds each character of the label."""
    reached = label[0]
    for span in sorted(spans, key=lambda s: s.start):
        if span.start > reached:
            break
        reached = max(reached, span.end)
    return reached >= label[1]


def overlaps(span: Span, labels: Sequence[tuple[int, int]]) -> bool:
    """Whether a finding touches a label."""
    at = bisect_right(labels, (span.end - 1, sys.maxsize))
    return any(start < span.end and end > span.start for start, end in labels[max(0, at - 2) : at + 1])


def _points(data: bytes, offset: int) -> int:
    return len(data[:offset].decode("utf-8", "replace"))
