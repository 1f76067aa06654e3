"""Cutting a body into the pieces that are sent again on every turn, exactly.

A turn's body is a few small members and some long arrays (`messages`, `input`, `tools`) whose items were nearly all in
the turn before. A piece that was read before is recognised by the digest of its bytes and not parsed again. The cut is
made by msgspec, which is lenient about duplicate keys, so it is only believed if putting the pieces together again
gives the very bytes that came; else the whole body is one piece.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import orjson

from localguard.wire.format import WireFormat
from localguard.wire.table import Node

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_SEPARATORS = ((b",", b":"), (b", ", b": "))
_MAX_KEY = 40
_MANY = 1000
_LEAST_ITEM = 64
"""Bytes of an item on average, from which on many items are worth being known one by one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a body that form one JSON text, with the place where they stand."""

    raw: bytes
    node: Node
    where: str
    """Path of the piece, e.g. `messages[12]`."""
    member: str
    """The top-level member it belongs to, or empty for a whole body."""
    place: bytes
    """What tells this place apart from others of all formats when the bytes are the same."""


@dataclass(frozen=True, slots=True)
class Split:
    """A body in order: structure bytes between pieces. `join` with the same pieces gives the body."""

    between: Sequence[bytes]
    """One more than there are pieces."""
    pieces: Sequence[Piece]
    members: dict[str, bytes]
    """Raw top-level members, for reading `model`, `stream` and the like; arrays that are cut into items are left out.
    Empty if the body is no object."""
    names: Sequence[str] = ()
    """Top-level keys that stand between the pieces and not in one."""

    def join(self, replacements: Sequence[bytes], before: bytes | memoryview = b"") -> bytes:
        """The body with each piece replaced by the bytes given for it, behind what stands `before` it."""
        parts: list[bytes | memoryview] = [before, self.between[0]]
        for piece, gap in zip(replacements, self.between[1:], strict=True):
            parts.append(piece)
            parts.append(gap)
        return b"".join(parts)

    def spells(self, body: bytes) -> bool:
        """Whether the pieces, joined, are `body`."""
        at = 0
        for index, gap in enumerate(self.between):
            raw = self.pieces[index].raw if index < len(self.pieces) else b""
            if not (body.startswith(gap, at) and body.startswith(raw, at + len(gap))):
                return False
            at += len(gap) + len(raw)
        return at == len(body)


def split(body: bytes, format: WireFormat, first: tuple[str, int] = ("", 0)) -> Split:
    """Cut `body`. Never raises: what is not valid JSON comes as one piece, whose parsing then fails.

    `first` names a member and the index that its first item has, where the items before it were taken out.
    """
    try:
        members = _MEMBERS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _whole(body, format, {})
    for comma, colon in _SEPARATORS if format.history else ():
        made = _cut(members, format, comma, colon, first)
        if made is not None and made.spells(body):
            return made
    return _whole(body, format, {name: bytes(raw) for name, raw in members.items()})


def _whole(body: bytes, format: WireFormat, members: dict[str, bytes]) -> Split:
    return Split([b"", b""], [Piece(body, format.request, "", "", format.name.encode())], members)


def _cut(
    members: dict[str, msgspec.Raw], format: WireFormat, comma: bytes, colon: bytes, first: tuple[str, int]
) -> Split | None:
    between: list[bytes] = []
    pieces: list[Piece] = []
    uncut: dict[str, bytes] = {}
    gap = b"{"
    for position, (name, raw) in enumerate(members.items()):
        if not _is_structural(name):
            return None  # a key that may hold a value: the whole body is read
        gap += (comma if position else b"") + orjson.dumps(name) + colon
        node = format.request.child(name)
        place = f"{format.name} {name}".encode()
        items = _items(raw, comma) if name in format.history else None
        if items is None:
            between.append(gap)
            uncut[name] = bytes(raw)
            pieces.append(Piece(uncut[name], node, name, name, place))
            gap = b""
            continue
        gap += b"["
        start = first[1] if name == first[0] else 0
        for index, item in enumerate(items, start):
            between.append(gap + (comma if index != start else b""))
            pieces.append(Piece(item, node.item(), f"{name}[{index}]", name, place + b"[]"))
            gap = b""
        gap += b"]"
    between.append(gap + b"}")
    return Split(between, pieces, uncut, tuple(members))


def _items(raw: msgspec.Raw, comma: bytes) -> list[bytes] | None:
    size = len(memoryview(raw))
    if bytes(memoryview(raw)[:1]) != b"[" or size < 3:
        return None
    try:
        items = [bytes(item) for item in _ITEMS.decode(raw)]
    except (msgspec.DecodeError, RecursionError):
        return None
    if len(items) > _MANY and size < _LEAST_ITEM * len(items):
        return None  # numbers, not messages: what is kept of each would be a hundred times its size
    return items if items and sum(map(len, items)) + len(comma) * (len(items) - 1) + 2 == size else None


def _is_structural(name: str) -> bool:
    return len(name) <= _MAX_KEY and name.isascii() and name.replace("_", "").replace("-", "").isalpha()
