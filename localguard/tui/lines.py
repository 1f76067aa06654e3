"""Lines of text with named styles: what pure views give and widgets paint. Pure.

A style is a name of `palette.STYLES`; what it says in colour the text says in words or marks, too.
"""

from collections.abc import Iterable, Sequence
from textwrap import wrap

_LABEL = 12

Span = tuple[str, str]
"""A style and a text that is fit to be shown."""
Line = tuple[Span, ...]


def heading(title: str) -> Line:
    """A line that names what follows."""
    return (("heading", title),)


def fact(name: str, value: object, style: str = "") -> Line:
    """A name and its value, the values of neighbours below each other."""
    return (("label", f"  {name:<{_LABEL}} "), (style, str(value)))


def wrapped(line: Line, width: int) -> list[Line]:
    """A fact that is longer than `width` on several lines, its value below itself; every other line as it is."""
    room = width - _LABEL - 3
    if len(line) != 2 or line[0][0] != "label" or len(line[0][1]) != _LABEL + 3 or room < 10 or len(line[1][1]) <= room:
        return [line]
    (label, name), (style, value) = line
    parts = wrap(value, room, break_on_hyphens=False) or [""]
    return [((label, name if at == 0 else " " * (_LABEL + 3)), (style, part)) for at, part in enumerate(parts)]


def facts(*given: tuple[str, object] | tuple[str, object, str]) -> list[Line]:
    """Facts, without those that have no value."""
    return [fact(*one) for one in given if one[1] not in (None, "", (), [], {})]


def plain(lines: Iterable[Line]) -> str:
    """The text of lines without their styles."""
    return "\n".join("".join(text for _, text in line) for line in lines)


def bar(share: float, width: int) -> str:
    """A bar that is full at 1, `width` cells wide; more than nothing is never shown as nothing."""
    filled = max(0, min(width, round(share * width)))
    if share > 0 and filled == 0:
        filled = 1
    return "█" * filled + "░" * (width - filled)


def stretch(begins: int, ends: int, whole: int, width: int) -> str:
    """A part of a whole as a bar at its place; it is at least one cell wide."""
    whole = max(1, whole)
    first = min(width - 1, begins * width // whole)
    last = max(first + 1, min(width, -(-ends * width // whole)))
    return " " * first + "█" * (last - first) + " " * (width - last)


def joined(words: Sequence[object], most: int = 8) -> str:
    """Words in one text, with how many more there are."""
    shown = ", ".join(map(str, words[:most]))
    return f"{shown} and {len(words) - most} more" if len(words) > most else shown
