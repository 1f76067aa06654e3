"""Passwords in command lines: shells, scripts, CI files, and argument lists in JSON or code.

A command is read as its program reads it: cut into words, and the word that the program takes for a password is the
value. What a program takes is data (`command_options`).
"""

import re
from collections.abc import Iterator
from typing import Final

from localguard.detect.command_options import PIPED, PROGRAMS, Options
from localguard.detect.context_validators import not_placeholder
from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.gated import Gated
from localguard.detect.pieces import Piece, pieces
from localguard.detect.prefilter import Gate
from localguard.detect.words import is_distinctive

_RULE: Final = "command/password"
MAX_WORDS: Final = 40  # of one command that are read, so that a line of nothing but commands stays cheap
_NAMES: Final = "|".join(re.escape(name) for name in sorted(PROGRAMS, key=len, reverse=True))
_MARKS: Final = "|".join(
    re.escape(mark)
    for mark in sorted(
        {option for family in PROGRAMS.values() for o in family for option in (*o.spaced, *o.joined)}
        | {mark for family in PROGRAMS.values() for o in family for mark, _ in o.pair}
    )
)
_POSITIONAL: Final = "|".join(
    re.escape(name) for name, family in PROGRAMS.items() if any(o.place is not None for o in family)
)
_WORD: Final = r"""(?:[^\s"'|;&<>`()\\]|\\.|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')+"""
_WORDS: Final = re.compile(_WORD)
_STOP: Final = re.compile(r"[|;&`\n]|\)\s|<<<|\\n")
_LIST: Final = re.compile(r"""\\{0,3}["']\s*,\s*""")
_SPACE: Final = re.compile(r"[ \t]*(?:\\\n[ \t]*)?")
_ITEM: Final = re.compile(r"""\\{0,3}(["'])((?:[^"'\\\n]|\\[^"'])*)\\{0,3}\1\s*,?\s*""")
_COMMAND: Final = re.compile(r"(?:^|[\s\"'`/\\(;|&=$>@:-])(" + _NAMES + r")(?=[\s\"'\\])")
_PIPE: Final = re.compile(
    r"""\b(?:echo|printf)\s+(?:-\w+\s+)*(?:["']%s(?:\\n)?["']\s+)?(?P<word>"""
    + _WORD
    + r")\s*\|\s*(?:sudo\s+)?"
    + PIPED
)
_HERE: Final = re.compile(
    r"\b(?:cryptsetup|passwd|wrangler|vercel|vault|gpg|docker|gh|sudo|chpasswd|kinit|secrets?)\b[^\n]*<<<\s*(?P<word>"
    + _WORD
    + ")"
)
_SEND: Final = re.compile(r"""(?i)assword[^\n]{0,40}?\bsend\b[^"\n]{0,10}\\?["{](?P<word>[^"\\\n$}]{3,})""")
_GATES: Final[dict[str, str]] = {
    _RULE: r"(?:^|[\s\"'`/\\(;|&=$>@:-])(?:"
    + _NAMES
    + r")(?:[\"'],|[\"']?,?[ \t])[ \t]*(?:[^\n]*?[ \t\"':])?(?:"
    + _MARKS
    + r")",
    "command/argument": r"(?:^|[\s\"'`/\\(;|&=$>@:-])(?:" + _POSITIONAL + r")[\"']?,?[ \t]+[^\n]",
    "command/piped": r"(?:echo|printf)[ \t][^\n]*?\|[^\n]*?(?:passwd|sudo|stdin|cryptsetup|passphrase-fd|kinit|login|secrets?)"
    r"|<<<[ \t]*[\"']?[^\s\"'$]|(?i:assword)[^\n]*?\bsend\b",
}


class CommandEngine(Gated):
    """Reads command lines behind their gates."""

    def __init__(self) -> None:
        super().__init__(
            [
                Gate(name, pattern.encode(), apart=True, context=True, together="commands")
                for name, pattern in _GATES.items()
            ]
        )

    def examine(self, window: Window) -> Iterator[Finding]:
        """The passwords in the command lines of `window`; offsets are in the whole text."""
        self.load()
        for name, pattern in self._patterns.items():
            if name not in window.gates:
                continue
            for piece in pieces(window, pattern):
                spans = _piped(piece.text) if name == "command/piped" else _commands(piece.text)
                for start, end in spans:
                    if piece.holds(start, end) and not_placeholder(piece.text[start:end].partition("\\n")[0]):
                        yield _finding(piece, start, end)


def _finding(piece: Piece, start: int, end: int) -> Finding:
    value = piece.text[start:end]
    return piece.finding(start, end, "PASSWORD", DataClass.SECRET, _RULE, distinctive=is_distinctive(value))


def _commands(text: str) -> Iterator[tuple[int, int]]:
    """The values of each command. What one that has some has read is not read again as another."""
    position = 0
    while (found := _COMMAND.search(text, position)) is not None:
        words = list(_arguments(text, found.end(1), quoted=text[found.start(1) - 1 : found.start(1)] in ('"', "'")))
        spans = [span for options in PROGRAMS[found[1]] for span in _values(text, words, options)]
        yield from spans
        position = words[-1][1] if spans else found.end(1)


def _piped(text: str) -> Iterator[tuple[int, int]]:
    for found in (*_PIPE.finditer(text), *_HERE.finditer(text)):
        start, end = _unquoted(text, *found.span("word"))
        pair = re.match(r"[\w.-]{1,40}:", text[start:end])
        if pair and "chpasswd" in text[end:]:
            start += pair.end()
        yield start, end
    for found in _SEND.finditer(text):
        yield found.span("word")


def _arguments(text: str, start: int, *, quoted: bool) -> Iterator[tuple[int, int]]:
    """The spans of the words after the program's name, at most MAX_WORDS: of a command line, or of a list of quoted strings."""
    count = 0
    if quoted and (lead := _LIST.match(text, start)):
        position = lead.end()
        while count < MAX_WORDS and (item := _ITEM.match(text, position)):
            yield item.span(2)
            position = item.end()
            count += 1
        return
    position = start
    while count < MAX_WORDS:
        space = _SPACE.match(text, position)
        position = space.end() if space else position
        if position >= len(text) or _STOP.match(text, position):
            return
        word = _WORDS.match(text, position)
        if word is None:
            position += 1
            continue
        if count and word[0] in PROGRAMS:
            return  # a command of its own
        yield word.span()
        position = word.end()
        count += 1


def _values(text: str, words: list[tuple[int, int]], options: Options) -> Iterator[tuple[int, int]]:
    plain = [span for span in words if text[span[0]] not in "-/" or text.startswith("//", span[0])]
    if options.first and not (plain and text[slice(*_unquoted(text, *plain[0]))] in options.first):
        return
    for index, (start, end) in enumerate(words):
        word = text[start:end]
        if (word in options.spaced or any(word.endswith(":" + name) for name in options.spaced)) and index + 1 < len(
            words
        ):
            low, high = _unquoted(text, *words[index + 1])
            if text[low:high][:1] not in ("", "-"):
                yield low, high
        for mark in options.joined:
            if word.startswith(mark) and len(word) > len(mark) and not word.startswith("--p"):
                low = start + len(mark)
                if mark.endswith("="):
                    low += text[low:end].find("=") + 1
                yield _unquoted(text, low, end)
        for mark, separator in options.pair:
            pair = words[index + 1] if word == mark and index + 1 < len(words) else None
            if pair is None and word.startswith(mark) and len(word) > len(mark) and not word.startswith("--" + mark):
                pair = (start + len(mark) + (word[len(mark)] in "= "), end)
            if pair is not None:
                yield from _after(text, *_unquoted(text, *pair), separator)
    yield from _placed(text, words, plain, options)


def _after(text: str, start: int, end: int, separator: str) -> Iterator[tuple[int, int]]:
    at = text.find(separator, start, end)
    user = text[start:at]
    if at >= 0 and at + len(separator) < end and "://" not in text[start:end] and not re.search(r"[${<]", user):
        yield _unquoted(text, at + len(separator), end)


def _placed(
    text: str, words: list[tuple[int, int]], plain: list[tuple[int, int]], options: Options
) -> Iterator[tuple[int, int]]:
    if options.place is None or len(plain) < options.least:
        return
    whole = [text[slice(*span)] for span in words]
    if options.needs == "/":
        login = re.compile(r"[\w.-]+/([^/@\s]+)@").match(text, plain[0][0], plain[0][1])
        if login:
            yield login.span(1)
        return
    if options.needs and not any(_has(word, options.needs) for word in whole):
        return
    start, end = _unquoted(text, *plain[options.place])
    if "=" not in text[start:end] and "\\\\" not in text[start:end]:
        yield start, end


def _has(word: str, need: str) -> bool:
    if need.startswith("-"):  # also among other letters: `-nbB`
        return bool(re.fullmatch(r"-\w*" + re.escape(need[1:]) + r"\w*", word))
    return need in word


def _unquoted(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of a word without the quotes around it."""
    if end - start >= 2 and text[start] in "\"'" and text[end - 1] == text[start]:
        return start + 1, end - 1
    return start, end
