"""Text that others wrote, made fit for a terminal, a menu, a notification or a page: the one place where that is done.

Names, models, commands, reasons and paths come from agents, models, repositories and policies. None of it may move a cursor,
colour a terminal, turn the reading direction, hide or pile up characters, or fill a screen. What has a markup of its own (HTML,
Rich, a menu's mnemonics) has to be escaped besides, or better be given this as plain text. Pure.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import islice

_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that show nothing."""
_MOST_MARKS = 2
"""Combining marks on one character: scripts need no more, and more of them grow into the lines above."""
_SPACES = re.compile(r"\s+")
_DEEPEST = 12
_TOO_DEEP = "…"


def printable(text: str) -> str:
    """The text, of one line, with `?` in place of what would move the cursor, colour the terminal or hide other text."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def escaped(text: str) -> str:
    """The text, of one line, with such characters as escapes (`\\x1b`), for whoever wants to know what stood there."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: object, most: int = 300) -> str:
    """What `text` says, on one line of at most `most` characters, the last of which is `…` where there was more.

    Line breaks and other space become single spaces, characters that do something else than show themselves become `?`,
    and piled-up marks are dropped.
    """
    # four times as much is looked at: what is dropped or folded may be most of it, and nobody waits for a megabyte
    given = str(text)[: 4 * most + 1]
    folded = given if given.isascii() and given.isprintable() else _plain(_SPACES.sub(" ", given))
    folded = folded.strip()
    return folded if len(folded) <= most else folded[: max(0, most - 1)] + "…"


def lines(text: object, most: int = 2000, width: int = 1000) -> list[str]:
    """The text's lines, each as `one_line` gives it but with its indentation: `most` of them, and a last one that says so."""
    found = str(text).split("\n", most)
    shown = [_indented(line, width) for line in found[:most]]
    return [*shown, "…"] if len(found) > most else shown


def cleaned(document: object, most: int = 2000, members: int = 20_000, deep: int = _DEEPEST) -> object:
    """A JSON document with every text and every name of a member in it as `one_line` gives it; the rest as it is.

    At most `members` of a list or an object, and `deep` of them in one another, are kept.
    """
    if isinstance(document, str):
        return one_line(document, most)
    if document is None or isinstance(document, bool | int | float):
        return document
    if deep <= 0:
        return _TOO_DEEP
    if isinstance(document, Mapping):
        return {
            one_line(name, most): cleaned(value, most, members, deep - 1)
            for name, value in islice(document.items(), members)
        }
    if isinstance(document, Sequence):
        return [cleaned(value, most, members, deep - 1) for value in islice(document, members)]
    return one_line(document, most)


def _plain(text: str) -> str:
    if text.isascii():
        return printable(text)
    kept: list[str] = []
    marks = 0
    for c in text:
        if unicodedata.combining(c) or unicodedata.category(c) == "Me":
            marks += 1
            if marks <= _MOST_MARKS:
                kept.append(c)
            continue
        marks = 0
        kept.append("?" if not c.isprintable() or c in _BLANKS else c)
    return "".join(kept)


def _indented(line: str, width: int) -> str:
    line = line[: 4 * width].replace("\t", "    ")
    bare = line.lstrip(" ")
    return " " * min(len(line) - len(bare), width) + one_line(bare, width) if bare else ""
