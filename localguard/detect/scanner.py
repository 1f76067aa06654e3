"""The detectors put together: candidates, examination, and one answer per value."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from localguard.detect.decorated import undecorated
from localguard.detect.finding import Finding, Window
from localguard.detect.multipattern import Matcher
from localguard.detect.normalise import ENCODED, NormaliseEngine
from localguard.detect.prefilter import Gate, Prefilter
from localguard.detect.rule_engine import RuleEngine, gate_of
from localguard.detect.rules import Rule
from localguard.detect.structured import MESSAGE
from localguard.detect.types import precedence


class Engine(Protocol):
    """An extension point: a family of detectors with their gates.

    `gates` must not import anything heavy; `load` may, and runs in the worker only.
    """

    @property
    def gates(self) -> Sequence[Gate]:
        """One gate per detector of this engine; names are unique over all engines."""
        ...

    def load(self) -> None:
        """Builds the detectors. Idempotent. Called before the first `examine`."""
        ...

    def examine(self, window: Window) -> Iterable[Finding]:
        """The findings of the detectors whose gates matched in `window`; offsets are in the whole text."""
        ...


class Scanner:
    """Built once from rules and engines.

    `candidates` is thread-safe, linear in the text and imports no engine. `examine` builds the engines on first use
    and may take long on hostile text, so it belongs into a worker process under a deadline.
    """

    def __init__(self, rules: Sequence[Rule], engines: Sequence[Engine] = ()) -> None:
        self._rules = RuleEngine(rules)
        self._engines = tuple(engines)
        self._gates = [frozenset(gate.name for gate in engine.gates) for engine in engines]
        self._loaded: set[int] = set()
        gates = [gate_of(rule) for rule in rules]
        for engine in engines:
            gates.extend(engine.gates)
        self._prefilter = Prefilter(gates)
        for engine in engines:
            if isinstance(engine, NormaliseEngine):
                engine.share(self._prefilter, self._rules)

    @property
    def patterns(self) -> Sequence[bytes]:
        """What a matcher for `accelerate` is compiled from."""
        return self._prefilter.patterns

    @property
    def accelerated(self) -> bool:
        """Whether `candidates` uses a matcher."""
        return self._prefilter.accelerated

    def accelerate(self, matcher: Matcher | None) -> None:
        """Have `candidates` use a matcher of `patterns`. It finds the same as without. Callable at any time."""
        self._prefilter.accelerate(matcher)

    def candidates(self, text: bytes) -> list[Window]:
        """The windows of the UTF-8 `text` in which some detector's gate matches, by start."""
        return self._prefilter.windows(text)

    def load(self) -> None:
        """Builds the engines now, rather than at the first `examine`."""
        for number in range(len(self._engines)):
            self._load(number)

    def _load(self, number: int) -> Engine:
        engine = self._engines[number]
        if number not in self._loaded:
            engine.load()
            self._loaded.add(number)
        return engine

    def examine(self, windows: Sequence[Window]) -> list[Finding]:
        """The findings in `windows`, sorted by start, overlaps resolved; offsets are in the whole text.

        Engines that none of the windows is for are not loaded.
        """
        findings: list[Finding] = []
        for window in windows:
            findings.extend(undecorated(self._rules.examine(window), window))
            for number, gates in enumerate(self._gates):
                if not gates.isdisjoint(window.gates):
                    findings.extend(self._load(number).examine(window))
        return resolve(findings)

    def scan(self, text: bytes) -> list[Finding]:
        """`examine(candidates(text))`."""
        return self.examine(self.candidates(text))

    def by_rules(self, text: bytes, is_over: Callable[[], bool] = lambda: False) -> list[Finding]:
        """What our own rules find in `text`: linear time, no engine, so fit for any thread.

        Raises TimeoutError where `is_over` says so before it begins or between two windows.
        """
        if is_over():
            raise TimeoutError
        found: list[Finding] = []
        for window in self.candidates(text):
            if is_over():
                raise TimeoutError
            found += undecorated(self._rules.examine(window), window)
        return resolve(found)

    def whole(self, text: bytes) -> list[Finding]:
        """What the detectors with their gates find on the whole text, without windows. Slow: the measure for tests."""
        return self.examine([Window(0, len(text), text, self._prefilter.gates_of(text))])


def resolve(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted by start and free of overlaps.

    Of findings with one span the type that comes first in the published table wins, and it is distinctive if any of
    them was; a finding inside another is covered by it, and names it where it is most of it; findings that overlap partly become one over both, named by
    the first type in the table. A value in plain that the same rule takes to go on behind a joint of literals stays a finding
    of its own: which of the two it is cannot be told, and elsewhere it may stand alone.
    """
    resolved: list[Finding] = []
    plain: dict[tuple[int, int], Finding] = {}
    for finding in sorted(_known(set(findings)), key=_order):
        last = resolved[-1] if resolved else None
        if last is None or finding.start >= last.end:
            resolved.append(finding)
        elif finding.start == last.start and finding.end == last.end:
            resolved[-1] = replace(last, distinctive=last.distinctive or finding.distinctive)
        elif finding.start == last.start and last.rule == f"{finding.rule}{ENCODED}":
            plain.setdefault((last.start, last.end), finding)
        elif finding.end > last.end:
            named = min(last, finding, key=lambda f: precedence(f.type))
            resolved[-1] = replace(named, start=last.start, end=finding.end)
        elif 2 * (finding.end - finding.start) > last.end - last.start and precedence(finding.type) < precedence(
            last.type
        ):
            resolved[-1] = replace(finding, start=last.start, end=last.end)
    return [part for one in resolved for part in _parts(one, plain.get((one.start, one.end)))]


def _known(findings: Collection[Finding]) -> Collection[Finding]:
    """`findings`; where one is there only because its text says nothing else, and others know something in it, it is theirs.

    Whoever knows that the text is no message leaves out what goes by `MESSAGE` alone, and may not lose theirs with it.
    """
    others = [one for one in findings if one.rule != MESSAGE]
    if not others or len(others) == len(findings):
        return findings
    spans = {(one.start, one.end) for one in others}
    rule = min(others, key=_order).rule
    wider = [one for one in findings if one.rule == MESSAGE and (one.start, one.end) not in spans]
    return [*others, *(replace(one, rule=rule) for one in wider)]


def _parts(whole: Finding, plain: Finding | None) -> list[Finding]:
    """A value that goes on in disguise where the same rule ends it in plain: known by itself as well, with what follows beside it."""
    return [whole] if plain is None else [plain, replace(whole, start=plain.end, distinctive=False)]


def _order(finding: Finding) -> tuple[int, int, tuple[int, str], bool, str]:
    """By start, the longer first, then by type; of equals our own rules name the finding before the engines do."""
    of_engine = finding.rule.startswith(("detect-secrets/", "presidio/"))
    return finding.start, -finding.end, precedence(finding.type), of_engine, finding.rule
