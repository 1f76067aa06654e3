"""Finding known values again, everywhere: multi-pattern automata in levels, and what counts as a token boundary."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from localguard.redact.encodings import Embedded
from localguard.redact.windows import WINDOW, Windows

MAX_PATTERNS = 30_000
MAX_PATTERN_BYTES = 4 * 1024 * 1024
_MAX_ENCODED = MAX_PATTERNS // 2
"""Beyond so many patterns values learnt are looked for in their plain spellings only."""
MAX_PATTERN_LENGTH = 64 * 1024
_GROUP = 32
"""Patterns that ahocorasick's packed search takes at once on every processor: 14 GB/s, where an automaton of hundreds of
patterns reads 200 MB/s. Reading a text once for each group pays up to some hundreds of patterns."""
_MAX_GROUPS = 16
"""Beyond so many the patterns become one level, which is looked for by windows."""
_BYTES_A_CALL = 50
"""Bytes that an automaton reads in the time of one more call."""

SHORT = WINDOW
"""Bytes. Shorter cores stand in so many texts that counting all their places would cost more than one search each."""
_SLICE = 256 * 1024
_ALNUM_RUN = re.compile(rb"[A-Za-z0-9]+")
_NEVER_ESCAPED = re.compile(rb"[A-Za-z0-9 !#%&()*+,./:;<=>?@\[\]^_{|}~-]+")
"""Neither by JSON nor by shells."""
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_START = re.compile(rb"[^A-Za-z0-9_]|(?<![A-Za-z0-9_])[A-Za-z0-9_]")
# The word characters before a value may belong to an escape and not to a token: `\n`, `%3D`, the `m` of a colour code.
_ESCAPE = re.compile(
    rb"(?:\\(?:[abefnrtv0]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[0-7]{3})|%[0-9A-Fa-f]{2}"
    rb"|(?:\x1b|\\x1[bB]|\\u001[bB]|\\033|\\e)\[[0-9;]{0,12}[A-Za-z])\Z"
)
_ESCAPE_REACH = 24


@dataclass(frozen=True, slots=True)
class Pattern:
    """One byte string to look for, and under which type and class its value is known."""

    text: bytes
    type: str
    data_class: str
    embedded: Embedded | None = None
    """Set for an encoded spelling, which counts wherever it stands."""


@dataclass(frozen=True)
class Level:
    """An immutable set of patterns with what finds them, which is built when it is first asked."""

    patterns: tuple[Pattern, ...]

    @cached_property
    def automaton(self) -> BytesAhoCorasick:
        """Leftmost-longest automaton over the patterns, in their order."""
        return automaton_of([pattern.text for pattern in self.patterns])

    @cached_property
    def windows(self) -> Windows | None:
        """What finds the patterns sooner, if there are many."""
        if len(self.patterns) <= _GROUP * _MAX_GROUPS:
            return None
        texts = [pattern.text for pattern in self.patterns]
        return Windows(
            texts, [core if len(core) >= SHORT else text for core, text in zip(self._cores, texts, strict=True)]
        )

    def may_hold(self, raw: bytes) -> bool:
        """Whether a pattern may stand in `raw`, however that spells it: some core does."""
        if any(core in raw for core in self._short_cores):
            return True
        held = self.windows.holds_core(raw) if self.windows is not None else None
        if held is not None:
            return held
        return self._core_automaton is not None and holds(self._core_automaton, raw, self.longest)

    @cached_property
    def _cores(self) -> tuple[bytes, ...]:
        return tuple(core_of(pattern.text) for pattern in self.patterns)

    @cached_property
    def _short_cores(self) -> tuple[bytes, ...]:
        return tuple(core for core in self._cores if len(core) < SHORT)

    @cached_property
    def _core_automaton(self) -> BytesAhoCorasick | None:
        cores = [core for core in self._cores if len(core) >= SHORT]
        if cores == [pattern.text for pattern in self.patterns]:
            return self.automaton
        return automaton_of(cores) if cores else None

    @cached_property
    def longest(self) -> int:
        """Length in bytes of the longest pattern."""
        return max(len(pattern.text) for pattern in self.patterns)

    @cached_property
    def shorter(self) -> tuple[int, ...]:
        """For each pattern the longest other one that is its prefix and may end within it, or -1."""
        answer = [-1] * len(self.patterns)
        open_prefixes: list[int] = []
        for index in sorted(range(len(self.patterns)), key=lambda at: self.patterns[at].text):
            text = self.patterns[index].text
            while open_prefixes and not text.startswith(self.patterns[open_prefixes[-1]].text):
                open_prefixes.pop()
            if open_prefixes:
                parent = open_prefixes[-1]
                prefix = self.patterns[parent]
                ends_well = prefix.embedded is not None or ends_at_boundary(text, len(prefix.text))
                answer[index] = parent if ends_well else answer[parent]
            open_prefixes.append(index)
        return tuple(answer)


_NONE = Level(())


def automaton_of(texts: Sequence[bytes]) -> BytesAhoCorasick:
    """A leftmost-longest automaton: of the kinds of matches only the leftmost ones have the packed search."""
    return BytesAhoCorasick(texts, matchkind=MatchKind.LeftmostLongest, implementation=Implementation.ContiguousNFA)


def holds(automaton: BytesAhoCorasick, text: bytes, longest: int) -> bool:
    """Whether `automaton`, whose patterns are `longest` bytes at most, finds anything; ends soon after it does."""
    view = memoryview(text)
    return any(
        automaton.find_matches_as_indexes(view[start : start + _SLICE + longest])
        for start in range(0, len(text), _SLICE)
    )


class Sweep:
    """The distinctive known values of a workspace, as patterns. Not thread-safe: `Vault` holds the lock.

    A new value changes the last group of patterns and no other: what was built for the others stays.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._known: dict[bytes, Pattern] = {}
        self._bytes = 0
        self._old = self._last = _NONE
        self._groups: list[Level] = []
        self._merged: list[Level] = []
        self._arrange()

    def levels(self, size: int) -> Sequence[Level]:
        """What to look for in a text of `size` bytes: every pattern is in one of the levels.

        Long texts are read by many small groups, short ones by few large levels.
        """
        fine, coarse = self._fine, self._coarse
        return fine if size * len(coarse) >= _BYTES_A_CALL * len(fine) else coarse

    def add(self, pattern: Pattern) -> bool:
        """Look for `pattern` from now on; False if it was looked for already or is too long to be."""
        if not pattern.text or len(pattern.text) > MAX_PATTERN_LENGTH or pattern.text in self._known:
            return False
        if pattern.embedded is not None and (len(self._known) > _MAX_ENCODED or self._bytes > MAX_PATTERN_BYTES // 2):
            return False
        self._known[pattern.text] = pattern
        self._bytes += len(pattern.text)
        if len(self._known) > MAX_PATTERNS or self._bytes > MAX_PATTERN_BYTES:
            self._drop_oldest()
        else:
            self._last = Level((*self._last.patterns, pattern))
            self._close_full_group()
            self._arrange()
        return True

    def remove(self, texts: Collection[bytes]) -> None:
        """Look for these patterns no longer."""
        gone = [text for text in texts if self._known.pop(text, None) is not None]
        if gone:
            self._bytes -= sum(map(len, gone))
            self._arrange_anew()

    def _drop_oldest(self) -> None:
        while len(self._known) > MAX_PATTERNS * 3 // 4 or self._bytes > MAX_PATTERN_BYTES * 3 // 4:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._bytes -= len(oldest)
            self.dropped += 1
        self._arrange_anew()

    def _arrange_anew(self) -> None:
        """Arrange what is known in groups, or in one level if it would be too many of them."""
        self._old = self._last = _NONE
        self._groups, self._merged = [], []
        patterns = tuple(self._known.values())
        if len(patterns) > _MAX_GROUPS * _GROUP:
            self._old = Level(patterns)
        else:
            for start in range(0, len(patterns), _GROUP):
                self._last = Level(patterns[start : start + _GROUP])
                self._close_full_group()
        self._arrange()

    def _close_full_group(self) -> None:
        """Put the last group beside the others if it is full; merge what is as large as its neighbour."""
        if len(self._last.patterns) < _GROUP:
            return
        self._groups.append(self._last)
        self._merged.append(self._last)
        self._last = _NONE
        while len(self._merged) > 1 and len(self._merged[-1].patterns) == len(self._merged[-2].patterns):
            later = self._merged.pop()
            self._merged[-1] = Level(self._merged[-1].patterns + later.patterns)
        if len(self._groups) > _MAX_GROUPS:
            self._old = Level(tuple(self._known.values()))
            self._groups, self._merged = [], []

    def _arrange(self) -> None:
        old, last = ([level] if level.patterns else [] for level in (self._old, self._last))
        self._fine = (*old, *self._groups, *last)
        self._coarse = (*old, *self._merged, *last)


def occurrences(level: Level, text: bytes, low: int, high: int) -> Iterator[tuple[int, int, Pattern]]:
    """Yield (start, end, pattern) of each known value at token boundaries in `text[low:high]`; they may overlap.

    What stands beside the region counts for its edges: an own placeholder there is a token's end and no boundary. Linear in the text but for values that overlap each other, for which a
    budget of some eight passes is kept; beyond it a hit counts whatever stands beside it (too much is replaced, and comes
    back on restoring; nothing is missed that was hit).
    """
    region = text[low:high] if low or high < len(text) else text
    found = level.windows.find(region) if level.windows is not None else None
    if found is not None:
        yield from _longest(level, text, low, found)
        return
    budget = 8 * len(region) + 65536
    for index, start, end in level.automaton.find_matches_as_indexes(region):
        reach = end
        at = start
        while True:
            yield from _accepted(level, text, index, low + at, strict=budget > 0)
            following = _START.search(region, at + 1, reach)
            if following is None or budget <= 0:
                break
            at = following.start()
            window = region[at : reach + level.longest]
            budget -= len(window)
            inner = level.automaton.find_matches_as_indexes(window)
            if not inner or at + inner[0][1] >= reach:
                break
            index, at = inner[0][0], at + inner[0][1]
            reach = max(reach, at + len(level.patterns[index].text))


def _longest(
    level: Level, text: bytes, low: int, found: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int, Pattern]]:
    """Of what was `found` behind `low` at one place (start, index of the pattern) the longest at token boundaries."""
    hits = [(low + start, level.patterns[index]) for start, index in found]
    hits.sort(key=lambda hit: (hit[0], -len(hit[1].text)))
    done = -1
    for start, pattern in hits:
        end = start + len(pattern.text)
        if start != done and (
            pattern.embedded is not None or (starts_at_boundary(text, start) and ends_at_boundary(text, end))
        ):
            yield start, end, pattern
            done = start


def _accepted(level: Level, text: bytes, index: int, start: int, *, strict: bool) -> Iterator[tuple[int, int, Pattern]]:
    starts_well = not strict or starts_at_boundary(text, start)
    while index >= 0:
        pattern = level.patterns[index]
        end = start + len(pattern.text)
        if pattern.embedded is not None or (starts_well and (not strict or ends_at_boundary(text, end))):
            yield start, end, pattern
            return
        index = level.shorter[index]


def core_of(text: bytes) -> bytes:
    r"""Return bytes that stand in every spelling of `text`; empty if there are none.

    The whole of it where nothing in it is ever escaped (what writes `\u0026` or `\/` is not plain: `cores_since`), else
    its longest run of `[A-Za-z0-9]`. What follows a backslash is left out, since an escape's letter (`\n`, `\u00e9`) is
    not there in other spellings.
    """
    if _NEVER_ESCAPED.fullmatch(text):
        return text
    runs = _ALNUM_RUN.findall(re.sub(rb"\\u[0-9A-Fa-f]{4}|\\.", b" ", text, flags=re.DOTALL))
    return max(runs, key=len, default=b"")


def starts_at_boundary(text: bytes, start: int) -> bool:
    """Say whether a token may begin at `start`: the character before it does not continue it.

    Beside `[A-Za-z0-9_]` only such a character continues (a value may touch Chinese text, a quote, a `-`), unless it is
    the end of an escape sequence; beside a letter of another script any letter or digit does.
    """
    if start == 0:
        return True
    edge, before = text[start], text[start - 1]
    if edge in _WORD:
        return before not in _WORD or _ESCAPE.search(text, max(0, start - _ESCAPE_REACH), start) is not None
    if edge < 0x80 or not text[start : start + 4].decode("utf-8", "ignore")[:1].isalnum():
        return True
    return before not in _WORD and not (before >= 0x80 and _last(text[max(0, start - 4) : start]).isalnum())


def ends_at_boundary(text: bytes, end: int) -> bool:
    """Say whether a token may end at `end`: the character there does not continue it (see `starts_at_boundary`)."""
    if end >= len(text) or end == 0:
        return True
    edge, after = text[end - 1], text[end]
    if edge in _WORD:
        return after not in _WORD
    if edge < 0x80 or not _last(text[max(0, end - 4) : end]).isalnum():
        return True
    return after not in _WORD and not (after >= 0x80 and text[end : end + 4].decode("utf-8", "ignore")[:1].isalnum())


def _last(tail: bytes) -> str:
    return tail.decode("utf-8", "ignore")[-1:]
