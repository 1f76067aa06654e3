r"""Reading shell text into its simple commands: enough of POSIX sh and bash to know which programs would run on what.

One pass, linear, without executing or expanding anything. Commands in substitutions, subshells, functions, loops and
here-documents all end up in one flat list. What this reader does not understand raises `NotParsable`, and counts as
reaching beyond this machine.
"""

import re
from collections.abc import Iterator

from localguard.redact.shell_commands import COMPUTED, INDEX_RUNS, Command, NotParsable, Redirect, Spot, Word
from localguard.redact.shell_words import MAX_DEPTH, WordReader

_MAX_COMMANDS = 5000

_OPERATOR = re.compile(r";;&|;;|;&|&&|\|\||\|&|[;&|\n]")
_REDIRECT = re.compile(r"&>>|&>|<<<|<<-|<<|<>|<&|>&|>>|>\||<(?!\()|>(?!\()")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[[^\]]*\])?\+?=")
_FUNCTION = re.compile(r"[ \t]*\([ \t]*\)")
_SKIPPED = frozenset(
    {"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "{", "}", "time", "coproc"}
)


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


class _Reader(WordReader):
    def read_list(self, ends: frozenset[str]) -> str:
        """Read commands up to one of `ends` (an operator, `)` or a reserved word), consume it and return it; "" at the end."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
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
