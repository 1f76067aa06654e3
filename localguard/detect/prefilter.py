"""One linear pass over a text that finds the windows worth a closer look.

Rules of this module: RE2 only (linear time, releases the GIL), bytes only, nothing decoded, and windows are bounded
whatever the text looks like.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2

from localguard.detect.finding import Window
from localguard.detect.rules import RE2_OPTIONS, compile_pattern

LONG_LINE: Final = 4096  # lines up to here are taken whole
CUT: Final = 1280  # how much of a longer line is taken on either side of a match
MAX_RUN: Final = 65536  # how far a cut moves outwards to the end of the token that it would split
MAX_WINDOW: Final = 65536  # windows that overlap or touch are merged up to this size
_DELIMITERS: Final = (b" ", b"\n", b'"', b"'", b",", b";", b"<", b"&")

_Span = tuple[int, int, bool, bool]  # start, end, cut on the left, cut on the right


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


class Prefilter:
    """All gates, compiled. Thread-safe.

    The alternation is cut: gates that ignore case, gates that do not, and those that ask to stand apart. Their
    DFAs know little of each other, and apart they have far fewer states to build (measured on 11 MB of Python and
    JavaScript, first pass of a process: 310 ms in three, 560 ms with the third among the second; later passes 140 ms). Gates
    that look for telling words are apart from those that know values for the same reason (6 MB: 50 ms apart, 540 ms together).
    """

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._names = tuple(gate.name for gate in gates)
        self._reach = tuple(gate.reach for gate in gates)
        # Gates that share a pattern are one member of the set: it is searched once for all of them.
        members: dict[bytes, list[int]] = {}
        for index, gate in enumerate(gates):
            members.setdefault(gate.pattern, []).append(index)
        self._members = tuple(members.values())
        self._set = re2.Set.SearchSet(RE2_OPTIONS)
        for pattern in members:
            self._set.Add(pattern)
        self._set.Compile()
        kinds: dict[tuple[bool, bool, bool], list[bytes]] = {}
        for gate in gates:
            kind = (gate.apart, gate.context, not gate.apart and b"(?i" in gate.pattern)
            kinds.setdefault(kind, []).append(gate.pattern)
        self._passes: tuple[Any, ...] = tuple(_alternation(patterns) for patterns in kinds.values())

    def windows(self, text: bytes) -> list[Window]:
        """The windows of `text`, by start. They overlap only where merging them would make one of over MAX_WINDOW."""
        spans = [span for expression in self._passes for span in self._spans(expression, text)]
        if not spans:
            return []
        windows = []
        for start, end, cut_left, cut_right in _merge(spans):
            piece = text[start:end]
            gates = self.gates_of(piece)
            if gates:
                windows.append(Window(start, end, piece, gates, cut_left, cut_right))
        return windows

    def gates_of(self, text: bytes) -> tuple[str, ...]:
        """The names of the gates that match anywhere in `text`."""
        return tuple(self._names[index] for index in sorted(self._matching(text)))

    def _matching(self, text: bytes) -> list[int]:
        return [index for member in self._set.Match(text) or () for index in self._members[member]]

    def _spans(self, expression: Any, text: bytes) -> Iterator[_Span]:
        """Around each match its line, or CUT bytes on each side of it, and what the gates there reach for.

        Goes on after the line rather than after the match, so that the number of steps is bounded by the lines: which
        gates match is looked up on the window itself.
        """
        position, size = 0, len(text)
        while position < size:
            found = expression.search(text, position)
            if found is None:
                return
            start, end = found.span()
            left, cut_left = _line_start(text, start)
            right, cut_right = _line_end(text, max(end, start + 1))
            reach = max((self._reach[index] for index in self._matching(text[left:right])), default=0)
            if reach and right < size:
                far, cut_far = _line_end(text, min(size, right + reach))
                yield left, far, cut_left, cut_far
            else:
                yield left, right, cut_left, cut_right
            position = max(right - CUT, end, position + 1) if cut_right else right + 1


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
    start, end, cut_left, cut_right = spans[0]
    for next_start, next_end, next_cut_left, next_cut_right in spans[1:]:
        if next_end <= end:
            continue
        if next_start <= end + 1 and next_end - start <= MAX_WINDOW:
            end, cut_right = next_end, next_cut_right
            continue
        yield start, end, cut_left, cut_right
        start, end, cut_left, cut_right = next_start, next_end, next_cut_left, next_cut_right
    yield start, end, cut_left, cut_right
