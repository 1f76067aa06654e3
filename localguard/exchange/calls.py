"""What a reply asks the agent to do on this machine: commands to run, files to write. As the model wrote it: placeholders, not values.

This says what was asked for, not what the agent did. What a shell command writes stands in the command.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from localguard.redact.places import writes_files
from localguard.wire.format import texts as strings

_COMMAND_ARGUMENTS = ("command", "cmd", "commands", "script", "chars", "input")
_READING_COMMANDS = frozenset({"view", "undo_edit"})
"""What editors that take their `command` beside the path do besides writing (Anthropic's text editor, November 2026)."""
_PATH_ARGUMENT = re.compile(
    r"(?:abs(?:olute)?_?)?(?:target_?|notebook_?|relative_?workspace_?|rel(?:ative)?_?)?(?:file_?)?path|(?:target_?)?file(?:_?name)?|destination",
    re.IGNORECASE,
)
_PATCH_LINE = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.{1,4096}?)[ \t\r]*$", re.MULTILINE)
"""The patches that Codex and others write: `*** Begin Patch` … `*** End Patch`."""
_DIFF_LINE = re.compile(r"^\+\+\+ (?:b/)?([^\t\r\n]{1,4096})", re.MULTILINE)
_MAX_PATHS = 100
_MAX_PATH = 1_000
"""Characters."""
_MAX_DEPTH = 3

SEARCH_MARK = "<<<<<<< SEARCH"
"""What begins an edit in the prose of aider and others, below a line that names the file."""
_FENCE = re.compile(r"^\s*(?:`{3,}|~{3,})")
_MAX_ABOVE = 3
"""Lines above the mark among which the file's name is, as aider looks for it."""


@dataclass(slots=True)
class ToolCall:
    """A tool call as the model wrote it: with placeholders, not values."""

    tool: str
    arguments: str


def command_texts(call: ToolCall) -> list[str]:
    """The command lines in a tool call's arguments, or nothing for a tool that runs none."""
    arguments = _parsed(call.arguments)
    if not isinstance(arguments, dict) or (writes_files(call.tool) and _path_of(arguments) is not None):
        return []
    texts: list[str] = []
    for name in _COMMAND_ARGUMENTS:
        value = arguments.get(name)
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            texts.append(" ".join(value))
    return texts


def edited_files(call: ToolCall) -> list[str]:
    """The files that a tool call writes, in order, each once: by the arguments of tools that write, and by patches in any."""
    paths: list[str] = []
    writes = writes_files(call.tool)
    if writes or "*** Begin Patch" in call.arguments:
        arguments = _parsed(call.arguments)
        texts = list(strings(call.arguments if arguments is None else arguments))
        if writes and isinstance(arguments, dict) and arguments.get("command") not in _READING_COMMANDS:
            paths += _paths(arguments, _MAX_DEPTH)
        for text in texts:
            if "*** Begin Patch" in text:
                paths += _PATCH_LINE.findall(text)
            elif writes and not paths and text.startswith(("--- ", "diff --git ")):
                paths += _DIFF_LINE.findall(text)
    return _each_once(paths)


def files_in_prose(text: str) -> list[str]:
    """The files that SEARCH/REPLACE blocks in prose change; a block without a name changes the file of the one before."""
    paths: list[str] = []
    position = text.find(SEARCH_MARK)
    while position >= 0 and len(paths) < _MAX_PATHS:
        above = text[max(0, position - 3 * _MAX_PATH) : position].split("\n")[-_MAX_ABOVE - 1 : -1]
        name = next((found for line in reversed(above) if (found := _file_name(line)) is not None), None)
        paths += [name] if name is not None else []
        position = text.find(SEARCH_MARK, position + 1)
    return _each_once(paths)


def _file_name(line: str) -> str | None:
    """The file that a line above a block names, without what is put around it."""
    if _FENCE.match(line):
        return None
    name = line.strip().strip("#*`:").strip()
    return name if name and len(name) <= _MAX_PATH and ("." in name or "/" in name) and "  " not in name else None


def _parsed(arguments: str) -> object:
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return None


def _path_of(arguments: Mapping[str, object]) -> str | None:
    return next(
        (value for name, value in arguments.items() if isinstance(value, str) and _PATH_ARGUMENT.fullmatch(name)), None
    )


def _paths(value: object, depth: int) -> Iterator[str]:
    """The path that arguments name, and those of the single edits that they list."""
    if isinstance(value, list) and depth:
        for one in value[:_MAX_PATHS]:
            yield from _paths(one, depth - 1)
    elif isinstance(value, dict):
        path = _path_of(value)
        if path is not None:
            yield path
        if depth:
            for one in value.values():
                if isinstance(one, list):
                    yield from _paths(one, depth - 1)


def _each_once(paths: list[str]) -> list[str]:
    return [path[:_MAX_PATH] for path in dict.fromkeys(paths) if path.strip()][:_MAX_PATHS]
