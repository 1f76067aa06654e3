"""Finding thousands of byte strings in one pass: a few bytes of each are looked for, and then the whole of it.

An automaton over whole patterns of some length outgrows the processor's caches; over six bytes of each it does not,
and reads a text three times as fast. Which six: such as are rare in prose and source code.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

WINDOW = 6
_RARE = re.compile(rb"(?=.{0,5}[A-Z])(?=.{0,5}[0-9]).{6}|(?=.{0,5}[0-9])(?=.{0,5}[a-z@%&=+/]).{6}", re.DOTALL)
_MAX_DFA = 4096
"""Windows. A DFA reads more than twice as fast as an NFA, takes six times as long to build and 1.5 KB for each of them."""
_SHARED = 4
"""Patterns that may have their window in common before others are tried."""
_SLICE = 64 * 1024
_LEAST_BUDGET = 512
_BYTES_A_CANDIDATE = 64
"""Bytes of a text for each candidate that is looked at. One costs as much time as an automaton needs for 100 bytes."""


class Windows:
    """The occurrences of `patterns` in texts. Immutable; built when it is first asked.

    `cores` are a slice of each pattern, from which its window is taken. None of them is empty.
    """

    def __init__(self, patterns: Sequence[bytes], cores: Sequence[bytes]) -> None:
        self._patterns = patterns
        self._cores = cores

    def find(self, text: bytes) -> list[tuple[int, int]] | None:
        """(start, index) of every occurrence of a pattern in `text`, in no order; they may overlap.

        None if windows stand in the text so often that another way is faster.
        """
        found: list[tuple[int, int]] = []
        for at, window in self._candidates(text):
            if window is None:
                return None
            for index, offset, before in window:
                start = at - before - offset
                if start >= 0 and text.startswith(self._patterns[index], start):
                    found.append((start, index))
        return found

    def holds_core(self, text: bytes) -> bool | None:
        """Whether one of the cores stands in `text`; None as in `find`."""
        for at, window in self._candidates(text):
            if window is None:
                return None
            for index, offset, _ in window:
                if at >= offset and text.startswith(self._cores[index], at - offset):
                    return True
        return False

    def _candidates(self, text: bytes) -> Iterator[tuple[int, list[tuple[int, int, int]] | None]]:
        """Where a window stands in `text`, and of which patterns; None at the end of the budget."""
        automaton, windows = self._built
        budget = _LEAST_BUDGET + len(text) // _BYTES_A_CANDIDATE
        view = memoryview(text)
        for begin in range(0, len(text), _SLICE):
            piece = view[begin : begin + _SLICE + WINDOW - 1]
            for index, at, _ in automaton.find_matches_as_indexes(piece, overlapping=True):
                if at >= _SLICE:
                    continue  # it is the next slice's
                window = windows[index]
                budget -= len(window)
                if budget < 0:
                    yield begin + at, None
                    return
                yield begin + at, window

    @cached_property
    def _built(self) -> tuple[BytesAhoCorasick, list[list[tuple[int, int, int]]]]:
        """What finds the windows; for each which patterns have it, where in their cores, and where those begin."""
        windows: dict[bytes, list[tuple[int, int, int]]] = {}
        for index, (pattern, core) in enumerate(zip(self._patterns, self._cores, strict=True)):
            rare = _RARE.search(core)
            at = rare.start() if rare is not None else 0
            having = windows.setdefault(core[at : at + WINDOW], [])
            if len(having) >= _SHARED:
                at = min(_others(core), key=lambda at: len(windows.get(core[at : at + WINDOW], ())))
                having = windows.setdefault(core[at : at + WINDOW], [])
            having.append((index, at, pattern.index(core)))
        kind = Implementation.DFA if len(windows) <= _MAX_DFA else Implementation.ContiguousNFA
        automaton = BytesAhoCorasick(list(windows), matchkind=MatchKind.Standard, implementation=kind)
        return automaton, list(windows.values())


def _others(core: bytes) -> Iterator[int]:
    """Where else a window of `core` may begin."""
    for match in _RARE.finditer(core):
        yield match.start()
    for part in range(4):
        yield max(0, len(core) - WINDOW) * part // 3
