"""YAML in block style, changed in place at the marks that its parser gives. Pure."""

import re
from typing import Any

import yaml

from localguard.config.settings.path import Path, SettingsBroken, newline_of

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.:/@%+=-]*(?<!:)")


def values(text: str) -> Any:
    """What the text holds; an empty one holds an empty object. Raises SettingsBroken with the line."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise SettingsBroken(f"line {mark.line + 1}: it is no YAML" if mark else "it is no YAML") from None
    return {} if found is None else found


def with_value(text: str, path: Path, value: str) -> str:
    """The text with a text value: in place of the one there, else in a line of its own behind the last member of its object."""
    node = _compose(text)
    if node is None:
        line = newline_of(text)
        start = "" if not text or text.endswith("\n") else line
        return text + start + line.join(_lines(path, value, "")) + line
    for index, step in enumerate(path):
        found = _child(node, step)
        if found is None:
            return _inserted(text, node, path[index:], value)
        node = found
    return text[: node.start_mark.index] + _scalar(value) + text[node.end_mark.index :]


def without(text: str, path: Path) -> str:
    """The text without a member or an item, with the lines that it takes."""
    node = _compose(text)
    for step in path[:-1]:
        node = _child(node, step)
    pairs = _pairs(node)
    if len(pairs) == 1 and len(path) > 1 and not node.flow_style:
        return _emptied(text, node)
    start, end = pairs[path[-1]]
    first, last = _line_start(text, start), text.find("\n", end)
    if node.flow_style:
        raise SettingsBroken("it is written in one line; change it by hand")
    if end and text[end - 1] == "\n":  # a block ends with its line
        last = end - 1
    return text[:first] + (text[last + 1 :] if last >= 0 else "")


def _emptied(text: str, node: Any) -> str:
    """The text with an empty object or list in place of one in block style."""
    head, tail = text[: node.start_mark.index].rstrip(), text[node.end_mark.index :]
    sign = "[]" if isinstance(node, yaml.SequenceNode) else "{}"
    ended = node.end_mark.index == len(text) and not text.endswith("\n")
    return f"{head} {sign}{'' if ended else newline_of(text)}{tail}"


def _compose(text: str) -> Any:
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _child(node: Any, step: str | int) -> Any:
    if isinstance(node, yaml.MappingNode) and isinstance(step, str):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def _pairs(node: Any) -> dict[str | int, tuple[int, int]]:
    """Members or items with where they begin and end."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: (key.start_mark.index, value.end_mark.index) for key, value in node.value}
    return {number: (one.start_mark.index, one.end_mark.index) for number, one in enumerate(node.value)}


def _inserted(text: str, node: Any, path: Path, value: str) -> str:
    """The text with one more member of an object, or item of a list, in block style."""
    if node.flow_style or not node.value:
        raise SettingsBroken("it is written in one line; change it by hand")
    line = newline_of(text)
    if isinstance(node, yaml.SequenceNode):
        last = node.value[-1]
        column = text[_line_start(text, last.start_mark.index) :].index("-")
        made = [" " * column + f"- {_scalar(value)}"]
        end = last.end_mark.index
    else:
        key, last = node.value[-1]
        if node.value[0][0].start_mark.column != key.start_mark.column:
            raise SettingsBroken("it is not indented evenly; change it by hand")
        made = _lines(path, value, " " * key.start_mark.column)
        end = last.end_mark.index
    while end and text[end - 1] in " \t\r\n":
        end -= 1
    stop = text.find("\n", end)
    at = len(text) if stop < 0 else stop + 1
    start = line if stop < 0 and text and not text.endswith("\n") else ""
    return text[:at] + start + line.join(made) + line + text[at:]


def _lines(path: Path, value: str, indent: str) -> list[str]:
    """The lines of a member and all that is below it."""
    step, rest = path[0], path[1:]
    if not rest:
        return [f"{indent}{step}: {_scalar(value)}"]
    if isinstance(rest[0], int):
        return [f"{indent}{step}:", f"{indent}  - {_scalar(value)}"]
    return [f"{indent}{step}:", *_lines(rest, value, indent + "  ")]


def _scalar(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1
