"""Reading shell words: quotes, escapes, variables, and the substitutions in which commands stand."""

import re
from abc import ABC, abstractmethod

from localguard.redact.shell_commands import COMPUTED, Command, NotParsable, Redirect, Spot, Word

MAX_DEPTH = 30

_PLAIN = re.compile(r"[^ \t\r\n'\"\\$`;&|<>()]+")
_BODY_PLAIN = re.compile(r"[^\\$`]+")
_QUOTED_PLAIN = re.compile(r"[^\"\\$`]+")
_BLANK = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!_-]")


class WordReader(ABC):
    """A place in a shell text, and what was found up to it. `read_list` is for the reader of commands to say."""

    def __init__(self, text: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise NotParsable("nested too deeply")
        if COMPUTED in text:
            raise NotParsable("a NUL character")
        self.text = text
        self.depth = depth
        self.position = 0
        self.found: list[Command] = []
        self.spots: list[Spot] = []
        self.waiting: list[tuple[Redirect, str]] = []  # here-documents whose body begins at the next line

    def _skip_blank(self) -> None:
        while True:
            blank = _BLANK.match(self.text, self.position)
            if blank is not None:
                self.position = blank.end()
            comment = _COMMENT.match(self.text, self.position)
            if comment is None:
                return
            self.spots.append(Spot(comment.start(), comment.end(), "comment"))
            self.position = comment.end()

    @abstractmethod
    def read_list(self, ends: frozenset[str]) -> str:
        """Read the commands of a substitution up to one of `ends`, consume it and return it."""

    def _read_word(self) -> Word:
        word = Word("")
        parts: list[str] = []
        text = self.text
        while self.position < len(text):
            plain = _PLAIN.match(text, self.position)
            if plain is not None:
                parts.append(plain.group())
                self.spots.append(Spot(plain.start(), plain.end(), "word"))
                word.pattern = word.pattern or any(character in plain.group() for character in "*?[{")
                self.position = plain.end()
                continue
            character = text[self.position]
            if character == "\\":
                if text[self.position + 1 : self.position + 2] != "\n":
                    parts.append(text[self.position + 1 : self.position + 2])
                word.quoted = True
                self.position += 2
            elif character == "'":
                end = text.find("'", self.position + 1)
                if end < 0:
                    raise NotParsable("a quote that is not closed")
                parts.append(text[self.position + 1 : end])
                self.spots.append(Spot(self.position + 1, end, "single"))
                word.quoted = True
                self.position = end + 1
            elif character == '"':
                self.position += 1
                parts.append(self.read_text('"'))
                word.quoted = True
            elif character == "$":
                parts.append(self._read_dollar(word))
            elif character == "`":
                parts.append(self._read_backticks())
            elif character in "<>" and not parts and text.startswith("(", self.position + 1):
                self.position += 2
                self.read_list(frozenset(")"))
                parts.append(COMPUTED)
            else:
                break
        word.text = "".join(parts)
        return word

    def read_text(self, end: str) -> str:
        """Read text in which only `$`, a backtick and a backslash mean something, up to the quote `end` or the end."""
        parts: list[str] = []
        text = self.text
        while True:
            plain = (_QUOTED_PLAIN if end else _BODY_PLAIN).match(text, self.position)
            if plain is not None:
                parts.append(plain.group())
                self.spots.append(Spot(plain.start(), plain.end(), "double" if end else "body"))
                self.position = plain.end()
            if self.position >= len(text):
                if end:
                    raise NotParsable("a quote that is not closed")
                return "".join(parts)
            character = text[self.position]
            if character == "\\":
                following = text[self.position + 1 : self.position + 2]
                if following != "\n":
                    parts.append(following if following and following in '$`"\\' else "\\" + following)
                self.position += 2
            elif character == "$":
                parts.append(self._read_dollar(None))
            elif character == "`":
                parts.append(self._read_backticks())
            else:
                self.position += 1
                return "".join(parts)

    def _read_dollar(self, word: Word | None) -> str:
        """Read what `$` begins; `word` is None inside double quotes, where `$'` begins nothing."""
        text = self.text
        start = self.position
        self.position += 1
        if text.startswith("((", self.position):
            self.position += 2
            self._skip_arithmetic()
            return COMPUTED
        if text.startswith("(", self.position):
            self.position += 1
            outer, self.waiting = self.waiting, []
            self.read_list(frozenset(")"))
            self.waiting = outer
            return COMPUTED
        if text.startswith("{", self.position):
            self.position += 1
            self._skip_parameter()
            return COMPUTED
        if word is not None and text.startswith("'", self.position):
            word.quoted = True
            return self._read_escaped()
        if word is not None and text.startswith('"', self.position):
            word.quoted = True
            self.position += 1
            return self.read_text('"')
        name = _VARIABLE.match(text, self.position)
        if name is None:
            return text[start]
        self.position = name.end()
        return COMPUTED

    def _read_escaped(self) -> str:
        """Read `$'…'`; with an escape in it the text counts as computed."""
        end = self.position + 1
        while True:
            stop = re.compile(r"[\\']").search(self.text, end)
            if stop is None:
                raise NotParsable("a quote that is not closed")
            if stop.group() == "'":
                break
            end = stop.end() + 1
        body = self.text[self.position + 1 : stop.start()]
        self.position = stop.end()
        return body + COMPUTED if "\\" in body else body

    def _read_backticks(self) -> str:
        end = self.position + 1
        while True:
            stop = re.compile(r"[\\`]").search(self.text, end)
            if stop is None:
                raise NotParsable("a backtick that is not closed")
            if stop.group() == "`":
                break
            end = stop.end() + 1
        inner = type(self)(re.sub(r"\\([\\`$])", r"\1", self.text[self.position + 1 : stop.start()]), self.depth + 1)
        inner.read_list(frozenset())
        self.found += inner.found
        self.position = stop.end()
        return COMPUTED

    def _skip_parameter(self) -> None:
        """Skip `${…}` from behind its brace; substitutions within it are commands like others."""
        text = self.text
        start = self.position
        while self.position < len(text):
            character = text[self.position]
            if character == "}":
                if text[start : self.position].endswith("@P"):
                    raise NotParsable("a parameter that is expanded as a prompt")
                self.position += 1
                return
            if character == "$":
                self._read_nested_dollar()
            elif character == "`":
                self._read_backticks()
            elif character == '"':
                self.position += 1
                self.read_text('"')
            elif character == "\\":
                self.position += 2
            else:
                self.position += 1
        raise NotParsable("a parameter that is not closed")

    def _read_nested_dollar(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotParsable("nested too deeply")
        self._read_dollar(None)
        self.depth -= 1

    def _skip_arithmetic(self) -> None:
        """Skip `((…))` from behind its brackets."""
        depth = 0
        text = self.text
        while self.position < len(text):
            character = text[self.position]
            if character in "`'\"\\" or text.startswith("$(", self.position):
                raise NotParsable("a command or a quote inside arithmetic")
            if character == "(":
                depth += 1
            elif character == ")":
                if depth == 0:
                    if not text.startswith("))", self.position):
                        raise NotParsable("arithmetic that is a subshell")
                    self.position += 2
                    return
                depth -= 1
            self.position += 1
        raise NotParsable("arithmetic that is not closed")
