"""What a request has in common with an earlier one of its session: recognised at once, not piece by piece.

A turn's body begins with the bytes of the turn before, up to the end of its history. That beginning is kept with what
goes upstream for it, and a body that begins with the very same bytes is cut only behind them: what is left, put behind
the bytes that stand before the first item, is a body of its own (`{"messages":[` and the new items), cut and checked
like any other. A request that changes its history is read piece by piece.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from localguard.exchange.claims import NONE as NO_CLAIMS
from localguard.exchange.claims import Claims
from localguard.exchange.conversation import leading
from localguard.exchange.items import Item, Output, Replaced
from localguard.exchange.split import Piece, Split, split
from localguard.wire.format import WireFormat
from localguard.wire.table import Node

LEFT_OUT = 4
"""Items at the end of a history that are no part of its prefix: agents change the marks of their last messages
(`cache_control`) on the next turn."""
_LEAST_BYTES = 8_192
_MAX_PREFIXES = 16
MAX_BYTES = 16 * 1024 * 1024
"""Of all prefixes that a workspace keeps, what goes upstream for them included."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What some pieces of a body say and hold, together."""

    types: frozenset[str] = frozenset()
    tools: tuple[str, ...] = ()
    attachments: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    instructions: tuple[tuple[str, str], ...] = ()
    references: tuple[str, ...] = ()
    openings: tuple[tuple[str, str], ...] = ()
    claims: Claims = NO_CLAIMS
    leaves: int = 0
    opaque: int = 0
    attached_bytes: int = 0

    def plus(self, items: Sequence[Item]) -> "Totals":
        """These and the items behind them."""
        return Totals(
            self.types.union(*(item.types for item in items)),
            (*self.tools, *(name for item in items for name in item.tools)),
            self.attachments.union(*(item.attachments for item in items)),
            self.unread.union(*(item.unread for item in items)),
            (*self.instructions, *(pair for item in items for pair in item.instructions)),
            (*self.references, *(id for item in items for id in item.references)),
            leading((*self.openings, *(item.opening for item in items if item.opening))),
            self.claims.plus(item.claims for item in items),
            self.leaves + sum(item.leaves for item in items),
            self.opaque + sum(item.opaque for item in items),
            self.attached_bytes + sum(item.attached_bytes for item in items),
        )


class Seen(NamedTuple):
    """A piece of a prefix: where it stands in the prefix's bytes, and what is known of it."""

    start: int
    end: int
    node: Node
    where: str
    member: str
    place: bytes
    digest: bytes
    item: Item


@dataclass(frozen=True, slots=True)
class Written:
    """A prefix as it goes upstream under one set of actions."""

    generation: int
    """Of the vault: every distinctive value that it knew then was looked for."""
    redacted: memoryview | None
    """The beginning of a body that went upstream; None: its own bytes, unchanged."""
    replaced: tuple[Replaced, ...]
    doubtful: tuple[Output, ...]
    """What goes upstream, as part of it, for each of the prefix's doubtful pieces."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The beginning of a body up to the end of an item of its history. The body is kept as it came, and not copied."""

    format: str
    body: bytes
    size: int
    opening: int
    """Bytes before the first item."""
    lead: int
    """Pieces before the first item."""
    member: str
    """The member whose items they are."""
    count: int
    comma: bytes
    seen: tuple[Seen, ...]
    doubtful: tuple[Seen, ...]
    """Pieces in which some value may stand with other letters and digits than in the decoded texts."""
    totals: Totals
    written: dict[tuple[str, ...], Written] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """Bytes that it takes to keep it, roughly."""
        written = sum(one.redacted.nbytes for one in self.written.values() if one.redacted is not None)
        return len(self.body) + written + 400 * len(self.seen)

    @property
    def raw(self) -> memoryview:
        """Its bytes."""
        return memoryview(self.body)[: self.size]

    def begins(self, body: bytes) -> bool:
        """Whether `body` begins with this prefix."""
        return body.startswith(self.raw)

    def rest(self, body: bytes, format: WireFormat) -> Split | None:
        """What of `body`, which begins with this prefix, stands behind it; None where that cannot be told."""
        end = self.size
        if not body.startswith(self.comma, end):
            return None
        made = split(self.body[: self.opening] + body[end + len(self.comma) :], format, first=(self.member, self.count))
        if len(made.pieces) <= self.lead or made.pieces[self.lead].where != f"{self.member}[{self.count}]":
            return None
        return Split([self.comma, *made.between[self.lead + 1 :]], made.pieces[self.lead :], made.members, made.names)

    def piece(self, one: Seen) -> Piece:
        """One of this prefix's pieces."""
        return Piece(self.body[one.start : one.end], one.node, one.where, one.member, one.place)

    def whole(self, rest: Split) -> Split:
        """The cut of the whole body, given that of what stands behind this prefix."""
        edges = [0, *(one.end for one in self.seen)]
        between = [self.body[edge : one.start] for edge, one in zip(edges, self.seen, strict=False)]
        pieces = [self.piece(one) for one in self.seen]
        return Split([*between, *rest.between], [*pieces, *rest.pieces], rest.members, rest.names)


def covered(cut: Split, format: WireFormat, prefix: Prefix | None) -> tuple[str, int] | None:
    """The member and the number of pieces of `cut` that a prefix may take in, None where it is not worth one.

    `cut` is what stands behind `prefix`, if there is one.
    """
    pieces = cut.pieces
    sizes: dict[str, int] = {}
    for piece in pieces:
        if piece.member in format.history and piece.where.endswith("]"):
            sizes[piece.member] = sizes.get(piece.member, 0) + len(piece.raw)
    member = prefix.member if prefix is not None else max(sizes, key=lambda name: sizes[name], default="")
    positions = [at for at, piece in enumerate(pieces) if piece.member == member and piece.where.endswith("]")]
    taken = positions[:-LEFT_OUT]
    if not taken or (prefix is None and len(taken) < 2) or sizes[member] < _LEAST_BYTES:
        return None
    return member, taken[-1] + 1


def extended(
    prefix: Prefix | None, cut: Split, body: bytes, format: WireFormat, known: Iterable[tuple[bytes, Item]], member: str
) -> Prefix:
    """A prefix with the first pieces of `cut`, which stands behind `prefix`: one for each of `known` (digest, item)."""
    at = prefix.size if prefix is not None else 0
    seen: list[Seen] = []
    for gap, piece, (digest, item) in zip(cut.between, cut.pieces, known, strict=False):
        at += len(gap)
        seen.append(Seen(at, at + len(piece.raw), piece.node, piece.where, piece.member, piece.place, digest, item))
        at += len(piece.raw)
    items = [one.item for one in seen]
    doubtful = tuple(one for one in seen if not one.item.plain)
    if prefix is not None:
        count = prefix.count + len(seen)
        return Prefix(
            prefix.format,
            body,
            at,
            prefix.opening,
            prefix.lead,
            member,
            count,
            prefix.comma,
            (*prefix.seen, *seen),
            (*prefix.doubtful, *doubtful),
            prefix.totals.plus(items),
        )
    lead = next(index for index, one in enumerate(seen) if one.member == member)
    return Prefix(
        format.name,
        body,
        at,
        seen[lead].start,
        lead,
        member,
        len(seen) - lead,
        bytes(cut.between[lead + 1]),
        tuple(seen),
        doubtful,
        Totals().plus(items),
    )


class Prefixes:
    """The prefixes of a workspace's last sessions. Thread-safe; bounded by number and bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[Prefix] = []

    def find(self, format: str, body: bytes) -> Prefix | None:
        """The longest prefix that `body` begins with."""
        best: Prefix | None = None
        for one in self._kept:
            longer = best is None or one.size > best.size
            if longer and one.format == format and one.begins(body):
                best = one
        return best

    def length(self, format: str, body: bytes) -> int:
        """Bytes of the longest prefix that `body` begins with: they cost next to nothing to read."""
        found = self.find(format, body)
        return found.size if found is not None else 0

    def keep(self, prefix: Prefix, instead: Prefix | None) -> None:
        """Keep `prefix`, which goes on where `instead` ends; what was kept first is forgotten first."""
        with self._lock:
            kept = [
                one
                for one in self._kept
                if one is not instead and not (one.size == prefix.size and one.begins(prefix.body))
            ]
            kept.append(prefix)
            while len(kept) > _MAX_PREFIXES or sum(one.weight for one in kept) > MAX_BYTES:
                kept.pop(0)
            self._kept = kept
