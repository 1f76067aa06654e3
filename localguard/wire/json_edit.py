"""Lossless reading and re-writing of JSON: leaves with their places, edits that touch nothing else.

Rules of this file:
- A document is validated as a whole (RFC 8259, UTF-8, no lone surrogates, no duplicate keys) before a leaf of it is handed out.
- Bytes outside an edited span are never re-encoded, so numbers, key order, escapes and white space keep their spelling.
- Replacements are plain ASCII without quotes or backslashes unless they are said to be JSON text of their own.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import orjson

from localguard.errors import LocalguardError
from localguard.wire.table import ANYWHERE, Node, Place

MAX_DEPTH = 200
"""Containers inside containers. Agents stay below 30; orjson itself stops at 1,024."""

_SCALAR = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*', re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|u[0-9a-fA-F]{4}|.)", re.DOTALL)


class JsonInvalid(LocalguardError):
    """The bytes are not one JSON document that the guard can read without doubt (RFC 8259)."""


class LeafKind(Enum):
    """What a leaf is in the document."""

    KEY = "key"
    STRING = "string"
    NUMBER = "number"


class PathLink(NamedTuple):
    """One step of a path, linked to its parent, so that a million leaves cost no million tuples."""

    parent: "PathLink | None"
    step: str | int


def path_text(path: PathLink | None) -> str:
    """The path as `messages[3].content[0].text`. Keys may hold raw values: scan before storing."""
    steps: list[str] = []
    while path is not None:
        steps.append(f"[{path.step}]" if isinstance(path.step, int) else f".{path.step}")
        path = path.parent
    return "".join(reversed(steps)).removeprefix(".")


@dataclass(slots=True)
class Leaf:
    """One key, string or number: its decoded text and where its token stands in the document's bytes."""

    kind: LeafKind
    text: str
    start: int
    end: int
    place: Place
    path: PathLink | None
    key: str | None
    """The member name that this value stands under (array items carry the name of their array)."""


class Edit(NamedTuple):
    """Replace `[start, end)` of some bytes with `new`."""

    start: int
    end: int
    new: bytes


@dataclass(slots=True)
class Document:
    """A parsed JSON text: its value, and its leaves in document order."""

    raw: bytes
    value: object
    leaves: list[Leaf]


def load(raw: bytes) -> object:
    """The value of a JSON text. Raises JsonInvalid, never with any of the text in the message."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise JsonInvalid(f"not valid JSON (RFC 8259): {error.msg.split(':')[0]} at byte {error.pos}") from None
    except RecursionError:
        raise JsonInvalid("the JSON is nested too deeply") from None


def parse(raw: bytes, node: Node | None = None, path: PathLink | None = None, key: str | None = None) -> Document:
    """Read one JSON text whose root stands at `node` of a place table.

    Raises JsonInvalid for anything that is not strict JSON, for duplicate keys (the last one would win silently
    somewhere and the first elsewhere), and below MAX_DEPTH.
    """
    value = load(raw)
    tokens = [match.span() for match in _SCALAR.finditer(raw)]
    leaves: list[Leaf] = []
    walker = _Walker(raw, tokens, leaves)
    try:
        walker.walk(value, node or ANYWHERE, path, key, None, 0)
    except IndexError:
        raise JsonInvalid("an object repeats a key; send each key once") from None
    if walker.position != len(tokens):
        # Every duplicate key drops at least one token from the value, and nothing else does.
        raise JsonInvalid("an object repeats a key; send each key once")
    return Document(raw, value, leaves)


class _Walker:
    """Walks value and tokens in step: orjson keeps document order, so the n-th scalar is the n-th token."""

    def __init__(self, raw: bytes, tokens: Sequence[tuple[int, int]], leaves: list[Leaf]) -> None:
        self.raw = raw
        self.tokens = tokens
        self.leaves = leaves
        self.position = 0

    def walk(
        self, value: object, node: Node, path: PathLink | None, key: str | None, parent: object, depth: int
    ) -> None:
        kind = type(value)
        if kind is str:
            start, end = self.tokens[self.position]
            self.position += 1
            place = node.place(parent)
            self.leaves.append(Leaf(LeafKind.STRING, value, start, end, place, path, key))  # type: ignore[arg-type]
        elif kind is dict:
            if depth >= MAX_DEPTH:
                raise JsonInvalid(f"the JSON is nested deeper than {MAX_DEPTH} levels")
            for name, item in value.items():  # type: ignore[attr-defined]
                start, end = self.tokens[self.position]
                self.position += 1
                child_path = PathLink(path, name)
                self.leaves.append(Leaf(LeafKind.KEY, name, start, end, node.inherited, child_path, None))
                self.walk(item, node.child(name), child_path, name, value, depth + 1)
        elif kind is list:
            if depth >= MAX_DEPTH:
                raise JsonInvalid(f"the JSON is nested deeper than {MAX_DEPTH} levels")
            item_node = node.item()
            for index, item in enumerate(value):  # type: ignore[arg-type]
                self.walk(item, item_node, PathLink(path, index), key, parent, depth + 1)
        elif kind is int or kind is float:
            start, end = self.tokens[self.position]
            self.position += 1
            text = self.raw[start:end].decode("ascii")
            self.leaves.append(Leaf(LeafKind.NUMBER, text, start, end, node.place(parent), path, key))


def splice(raw: bytes, edits: Iterable[Edit]) -> bytes:
    """`raw` with all edits applied. Edits must not overlap."""
    parts: list[bytes] = []
    position = 0
    for start, end, new in sorted(edits):
        if start < position:
            raise ValueError("edits overlap")
        parts.append(raw[position:start])
        parts.append(new)
        position = end
    parts.append(raw[position:])
    return b"".join(parts)


def lift(raw: bytes, start: int, edits: Sequence[Edit]) -> list[Edit]:
    """Edits of the decoded text of the string token at `raw[start]`, as edits of `raw`.

    Offsets of `edits` are bytes of the decoded text in UTF-8. An edit that begins or ends inside an escape takes
    the whole escape. New bytes are written as they are if they need no escape, else JSON-escaped.
    """
    lifted: list[Edit] = []
    ordered = sorted(edits)
    decoded = 0  # decoded offset reached
    position = start + 1  # raw offset reached; raw[position] is decoded[decoded]
    end = _string_end(raw, start)
    escapes = _ESCAPE.finditer(raw, position, end)
    escape = next(escapes, None)

    def seek(target: int, *, inclusive: bool) -> int:
        """Raw offset of decoded offset `target`; inside an escape: its end if inclusive, else its start."""
        nonlocal decoded, position, escape
        while escape is not None:
            plain = escape.start() - position
            if decoded + plain >= target:
                break
            size = _decoded_size(escape.group())
            if decoded + plain + size > target:
                return escape.end() if inclusive else escape.start()
            decoded += plain + size
            position = escape.end()
            escape = next(escapes, None)
        return position + (target - decoded)

    for edit in ordered:
        first = seek(edit.start, inclusive=False)
        last = seek(edit.end, inclusive=True)
        lifted.append(Edit(first, last, escape_text(edit.new)))
    return lifted


def escape_text(text: bytes) -> bytes:
    """`text` as it stands inside a JSON string: quotes, backslashes and control characters escaped."""
    return orjson.dumps(text.decode())[1:-1]


def string_token(text: str) -> bytes:
    """`text` as a JSON string token with its quotes."""
    return orjson.dumps(text)


def _string_end(raw: bytes, start: int) -> int:
    match = _SCALAR.match(raw, start)
    if match is None:
        raise ValueError("no string token at this offset")
    return match.end() - 1


def _decoded_size(escape: bytes) -> int:
    if len(escape) == 2:
        return 1
    if len(escape) == 12:
        return 4
    code = int(escape[2:6], 16)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3
