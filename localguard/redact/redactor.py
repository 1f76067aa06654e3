"""What of a text is replaced, and by which placeholder: findings, known values, and what is a placeholder already."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

from localguard.redact.vault import CLASS_ORDER, Span, Vault

Action = Literal["redact", "allow"]
Actions = Mapping[str, Action]
"""By data class (`secret`, `pii`, `custom`). What is not named is redacted."""

OWN_TOKENS = frozenset({"LOCALGUARD_TOKEN"})
"""Types of what this guard gives out itself: replaced whatever policy lets pass."""
_COMMENT = re.compile(rb"[\"']?[ \t]+(?:#|//|;|--|/\*)")
_MIN_REST = 4  # alphanumeric characters beside an own placeholder that make the rest of a finding worth replacing

_MAX_PASSES = 3  # a union of overlapping hits is a new value, which may stand elsewhere in the same text


class FindingLike(Protocol):
    """The fields of `detect.Finding`: byte offsets in the UTF-8 text, half open."""

    @property
    def start(self) -> int: ...  # noqa: D102
    @property
    def end(self) -> int: ...  # noqa: D102
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def data_class(self) -> str: ...  # noqa: D102
    @property
    def distinctive(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Replacement:
    """`text[start:end]`, byte offsets, becomes `placeholder`; `finding` is None where a known value was swept."""

    start: int
    end: int
    placeholder: str
    finding: FindingLike | None


@dataclass(slots=True)
class _Piece:
    start: int
    end: int
    parts: list[tuple[int, int, FindingLike]]  # what the union is made of, in whole characters

    @property
    def members(self) -> list[FindingLike]:
        return [finding for _, _, finding in self.parts]

    def inner(self) -> list[tuple[int, int, FindingLike]]:
        """Return the distinctive findings that are smaller than the union: they may stand alone elsewhere."""
        size = self.end - self.start
        return [part for part in self.parts if part[2].distinctive and part[1] - part[0] < size]


def learn(
    texts: Iterable[tuple[bytes, Sequence[FindingLike]]],
    vault: Vault,
    actions: Actions,
    precedence: Sequence[str] = (),
) -> None:
    """Make every value found in one request known before any of its texts is rewritten.

    So a value found in field A is swept from field B before it, and of several types that a request gives one value the
    first of `precedence` wins. Values known from earlier requests keep their type. What may leave this time (class
    `allow`) is learnt too: the next request may go where it may not. Raises `TagCollision`, `TypeInvalid`.
    """
    best: dict[bytes, list[FindingLike]] = {}
    allowed: Actions = {name: "redact" if actions.get(name) == "allow" else "allow" for name in CLASS_ORDER}
    for text, findings in texts:
        own = vault.own_spans(text) if findings else []
        pieces = _pieces(text, findings, vault, actions, own)
        if any(actions.get(finding.data_class) == "allow" for finding in findings):
            pieces += _pieces(text, findings, vault, allowed, own)
        for piece in pieces:
            best.setdefault(text[piece.start : piece.end], []).extend(piece.members)
            for start, end, member in piece.inner():
                best.setdefault(text[start:end], []).append(member)
    for value, members in best.items():
        _remember(value, members, vault, precedence)


def replacements(
    text: bytes,
    findings: Sequence[FindingLike],
    vault: Vault,
    actions: Actions,
    precedence: Sequence[str] = (),
) -> list[Replacement]:
    """Return what to replace in `text`, sorted by start, not overlapping.

    Findings that overlap each other or a swept known value become one span; its value is exactly the slice of the text, its
    type the first of `precedence` among its findings (unless the value is known under another), its class the strictest.
    Own placeholders in the text, of any type, known or not, are left as they are; what a finding holds beside one is
    replaced where it is more than punctuation. Classes whose action is `allow` are not touched, nor swept.
    `apply(text, replacements)` with each placeholder turned back is `text`. Raises `TagCollision`, `TypeInvalid`.
    """
    generation = vault.generation
    without = {name for name, action in actions.items() if action == "allow"}
    own = vault.own_spans(text)
    known = vault.sweep(text, (), own) if findings or not without else None
    pieces = _pieces(text, findings, vault, actions, own, known)
    for piece in pieces:
        _remember_piece(text, piece, vault, precedence)
    answer: list[Replacement] = []
    for _ in range(_MAX_PASSES):
        if without or known is None or vault.generation != generation:
            generation = vault.generation
            swept = vault.sweep(text, without, own)
        else:
            swept = known
        known = None
        answer = [
            _replacement(text, start, end, members, spans, vault, precedence)
            for start, end, members, spans in _united(pieces, swept)
        ]
        if vault.generation == generation:
            break
    return answer


def apply(text: bytes, replaced: Sequence[Replacement]) -> bytes:
    """Return `text` with `replaced`, sorted and not overlapping as `replacements` returns them, put in."""
    parts: list[bytes] = []
    position = 0
    for replacement in replaced:
        parts.append(text[position : replacement.start])
        parts.append(replacement.placeholder.encode("ascii"))
        position = replacement.end
    parts.append(text[position:])
    return b"".join(parts)


def _pieces(
    text: bytes,
    findings: Sequence[FindingLike],
    vault: Vault,
    actions: Actions,
    own: Sequence[tuple[int, int]],
    known: Sequence[Span] | None = None,
) -> list[_Piece]:
    """Return the unions of overlapping findings, without the own placeholders `own` and the known values within them.

    `known` is what a sweep of `text` finds, if that was made already. A known value keeps its placeholder, whatever a looser rule takes in around it, unless the whole has one already (P5).
    """
    wanted: list[tuple[int, int, FindingLike]] = []
    for finding in findings:
        start, end = _whole_characters(text, max(0, finding.start), min(len(text), finding.end))
        if start < end and (actions.get(finding.data_class) != "allow" or finding.type in OWN_TOKENS):
            wanted.append((start, end, finding))
    if not wanted:
        return []
    pieces = _merged(text, wanted, own)
    known = vault.sweep(text, (), own) if known is None else known
    apart = list(_standing_apart(text, [part[:2] for part in wanted], known))
    if not apart:
        return pieces
    starts = [piece.start for piece in pieces]
    splitting: list[tuple[int, int]] = []
    for span in apart:
        at = bisect_right(starts, span[0]) - 1
        piece = pieces[at] if at >= 0 else None
        if piece is None or not vault.knows(text[piece.start : piece.end].decode("utf-8", "surrogatepass")):
            splitting.append(span)
    return _merged(text, wanted, sorted([*own, *splitting])) if splitting else pieces


def _merged(
    text: bytes, wanted: Sequence[tuple[int, int, FindingLike]], own: Sequence[tuple[int, int]]
) -> list[_Piece]:
    """Return the unions of overlapping findings without the spans `own`; all are in whole characters."""
    parts: list[tuple[int, int, FindingLike]] = []
    for start, end, finding in wanted:
        parts.extend((low, high, finding) for low, high in _outside(text, start, end, own))
    parts.sort(key=lambda part: (part[0], part[1]))
    pieces: list[_Piece] = []
    for start, end, finding in parts:
        if pieces and start < pieces[-1].end:
            pieces[-1].end = max(pieces[-1].end, end)
            pieces[-1].parts.append((start, end, finding))
        else:
            pieces.append(_Piece(start, end, [(start, end, finding)]))
    return pieces


def _standing_apart(text: bytes, found: Sequence[tuple[int, int]], known: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Yield the known values that a finding takes in with text set apart by a space, such as a comment behind them.

    `found` are the findings in whole characters, `known` the swept values.
    """
    ordered = sorted(found)
    near: list[tuple[int, int]] = []  # those that may reach over the span; the scanner's findings do not overlap
    following = 0
    for span in known:
        while following < len(ordered) and ordered[following][0] <= span.start:
            near.append(ordered[following])
            following += 1
        near = [one for one in near if one[1] > span.start]
        around = [one for one in near if span.end <= one[1]]
        if around and all(
            (start == span.start or text[span.start - 1 : span.start].isspace())
            and (end == span.end or text[span.end : span.end + 1].isspace())
            and (start, end) != (span.start, span.end)
            for start, end in around
        ):
            yield span.start, span.end


def _outside(text: bytes, start: int, end: int, own: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield what of `start:end` is no own placeholder; beside one, only what is more than punctuation."""
    touched = False
    for own_start, own_end in own:
        if own_end <= start or own_start >= end:
            continue
        touched = True
        if start < own_start and _is_rest(text[start:own_start]):
            yield start, own_start
        start = own_end
    if start < end and (not touched or _is_rest(text[start:end])):
        yield start, end


def _is_rest(text: bytes) -> bool:
    if _COMMENT.match(text):
        return False
    return sum(map(str.isalnum, text.decode("utf-8", "ignore"))) >= _MIN_REST


def _whole_characters(text: bytes, start: int, end: int) -> tuple[int, int]:
    while 0 < start < len(text) and text[start] & 0xC0 == 0x80:
        start -= 1
    while end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return start, end


def _united(pieces: Sequence[_Piece], swept: Sequence[Span]) -> list[tuple[int, int, list[FindingLike], list[Span]]]:
    """Merge pieces and swept spans where they overlap; each input is sorted and free of overlaps itself."""
    both: list[tuple[int, int, list[FindingLike], list[Span]]] = [
        *((piece.start, piece.end, piece.members, []) for piece in pieces),
        *((span.start, span.end, [], [span]) for span in swept),
    ]
    both.sort(key=lambda item: (item[0], item[1]))
    answer: list[tuple[int, int, list[FindingLike], list[Span]]] = []
    for start, end, members, spans in both:
        if answer and start < answer[-1][1]:
            last_start, last_end, last_members, last_spans = answer[-1]
            answer[-1] = (last_start, max(last_end, end), last_members + members, last_spans + spans)
        else:
            answer.append((start, end, members, spans))
    return answer


def _replacement(
    text: bytes,
    start: int,
    end: int,
    members: list[FindingLike],
    spans: list[Span],
    vault: Vault,
    precedence: Sequence[str],
) -> Replacement:
    for span in spans:
        if (span.start, span.end) == (start, end):
            return Replacement(start, end, span.placeholder, _first(members, precedence) if members else None)
    if members:
        placeholder = _remember(text[start:end], members, vault, precedence, swept=spans)
        return Replacement(start, end, placeholder, _first(members, precedence))
    raise AssertionError("swept spans do not overlap each other")


def _remember(
    value: bytes,
    members: Sequence[FindingLike],
    vault: Vault,
    precedence: Sequence[str],
    swept: Sequence[Span] = (),
) -> str:
    classes = {str(member.data_class) for member in members} | {span.data_class for span in swept}
    data_class = next((name for name in CLASS_ORDER if name in classes), min(classes))
    return vault.placeholder_for(
        value.decode("utf-8", "surrogatepass"),
        str(_first(members, precedence).type),
        data_class=data_class,
        distinctive=bool(swept) or any(member.distinctive for member in members),
    )


def _remember_piece(text: bytes, piece: _Piece, vault: Vault, precedence: Sequence[str]) -> None:
    _remember(text[piece.start : piece.end], piece.members, vault, precedence)
    for start, end, member in piece.inner():
        _remember(text[start:end], [member], vault, precedence)


def _first(members: Sequence[FindingLike], precedence: Sequence[str]) -> FindingLike:
    if len(members) == 1:
        return members[0]
    order = _ranks(tuple(precedence))
    return min(members, key=lambda member: order.get(member.type, len(order)))


@lru_cache(maxsize=4)
def _ranks(precedence: tuple[str, ...]) -> Mapping[str, int]:
    return {name: rank for rank, name in enumerate(precedence)}
