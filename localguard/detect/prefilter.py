"""One linear pass over a text that finds the windows worth a closer look.

Rules of this module: RE2, Aho-Corasick and Hyperscan only (linear time, they release the GIL), bytes only, nothing
decoded. Which of them does the first pass is seen in the time that it takes, and in nothing else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import re2
from ahocorasick_rs import BytesAhoCorasick, Implementation

from localguard.detect.expressions import line_breaks
from localguard.detect.finding import Window
from localguard.detect.multipattern import Matcher
from localguard.detect.required import MOST_LINE_BREAKS, is_rare, required
from localguard.detect.rules import RE2_OPTIONS, compile_pattern
from localguard.detect.spans import Search, Span, line_at, line_span, lines_after, lines_before, merged, spans

MOST_GATES: Final = 160  # in one alternation
MOST_LOOSE: Final = (
    6_000  # bytes of patterns in one alternation of gates that ignore case or look on along the line: see Prefilter
)
_FAR: Final = re.compile(rb"\[\^\\n(?:;\{\})?\]\*")  # anything up to something else on the line
_LONG_PROGRAM: Final = 200  # instructions of RE2: gates that count up to many characters are more
_BLOCK: Final = 262_144  # how much is looked through for literals at once
_MATCHED: Final = 131_072  # how much Hyperscan looks through at once: what matches too often there is left to RE2
_AT_LITERALS: Final = 1  # the bit of the gates that literals point at


@dataclass(frozen=True, slots=True)
class Gate:
    """What makes a window worth it for the detector `name`: an RE2 pattern that matches within one line.

    The detector needs the whole line of the match, and `reach` bytes after it, rounded up to whole lines. Patterns
    are kept cheap for a DFA: they start with something literal and repeat with `+` and `*` rather than with counts.
    """

    name: str
    pattern: bytes
    reach: int = 0
    apart: bool = False  # kept in an alternation of its own kind, because it would multiply the states of the others
    context: bool = False  # looks for telling words rather than for values: again an alternation of its own
    together: str = ""  # gates that look far ahead over their line name the pass that they share


@dataclass(frozen=True, slots=True)
class _Kind:
    """Gates of one kind: their alternation, which is fast, and their set, which says which of them match."""

    search: Search
    set: Any
    members: tuple[tuple[Gate, ...], ...]  # by index in the set: gates that share a pattern are searched for once

    @property
    def gates(self) -> Iterator[Gate]:
        """All of them."""
        return (gate for member in self.members for gate in member)

    def matching(self, text: bytes) -> list[Gate]:
        """The gates that match anywhere in `text`."""
        return [gate for member in self.set.Match(text) or () for gate in self.members[member]]


_Asked = list[tuple[Gate, int]]


class Prefilter:
    """All gates, compiled. Thread-safe.

    Gates that cannot do without a literal that is rare in code and prose are looked for where one of their literals
    stands: one Aho-Corasick pass for hundreds of them, and each gate's own pattern on the lines that it points at. Their
    number costs next to nothing, while a DFA over all of them would never fit its memory.

    The others are cut by kind: those that heed case, those of them that count far, those that ignore it, those that also
    look for something further on the line, those that look for telling words, and those that ask to stand apart. Their
    DFAs know little of each other, and apart they have far fewer states to build. Measured on 6 MB of Python and
    JavaScript with 298 gates, first and second pass of a process: 1,690 and 1,320 ms with one set for all gates, which
    never stops building; 660 and 67 ms with a set for each kind. 273 gates that heed case: 1,250 and 1,180 ms together,
    210 and 35 ms with those that count far apart. 92 gates that look on along the line, on 10 MB: 685 and 480 ms in one
    alternation, 300 and 58 ms in two.

    With a `Matcher` for its `patterns` all of them are looked for at once. RE2 looks only at the lines that it points at,
    and only for the patterns of which it is not sure. The windows are the same.
    """

    def __init__(self, gates: Sequence[Gate]) -> None:
        kinds: dict[tuple[bool | str, ...], list[Gate]] = {}
        pointed: dict[bytes, list[int]] = {}
        alone: list[Gate] = []
        for gate in gates:
            needs = required(gate.pattern)
            if not gate.context and is_rare(needs.literals):  # telling words are common
                for literal in needs.literals:
                    pointed.setdefault(literal, []).append(len(alone))
                alone.append(gate)
                continue
            folded = not gate.apart and b"(?i" in gate.pattern
            far = not gate.apart and bool(_FAR.search(gate.pattern))
            long = not (gate.apart or folded or far) and compile_pattern(gate.pattern).programsize > _LONG_PROGRAM
            endless = line_breaks(gate.pattern) is None
            kind = (gate.apart, gate.context, folded, far, long, gate.together, endless)
            kinds.setdefault(kind, []).append(gate)
        parts = [part for kind, members in kinds.items() for part in _parts(members, loose=bool(kind[2] or kind[3]))]
        self._order = {gate.name: index for index, gate in enumerate(gates)}
        self._compiled: dict[bytes, Any] = {}
        self._kinds = tuple(_kind(2 << number, part) for number, part in enumerate(parts))
        self._alone = tuple(alone)
        self._pointed = tuple(map(tuple, pointed.values()))
        self._longest = max(map(len, pointed), default=1)
        self._literals = BytesAhoCorasick(list(pointed), implementation=Implementation.DFA) if pointed else None
        self._searches: dict[int, Search] = {}  # of the gates that literals point at, by their place in _alone
        self._asked = self._by_pattern()
        self.patterns = tuple(self._asked)
        """What a `Matcher` for this prefilter is compiled from."""
        self._fast: tuple[Matcher, Sequence[_Asked], frozenset[int]] | None = None

    @property
    def accelerated(self) -> bool:
        """Whether a matcher is used."""
        return self._fast is not None

    def accelerate(self, matcher: Matcher | None) -> None:
        """Use a matcher for `patterns`, or RE2 alone. May be called at any time, from any thread."""
        if matcher is None:
            self._fast = None
            return
        asked = tuple(self._asked.values())
        pointed_at = {
            gate.name for number, gates in enumerate(asked) if number not in matcher.refused for gate, _ in gates
        }
        unasked = {at for at, gate in enumerate(self._alone) if gate.name not in pointed_at}
        unasked |= {-kind.search.bit for kind in self._kinds if not pointed_at.issuperset(g.name for g in kind.gates)}
        self._fast = matcher, asked, frozenset(unasked)

    def _by_pattern(self) -> dict[bytes, _Asked]:
        """For each pattern its gates and their search: their place in _alone, or minus the bit of their kind."""
        asked: dict[bytes, _Asked] = {}
        of_kinds = [(-kind.search.bit, gate) for kind in self._kinds for gate in kind.gates]
        for search, gate in [*enumerate(self._alone), *of_kinds]:
            asked.setdefault(gate.pattern, []).append((gate, search))
        return asked

    def windows(self, text: bytes) -> list[Window]:
        """The windows of `text`, by start. They overlap only where merging them would make one of over MAX_WINDOW."""
        fast = self._fast
        found = list(self._spans(text, 0, len(text)) if fast is None else self._pointed_spans(text, *fast))
        if not found:
            return []
        windows = []
        for start, end, cut_left, cut_right, bits in merged(found):
            piece = text[start:end]
            gates = self._gates_of(piece, bits)
            if gates:
                windows.append(Window(start, end, piece, gates, cut_left, cut_right))
        return windows

    def gates_of(self, text: bytes) -> tuple[str, ...]:
        """The names of the gates that match anywhere in `text`."""
        return self._gates_of(text, -1)

    def _gates_of(self, text: bytes, bits: int) -> tuple[str, ...]:
        """The names of the gates of the kinds in `bits` that match in `text`, in the order that they were given in."""
        fast = self._fast
        ends = fast[0].ends(text) if fast is not None else None
        matched: dict[bytes, bool] = {}
        if fast is None or ends is None:
            kinds = [kind for kind in self._kinds if kind.search.bit & bits]
            alone = {at for literal, _ in self._places(text, 0, len(text)) for at in self._pointed[literal]}
            asked = []
        else:
            kinds = [kind for kind in self._kinds if kind.search.bit & bits and -kind.search.bit in fast[2]]
            alone = {at for at in fast[2] if at >= 0}
            numbers = {number for number, _ in ends}
            asked = [one for number in numbers for one in fast[1][number]]
            matched.update((fast[1][number][0][0].pattern, True) for number in numbers & fast[0].exact)
        found = {gate.name for kind in kinds for gate in kind.matching(text)}
        asked += [(self._alone[at], at) for at in alone]
        for gate, search in asked:
            if (_AT_LITERALS if search >= 0 else -search) & bits:
                if gate.pattern not in matched:
                    matched[gate.pattern] = self._pattern(gate).search(text) is not None
                if matched[gate.pattern]:
                    found.add(gate.name)
        return tuple(sorted(found, key=self._order.__getitem__))

    def _spans(self, text: bytes, low: int, high: int) -> Iterator[Span]:
        """What RE2 finds by itself in the lines from `low` to `high`; line breaks, as `spans` knows them."""
        for kind in self._kinds:
            yield from spans(kind.search, text, low, high)
        yield from self._spans_at_literals(text, low, high)

    def _spans_at_literals(self, text: bytes, low: int, high: int) -> Iterator[Span]:
        last = -1
        seen: set[int] = set()
        gates: set[int] = set()
        begin, end = lines_before(text, low, MOST_LINE_BREAKS), lines_after(text, high, MOST_LINE_BREAKS + 1)
        for literal, start in self._places(text, begin, end):
            if start >= last:
                first, last = lines_before(text, start, 1), lines_after(text, start, 1)
                seen, gates = set(), set()
            if literal in seen:
                continue
            seen.add(literal)
            for at in self._pointed[literal]:
                if at not in gates:
                    gates.add(at)
                    sought = self._search(at)
                    breaks = sought.line_breaks  # a match may begin on the line that another one ends on
                    yield from spans(
                        sought,
                        text,
                        lines_before(text, first, breaks),
                        lines_after(text, last, breaks + 1),
                    )

    def _places(self, text: bytes, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Which literal stands where from `low` to `high`, block by block: a text full of them makes no list of them all."""
        if self._literals is None:
            return
        for position in range(low, high, _BLOCK):
            shift = max(low, position - self._longest + 1)
            block = text[shift : min(high, position + _BLOCK)].lower()
            for literal, start, end in self._literals.find_matches_as_indexes(block, overlapping=True):
                if shift + end > position:  # else it was found in the block before
                    yield literal, shift + start

    def _pointed_spans(
        self, text: bytes, matcher: Matcher, asked: Sequence[_Asked], unasked: frozenset[int]
    ) -> Iterator[Span]:
        """What RE2 finds where the matcher points."""
        for at in unasked:
            yield from spans(self._search(at), text, 0, len(text))
        low, size = 0, len(text)
        while low < size:
            high = lines_after(text, min(size, low + _MATCHED), 1)
            begin = lines_before(text, low, MOST_LINE_BREAKS) if low else 0
            piece = text if high - begin == size else memoryview(text)[begin:high]
            ends = matcher.ends(piece)
            if ends is None:
                yield from self._spans(text, low, high)
            else:
                yield from self._spans_told(text, low, begin, ends, matcher, asked)
            low = high

    def _spans_told(
        self,
        text: bytes,
        low: int,
        begin: int,
        ends: Sequence[tuple[int, int]],
        matcher: Matcher,
        asked: Sequence[_Asked],
    ) -> Iterator[Span]:
        """What stands at `ends` (from `begin` on) behind `low`: lines where the matcher is sure, else what RE2 finds before them."""
        doubtful: dict[int, set[int]] = {}
        lines: dict[tuple[int, int], int] = {}
        for number, at in ends:
            end = begin + at
            if end <= low:
                continue
            whole = line_at(text, end) if number in matcher.on_a_line else None
            if whole is not None:
                for _, search in asked[number]:
                    lines[whole[0], search] = whole[1]
                continue
            for _, search in asked[number]:
                doubtful.setdefault(search, set()).add(end)
        for (left, search), right in lines.items():
            yield line_span(self._search(search), text, left, right)
        yield from self._spans_before(text, doubtful)

    def _spans_before(self, text: bytes, ends: Mapping[int, set[int]]) -> Iterator[Span]:
        """What searches find in the lines before their `ends`: a match that ends there may begin there."""
        for at, places in ends.items():
            sought = self._search(at)
            done = 0
            for end in sorted(places):
                if end > done:
                    first = max(done, lines_before(text, end, sought.line_breaks + 1))
                    done = lines_after(text, end, 1)
                    yield from spans(sought, text, first, done)

    def _search(self, at: int) -> Search:
        """The search of a gate that literals point at, by its place in _alone, or of the kind with the bit -`at`."""
        if at < 0:
            return self._kinds[(-at).bit_length() - 2].search
        search = self._searches.get(at)
        if search is None:
            gate = self._alone[at]
            reach = partial(_same, gate.reach) if gate.reach else None
            breaks = required(gate.pattern).line_breaks
            search = self._searches[at] = Search(self._pattern(gate), _AT_LITERALS, reach, breaks)
        return search

    def _pattern(self, gate: Gate) -> Any:
        found = self._compiled.get(gate.pattern)
        if found is None:
            found = self._compiled[gate.pattern] = compile_pattern(gate.pattern)
        return found


def learn(gates: Iterable[Gate]) -> None:
    """Learn and remember what a `Prefilter` of these gates asks of their patterns."""
    for gate in gates:
        if gate.context or not is_rare(required(gate.pattern).literals):
            line_breaks(gate.pattern)


def _same(reach: int, _: bytes) -> int:
    return reach


def _furthest(reaching: Sequence[tuple[Any, int]], line: bytes) -> int:
    """How far after a line the gates in it look, in bytes; the furthest come first."""
    return next((reach for pattern, reach in reaching if pattern.search(line) is not None), 0)


def _parts(gates: Sequence[Gate], *, loose: bool) -> Iterator[Sequence[Gate]]:
    """`gates` in as many parts of equal size as keep each at MOST_GATES or fewer, and `loose` ones at MOST_LOOSE.

    Gates that share a pattern stay together.
    """
    sharing: dict[bytes, list[Gate]] = {}
    for gate in gates:
        sharing.setdefault(gate.pattern, []).append(gate)
    count = -(-len(sharing) // MOST_GATES)
    if loose:
        count = max(count, min(len(sharing), -(-sum(map(len, sharing)) // MOST_LOOSE)))
    members = list(sharing.values())
    for number in range(count):
        yield [gate for member in members[number::count] for gate in member]


def _kind(bit: int, gates: Sequence[Gate]) -> _Kind:
    members: dict[bytes, list[Gate]] = {}
    for gate in gates:
        members.setdefault(gate.pattern, []).append(gate)
    patterns = re2.Set.SearchSet(RE2_OPTIONS)
    for pattern in members:
        patterns.Add(pattern)
    patterns.Compile()
    by_reach: dict[int, list[bytes]] = {}
    for gate in gates:
        if gate.reach:
            by_reach.setdefault(gate.reach, []).append(gate.pattern)
    reaching = tuple((_alternation(by_reach[reach]), reach) for reach in sorted(by_reach, reverse=True))
    most = max(MOST_LINE_BREAKS if (count := line_breaks(pattern)) is None else count for pattern in members)
    search = Search(_alternation(members), bit, partial(_furthest, reaching) if reaching else None, most)
    return _Kind(search, patterns, tuple(map(tuple, members.values())))


def _alternation(patterns: Iterable[bytes]) -> Any:
    return compile_pattern(b"|".join(b"(?:" + pattern + b")" for pattern in dict.fromkeys(patterns)))
