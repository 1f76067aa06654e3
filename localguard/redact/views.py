"""Texts with a disguise taken off, so that known values can be looked for in them, and the way back to the bytes as they stand.

Two disguises that no list of spellings covers: percent-encoding of some characters and not of others, and base64 or hex that
goes on in the next line. One of them at a time, and one level of it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_ESCAPES = re.compile(rb"%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*")
_NEEDLESS = re.compile(rb"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
"""Escapes of characters that no encoder escapes (RFC 3986 section 2.3)."""
_ALPHABET = rb"[A-Za-z0-9+/_-]"
_LEAST_BEFORE = 8
_NEXT_LINES = tuple(
    re.compile(line + rb"[ \t]*(?=" + _ALPHABET + rb"++={0,2}[ \t]*(?:\Z|[\r\n\"'`<\\]))") for line in (rb"\n", rb"\\n")
)
"""A line break, as it is or as JSON text has it, before a line that holds one run of the alphabet and nothing else."""
_GOES_ON = re.compile(rb"(?:\\+(?:u[0-9A-Fa-f]{4}|[nrt])|[ \t\n])++" + _ALPHABET + rb"++={0,2}[ \t]*(?:\Z|[\n\"'`<\\])")
"""What stands behind a row that goes on in the next line, whether as it is, in JSON text, or in JSON in JSON."""
_BEFORE = re.compile(_ALPHABET + rb"{%d}\Z" % _LEAST_BEFORE)
_SHAPE = bytes(ord("a") if (chr(one).isalnum() and one < 128) or one in b"+/_-" else one for one in range(256))
_LETTERS = bytes(ord("a") if chr(one).isalnum() and one < 128 else ord("-") for one in range(256))
_ROW = b"a" * 32
_LEAST_LETTERS = 8
"""Of a row. Of four base64 characters of ASCII the first is a letter, and hex is nothing else."""
_ROW_ENDS = (_ROW + b"\n", _ROW + b"\\a")
_ESCAPED_ENDS = (_ROW + b"\\a", _ROW + b"\\\\a")
"""How a row of a wrapped encoding ends once the alphabet is one letter and carriage returns are gone; shorter rows are not usual."""


@dataclass(frozen=True, slots=True)
class View:
    """A text as it reads without a disguise. `text` is made of pieces, each `scale` bytes of the original a byte."""

    text: bytes
    starts: Sequence[int]
    """Where each piece begins in `text`."""
    origins: Sequence[int]
    """Where it begins in the original."""
    scales: Sequence[int]
    joined: bool
    """Pieces meet where a line broke; else every second piece was decoded."""

    def back(self, start: int, end: int) -> tuple[int, int] | None:
        """Where `text[start:end]` stands in the original; None where it stands there without disguise too."""
        first, last = bisect_right(self.starts, start) - 1, bisect_right(self.starts, end - 1) - 1
        touched = first < last if self.joined else any(self.scales[at] > 1 for at in range(first, last + 1))
        if not touched:
            return None
        begins = self.origins[first] + (start - self.starts[first]) * self.scales[first]
        return begins, self.origins[last] + (end - self.starts[last]) * self.scales[last]


def views(text: bytes) -> Iterator[View]:
    """The views of a text that has a disguise; none of most texts. Linear."""
    if b"%" in text and (view := _unescaped(text)) is not None:
        yield view
    if len(text) > len(_ROW):
        shape = text.translate(_SHAPE, b"\r")
        for line, row in zip(_NEXT_LINES, _ROW_ENDS, strict=True):
            if _has_row(text, shape, row) and (view := _unwrapped(text, line)) is not None:
                yield view


def hides(raw: bytes) -> bool:
    """Whether JSON text may hold a value in a spelling that only a view shows, so that its plain bytes tell nothing."""
    if b"%" in raw and _NEEDLESS.search(raw) is not None:
        return True
    if len(raw) <= len(_ROW):
        return False
    shape = raw.translate(_SHAPE, b"\r")
    return any(_has_row(raw, shape, row) for row in _ESCAPED_ENDS)


def _has_row(text: bytes, shape: bytes, row: bytes) -> bool:
    """Whether an encoding may go on behind a row of it in `text`, of which `shape` was made.

    No line drawn of dashes, say, and nothing that other words follow.
    """
    at = shape.find(row)
    if at < 0:
        return False
    text = text.translate(None, b"\r")
    letters = text.translate(_LETTERS)
    while at >= 0:
        end = at + len(_ROW)
        if letters.count(b"a", at, end) >= _LEAST_LETTERS and _GOES_ON.match(text, end):
            return True
        at = shape.find(row, at + 1)
    return False


def _unescaped(text: bytes) -> View | None:
    parts: list[bytes] = []
    starts, origins, scales = [0], [0], [1]
    position = length = 0
    for found in _ESCAPES.finditer(text):
        before = text[position : found.start()]
        decoded = bytes.fromhex(found.group().replace(b"%", b"").decode("ascii"))
        parts += (before, decoded)
        starts += (length + len(before), length + len(before) + len(decoded))
        origins += (found.start(), found.end())
        scales += (3, 1)
        position, length = found.end(), starts[-1]
    if not parts:
        return None
    parts.append(text[position:])
    return View(b"".join(parts), starts, origins, scales, joined=False)


def _unwrapped(text: bytes, line: re.Pattern[bytes]) -> View | None:
    cuts: list[tuple[int, int]] = []
    for found in line.finditer(text):
        start = found.start()
        if text[start - 1 : start] == b"\r":
            start -= 1
        elif text[start - 2 : start] == b"\\r":
            start -= 2
        if _BEFORE.search(text, max(0, start - _LEAST_BEFORE), start):
            cuts.append((start, found.end()))
    if not cuts:
        return None
    edges = [0, *(edge for cut in cuts for edge in cut), len(text)]
    kept = [(edges[at], edges[at + 1]) for at in range(0, len(edges), 2)]
    starts = [0]
    for low, high in kept:
        starts.append(starts[-1] + high - low)
    return View(
        b"".join(text[low:high] for low, high in kept),
        starts[:-1],
        [low for low, _ in kept],
        [1] * len(kept),
        joined=True,
    )
