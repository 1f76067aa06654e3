"""Lossless reading and re-writing of JSON: leaves with their places, edits that touch nothing else.

Rules of this file:
- A document is validated as a whole (RFC 8259, UTF-8, no lone surrogates, no duplicate keys) before a leaf of it is handed out.
- Bytes outside an edited span are never re-encoded, so numbers, key order, escapes and white space keep their spelling.
- Replacements are plain ASCII without quotes or backslashes unless they are said to be JSON text of their own.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

import orjson

from localguard.errors import LocalguardError
from localguard.wire.table import ANYWHERE, Node, Place

MAX_DEPTH = 200
"""Containers inside containers. Agents stay below 30; orjson itself stops at 1,024."""

_LONG = 1024
"""Bytes of a document from which on its strings are not walked through if they need not be."""
_BACKSLASH = 0x5C

# Possessive throughout: a backtracking `*` keeps a frame for every escape of a string, some gigabytes for 16 MB.
_SCALAR = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.eE+-]*+', re.DOTALL)
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
    parent: PathLink | None
    step: str | int | None
    """Last step of the path; None for a document that is one scalar."""
    key: str | None
    """The member name that this value stands under (array items carry the name of their array)."""

    @property
    def path(self) -> PathLink | None:
        """Where it stands. Made when asked: most leaves of a large body are never asked."""
        return self.parent if self.step is None else PathLink(self.parent, self.step)


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
    canonical: bool = False
    """Known to be spelled as orjson spells it: no white space, and no escape that need not be."""


def load(raw: bytes, *, lenient: bool = False) -> object:
    """The value of a JSON text. Raises JsonInvalid, never with any of the text in the message.

    `lenient` also reads lone surrogates, which providers send where an emoji is cut over two events.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if lenient and b"\\u" in raw:
            return _load_surrogates(raw)
        raise JsonInvalid(f"not valid JSON (RFC 8259): {error.msg.split(':')[0]} at byte {error.pos}") from None
    except RecursionError:
        raise JsonInvalid("the JSON is nested too deeply") from None


def _load_surrogates(raw: bytes) -> object:
    def refuse(constant: str) -> object:
        raise ValueError(constant)

    try:
        return json.loads(raw.decode(), parse_constant=refuse)
    except (ValueError, RecursionError):
        raise JsonInvalid("not valid JSON (RFC 8259)") from None


def parse(
    raw: bytes,
    node: Node | None = None,
    path: PathLink | None = None,
    key: str | None = None,
    *,
    lenient: bool = False,
) -> Document:
    """Read one JSON text whose root stands at `node` of a place table.

    Raises JsonInvalid for anything that is not strict JSON (`lenient` as in `load`), for duplicate keys (the last one
    would win silently somewhere and the first elsewhere), and below MAX_DEPTH.
    """
    value = load(raw, lenient=lenient)
    tokens = _canonical_tokens(raw, value) if len(raw) >= _LONG else None
    canonical = tokens is not None
    if tokens is None:
        tokens = [match.span() for match in _SCALAR.finditer(raw)]
    leaves: list[Leaf] = []
    walker = _Walker(raw, tokens, leaves)
    try:
        if isinstance(value, dict | list):
            walker.walk(value, node or ANYWHERE, path, key, 0)
        else:
            walker.scalar(value, (node or ANYWHERE).place(None), path, None, key)
    except IndexError:
        raise JsonInvalid("an object repeats a key; send each key once") from None
    if walker.position != len(tokens):
        # Every duplicate key drops at least one token from the value, and nothing else does.
        raise JsonInvalid("an object repeats a key; send each key once")
    return Document(raw, value, leaves, canonical)


def _canonical_tokens(raw: bytes, value: object) -> list[tuple[int, int]] | None:
    """Where the keys, strings and numbers of `value` stand in `raw` if it is spelled as orjson spells it, else None.

    Then every token is as long as its own spelling, and no string has to be walked through for its end.
    """
    try:
        if orjson.dumps(value) != raw:
            return None
    except (orjson.JSONEncodeError, RecursionError):
        return None
    tokens: list[tuple[int, int]] = []
    _add_tokens(tokens, value, 0)
    return tokens


def _add_tokens(tokens: list[tuple[int, int]], value: object, at: int) -> int:
    """Add the tokens of `value`, whose spelling begins at `at`; answers its end."""
    if isinstance(value, dict):
        for name, item in value.items():
            at += 1
            end = at + len(orjson.dumps(name))
            tokens.append((at, end))
            at = _add_tokens(tokens, item, end + 1)
        return at + (1 if value else 2)
    if isinstance(value, list):
        for item in value:
            at = _add_tokens(tokens, item, at + 1)
        return at + (1 if value else 2)
    end = at + len(orjson.dumps(value))
    if value is not None and not isinstance(value, bool):
        tokens.append((at, end))
    return end


class _Walker:
    """Walks value and tokens in step: parsers keep document order, so the n-th scalar is the n-th token."""

    def __init__(self, raw: bytes, tokens: Sequence[tuple[int, int]], leaves: list[Leaf]) -> None:
        self.raw = raw
        self.tokens = tokens
        self.leaves = leaves
        self.position = 0

    def walk(
        self,
        value: dict[str, object] | list[object],
        node: Node,
        path: PathLink | None,
        key: str | None,
        depth: int,
    ) -> None:
        """Take the leaves of an object or array; `path` is its own."""
        if depth >= MAX_DEPTH:
            raise JsonInvalid(f"the JSON is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, list):
            item_node = node.item()
            item_place = item_node.place(None)
            for index, item in enumerate(value):
                if isinstance(item, dict | list):
                    self.walk(item, item_node, PathLink(path, index), key, depth + 1)
                else:
                    self.scalar(item, item_place, path, index, key)
            return
        inherited = node.inherited
        for name, item in value.items():
            start, end = self.tokens[self.position]
            self.position += 1
            self.leaves.append(Leaf(LeafKind.KEY, name, start, end, inherited, path, name, None))
            if isinstance(item, dict | list):
                self.walk(item, node.child(name), PathLink(path, name), name, depth + 1)
            else:
                self.scalar(item, node.child(name).place(value), path, name, name)

    def scalar(
        self, value: object, place: Place, parent: PathLink | None, step: str | int | None, key: str | None
    ) -> None:
        """Take a string or number with its token; `true`, `false` and `null` have none."""
        kind = type(value)
        if kind is str:
            start, end = self.tokens[self.position]
            self.leaves.append(Leaf(LeafKind.STRING, value, start, end, place, parent, step, key))  # type: ignore[arg-type]
        elif kind is int or kind is float:
            start, end = self.tokens[self.position]
            # Where a key is repeated, value and tokens are out of step: the token may be any text, and is refused later.
            text = self.raw[start:end].decode("utf-8", "replace")
            self.leaves.append(Leaf(LeafKind.NUMBER, text, start, end, place, parent, step, key))
        else:
            return
        self.position += 1


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


def lift(raw: bytes, start: int, edits: Sequence[Edit], canonical: bytes | None = None) -> list[Edit]:
    """Edits of the decoded text of the string token at `raw[start]`, as edits of `raw`; one pass for all of them.

    Offsets of `edits` are bytes of the decoded text in UTF-8. An edit that begins or ends inside an escape takes
    the whole escape. New bytes are written as they are if they need no escape, else JSON-escaped.
    `canonical` is the decoded text where the token is known to be spelled as orjson spells it.
    """
    spans = [(edit.start, edit.end) for edit in edits]
    offsets = None
    if canonical is not None:
        offsets = _offsets_in(canonical, sorted({offset for span in spans for offset in span}), orjson.dumps)
    if offsets is not None:
        spans = [(start + offsets[low], start + offsets[high]) for low, high in spans]
    else:
        spans = lift_spans(raw, start, spans)
    return [Edit(first, last, escape_text(edit.new)) for (first, last), edit in zip(spans, edits, strict=True)]


def lift_spans(raw: bytes, start: int, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of the decoded text of the string token at `raw[start]` as spans of `raw`, in the order given.

    They may overlap. A span that begins or ends inside an escape takes the whole escape.
    """
    first = start + 1
    end = _string_end(raw, start)
    if raw.find(b"\\", first, end) < 0:
        return [(low + first, high + first) for low, high in spans]
    targets = sorted({offset for span in spans for offset in span})
    offsets = _offsets_by_spelling(raw[start : end + 1], targets)
    if offsets is not None:
        return [(start + offsets[low], start + offsets[high]) for low, high in spans]
    before, after = _offsets_by_walking(raw, first, end, targets)
    return [(before[low], after[high]) for low, high in spans]


def _offsets_by_spelling(token: bytes, targets: Sequence[int]) -> dict[int, int] | None:
    """Where in a string token the offsets of its decoded text stand, told by spelling the text between them again.

    None if the token is not spelled as one of the two usual encoders does it (escaped is what has to be, as JavaScript
    and orjson do, or all that is not ASCII, as Python's `json` does), or an offset lies inside a character.
    """
    try:
        decoded = orjson.loads(token)
        text = decoded.encode()
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    spell = next((spell for spell in _SPELLINGS if spell(decoded) == token), None)
    return _offsets_in(text, targets, spell) if spell is not None else None


def _offsets_in(text: bytes, targets: Sequence[int], spell: Callable[[str], bytes]) -> dict[int, int] | None:
    """Where the offsets `targets` of a text, sorted, stand in its token as `spell` spells it; None inside a character."""
    offsets: dict[int, int] = {}
    position, reached = 0, 1  # the token's byte `reached` is text[position]
    for target in targets:
        try:
            reached += len(spell(text[position:target].decode())) - 2
        except UnicodeDecodeError:
            return None
        position = target
        offsets[target] = reached
    return offsets


def _spell_ascii(text: str) -> bytes:
    return encode_basestring_ascii(text).encode("ascii")


_SPELLINGS: tuple[Callable[[str], bytes], ...] = (orjson.dumps, _spell_ascii)


def _offsets_by_walking(
    raw: bytes, first: int, end: int, targets: Sequence[int]
) -> tuple[dict[int, int], dict[int, int]]:
    """The same for any spelling of the string `raw[first:end]`, escape by escape: as span starts, and as span ends."""
    before: dict[int, int] = {}  # raw offset, the start of the escape for an offset inside one
    after: dict[int, int] = {}  # the same, its end
    decoded, position = 0, first  # raw[position] is decoded[decoded]
    at = 0
    for escape in _ESCAPE.finditer(raw, first, end):
        reached = decoded + escape.start() - position
        size = _decoded_size(escape.group())
        while at < len(targets) and targets[at] < reached + size:
            target = targets[at]
            inside = target > reached
            before[target] = escape.start() if inside else position + target - decoded
            after[target] = escape.end() if inside else position + target - decoded
            at += 1
        if at == len(targets):
            break
        decoded, position = reached + size, escape.end()
    for target in targets[at:]:
        before[target] = after[target] = position + target - decoded
    return before, after


def escape_text(text: bytes) -> bytes:
    """`text` as it stands inside a JSON string: quotes, backslashes and control characters escaped."""
    return orjson.dumps(text.decode())[1:-1]


def string_token(text: str) -> bytes:
    """`text` as a JSON string token with its quotes."""
    try:
        return orjson.dumps(text)
    except orjson.JSONEncodeError:  # a lone surrogate
        return json.dumps(text).encode("ascii")


def _string_end(raw: bytes, start: int) -> int:
    """The offset of the quote that ends the string token at `start`."""
    if raw[start : start + 1] != b'"':
        raise ValueError("no string token at this offset")
    end = start
    while (end := raw.find(b'"', end + 1)) >= 0:
        backslashes = end
        while raw[backslashes - 1] == _BACKSLASH:
            backslashes -= 1
        if (end - backslashes) % 2 == 0:
            return end
    raise ValueError("no string token at this offset")


def _decoded_size(escape: bytes) -> int:
    if len(escape) == 2:
        return 1
    if len(escape) == 12:
        return 4
    code = int(escape[2:6], 16)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3
