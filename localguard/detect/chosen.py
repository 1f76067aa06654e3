"""Which words of a sentence are passwords: what people choose and machines draw, told from words, names and code."""

import re
from functools import lru_cache
from typing import Final

from localguard.detect.context_validators import told
from localguard.detect.keynames import secret_key_type
from localguard.detect.literals import masked
from localguard.detect.randomness import looks_random, odd_case
from localguard.detect.words import drawn_words, is_common

_STRONG_MARK: Final = re.compile(r"[!@#$%^&*+?~=]")
_CODE: Final = re.compile(
    r"[\w.$]+\(.*|.*(?:::|->|=>|\\|\$\{|://).*|(?:[a-z]+_)+[a-z]+\d*|(?:[A-Z0-9]+_)+[A-Z]{3,}|~[A-Za-z_][\w.]*|[\w.*-]+/[\w./*-]*|--?\w[\w-]*|\w+\.\w+\.(?!\d{3,}\W?$)\w+.*"
)
_SNIPPET: Final = re.compile(
    r"(?i)[@?:#&].*|(?:https?|tcp|udp|tls|ssh|file):.*|.*\bs:\d+:.*|[\w.]+(?:[=+*-]|[<>=!]=)\d{1,3}|\d{1,3}[*+/][a-z_-]+|[a-z]+#\d+|\d+:.*|(?!(?-i:\w*[A-Z]\w*@[a-z]\w+$)).*@(?-i:[a-z][a-z0-9_.-]*)(?::\d+)?(?:/.*)?|&\w+;?|\d&\w+;?|.*%[0-9a-f]{2}%.*|\w*_\w*[!?]"
)
# A name and a number, two words and a number: what people choose.
_CHOSEN: Final = re.compile(
    r"[A-Z][a-z]{2,}[.@_=+-][A-Za-z]{3,}\d{2,4}[!.?*#$-]?|[A-Z][a-z]{3,}\d{2,4}[!#*$-]|(?:[A-Z][a-z]{2,}){2}[!$%&*@?+=^~]\d{2,4}"
)
_NUMBERED: Final = re.compile(
    r"(?:[A-Z][a-z]{2,}){2}#\d{2,4}"
)  # as issues are; where something says that it is a password


_QUERY: Final = re.compile(r"&[A-Za-z_][\w.-]{0,40}=")  # the next parameter
_ASSIGNED: Final = re.compile(r"([A-Za-z][\w.-]{1,60})=(?=[^\s=]{4})")


@lru_cache(maxsize=8192)
def is_told(value: str) -> bool:
    """As `told`; marks alone are no evidence in a sentence, where code stands as well: `Repository#update`, `width=32`."""
    if drawn_words(value) or is_chosen(value) or _NUMBERED.fullmatch(value):
        return True
    if not told(value) or (_SNIPPET.fullmatch(value) and not (value[0] in "#&%" and looks_random(value))):
        return False
    marks = len(_STRONG_MARK.findall(value))
    return any(char.isdigit() for char in value) or marks > 1 or odd_case(value) or looks_random(value)


def is_code(value: str) -> bool:
    """Whether a word has a form that code has: a call, a path, an option, an address, a name with underscores."""
    return _CODE.fullmatch(value) is not None and not drawn_words(value)


def is_strong(value: str) -> bool:
    """Whether a word was drawn at random, or mixes digits with marks."""
    return looks_random(value) or (any(char.isdigit() for char in value) and bool(_STRONG_MARK.search(value)))


def mixes_three(value: str) -> bool:
    """At least eight characters of three classes and no code: a password where nothing else can stand."""
    classes = {"l" if c.islower() else "u" if c.isupper() else "d" if c.isdigit() else "m" for c in value}
    return len(value) >= 8 and len(classes) >= 3 and "://" not in value and not masked(value) and not is_common(value)


def is_chosen(value: str) -> bool:
    """Whether a word has a form of passwords that people choose and of nothing else: `Falcon-Copper77`, `Summer2024!`."""
    return _CHOSEN.fullmatch(value) is not None


def has_number(value: str) -> bool:
    """A word with a number behind it, or words with hyphens and a number."""
    return bool(re.search(r"\d", value)) and not is_common(value)


def unnamed(text: str, start: int, end: int) -> int:
    """Where the value begins in the span: behind the name that it is given to, if there is one (`NAME=value`)."""
    named = _ASSIGNED.match(text, start, end)
    return named.end() if named and (secret_key_type(named[1]) or named[1].isupper()) else start


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without what ends a sentence or marks it up on both sides, and without the name that it is given to."""
    start = unnamed(text, start, end)
    if (query := _QUERY.search(text, start, end)) is not None:
        end = query.start()
    while end > start and text[end - 1] in ".:…" and end - start > 1:
        end -= 1
    while end - start > 2 and text[start] in "*_" and text[end - 1] in "*_":
        start, end = start + 1, end - 1
    while start < end and text[start] in "*_:=":
        start += 1
    return start, end
