"""One way to read and change a settings file, whatever its format.

Every change is checked: what a parser reads from the new text is what it read from the old one, with that value changed. Where a
careful edit cannot do that, the text is left alone and `SettingsBroken` says so.
"""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

from localguard.config.settings import env_text, json_text, shell_text, toml_text, yaml_text
from localguard.config.settings.path import Path, SettingsBroken


class Format(Protocol):
    """How one format is read and changed. `text` has its line breaks as they are in the file."""

    def values(self, text: str) -> Any:
        """What a parser reads: dicts, lists and scalars. Raises SettingsBroken with the line."""

    def with_value(self, text: str, path: Path, value: str) -> str:
        """The text with a value set, the objects on its way made where they are missing."""

    def without(self, text: str, path: Path) -> str:
        """The text without a member."""


FORMATS: dict[str, Format] = {
    "json": json_text,
    "toml": toml_text,
    "yaml": yaml_text,
    "env": env_text,
    "shell": shell_text,
}


def value_at(document: Any, path: Path) -> Any:
    """What stands at a path; None where there is nothing."""
    for step in path:
        is_there = step in document if isinstance(document, dict) else isinstance(step, int) and _has(document, step)
        if not is_there:
            return None
        document = document[step]
    return document


def _has(document: Any, number: int) -> bool:
    return isinstance(document, list) and number < len(document)


def changed(form: str, text: str, path: Path, value: str | None) -> str:
    """The text with `value` at the path, or without it (None). Raises SettingsBroken; an unchanged text is fine."""
    editor = FORMATS[form]
    before = editor.values(text)
    if value_at(before, path) == value:
        return text
    made = editor.without(text, path) if value is None else editor.with_value(text, path, value)
    if editor.values(made) != _expected(before, path, value):
        raise SettingsBroken(f"{'.'.join(map(str, path))} cannot be changed without touching more than that")
    return made


def pruned(form: str, text: str, path: Path, original: Any) -> str:
    """The text without the objects on the way to `path` that are empty and that `original` did not have."""
    editor = FORMATS[form]
    for length in range(len(path) - 1, 0, -1):
        here = path[:length]
        if value_at(editor.values(text), here) not in ({}, []) or value_at(original, here) is not None:
            break
        text = changed(form, text, here, None)
    return text


def _expected(before: Any, path: Sequence[str | int], value: str | None) -> Any:
    """The document with the change made in it."""
    document = copy.deepcopy(before) if before is not None else {}
    here = document
    for step, following in pairwise(path):
        if isinstance(here, dict) and here.get(step) is None and isinstance(step, str):
            here[step] = [] if isinstance(following, int) else {}
        here = here[step]
    last = path[-1]
    if value is None:
        del here[last]
    elif isinstance(here, list) and last == len(here):
        here.append(value)
    else:
        here[last] = value
    return document
