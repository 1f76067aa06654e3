"""Where a setting stands, and what is said where it cannot be read."""

from localguard.errors import LocalguardError

Path = tuple[str | int, ...]
"""Names of members and numbers of items, from the top."""


class SettingsBroken(LocalguardError):
    """A settings file cannot be read, or not changed safely; the message gives the place, never a value."""


def line_of(text: str, offset: int) -> int:
    """The number of the line of an offset, from 1."""
    return text.count("\n", 0, offset) + 1


def newline_of(text: str) -> str:
    """The line break of a text: that of its first line."""
    first = text.partition("\n")[0]
    return "\r\n" if first.endswith("\r") and "\n" in text else "\n"
