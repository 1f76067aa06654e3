"""One linear pass over a text that finds the windows worth a closer look.

Rules of this module: RE2 and Aho-Corasick only (linear time, they release the GIL), bytes only, nothing decoded, and
windows are bounded whatever the text looks like.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

import re2
from ahocorasick_rs import BytesAhoCorasick, Implementation

from localguard.detect.finding import Window
from localguard.detect.required import is_rare, required
from localguard.detect.rules import RE2_OPTIONS, compile_pattern

LONG_LINE: Final = 4096  # lines up to here are taken whole
CUT: Final = 1280  # how much of a longer line is taken on either side of a match
MAX_SEARCH: Final = (
    262_144  # bytes that a gate looks over at once: one that looks on along its line must not do so for ever
)
MAX_RUN: Final = 65536  # how far a cut moves outwards to the end of the token that it would split
MAX_WINDOW: Final = 65536  # windows that overlap or touch are merged up to this size
MOST_GATES: Final = 160  # in one alternation
MOST_LOOSE: Final = (
    6_000  # bytes of patterns in one alternation of gates that ignore case or look on along the line: see Prefilter
)
_FAR: Final = re.compile(rb"\[\^\\n(?:;\{\})?\]\*")  # anything up to something else on the line
_LONG_PROGRAM: Final = 200  # instructions of RE2: gates that count up to many characters are more
_BLOCK: Final = 262_144  # how much is looked through for literals at once
_AT_LITERALS: Final = 1  # the bit of the gates that literals point at
_DELIMITERS: Final = (b" ", b"\n", b'"', b"'", b",", b";", b"<", b"&")

_Span = tuple[int, int, bool, bool, int]  # start, end, cut on the left, cut on the right, the kinds (bits) that matched


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

    bit: int
    alternation: Any
    set: Any
    members: tuple[tuple[Gate, ...], ...]  # by index in the set: gates that share a pattern are searched for once
    reaching: tuple[tuple[Any, int], ...]

    @property
    def reach(self) -> Callable[[bytes], int] | None:
        """How far after a line its gates look, in bytes; None where none of this kind looks any further."""
        return self._reach if self.reaching else None

    def _reach(self, line: bytes) -> int:
        return max((reach for pattern, reach in self.reaching if pattern.search(line) is not None), default=0)

    def matching(self, text: bytes) -> list[Gate]:
        """The gates that match anywhere in `text`."""
        return [gate for member in self.set.Match(text) or () for gate in self.members[member]]


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
    """

    def __init__(self, gates: Sequence[Gate]) -> None:
        kinds: dict[tuple[bool | str, ...], list[Gate]] = {}
        pointed: dict[bytes, list[tuple[Gate, int]]] = {}
        for gate in gates:
            needs = required(gate.pattern)
            if not gate.context and is_rare(needs.literals):  # telling words are common
                for literal in needs.literals:
                    pointed.setdefault(literal, []).append((gate, needs.line_breaks))
                continue
            folded = not gate.apart and b"(?i" in gate.pattern
            far = not gate.apart and bool(_FAR.search(gate.pattern))
            long = not (gate.apart or folded or far) and compile_pattern(gate.pattern).programsize > _LONG_PROGRAM
            kinds.setdefault((gate.apart, gate.context, folded, far, long, gate.together), []).append(gate)
        parts = [part for kind, members in kinds.items() for part in _parts(members, loose=bool(kind[2] or kind[3]))]
        self._kinds = tuple(_kind(2 << number, part) for number, part in enumerate(parts))
        self._order = {gate.name: index for index, gate in enumerate(gates)}
        self._compiled: dict[bytes, Any] = {}
        self._pointed = tuple(map(tuple, pointed.values()))
        self._longest = max(map(len, pointed), default=1)
        self._literals = BytesAhoCorasick(list(pointed), implementation=Implementation.DFA) if pointed else None

    def windows(self, text: bytes) -> list[Window]:
        """The windows of `text`, by start. They overlap only where merging them would make one of over MAX_WINDOW."""
        spans = [
            span for kind in self._kinds for span in _spans(kind.alternation, text, 0, len(text), kind.bit, kind.reach)
        ]
        spans += self._spans_at_literals(text)
        if not spans:
            return []
        windows = []
        for start, end, cut_left, cut_right, bits in _merge(spans):
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
        found = [gate.name for kind in self._kinds if kind.bit & bits for gate in kind.matching(text)]
        if bits & _AT_LITERALS:
            pointed = {gate.name: gate for literal, _ in self._places(text) for gate, _ in self._pointed[literal]}
            found += [name for name, gate in pointed.items() if self._pattern(gate).search(text) is not None]
        return tuple(sorted(found, key=self._order.__getitem__))

    def _places(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Which literal stands where, block by block: a text full of them makes no list of all its places."""
        if self._literals is None:
            return
        lowered = text.lower()
        for low in range(0, len(lowered), _BLOCK):
            shift = max(0, low - self._longest + 1)
            block = lowered[shift : low + _BLOCK] if len(lowered) > _BLOCK else lowered
            for literal, start, end in self._literals.find_matches_as_indexes(block, overlapping=True):
                if shift + end > low:  # else it was found in the block before
                    yield literal, shift + start

    def _spans_at_literals(self, text: bytes) -> Iterator[_Span]:
        left, right = 0, -1
        literals: set[int] = set()
        gates: set[str] = set()
        for literal, start in self._places(text):
            if start > right:
                left = text.rfind(b"\n", max(0, right), start) + 1
                right = text.find(b"\n", start)
                right = right if right >= 0 else len(text)
                literals, gates = set(), set()
            if literal in literals:
                continue
            literals.add(literal)
            for gate, line_breaks in self._pointed[literal]:
                if gate.name not in gates:
                    gates.add(gate.name)
                    reach = partial(_same, gate.reach) if gate.reach else None
                    pattern = self._pattern(gate)
                    if not line_breaks:
                        yield from _spans(pattern, text, left, right, _AT_LITERALS, reach)
                        continue
                    low, high = _lines_around(text, left, right, line_breaks)
                    while low < high:  # a match may begin on the line that another one ends on
                        yield from islice(_spans(pattern, text, low, high, _AT_LITERALS, reach), 1)
                        low = text.find(b"\n", low, high) + 1 or high

    def _pattern(self, gate: Gate) -> Any:
        found = self._compiled.get(gate.pattern)
        if found is None:
            found = self._compiled[gate.pattern] = compile_pattern(gate.pattern)
        return found


def _lines_around(text: bytes, left: int, right: int, count: int) -> tuple[int, int]:
    """The line `text[left:right]` with `count` lines before it and after it."""
    for _ in range(count):
        left = text.rfind(b"\n", 0, max(0, left - 1)) + 1
        right = text.find(b"\n", right + 1)
        if right < 0:
            right = len(text)
    return left, right


def _same(reach: int, _: bytes) -> int:
    return reach


def _spans(
    expression: Any, text: bytes, position: int, size: int, bit: int, reach_of: Callable[[bytes], int] | None
) -> Iterator[_Span]:
    """Around each match its line, or CUT bytes on each side of it, and what the gates there reach for.

    Looked at is `text[position:size]`, which is whole lines; `reach_of` says how far the gates of a line reach. Goes on
    after the line rather than after the match, so that the number of steps is bounded by the lines: which gates match is
    looked up on the window itself.
    """
    while position < size:
        limit = min(size, position + MAX_SEARCH)
        found = expression.search(text, position, limit)
        if found is None:
            if limit == size:
                return
            position = _next_search(text, position, limit)
            continue
        start, end = found.span()
        left, cut_left = _line_start(text, start)
        right, cut_right = _line_end(text, max(end, start + 1))
        reach = reach_of(text[left:right]) if reach_of is not None else 0
        if reach and right < len(text):
            far, cut_far = _line_end(text, min(len(text), right + reach))
            yield left, far, cut_left, cut_far, bit
        else:
            yield left, right, cut_left, cut_right, bit
        position = max(right - CUT // 2, end, position + 1) if cut_right else right + 1


def _next_search(text: bytes, position: int, limit: int) -> int:
    """Where to go on when `text[position:limit]` holds no match: behind its last line, or inside of a long one."""
    line = text.rfind(b"\n", position, limit) + 1
    return line if line > limit - MAX_SEARCH // 2 else limit - MAX_RUN


def _parts(gates: Sequence[Gate], *, loose: bool) -> Iterator[Sequence[Gate]]:
    """`gates` in as many parts of equal size as keep each at MOST_GATES or fewer, and `loose` ones at MOST_LOOSE."""
    count = -(-len(gates) // MOST_GATES)
    if loose:
        count = max(count, min(len(gates), -(-sum(len(gate.pattern) for gate in gates) // MOST_LOOSE)))
    for number in range(count):
        yield gates[number::count]


def _kind(bit: int, gates: Sequence[Gate]) -> _Kind:
    members: dict[bytes, list[Gate]] = {}
    for gate in gates:
        members.setdefault(gate.pattern, []).append(gate)
    patterns = re2.Set.SearchSet(RE2_OPTIONS)
    for pattern in members:
        patterns.Add(pattern)
    patterns.Compile()
    reaching = tuple((compile_pattern(gate.pattern), gate.reach) for gate in gates if gate.reach)
    return _Kind(bit, _alternation(members), patterns, tuple(map(tuple, members.values())), reaching)


def _alternation(patterns: Iterable[bytes]) -> Any:
    return compile_pattern(b"|".join(b"(?:" + pattern + b")" for pattern in dict.fromkeys(patterns)))


def _line_start(text: bytes, start: int) -> tuple[int, bool]:
    """Where the window of a match at `start` begins, and whether that is inside a line."""
    low = max(0, start - LONG_LINE)
    left = text.rfind(b"\n", low, start) + 1
    if left or not low:
        return left, False
    at = max(0, start - CUT)
    low = max(0, at - MAX_RUN)
    for delimiter in _DELIMITERS:
        low = max(low, text.rfind(delimiter, low, at) + 1)
    return _character_boundary(text, low), low > 0


def _line_end(text: bytes, end: int) -> tuple[int, bool]:
    """Where the window of a match that ends at `end` stops, and whether that is inside a line."""
    size = len(text)
    high = min(size, end + LONG_LINE)
    right = text.find(b"\n", end - 1, high)
    if right >= 0:
        return max(right, end), False
    if high == size:
        return size, False
    at = min(size, end + CUT)
    high = min(size, at + MAX_RUN)
    for delimiter in _DELIMITERS:
        found = text.find(delimiter, at, high)
        high = found if found >= 0 else high
    return _character_boundary(text, high), high < size


def _character_boundary(text: bytes, position: int) -> int:
    """The start of the UTF-8 character that `position` lies in."""
    while 0 < position < len(text) and text[position] & 0xC0 == 0x80:
        position -= 1
    return position


def _merge(spans: list[_Span]) -> Iterator[_Span]:
    """Windows that overlap or touch become one, up to MAX_WINDOW; one inside another is dropped at any size."""
    spans.sort(key=lambda span: (span[0], -span[1]))
    start, end, cut_left, cut_right, bits = spans[0]
    for next_start, next_end, next_cut_left, next_cut_right, next_bits in spans[1:]:
        if next_end <= end:
            bits |= next_bits
            continue
        if next_start <= end + 1 and next_end - start <= MAX_WINDOW:
            end, cut_right, bits = next_end, next_cut_right, bits | next_bits
            continue
        yield start, end, cut_left, cut_right, bits
        start, end, cut_left, cut_right, bits = next_start, next_end, next_cut_left, next_cut_right, next_bits
    yield start, end, cut_left, cut_right, bits
