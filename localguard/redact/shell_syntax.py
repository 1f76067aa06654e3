r"""Reading shell text into its simple commands: enough of POSIX sh and bash to know which programs would run on what.

One pass, linear, without executing or expanding anything. Commands in substitutions, subshells, functions, loops and
here-documents all end up in one flat list. What this reader does not understand raises `NotParsable`, and counts as
reaching beyond this machine.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from localguard.errors import LocalguardError

COMPUTED = "\0"
"""Stands in a word's text for what only running the command would tell: a variable, a substitution."""

INDEX_RUNS = re.compile(r"\w\[[^\]]*(?:\$\(|`)")
"""What bash runs when it evaluates the name of an array's element, quoted or not."""

_MAX_DEPTH = 30
_MAX_COMMANDS = 5000

_PLAIN = re.compile(r"[^ \t\r\n'\"\\$`;&|<>()]+")
_BODY_PLAIN = re.compile(r"[^\\$`]+")
_QUOTED_PLAIN = re.compile(r"[^\"\\$`]+")
_BLANK = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_OPERATOR = re.compile(r";;&|;;|;&|&&|\|\||\|&|[;&|\n]")
_REDIRECT = re.compile(r"&>>|&>|<<<|<<-|<<|<>|<&|>&|>>|>\||<(?!\()|>(?!\()")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!_-]")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[[^\]]*\])?\+?=")
_FUNCTION = re.compile(r"[ \t]*\([ \t]*\)")
_SKIPPED = frozenset(
    {"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "{", "}", "time", "coproc"}
)


class NotParsable(LocalguardError):
    """The text is no shell text that this reader understands."""


@dataclass(slots=True)
class Word:
    """One word without its quotes; `pattern` says that unquoted it holds `*`, `?`, `[` or `{`."""

    text: str
    quoted: bool = False
    pattern: bool = False

    @property
    def computed(self) -> bool:
        """True where running the command would make another text of it."""
        return COMPUTED in self.text


@dataclass(slots=True)
class Redirect:
    """One redirection: `target` is the file or descriptor; `body` the text of a here-document or here-string."""

    operator: str
    target: Word
    body: str | None = None
    expands: bool = False
    text: str | None = None  # the body as the command reads it


@dataclass(frozen=True, slots=True)
class Spot:
    """A stretch of the text that means itself, and how it is quoted.

    `word` (not at all), `single`, `double`, `body` (of a here-document that is expanded), `exact` (of another), `comment`.
    """

    start: int
    end: int
    kind: str


@dataclass(slots=True)
class Command:
    """One simple command: assignments before it, its words, its redirections. Words may be empty."""

    assignments: list[tuple[str, Word]] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)

    @property
    def stdin(self) -> str | None:
        """The here-document or here-string that the command reads, the last if there are several."""
        bodies = [redirect.body for redirect in self.redirects if redirect.body is not None]
        return bodies[-1] if bodies else None


def commands_of(text: str) -> list[Command]:
    """Return all simple commands in `text`, nested ones included; raises `NotParsable`."""
    return read(text)[0]


def read(text: str) -> tuple[list[Command], list[Spot]]:
    """Return all simple commands in `text`, and how each stretch of it is quoted; raises `NotParsable`."""
    reader = _Reader(text, 0)
    reader.read_list(frozenset())
    if reader.position < len(text):
        raise NotParsable("a closing bracket or a reserved word without its opening")
    return reader.found, reader.spots


def _moved(spots: list[Spot], lines: list[tuple[int, int, int]]) -> Iterator[Spot]:
    """Yield the parts of `spots` (sorted, not overlapping) on each of `lines` (start, end, by how much it is moved)."""
    at = 0
    for start, end, by in lines:
        while at < len(spots) and spots[at].end <= start:
            at += 1
        index = at
        while index < len(spots) and spots[index].start < end:
            yield Spot(max(start, spots[index].start) + by, min(end, spots[index].end) + by, spots[index].kind)
            index += 1


class _Reader:
    def __init__(self, text: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise NotParsable("nested too deeply")
        if COMPUTED in text:
            raise NotParsable("a NUL character")
        self.text = text
        self.depth = depth
        self.position = 0
        self.found: list[Command] = []
        self.spots: list[Spot] = []
        self.waiting: list[tuple[Redirect, str]] = []  # here-documents whose body begins at the next line

    def read_list(self, ends: frozenset[str]) -> str:
        """Read commands up to one of `ends` (an operator, `)` or a reserved word), consume it and return it; "" at the end."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise NotParsable("nested too deeply")
        try:
            while True:
                self._skip_blank()
                if self.position >= len(self.text):
                    if ends:
                        raise NotParsable("something opened is not closed")
                    return ""
                operator = _OPERATOR.match(self.text, self.position)
                redirect = _REDIRECT.match(self.text, self.position)
                if operator is not None and redirect is None:
                    self._take(operator.group())
                    if operator.group() in ends:
                        return operator.group()
                    if operator.group() in (";;", ";&", ";;&"):
                        raise NotParsable(";; outside of case")
                elif self.text.startswith(")", self.position):
                    if ")" not in ends:
                        raise NotParsable("a bracket closes that was not opened")
                    self.position += 1
                    return ")"
                else:
                    ended = self._read_command(ends)
                    if ended:
                        return ended
        finally:
            self.depth -= 1

    def _read_command(self, ends: frozenset[str]) -> str:
        """Read one simple or compound command; return the reserved word of `ends` that stood in its place, or ""."""
        if self.text.startswith("((", self.position):
            self.position += 2
            self._skip_arithmetic()
            return ""
        if self.text.startswith("(", self.position):
            self.position += 1
            self.read_list(frozenset(")"))
            return ""
        command = Command()
        while True:
            self._skip_blank()
            if self._read_redirect(command):
                continue
            if self.position >= len(self.text) or _OPERATOR.match(self.text, self.position):
                break
            if self.text[self.position] in ")":
                break
            if self.text[self.position] == "(":
                raise NotParsable("a bracket inside a command")
            before = self.position
            word = self._read_word()
            if self.position == before:
                raise NotParsable("a character that begins nothing")
            if word.text.isdigit() and not word.quoted and self.text[self.position : self.position + 1] in ("<", ">"):
                continue  # a descriptor's number
            if command.words:
                command.words.append(word)
                continue
            plain = "" if word.quoted else word.text
            if not command.assignments and not command.redirects:
                if plain in ends:
                    return plain
                if plain in _SKIPPED:
                    continue
                if plain in ("for", "select"):
                    self._read_for()
                    return ""
                if plain == "case":
                    self._read_case()
                    return ""
                if plain == "[[":
                    self._read_condition()
                    continue
                if plain == "function":
                    self._skip_blank()
                    self._read_word()
                    self._skip_function_brackets()
                    return ""
                if plain and self._skip_function_brackets():
                    return ""
            assigned = _ASSIGNMENT.match(word.text)
            if assigned is not None:
                if assigned.end() == len(word.text) and self.text.startswith("(", self.position):
                    self.position += 1
                    word = self._read_array()
                else:
                    word.text = word.text[assigned.end() :]
                command.assignments.append((assigned.group(1), word))
            else:
                command.words.append(word)
        if command.words or command.assignments or command.redirects:
            self.found.append(command)
            if len(self.found) > _MAX_COMMANDS:
                raise NotParsable("more commands than anybody reads")
        return ""

    def _take(self, operator: str) -> None:
        self.position += len(operator)
        if operator == "\n":
            self._read_bodies()

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

    def _skip_lines(self) -> None:
        while True:
            self._skip_blank()
            if not self.text.startswith("\n", self.position):
                return
            self._take("\n")

    def _skip_function_brackets(self) -> bool:
        brackets = _FUNCTION.match(self.text, self.position)
        if brackets is not None:
            self.position = brackets.end()
        return brackets is not None

    def _read_redirect(self, command: Command) -> bool:
        found = _REDIRECT.match(self.text, self.position)
        if found is None:
            return False
        operator = found.group()
        self.position = found.end()
        self._skip_blank()
        target = self._read_word()
        redirect = Redirect(operator, target)
        if operator == "<<<":
            redirect.body = redirect.text = target.text + "\n"
        elif operator in ("<<", "<<-"):
            if target.computed:
                raise NotParsable("the end of a here-document is computed")
            redirect.body = ""
            redirect.expands = not target.quoted
            self.waiting.append((redirect, target.text))
        elif not target.text and not target.quoted:
            raise NotParsable("a redirection to nothing")
        command.redirects.append(redirect)
        return True

    def _read_bodies(self) -> None:
        waiting, self.waiting = self.waiting, []
        for redirect, end in waiting:
            lines: list[str] = []
            begin = close = self.position
            length = 0
            kept: list[
                tuple[int, int, int]
            ] = []  # for each line, where it stands in the body and by how much further here
            while self.position < len(self.text):
                stop = self.text.find("\n", self.position)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[self.position : stop]
                self.position = min(len(self.text), stop + 1)
                if redirect.operator == "<<-":
                    line = line.lstrip("\t")
                if line.rstrip("\r") == end:
                    break
                if line.rstrip() == end + ")":  # `EOF)`: bash ends the body here, other shells do not
                    raise NotParsable("a here-document's end with a bracket beside it")
                lines.append(line)
                kept.append((length, length + len(line) + 1, stop - len(line) - length))
                length += len(line) + 1
                close = self.position
            redirect.body = redirect.text = "".join(line + "\n" for line in lines)
            if not redirect.expands:
                self.spots.append(Spot(begin, close, "exact"))
                continue
            inner = _Reader(redirect.body, self.depth + 1)
            redirect.text = inner.read_text("")
            self.found += inner.found
            self.spots += _moved(sorted(inner.spots, key=lambda spot: spot.start), kept)

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
        inner = _Reader(re.sub(r"\\([\\`$])", r"\1", self.text[self.position + 1 : stop.start()]), self.depth + 1)
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
        if self.depth > _MAX_DEPTH:
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

    def _read_array(self) -> Word:
        parts: list[str] = []
        while True:
            self._skip_lines()
            if self.text.startswith(")", self.position):
                self.position += 1
                return Word(" ".join(parts))
            before = self.position
            parts.append(self._read_word().text)
            if self.position == before:
                raise NotParsable("an array that is not closed")

    def _read_for(self) -> None:
        self._skip_blank()
        if self.text.startswith("((", self.position):
            self.position += 2
            self._skip_arithmetic()
            return
        variable: Word | None = None
        while True:
            self._skip_blank()
            operator = _OPERATOR.match(self.text, self.position)
            if operator is not None or self.position >= len(self.text):
                break
            before = self.position
            word = self._read_word()
            if self.position == before:
                raise NotParsable("a loop over something unreadable")
            variable = variable or word
        if variable is not None:  # which the loop sets to something
            self.found.append(Command(assignments=[(variable.text, Word(COMPUTED))]))

    def _read_case(self) -> None:
        self._skip_blank()
        self._read_word()
        self._skip_lines()
        if self._read_word().text != "in":
            raise NotParsable("case without in")
        while True:
            self._skip_lines()
            if self.text.startswith("(", self.position):
                self.position += 1
            while not self.text.startswith(")", self.position):
                self._skip_blank()
                before = self.position
                word = self._read_word()
                if word.text == "esac" and not word.quoted:
                    return
                self._skip_blank()
                if self.text.startswith("|", self.position):
                    self.position += 1
                elif self.position == before:
                    raise NotParsable("a pattern of case that is unreadable")
            self.position += 1
            if self.read_list(frozenset({";;", ";&", ";;&", "esac"})) == "esac":
                return

    def _read_condition(self) -> None:
        """Read `[[ … ]]`; only substitutions in it run anything."""
        while True:
            self._skip_lines()
            before = self.position
            word = self._read_word()
            if word.text == "]]" and not word.quoted:
                return
            if word.quoted and INDEX_RUNS.search(word.text):
                raise NotParsable("a command in the index of an array")
            if self.position == before:
                if before >= len(self.text):
                    raise NotParsable("a condition that is not closed")
                self.position += 1
