"""JSON, with comments and trailing commas where they are, changed in place. Pure."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from localguard.config.settings.path import Path, SettingsBroken, line_of, newline_of

_DEEPEST = 100
_SKIP = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_SCALAR = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")


@dataclass(slots=True)
class _Node:
    """A value and where it stands. Members and items are in the order of the text."""

    start: int
    end: int
    scalar: Any = None
    members: "dict[str, tuple[int, _Node]] | None" = None
    """Name to where the name begins, and the value."""
    items: "list[_Node] | None" = None
    commas: list[int] = field(default_factory=list)
    """Where the commas behind members or items stand."""


def values(text: str) -> Any:
    """What the text holds; an empty one holds an empty object. Raises SettingsBroken with the line."""
    if not _SKIP.sub("", text):
        return {}
    return _plain(_read(text))


def with_value(text: str, path: Path, value: str) -> str:
    """The text with a text value at a path of member names and item numbers."""
    if not _SKIP.sub("", text):
        text = text + "{}" + newline_of(text)
    node = _read(text)
    for index, step in enumerate(path):
        found = _child(node, step)
        if found is None:
            return _inserted(text, node, str(step), _nested(path[index + 1 :], value))
        node = found
    return text[: node.start] + json.dumps(value, ensure_ascii=False) + text[node.end :]


def without(text: str, path: Path) -> str:
    """The text without a member of an object."""
    node = _read(text)
    for step in path[:-1]:
        found = _child(node, step)
        if found is None:
            return text
        node = found
    if not node.members or path[-1] not in node.members:
        return text
    names = list(node.members)
    place = names.index(str(path[-1]))
    start, value = node.members[names[place]]
    end = value.end
    if place < len(node.commas):  # with the comma behind it, up to its own line's end
        end = node.commas[place] + 1
        start = _line_start(text, start)
        rest = re.compile(r"[ \t]*\r?\n").match(text, end)
        if text[start : node.members[names[place]][0]].strip(" \t") == "" and rest and start > node.start:
            return text[:start] + text[rest.end() :]
        start = node.members[names[place]][0]
        blank = re.compile(r"[ \t]*").match(text, end)
        return text[:start] + text[blank.end() if blank else end :]
    if place:  # the last one: with the comma before it
        comma = node.commas[place - 1]
        kept, after = text[comma + 1 : start].rstrip(), text[end:]
        if "//" in kept.rpartition("\n")[2] and not after.lstrip(" \t").startswith(("\n", "\r")):
            kept += newline_of(text)
        return text[:comma] + kept + after
    return (
        text[: node.start] + "{}" + text[node.end :]
        if _only_blank(text, node, start, end)
        else text[:start] + text[end:]
    )


def _only_blank(text: str, node: _Node, start: int, end: int) -> bool:
    return not (text[node.start + 1 : start] + text[end : node.end - 1]).strip()


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _inserted(text: str, node: _Node, name: str, value: Any) -> str:
    """The text with one more member at the end of an object."""
    if node.members is None:
        raise SettingsBroken(f"line {line_of(text, node.start)}: there should be an object")
    line = newline_of(text)
    if not node.members:
        own = re.match(r"[ \t]*", text[_line_start(text, node.start) :])
        outer = own[0] if own else ""
        unit = _unit(text)
        body = _dumped(name, value, outer + unit, unit, line)
        inner = text[node.start + 1 : node.end - 1].rstrip(" \t\r\n")
        return f"{text[: node.start]}{{{inner}{line}{body}{line}{outer}}}{text[node.end :]}"
    start, last = list(node.members.values())[-1]
    before = text[_line_start(text, start) : start]
    trailing = len(node.commas) == len(node.members)
    at = node.commas[-1] + 1 if trailing else last.end
    if before.strip():  # the members share a line
        piece = f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
    else:
        piece = line + _dumped(name, value, before, _unit(text), line)
    return text[:at] + ("" if trailing else ",") + piece + ("," if trailing else "") + text[at:]


def _dumped(name: str, value: Any, indent: str, unit: str, line: str) -> str:
    text = json.dumps({name: value}, indent=unit, ensure_ascii=False).split("\n")[1:-1]
    return line.join(indent + one[len(unit) :] for one in text)


def _unit(text: str) -> str:
    """How the text indents: as its first indented line does, else by two spaces."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _nested(path: Path, value: str) -> Any:
    made: Any = value
    for step in reversed(path):
        made = {str(step): made}
    return made


def _child(node: _Node, step: str | int) -> _Node | None:
    if isinstance(step, int):
        return node.items[step] if node.items is not None and step < len(node.items) else None
    found = (node.members or {}).get(step)
    return found[1] if found is not None else None


def _plain(node: _Node) -> Any:
    if node.members is not None:
        return {name: _plain(value) for name, (_, value) in node.members.items()}
    return [_plain(one) for one in node.items] if node.items is not None else node.scalar


def _read(text: str) -> _Node:
    node, at = _value(text, _skip(text, 0), 0)
    if _skip(text, at) != len(text):
        raise SettingsBroken(f"line {line_of(text, at)}: something follows the end of the document")
    return node


def _value(text: str, at: int, depth: int) -> tuple[_Node, int]:
    if depth > _DEEPEST:
        raise SettingsBroken(f"line {line_of(text, at)}: too deep")
    sign = text[at : at + 1]
    if sign in ("{", "["):
        return _holder(text, at, depth)
    found = (_STRING if sign == '"' else _SCALAR).match(text, at)
    if found is None:
        raise SettingsBroken(f"line {line_of(text, at)}: there should be a value")
    try:
        return _Node(at, found.end(), json.loads(found[0])), found.end()
    except ValueError:
        raise SettingsBroken(f"line {line_of(text, at)}: this is no JSON value") from None


def _holder(text: str, at: int, depth: int) -> tuple[_Node, int]:
    """An object or an array."""
    is_object = text[at] == "{"
    node = _Node(at, at, members={} if is_object else None, items=None if is_object else [])
    end = "}" if is_object else "]"
    here = _skip(text, at + 1)
    while text[here : here + 1] != end:
        if is_object:
            here = _member(text, here, depth, node)
        else:
            assert node.items is not None
            one, here = _value(text, here, depth + 1)
            node.items.append(one)
        here = _skip(text, here)
        if text[here : here + 1] == ",":
            node.commas.append(here)
            here = _skip(text, here + 1)
        elif text[here : here + 1] != end:
            raise SettingsBroken(f"line {line_of(text, here)}: there should be a comma or {end}")
    node.end = here + 1
    return node, here + 1


def _member(text: str, here: int, depth: int, node: _Node) -> int:
    assert node.members is not None
    name = _STRING.match(text, here)
    if name is None:
        raise SettingsBroken(f"line {line_of(text, here)}: there should be a name in quotes")
    colon = _skip(text, name.end())
    if text[colon : colon + 1] != ":":
        raise SettingsBroken(f"line {line_of(text, colon)}: there should be a colon")
    value, after = _value(text, _skip(text, colon + 1), depth + 1)
    key = json.loads(name[0])
    if key in node.members:
        raise SettingsBroken(f"line {line_of(text, here)}: a name stands there twice")
    node.members[key] = (here, value)
    return after


def _skip(text: str, at: int) -> int:
    found = _SKIP.match(text, at)
    return found.end() if found else at
