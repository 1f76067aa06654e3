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


BASE64 = re.compile(rf"[A-Za-z0-9+/_-]{{{MIN_OPAQUE},}}={{0,2}}")
SEALED = re.compile(rf"(?:[A-Za-z0-9+/_-]{{{MIN_OPAQUE},}})={{0,2}}")
"""Base64 that a provider made and checks: signatures and encrypted content, as against media that an agent sends."""
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


@dataclass(slots=True, repr=False)
class Node:
    """A position in the tree of a table."""

    children: "dict[str, Node]" = field(default_factory=dict)
    items: "Node | None" = None
    rows: list[tuple[Mapping[str, object], Place]] = field(default_factory=list)
    inherited: Place = TEXT
    otherwise: "Node | None" = None
    """Members that `children` does not name."""

    def child(self, name: str) -> "Node":
        """The node of a member; below a subtree place, that subtree."""
        node = self.children.get(name)
        if node is not None:
            return node
        if self.otherwise is not None:
            return self.otherwise
        return ANYWHERE if self.inherited is TEXT else INSIDE

    def item(self) -> "Node":
        """The node of this array's items."""
        if self.items is not None:
            return self.items
        return ANYWHERE if self.inherited is TEXT else INSIDE

    def place(self, parent: object) -> Place:
        """What stands here, given the object that holds it."""
        for when, place in self.rows:
            if all(_matches(parent, name, wanted) for name, wanted in when.items()):
                return place
        return self.inherited


ANYWHERE = Node()
"""Where no table says anything: text."""
INSIDE = Node(inherited=Place(Kind.INPUT))
"""Everywhere inside the arguments of a tool call."""
CALL_MEMBERS = ("arguments", "args", "input", "parameters", "params", "tool_input")
"""What APIs call the arguments of a tool call."""


def _matches(parent: object, name: str, wanted: object) -> bool:
    value = parent.get(name) if isinstance(parent, dict) else None
    return bool(value) and isinstance(value, str) if wanted is ... else value == wanted


def compile_table(rows: Iterable[Row]) -> Node:
    """The tree of a table. Rows for the arguments of a call cover everything below their path."""
    root = Node()
    for row in rows:
        node = root
        for step in re.findall(r"[^.\[\]]+|\[\]", row.path):
            if step == "[]":
                node.items = node.items or Node()
                node = node.items
            else:
                node = node.children.setdefault(step, Node())
        node.rows.append((row.when, Place(row.kind, row.grammar)))
        if row.kind in (Kind.INPUT, Kind.ARGUMENTS, Kind.FREEFORM):
            node.inherited = INSIDE.inherited
    return root


def compile_reply(rows: Iterable[Row]) -> Node:
    """The tree of a reply's table, in which places that no row names are careful with what looks like a tool call.

    A placeholder in an argument must be judged by where the argument goes, and not restored like prose, also where a
    server names its members otherwise than its API says. An array of replies has each item at the root.
    """
    root = compile_table(rows)
    anywhere = Node()
    anywhere.items = anywhere.otherwise = anywhere
    for name in CALL_MEMBERS:
        anywhere.children[name] = Node(rows=[({}, Place(Kind.ARGUMENTS))], inherited=INSIDE.inherited)
    pending = [root]
    while pending:
        node = pending.pop()
        pending += [*node.children.values(), *([node.items] if node.items is not None else [])]
        if node.inherited is TEXT:
            node.otherwise = anywhere
            for name in CALL_MEMBERS:
                node.children.setdefault(name, anywhere.children[name])
            node.items = node.items or anywhere
    root.items = root
    return root


def at(prefix: str, rows: Sequence[Row]) -> list[Row]:
    """The rows below `prefix`: a content block's table wherever such blocks stand."""
    return [Row(f"{prefix}.{row.path}", row.kind, row.grammar, row.when) for row in rows]
