"""Place tables: what stands where in a body, one row a place.

A wire format writes its rows as text paths (`messages[].content[].signature`); they are compiled into a tree that is
walked together with the body, so that finding a leaf's place costs a dictionary look-up. What no row names is text:
it is scanned on the way out and restored on the way in.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

MIN_OPAQUE = 32
"""Characters. Signatures, encrypted content and media are longer; what is shorter is scanned as text."""


class Kind(Enum):
    """What kind of content a place holds."""

    TEXT = "text"
    """Prose, code, tool results: scanned and redacted; restored as prose. A JSON text in it is looked into."""
    INPUT = "input"
    """A tool call's arguments as parsed JSON, with everything below it: scanned; restored by tool and argument."""
    ARGUMENTS = "arguments"
    """A tool call's arguments as a string of JSON: looked into, restored with the escapes that the place needs."""
    FREEFORM = "freeform"
    """A tool call's input as free text (Codex `apply_patch`)."""
    OPAQUE = "opaque"
    """Bytes that must travel exactly, if they fit the grammar; looked through for known values, never rewritten."""
    SIGNED = "signed"
    """Text that a signature beside it covers: never rewritten, neither way."""


BASE64 = re.compile(r"[A-Za-z0-9+/_-]{%d,}={0,2}" % MIN_OPAQUE)
DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+=-]+)*;base64,[A-Za-z0-9+/_-]*={0,2}")
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:|/+=-]{0,511}")


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of content with the grammar that an opaque leaf must fit (else it is text)."""

    kind: Kind = Kind.TEXT
    grammar: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a place table: a path, what stands there, and which members must stand beside it.

    `when` maps a sibling's name to the value it must have; `...` means any non-empty string.
    """

    path: str
    kind: Kind
    grammar: re.Pattern[str] | None = None
    when: Mapping[str, object] = field(default_factory=dict)


TEXT = Place()


@dataclass(slots=True)
class Node:
    """A position in the tree of a table."""

    children: "dict[str, Node]" = field(default_factory=dict)
    items: "Node | None" = None
    rows: list[tuple[Mapping[str, object], Place]] = field(default_factory=list)
    inherited: Place = TEXT

    def child(self, name: str) -> "Node":
        """The node of a member; below a subtree place, that subtree."""
        node = self.children.get(name)
        if node is not None:
            return node
        return ANYWHERE if self.inherited is TEXT else Node(inherited=self.inherited)

    def item(self) -> "Node":
        """The node of this array's items."""
        if self.items is not None:
            return self.items
        return ANYWHERE if self.inherited is TEXT else Node(inherited=self.inherited)

    def place(self, parent: object) -> Place:
        """What stands here, given the object that holds it."""
        for when, place in self.rows:
            if all(_matches(parent, name, wanted) for name, wanted in when.items()):
                return place
        return self.inherited


ANYWHERE = Node()
"""Where no table says anything: text."""


def _matches(parent: object, name: str, wanted: object) -> bool:
    value = parent.get(name) if isinstance(parent, dict) else None
    return bool(value) and isinstance(value, str) if wanted is ... else value == wanted


def compile_table(rows: Iterable[Row]) -> Node:
    """The tree of a table. A row of kind INPUT covers everything below its path."""
    root = Node()
    for row in rows:
        node = root
        for step in re.findall(r"[^.\[\]]+|\[\]", row.path):
            if step == "[]":
                node.items = node.items or Node()
                node = node.items
            else:
                node = node.children.setdefault(step, Node())
        place = Place(row.kind, row.grammar)
        node.rows.append((row.when, place))
        if row.kind is Kind.INPUT:
            node.inherited = place
    return root


def at(prefix: str, rows: Sequence[Row]) -> list[Row]:
    """The rows below `prefix`: a content block's table wherever such blocks stand."""
    return [Row(f"{prefix}.{row.path}", row.kind, row.grammar, row.when) for row in rows]
