"""Files of `NAME=value` lines, with or without `export`: `.env` files. Pure.

Only whole lines are understood. The last one of a name counts; what stands in functions and conditions is not looked through.
"""

import re
from typing import Any

from localguard.config.settings.path import Path, SettingsBroken, newline_of

_LINE = re.compile(r"^([ \t]*)(export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=([^\r\n]*?)[ \t]*(\r?)$", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+,=-]*")


def values(text: str) -> Any:
    """Name to value, quotes taken off."""
    return {found[3]: _unquoted(found[4]) for found in _LINE.finditer(text)}


def with_value(text: str, path: Path, value: str, *, exported: bool = False) -> str:
    """The text with a variable set: where it is last set now, else in a line at the end."""
    (name,) = path
    if not _PLAIN.fullmatch(value):
        raise SettingsBroken(f"{name} would need quoting, which programs do not agree on")
    written = value
    lines = [found for found in _LINE.finditer(text) if found[3] == name]
    if lines:
        return text[: lines[-1].start(4)] + written + text[lines[-1].end(4) :]
    line = newline_of(text)
    start = "" if not text or text.endswith("\n") else line
    return f"{text}{start}{'export ' if exported else ''}{name}={written}{line}"


def without(text: str, path: Path) -> str:
    """The text without the lines that set a variable."""
    (name,) = path
    kept = [line for line in text.splitlines(keepends=True) if not ((found := _LINE.match(line)) and found[3] == name)]
    return "".join(kept)


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text.partition(" #")[0].rstrip()
