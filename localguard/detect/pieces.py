"""Small pieces of a window around gate matches, for engines whose patterns backtrack."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from localguard.detect.finding import DataClass, Finding, Window

SIDE: Final = 512  # bytes on each side of a gate match that a piece holds, if its line is as long as that
AHEAD: Final = 2048  # bytes after a gate match that are taken along, so that a piece serves many matches


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of one line as `str`. `offset` is the byte offset of its start in the whole text."""

    text: str
    offset: int
    ascii: bool
    cut_left: bool
    cut_right: bool

    def holds(self, start: int, end: int) -> bool:
        """Whether a match from `start` to `end` (characters) is whole: it does not touch an end inside a line."""
        return not ((self.cut_left and start == 0) or (self.cut_right and end == len(self.text)))

    def finding(
        self, start: int, end: int, finding_type: str, data_class: DataClass, rule: str, *, distinctive: bool
    ) -> Finding:
        """A finding at the characters `start` to `end` of this piece."""
        if not self.ascii:
            start, end = (len(self.text[:index].encode("utf-8", "surrogateescape")) for index in (start, end))
        return Finding(self.offset + start, self.offset + end, finding_type, data_class, rule, distinctive)


def pieces(window: Window, gate: Any, ahead: int = AHEAD) -> Iterator[Piece]:
    """For each match of `gate` in the window its line, or SIDE bytes before and `ahead` bytes after where the line is longer.

    Matches inside the last piece make no new one as long as they have SIDE bytes after them there, so that the work
    is linear in the window for any number of matches. `ahead` must be more than SIDE.
    """
    text, size = window.text, len(window.text)
    position = 0
    while position < size:
        found = gate.search(text, position)
        if found is None:
            return
        start, end = found.start(), max(found.end(), found.start() + 1)
        low, high = max(0, start - SIDE), min(size, end + ahead)
        left = text.rfind(b"\n", low, start) + 1
        cut_left = left == 0 and (low > 0 or window.cut_left)
        if left == 0:
            left = low
        newline = text.find(b"\n", end - 1, high)
        right = max(newline, end) if newline >= 0 else high
        cut_right = newline < 0 and (right < size or window.cut_right)
        while 0 < left < size and text[left] & 0xC0 == 0x80:
            left -= 1
        while right < size and text[right] & 0xC0 == 0x80:
            right += 1
        raw = text[left:right]
        yield Piece(raw.decode("utf-8", "surrogateescape"), window.start + left, raw.isascii(), cut_left, cut_right)
        position = max(right - SIDE, end) if cut_right else right + 1
