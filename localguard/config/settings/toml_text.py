"""TOML, changed by tomlkit, which keeps everything else. Pure."""

import tomllib
from typing import Any

from localguard.config.settings.path import Path, SettingsBroken


def values(text: str) -> Any:
    """What the text holds. Raises SettingsBroken with the line."""
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(at ")[2].rstrip(")")
        raise SettingsBroken(f"it is no TOML (at {place})") from None


def with_value(text: str, path: Path, value: str) -> str:
    """The text with a text value at a path of names."""
    import tomlkit

    document = tomlkit.parse(text)
    here: Any = document
    for step in path[:-1]:
        if step not in here:
            here[step] = tomlkit.table()
        here = here[step]
    here[path[-1]] = value
    return _dumped(document, text)


def without(text: str, path: Path) -> str:
    """The text without one key."""
    import tomlkit

    document = tomlkit.parse(text)
    here: Any = document
    for step in path[:-1]:
        here = here[step]
    del here[path[-1]]
    return _dumped(document, text)


def _dumped(document: Any, before: str) -> str:
    made: str = document.as_string()
    return made.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in before else made
