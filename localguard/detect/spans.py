"""Where a pattern matches, line by line, as spans that hold whole lines or, of very long ones, what stands around.

Rules of this module: RE2 only (linear time, it releases the GIL), bytes only, nothing decoded, and spans are bounded
whatever the text looks like. What is found on one line does not depend on any other line, so that a text may be looked
through in pieces of whole lines.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

LONG_LINE: Final = 4096  # lines up to here are taken whole
CUT: Final = 1280  # how much of a longer line is taken on either side of a match
MAX_SEARCH: Final = (
    262_144  # bytes that a pattern looks over at once: one that looks on along its line must not do so for ever
)
MAX_RUN: Final = 65536  # how far a cut moves outwards to the end of the token that it would split
MAX_WINDOW: Final = 65536  # spans that overlap or touch are merged up to this size
_DELIMITERS: Final = (b" ", b"\n", b'"', b"'", b",", b";", b"<", b"&")


class Span(NamedTuple):
    """A piece of a text around a match; the cuts say that it ends inside a line, the bits which kinds matched."""

    start: int
    end: int
    cut_left: bool
    cut_right: bool
    bits: int


class Search(NamedTuple):
    """What is looked for, and what its spans hold beside the lines of a match."""

    pattern: Any
    """An RE2 pattern that matches over `line_breaks` at most."""
    bit: int
    reach: Callable[[bytes], int] | None
    """How many bytes after a line its matches need, rounded up to whole lines; None where they need no more."""
    line_breaks: int


def spans(search: Search, text: bytes, low: int, high: int) -> Iterator[Span]:
    """Around the first match that begins on each line its lines, or CUT bytes on each side of it, and what it reaches for.

    Looked at are the lines from `low` to `high`: each is 0, the size of the text or a line break, and a line begins with
    the break before it. Goes on after the line rather than after the match, so that the number of steps is bounded by the
    lines; only a line too long to be taken whole is looked through for further matches.
    """
    position = low
    while position < high:
        limit, whole = _limit(text, position, high)
        found = search.pattern.search(
            text, position, lines_after(text, limit, search.line_breaks + 1) if whole else limit
        )
        if found is None or found.start() >= limit:
            position = limit if whole else limit - MAX_RUN
            continue
        start, end = found.span()
        left, cut_left = _line_start(text, start)
        right, cut_right = _line_end(text, max(end, start + 1))
        reach = search.reach(text[left:right]) if search.reach is not None else 0
        if reach and right < len(text):
            far, cut_far = _line_end(text, min(len(text), right + reach))
            yield Span(left, far, cut_left, cut_far, search.bit)
        else:
            yield Span(left, right, cut_left, cut_right, search.bit)
        position = lines_after(text, start + 1, 1)
        if cut_right:
            position = min(position, max(right - CUT // 2, end, start + 1))


def line_at(text: bytes, end: int) -> tuple[int, int] | None:
    """Start and end of the line that holds what ends at `end`, None where it is a long one."""
    left = text.rfind(b"\n", max(0, end - LONG_LINE), end) + 1
    right = text.find(b"\n", end, left + LONG_LINE)
    if right < 0:
        right = len(text)
    return (left, right) if right - left < LONG_LINE and (left or end <= LONG_LINE) else None


def line_span(search: Search, text: bytes, left: int, right: int) -> Span:
    """The span of a line from `left` to `right`, not a long one, in which `search` matches, with what that reaches for."""
    reach = search.reach(text[left:right]) if search.reach is not None else 0
    if reach and right < len(text):
        far, cut_far = _line_end(text, min(len(text), right + reach))
        return Span(left, far, False, cut_far, search.bit)
    return Span(left, right, False, False, search.bit)


def lines_after(text: bytes, position: int, count: int) -> int:
    """The `count`th line break at or after `position`, or the size of the text."""
    for number in range(count):
        position = text.find(b"\n", position + bool(number))
        if position < 0:
            return len(text)
    return position


def lines_before(text: bytes, position: int, count: int) -> int:
    """The `count`th line break before `position`, or 0."""
    for _ in range(count):
        position = text.rfind(b"\n", 0, max(0, position))
    return max(0, position)


def _limit(text: bytes, position: int, high: int) -> tuple[int, bool]:
    """How far to look at once from `position`, and whether that is the end of a line."""
    if high - position <= MAX_SEARCH:
        return high, True
    newline = text.rfind(b"\n", position + 1, position + MAX_SEARCH + 1)
    return (newline, True) if newline >= 0 else (position + MAX_SEARCH, False)


def merged(found: list[Span]) -> Iterator[Span]:
    """Spans that overlap or touch become one, up to MAX_WINDOW; one inside another is dropped at any size."""
    found.sort(key=lambda span: (span.start, -span.end))
    start, end, cut_left, cut_right, bits = found[0]
    for next_start, next_end, next_cut_left, next_cut_right, next_bits in found[1:]:
        if next_end <= end:
            bits |= next_bits
            continue
        if next_start <= end + 1 and next_end - start <= MAX_WINDOW:
            end, cut_right, bits = next_end, next_cut_right, bits | next_bits
            continue
        yield Span(start, end, cut_left, cut_right, bits)
        start, end, cut_left, cut_right, bits = next_start, next_end, next_cut_left, next_cut_right, next_bits
    yield Span(start, end, cut_left, cut_right, bits)


def _line_start(text: bytes, start: int) -> tuple[int, bool]:
    """Where the span of a match at `start` begins, and whether that is inside a line."""
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
    """Where the span of a match that ends at `end` stops, and whether that is inside a line."""
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
