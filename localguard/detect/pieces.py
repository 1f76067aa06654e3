"""Small pieces of a window around gate matches, for engines whose patterns backtrack."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from localguard.detect.finding import DataClass, Finding, Window

SIDE: Final = 512  # bytes on each side of a gate match that a piece holds, if its line is as long as that


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of one line as `str`. `offset` is the byte offset of its start in the whole text."""

    text: str
    offset: int
    ascii: bool

    def finding(
        self, start: int, end: int, finding_type: str, data_class: DataClass, rule: str, *, distinctive: bool
    ) -> Finding:
        """A finding at the characters `start` to `end` of this piece."""
        if not self.ascii:
            start, end = (len(self.text[:index].encode("utf-8", "surrogateescape")) for index in (start, end))
        return Finding(self.offset + start, self.offset + end, finding_type, data_class, rule, distinctive)


def pieces(window: Window, gate: Any) -> Iterator[Piece]:
    """For each match of `gate` in the window its line, or SIDE bytes on each side where the line is longer.

    Matches inside the last piece make no new one as long as they have SIDE bytes after them there, so that the work
    is linear in the window for any number of matches.
    """
    text, size = window.text, len(window.text)
    position = 0
    while position < size:
        found = gate.search(text, position)
        if found is None:
            return
        start, end = found.span()
        low, high = max(0, start - SIDE), min(size, max(end, start + 1) + SIDE)
        newline = text.rfind(b"\n", low, start)
        left = newline + 1 if newline >= 0 else low
        newline = text.find(b"\n", max(end - 1, start), high)
        right = newline if newline >= 0 else high
        right = max(right, end)
        while 0 < left < size and text[left] & 0xC0 == 0x80:
            left -= 1
        while right < size and text[right] & 0xC0 == 0x80:
            right += 1
        raw = text[left:right]
        yield Piece(raw.decode("utf-8", "surrogateescape"), window.start + left, raw.isascii())
        position = max(end, position + 1) if newline < 0 and right < size else right + 1
