"""Words that a team knows to be confidential, as rules: customer names, code names, internal hosts, people.

A rule file may hold `[[dictionaries]]` beside `[[rules]]`. Every dictionary becomes one rule of the rule engine, so that
words are found in linear time and their placeholders tell them apart by type.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from localguard.detect.words import word_set

MAX_WORDS: Final = 20_000
_LEAST_LENGTH: Final = 3
_FIELDS: Final = word_set("id type class description words match_case whole_words enabled")
_SPACE: Final = r"[ \t\r\n_-]+"
_AROUND: Final = "A-Za-z0-9"


def dictionary_entry(entry: Mapping[str, Any], wrong: Callable[[str, str], Exception]) -> dict[str, Any]:
    """The `[[rules]]` entry that says the same as a `[[dictionaries]]` entry.

    `wrong(field, problem)` makes the error for what cannot be understood. Words are compared without regard to case
    unless `match_case`, as whole words unless `whole_words = false`; white space, `-` and `_` between the words of a
    name stand for each other.
    """
    for name in sorted(set(entry) - _FIELDS):
        raise wrong(name, f"is unknown; known are {', '.join(sorted(_FIELDS))}")
    words = entry.get("words")
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise wrong("words", "must be a list of words")
    if len(words) > MAX_WORDS:
        raise wrong("words", f"holds more than {MAX_WORDS} words; use several dictionaries")
    for flag in ("match_case", "whole_words", "enabled"):
        if not isinstance(entry.get(flag, True), bool):
            raise wrong(flag, "must be true or false")
    for place, word in enumerate(words):
        if len(word.strip()) < _LEAST_LENGTH:
            raise wrong(f"words[{place}]", f"is shorter than {_LEAST_LENGTH} characters: it would be found everywhere")
    exact = entry.get("match_case", False)
    pattern = "|".join(_spelled(word, exact) for word in sorted(set(words), key=lambda word: (-len(word), word)))
    made: dict[str, Any] = {
        "id": entry.get("id", ""),
        "type": entry.get("type", "CUSTOM"),
        "class": entry.get("class", "custom"),
        "description": entry.get("description", "A word of a dictionary"),
        "gate": pattern,
        "pattern": pattern,
        "enabled": entry.get("enabled", True),
    }
    if entry.get("whole_words", True):
        made |= {"not_before": _AROUND, "not_after": _AROUND}
    return made


def _spelled(word: str, exact: bool) -> str:
    """A word as a pattern over UTF-8 bytes, in which RE2 itself ignores the case of ASCII letters only."""
    return _SPACE.join(
        "".join(_letter(letter, exact) for letter in part) for part in re.split(r"[\s_-]+", word.strip()) if part
    )


def _letter(letter: str, exact: bool) -> str:
    spellings = [letter] if exact else dict.fromkeys((letter, letter.lower(), letter.upper()))
    return "(?:" + "|".join(map(re.escape, spellings)) + ")" if len(spellings) > 1 else re.escape(letter)
