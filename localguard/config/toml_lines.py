"""Where the values of a TOML document stand: the line of every table, key and array element.

A small reader beside `tomllib`, which gives no lines. It expects a document that `tomllib` accepts; on any other its answer is
incomplete, never an exception. Source: TOML 1.0.0.
"""

import re
from typing import Final

Path = tuple[str | int, ...]
"""Keys and, for elements of arrays, indices from 0, from the root."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SPACE: Final = re.compile(r"[ \t]*")
_SKIP: Final = re.compile(r"(?:[ \t\r\n,]+|#[^\n]*)*")
_STRINGS: Final = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}',
        r"'''(?:[^']|'{1,2}(?!'))*'{3,5}",
        r'"(?:[^"\\\n]|\\.)*"',
        r"'[^'\n]*'",
    )
)
_SCALAR: Final = re.compile(r"[^,\]}#\r\n]+")
_ESCAPE: Final = re.compile(r'\\(["\\bfnrt]|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})')
_ESCAPED: Final = {'"': '"', "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of every path in the document; the root `()` is line 1."""
    reader = _Reader(text)
    reader.read()
    return reader.lines


def nearest_line(lines: dict[Path, int], path: Path) -> int:
    """Return the line of a path, or of its nearest ancestor that has one."""
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path, 1)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.counted = 0
        self.lines: dict[Path, int] = {(): 1}
        self.tables: dict[Path, int] = {}
        """Arrays of tables: how many elements each has so far."""

    def read(self) -> None:
        table: Path = ()
        while True:
            self._skip()
            if self.at >= len(self.text):
                return
            before = self.at
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._entry(table)
            if self.at == before:  # not TOML: go on at the next line
                end = self.text.find("\n", self.at)
                self.at = end + 1 if end >= 0 else len(self.text)

    def _header(self) -> Path:
        here = self._line()
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        keys = self._keys()
        closing = "]]" if array else "]"
        if self.text.startswith(closing, self.at):
            self.at += len(closing)
        path: Path = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            self.lines.setdefault(path, here)
            if array and position == len(keys) - 1:
                index = self.tables.get(path, 0)
                self.tables[path] = index + 1
                path = (*path, index)
                self.lines[path] = here
            elif path in self.tables:
                path = (*path, self.tables[path] - 1)
        self.lines.setdefault(path, here)
        return path

    def _entry(self, table: Path) -> None:
        here = self._line()
        keys = self._keys()
        if not keys or not self.text.startswith("=", self.at):
            return
        self.at = _end(_SPACE, self.text, self.at + 1)
        path = table
        for key in keys:
            path = (*path, key)
            self.lines.setdefault(path, here)
        self._value(path, 0)

    def _value(self, path: Path, depth: int) -> None:
        if self.at >= len(self.text) or depth > 100:
            self.at = len(self.text)
            return
        first = self.text[self.at]
        if first == "[":
            self.at += 1
            index = 0
            while self._inside("]"):
                self.lines[(*path, index)] = self._line()
                self._value((*path, index), depth + 1)
                index += 1
        elif first == "{":
            self.at += 1
            while self._inside("}"):
                before = self.at
                self._entry_at(path, depth + 1)
                if self.at == before:
                    return
        elif first in "\"'":
            self._string()
        else:
            self.at = _end(_SCALAR, self.text, self.at)

    def _entry_at(self, table: Path, depth: int) -> None:
        here = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, here)
        if path != table and self.text.startswith("=", self.at):
            self.at = _end(_SPACE, self.text, self.at + 1)
            self._value(path, depth)

    def _inside(self, closing: str) -> bool:
        """Skip to the next element; say whether there is one."""
        self._skip()
        if self.at >= len(self.text):
            return False
        if self.text[self.at] == closing:
            self.at += 1
            return False
        if self.text[self.at] in "]}":
            self.at = len(self.text)
            return False
        return True

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while True:
            self.at = _end(_SPACE, self.text, self.at)
            if self.text[self.at : self.at + 1] in ('"', "'"):
                raw = self._string()
                keys.append(_ESCAPE.sub(_unescape, raw[1:-1]) if raw.startswith('"') else raw[1:-1])
            elif bare := _BARE.match(self.text, self.at):
                keys.append(bare[0])
                self.at = bare.end()
            else:
                return keys
            self.at = _end(_SPACE, self.text, self.at)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _string(self) -> str:
        for pattern in _STRINGS:
            if found := pattern.match(self.text, self.at):
                self.at = found.end()
                return found[0]
        self.at += 1
        return ""

    def _skip(self) -> None:
        self.at = _end(_SKIP, self.text, self.at)

    def _line(self) -> int:
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "uU":
        number = int(code[1:], 16)
        return chr(number) if number < 0x110000 else ""
    return _ESCAPED[code]
