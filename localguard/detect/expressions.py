"""What a pattern asks for at least, in the dialect of Hyperscan.

An expression made here matches wherever RE2 finds the pattern in LATIN1, and somewhere inside of that match's lines; it
may match elsewhere too. So it serves to say where RE2 need not look. Classes are spelled out byte by byte, because the
two engines differ in what `\\s` and case mean.
"""

import random
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from localguard.detect.required import MOST_LINE_BREAKS, parse

node: Any = import_module("re._constants")
_MOST_COUNTED: Final = 64
"""Repetitions that are counted; a higher bound is none, which costs an automaton far less."""
_MOST_ALTERNATIVES: Final = 8
_UNREADABLE: Final = re.compile(rb"\[:\^?[a-z]+:\]|\\[pPQECz]|\\x\{|\(\?[a-zA-Z-]*[UsL]|\{,")
"""What RE2 reads otherwise than Python's parser, or what that does not know."""
_CASELESS: Final = re.compile(r"(?:\[[A-Z][a-z]\])+")
_LINE_BREAK: Final = 0x0A
_WORD: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_DIGIT: Final = frozenset(b"0123456789")
_SPACE: Final = frozenset(b"\t\n\f\r ")
_ALL: Final = frozenset(range(256))
_CATEGORIES: Final = {
    node.CATEGORY_DIGIT: _DIGIT,
    node.CATEGORY_NOT_DIGIT: _ALL - _DIGIT,
    node.CATEGORY_SPACE: _SPACE,
    node.CATEGORY_NOT_SPACE: _ALL - _SPACE,
    node.CATEGORY_WORD: _WORD,
    node.CATEGORY_NOT_WORD: _ALL - _WORD,
}
_PLAIN: Final = _WORD | frozenset(b"\t .,:;=()[]{}<>/\\\"'`|*+-_#$&@!?%")
_MORE: Final = (0, 1, 1, 1, 2, 6)
"""Repetitions over the least in a text that is drawn."""
_REPEATS: Final = (node.MAX_REPEAT, node.MIN_REPEAT, node.POSSESSIVE_REPEAT)


class _Inexpressible(Exception):
    """A pattern has something in it that cannot be said."""


def expression(pattern: bytes) -> bytes | None:
    """The expression of an RE2 pattern; None where there is none, or where a match may hold any number of line breaks."""
    parsed = parse(pattern)
    if line_breaks(pattern) is None or parsed is None:
        return None
    return _expression(list(parsed), parsed.state.flags)


def alternatives(pattern: bytes) -> list[bytes]:
    """Expressions for each alternative of a pattern that has one expression: smaller ones, of which one matches wherever it does.

    Empty where it is no alternation, or one of many: nothing is gained then.
    """
    parsed = parse(pattern)
    nodes = [] if parsed is None else list(parsed)
    at = next((index for index, (kind, _) in enumerate(nodes) if kind is node.BRANCH), None)
    if at is None or len(nodes[at][1][1]) > _MOST_ALTERNATIVES:
        return []
    said = [_expression([*nodes[:at], *branch, *nodes[at + 1 :]], parsed.state.flags) for branch in nodes[at][1][1]]
    return [one for one in said if one is not None]


def is_exact(pattern: bytes) -> bool:
    """Whether the expression of a pattern matches in a text only where RE2 finds the pattern: nothing in it is taken more widely."""
    parsed = parse(pattern)
    return parsed is not None and _exact(list(parsed))


def drawn(pattern: bytes, count: int) -> list[bytes]:
    """Up to `count` texts that `pattern` matches, but for its anchors: the same ones every time, none where it has no expression."""
    parsed = parse(pattern)
    if expression(pattern) is None or parsed is None:
        return []
    chance = random.Random(pattern)  # noqa: S311 - no secret comes of it
    flags = bool(parsed.state.flags & re.IGNORECASE)
    return list(dict.fromkeys(_drawn(list(parsed), flags, chance) for _ in range(count)))


def _drawn(nodes: Iterable[tuple[Any, Any]], ignoring: bool, chance: random.Random) -> bytes:
    parts = []
    for kind, value in nodes:
        if kind is node.SUBPATTERN:
            _, added, removed, inner = value
            folded = (ignoring or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE
            parts.append(_drawn(inner, folded, chance))
        elif kind is node.BRANCH:
            parts.append(_drawn(chance.choice(value[1]), ignoring, chance))
        elif kind in _REPEATS:
            least, most = int(value[0]), value[1]
            times = least + chance.choice(_MORE)
            times = times if most is node.MAXREPEAT else min(times, int(most))
            parts.append(_drawn(value[2], ignoring, chance) * times)
        elif kind is not node.AT:
            members = _bytes(kind, value, ignoring)
            parts.append(bytes([chance.choice(sorted(members & _PLAIN or members))]))
    return b"".join(parts)


def _exact(nodes: Iterable[tuple[Any, Any]]) -> bool:
    for kind, value in nodes:
        if kind is node.AT:
            if value in (node.AT_END, node.AT_END_STRING):
                return False
            continue
        if kind is node.SUBPATTERN:
            inner = [value[3]]
        elif kind is node.BRANCH:
            inner = value[1]
        elif kind in _REPEATS:
            least, most = int(value[0]), value[1]
            if most is not node.MAXREPEAT and int(most) > max(_MOST_COUNTED, least):
                return False
            inner = [value[2]]
        else:
            continue
        if not all(map(_exact, inner)):
            return False
    return True


def _expression(nodes: Sequence[tuple[Any, Any]], flags: int) -> bytes | None:
    ignoring, multiline = (bool(flags & flag) for flag in (re.IGNORECASE, re.MULTILINE))
    try:
        source = _sequence(nodes, ignoring, multiline, first=True, last=True)
    except (_Inexpressible, RecursionError):
        return None
    return _CASELESS.sub(_caseless, source).encode("ascii") if source else None


@lru_cache(maxsize=4096)
def line_breaks(pattern: bytes) -> int | None:
    """How many line breaks a match of an RE2 pattern may hold; None where they are too many or there is no telling."""
    parsed = None if _UNREADABLE.search(pattern) else parse(pattern)
    if parsed is None:
        return None
    try:
        count = _line_breaks(parsed)
    except (_Inexpressible, RecursionError):
        return None
    return count if count <= MOST_LINE_BREAKS else None


def _caseless(found: re.Match[str]) -> str:
    """`[Kk][Ee][Yy]` as `(?i:key)`: patterns may not be longer than 16,000 characters."""
    letters = found[0][1::4], found[0][2::4]
    return f"(?i:{letters[1]})" if letters[0].lower() == letters[1] else found[0]


def _sequence(
    nodes: Sequence[tuple[Any, Any]],
    ignoring: bool,
    multiline: bool,
    *,
    first: bool,
    last: bool,
    followed: bool = False,
) -> str | None:
    """What `nodes` match one after the other; None if nothing does.

    At the `first` and the `last` place of a pattern, what may be repeated or left out is not: a shorter match lies in the
    same lines. `followed` says that at least one more byte must follow.
    """
    widths = [_least(kind, value) for kind, value in nodes]
    fixed = [bool(width) or _anchored([one]) for width, one in zip(widths, nodes, strict=True)]
    parts = []
    for index, (kind, value) in enumerate(nodes):
        part = _part(
            kind,
            value,
            ignoring,
            multiline,
            first=first and not any(fixed[:index]),
            last=last and not any(fixed[index + 1 :]),
            followed=followed or any(widths[index + 1 :]),
        )
        if part is None:
            return None
        parts.append(part)
    return "".join(parts)


def _part(
    kind: Any, value: Any, ignoring: bool, multiline: bool, *, first: bool, last: bool, followed: bool
) -> str | None:
    if kind is node.SUBPATTERN:
        _, added, removed, inner = value
        ignoring = (ignoring or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE
        multiline = (multiline or bool(added & re.MULTILINE)) and not removed & re.MULTILINE
        found = _sequence(list(inner), ignoring, multiline, first=first, last=last, followed=followed)
        return None if found is None else f"(?:{found})"
    if kind is node.BRANCH:
        branches = [
            _sequence(list(branch), ignoring, multiline, first=first, last=last, followed=followed)
            for branch in value[1]
        ]
        possible = list(dict.fromkeys(branch for branch in branches if branch is not None))
        return f"(?:{'|'.join(possible)})" if possible else None
    if kind in _REPEATS:
        return _repeated(value, ignoring, multiline, first=first, last=last, followed=followed)
    if kind is node.AT:
        return _anchor(value, multiline, followed=followed)
    return _class(_bytes(kind, value, ignoring))


def _repeated(value: Any, ignoring: bool, multiline: bool, *, first: bool, last: bool, followed: bool) -> str | None:
    least, most, inner = int(value[0]), value[1], list(value[2])
    most = None if most is node.MAXREPEAT else int(most)
    if first or last:
        most = least  # a shorter match lies in the same lines
    once = _sequence(inner, ignoring, multiline, first=False, last=False, followed=followed)
    if once is None:
        return "" if least == 0 else None
    if most == 0:
        return ""
    if most is not None and most > max(_MOST_COUNTED, least):
        most = None
    counted = {(0, None): "*", (1, None): "+", (0, 1): "?", (1, 1): ""}.get(
        (least, most), f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"
    )
    return f"(?:{once}){counted}"


def _anchor(value: Any, multiline: bool, *, followed: bool) -> str | None:
    if value is node.AT_BOUNDARY:
        return r"\b"
    if value is node.AT_NON_BOUNDARY:
        return r"\B"
    if value in (node.AT_BEGINNING, node.AT_BEGINNING_STRING):
        return "(?m:^)" if multiline and value is node.AT_BEGINNING else "^"
    if value in (node.AT_END, node.AT_END_STRING):
        if multiline and value is node.AT_END:
            return "" if followed else "(?m:$)"
        return None if followed else "(?m:$)"
    raise _Inexpressible


def _bytes(kind: Any, value: Any, ignoring: bool) -> frozenset[int]:
    """The bytes that a node of one byte matches."""
    if kind is node.LITERAL:
        return _folded({value}, ignoring)
    if kind is node.NOT_LITERAL:
        return _ALL - _folded({value}, ignoring)
    if kind is node.ANY:
        return _ALL - {_LINE_BREAK}
    if kind is node.IN:
        members, negated = list(value), value[0][0] is node.NEGATE
        listed: set[int] = set()
        for member, what in members[negated:]:
            if member is node.LITERAL:
                listed.add(what)
            elif member is node.RANGE:
                listed.update(range(what[0], what[1] + 1))
            elif member is node.CATEGORY:
                listed |= _CATEGORIES[what]
            else:
                raise _Inexpressible
        found = _folded(listed, ignoring)
        return _ALL - found if negated else found
    raise _Inexpressible


def _folded(codes: Iterable[int], ignoring: bool) -> frozenset[int]:
    """`codes` with their other cases in Latin-1, if case is ignored. `_Inexpressible` for more than a byte."""
    given = frozenset(codes)
    if any(code > 0xFF for code in given):
        raise _Inexpressible
    if not ignoring:
        return given
    cases = {ord(case) for code in given for case in (chr(code).lower(), chr(code).upper()) if len(case) == 1}
    return given | frozenset(code for code in cases if code <= 0xFF)


def _class(members: frozenset[int]) -> str:
    """A class of bytes, or the byte itself."""
    if not members:
        raise _Inexpressible
    if len(members) == 1:
        return _byte(next(iter(members)))
    negated = len(members) > 128
    listed = sorted(_ALL - members if negated else members)
    if not listed:
        return r"[\x00-\xff]"
    ranges: list[list[int]] = []
    for code in listed:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    body = "".join(_byte(low) if low == high else f"{_byte(low)}-{_byte(high)}" for low, high in ranges)
    return f"[{'^' * negated}{body}]"


def _byte(code: int) -> str:
    return chr(code) if code in _WORD else f"\\x{code:02x}"


def _least(kind: Any, value: Any) -> int:
    """How many bytes a node matches at least."""
    if kind is node.AT:
        return 0
    if kind is node.SUBPATTERN:
        return sum(_least(*one) for one in value[3])
    if kind is node.BRANCH:
        return min(sum(_least(*one) for one in branch) for branch in value[1])
    if kind in _REPEATS:
        return int(value[0]) * sum(_least(*one) for one in value[2])
    return 1


def _anchored(nodes: Iterable[tuple[Any, Any]]) -> bool:
    """Whether there is an anchor in `nodes`: what stands beside it cannot be left out."""
    for kind, value in nodes:
        if kind is node.AT:
            return True
        if kind is node.SUBPATTERN:
            inner = [value[3]]
        elif kind is node.BRANCH:
            inner = value[1]
        else:
            inner = [value[2]] if kind in _REPEATS else []
        if any(map(_anchored, inner)):
            return True
    return False


def _line_breaks(nodes: Iterable[tuple[Any, Any]]) -> int:
    count = 0
    for kind, value in nodes:
        if kind is node.SUBPATTERN:
            count += _line_breaks(value[3])
        elif kind is node.BRANCH:
            count += max(map(_line_breaks, value[1]))
        elif kind in _REPEATS:
            once = _line_breaks(value[2])
            count += once and once * (MOST_LINE_BREAKS + 1 if value[1] is node.MAXREPEAT else int(value[1]))
        elif kind is node.LITERAL:
            count += value == _LINE_BREAK
        elif kind is not node.AT and kind is not node.ANY:
            count += _LINE_BREAK in _bytes(kind, value, ignoring=False)
    return count
