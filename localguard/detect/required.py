"""What a pattern cannot do without: literals, one of which stands in every text that it matches.

An Aho-Corasick pass over the literals of hundreds of rules costs the same as over ten; a DFA over all their patterns does not.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, NamedTuple

from localguard.detect.words import is_common

node: Any = import_module("re._constants")
_parser: Any = import_module("re._parser")
"""Python's own reading of a pattern, which typeshed does not describe."""
_MOST: Final = 96
"""Literals of one pattern. More of them are no better than the pattern itself."""
_MOST_CLASS: Final = 12
"""Characters of a class that is spelled out."""
_LEAST: Final = 3
_LONG: Final = 10
MOST_LINE_BREAKS: Final = 5
_LINE_BREAK: Final = 0x0A
_BREAKING: Final = (node.CATEGORY_SPACE, node.CATEGORY_NOT_DIGIT, node.CATEGORY_NOT_WORD)
"""Classes that a line break belongs to."""
_OWN_SYNTAX: Final = re.compile(rb"\[:|\\[pPQECz]|\\x\{|\(\?[a-zA-Z-]*[UsmL]")
"""What RE2 reads otherwise than Python's parser, or what that does not know."""


class Required(NamedTuple):
    """What every match of a pattern holds, and how many lines it reaches over."""

    literals: frozenset[bytes]
    """Lower-case ASCII strings without line breaks, one of which stands in the lower-case form of every match; empty where
    none can be told."""
    line_breaks: int = 0
    """The most that a match holds: it lies within so many lines before and after the one that the literal stands on."""


@lru_cache(maxsize=4096)
def required(pattern: bytes) -> Required:
    """What `pattern` requires. No literals for patterns that match over more than MOST_LINE_BREAKS line breaks."""
    parsed = None if _OWN_SYNTAX.search(pattern) else parse(pattern)
    if parsed is None:
        return _NOTHING
    line_breaks = _most_line_breaks(parsed)
    if line_breaks > MOST_LINE_BREAKS:
        return _NOTHING
    found = _best(_candidates(parsed))
    return Required(frozenset(text.encode("ascii") for text in found), line_breaks) if found else _NOTHING


_NOTHING: Final = Required(frozenset())


@lru_cache(maxsize=16)
def parse(pattern: bytes) -> Any:
    """What Python's parser makes of a pattern, None where it takes it for none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _parser.parse(pattern.decode("latin-1"))
    except (re.error, Warning, RecursionError, OverflowError):
        return None


def is_rare(literals: Iterable[bytes]) -> bool:
    """Whether literals are few enough places in source code and prose: each has some length and is no common word."""
    given = list(literals)
    return bool(given) and all(
        len(one) >= _LONG
        or (
            len(one) >= _LEAST
            and not one.isdigit()
            and (len(one) > _LEAST or not one.isalpha())
            and not is_common(re.sub(rb"[^a-z0-9]+", b" ", one).decode().strip() or "a")
        )
        for one in given
    )


def _most_line_breaks(sequence: Iterable[tuple[Any, Any]]) -> int:
    """How many line breaks a match may hold; more than MOST_LINE_BREAKS where there is no telling."""
    count = 0
    for kind, value in sequence:
        if kind is node.SUBPATTERN:
            count += _most_line_breaks(value[3])
        elif kind is node.BRANCH:
            count += max(map(_most_line_breaks, value[1]))
        elif kind in (node.MAX_REPEAT, node.MIN_REPEAT, node.POSSESSIVE_REPEAT):
            count += _most_line_breaks(value[2]) * min(int(value[1]), MOST_LINE_BREAKS + 1)
        elif kind is node.LITERAL:
            count += value == _LINE_BREAK
        elif kind is node.NOT_LITERAL:
            count += value != _LINE_BREAK
        elif kind is node.IN:
            count += _has_line_break(value)
        elif kind not in (node.ANY, node.AT):
            count += MOST_LINE_BREAKS + 1
        if count > MOST_LINE_BREAKS:
            break
    return count


def _has_line_break(members: Sequence[tuple[Any, Any]]) -> bool:
    negated = members[0][0] is node.NEGATE
    listed = any(
        (kind is node.LITERAL and value == _LINE_BREAK)
        or (kind is node.RANGE and value[0] <= _LINE_BREAK <= value[1])
        or (kind is node.CATEGORY and value in _BREAKING)
        for kind, value in members
    )
    return listed != negated


def _best(candidates: Iterable[frozenset[str]]) -> frozenset[str] | None:
    """Of several sets, each enough by itself, the one whose shortest string is longest; of equals the smallest."""
    usable = [one for one in candidates if one and "" not in one]
    return max(usable, key=lambda one: (min(map(len, one)), -len(one)), default=None)


def _candidates(sequence: Iterable[tuple[Any, Any]]) -> list[frozenset[str]]:
    """Sets of strings, of each of which every match of `sequence` holds one."""
    found: list[frozenset[str]] = []
    run: frozenset[str] = frozenset([""])  # what the strings that end here may be, in full
    for kind, value in sequence:
        exact = _exact(kind, value)
        if exact is not None and len(run) * len(exact) <= _MOST:
            run = frozenset(head + tail for head in run for tail in exact)
            continue
        found.append(run)
        run = frozenset([""])
        if exact is not None:
            run = exact
        elif kind is node.SUBPATTERN:
            found += _candidates(value[3])
        elif kind is node.BRANCH:
            parts = [_best(_candidates(branch)) for branch in value[1]]
            if all(part is not None for part in parts):
                union = frozenset(text for part in parts if part is not None for text in part)
                found.append(union if len(union) <= _MOST else frozenset())
        elif kind in (node.MAX_REPEAT, node.MIN_REPEAT, node.POSSESSIVE_REPEAT) and value[0] >= 1:
            found += _candidates(value[2])
    found.append(run)
    return found


def _exact(kind: Any, value: Any) -> frozenset[str] | None:
    """All strings that a node matches, in lower case, if they are few and plain."""
    if kind is node.LITERAL:
        return frozenset([chr(value).lower()]) if value < 0x80 and value != _LINE_BREAK else None
    if kind is node.AT:
        return frozenset([""])
    if kind is node.IN:
        return _characters(value)
    if kind is node.SUBPATTERN:
        return _exact_sequence(value[3])
    if kind is node.BRANCH:
        parts = [_exact_sequence(branch) for branch in value[1]]
        union: frozenset[str] = frozenset()
        for part in parts:
            if part is None:
                return None
            union |= part
        return union if len(union) <= _MOST else None
    if kind in (node.MAX_REPEAT, node.MIN_REPEAT, node.POSSESSIVE_REPEAT):
        least, most, inner = value
        once = _exact_sequence(inner)
        if once is None or most is node.MAXREPEAT or most > 2:
            return None
        repeated = {0: frozenset([""]), 1: once, 2: frozenset(a + b for a in once for b in once)}
        union = frozenset(text for count in range(least, most + 1) for text in repeated[count])
        return union if len(union) <= _MOST else None
    return None


def _exact_sequence(sequence: Sequence[tuple[Any, Any]]) -> frozenset[str] | None:
    run: frozenset[str] = frozenset([""])
    for kind, value in sequence:
        exact = _exact(kind, value)
        if exact is None or len(run) * len(exact) > _MOST:
            return None
        run = frozenset(head + tail for head in run for tail in exact)
    return run


def _characters(members: Sequence[tuple[Any, Any]]) -> frozenset[str] | None:
    codes: set[int] = set()
    for kind, value in members:
        if kind is node.LITERAL:
            codes.add(value)
        elif kind is node.RANGE and value[1] - value[0] < _MOST_CLASS:
            codes.update(range(value[0], value[1] + 1))
        else:
            return None
    if len(codes) > _MOST_CLASS or any(code >= 0x80 or code == _LINE_BREAK for code in codes):
        return None
    return frozenset(chr(code).lower() for code in codes)
