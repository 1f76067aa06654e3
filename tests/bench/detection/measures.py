"""What the table says about the labelled sets: coverage, precision and hits where nothing is secret."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.detection.samples import Sample
from tests.bench.detection.tools import Span, Tool, covered, overlaps

STRICT_TRAPS = ("signature", "encrypted", "ids", "lock")
"""Groups of the traps of which nothing at all may be hit."""


@dataclass(frozen=True)
class Measure:
    """A row of the table. `better` is `>=` or `<=`; without a target nothing is judged."""

    name: str
    better: str
    target: float | None
    of: Callable[["Found"], float | None]


@dataclass
class Found:
    """A tool's findings on the samples, with the misses and false hits by kind."""

    pairs: list[tuple[Sample, list[Span]]] = field(default_factory=list)

    def of(self, *sets: str) -> Iterator[tuple[Sample, list[Span]]]:
        return (pair for pair in self.pairs if pair[0].set in sets)

    def coverage(self, *sets: str) -> float | None:
        """Share of the labels of the sets that are fully covered."""
        hits = [covered(label, spans) for sample, spans in self.of(*sets) for label in sample.labels]
        return sum(hits) / len(hits) if hits else None

    def precision(self, *sets: str) -> float | None:
        """Share of the findings of class secret that touch a label."""
        right = [
            overlaps(s, sample.labels) for sample, spans in self.of(*sets) for s in spans if s.data_class == "secret"
        ]
        return sum(right) / len(right) if right else None

    def hit_without_secret(self, *sets: str) -> float | None:
        """Share of the samples without a label in which something of class secret is found."""
        clean = [spans for sample, spans in self.of(*sets) if not sample.labels]
        return sum(any(s.data_class == "secret" for s in spans) for spans in clean) / len(clean) if clean else None

    def trapped(self, strict: bool) -> float | None:
        """Samples of the traps in which anything is found: their number for the strict groups, their share for all."""
        chosen = [spans for sample, spans in self.of("traps") if not strict or sample.group in STRICT_TRAPS]
        if not chosen:
            return None
        hit = sum(bool(spans) for spans in chosen)
        return float(hit) if strict else hit / len(chosen)

    def misses(self) -> dict[str, dict[str, list[tuple[Sample, tuple[int, int]]]]]:
        """Labels that are not fully covered, by set and kind."""
        missed: dict[str, dict[str, list[tuple[Sample, tuple[int, int]]]]] = defaultdict(lambda: defaultdict(list))
        for sample, spans in self.pairs:
            for label in sample.labels:
                if not covered(label, spans):
                    missed[sample.set][sample.kind].append((sample, label))
        return missed

    def false_hits(self) -> dict[str, dict[str, list[tuple[Sample, Span]]]]:
        """Findings that touch no label, by set and kind; of class secret, and of any class in the traps."""
        hits: dict[str, dict[str, list[tuple[Sample, Span]]]] = defaultdict(lambda: defaultdict(list))
        for sample, spans in self.pairs:
            for span in spans:
                if (span.data_class == "secret" or sample.set == "traps") and not overlaps(span, sample.labels):
                    hits[sample.set][sample.kind].append((sample, span))
        return hits


MEASURES = (
    Measure("secrets in agent-like prompts: fully covered", ">=", 0.95, lambda f: f.coverage("prompts")),
    Measure("  inline, without a keyword: fully covered", ">=", 0.90, lambda f: f.coverage("inline")),
    Measure("provider token formats: fully covered", ">=", 0.97, lambda f: f.coverage("tokens")),
    Measure("repository chunks: recall", ">=", 0.80, lambda f: f.coverage("repo")),
    Measure("repository chunks: precision", ">=", 0.90, lambda f: f.precision("repo")),
    Measure("repository chunks without a secret that are hit", "<=", 0.03, lambda f: f.hit_without_secret("repo")),
    Measure("prompts and tokens: precision", "", None, lambda f: f.precision("prompts", "inline", "tokens")),
    Measure("structured PII in code, logs, SQL, chat: covered", ">=", 0.99, lambda f: f.coverage("pii-code")),
    Measure("structured PII in prose: covered", ">=", 0.90, lambda f: f.coverage("pii-prose")),
    Measure("national numbers, addresses, wallets: covered", "", None, lambda f: f.coverage("pii-other")),
    Measure("traps: signatures, encrypted, ids, locks that are hit", "<=", 0, lambda f: f.trapped(strict=True)),
    Measure("traps: share that is hit", "<=", 0.01, lambda f: f.trapped(strict=False)),
)


def found(tool: Tool, samples: Sequence[Sample]) -> Found:
    """Runs a tool over the samples."""
    return Found([(sample, tool.find(sample.text)) for sample in samples])
