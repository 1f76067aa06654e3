"""How random a piece of text is: what a generator of secrets emits against what people name things.

The measure is the surprise of letter pairs. The table was counted over the words of Python's standard library and of
package documentation (11,434 words, 2026-11-22): row is the first letter, column the second, each figure the whole
part of -log2 of the share of the second letter after the first, 9 at most. Words of that vocabulary have a mean of 3.0
per pair (99 % are below 4.6), letters drawn evenly 5.7 (at twelve letters 99 % are above 4.1).
"""

import itertools
import re
from functools import lru_cache
from typing import Final

_SURPRISE: Final = (
    "94348758496333949232566669"
    "36553768348266359435399947"
    "39563783493467278453478869"
    "36641678288466369445478869"
    "47335567797443757223856479"
    "37653388299476268344487959"
    "47661754399453469335477987"
    "29761797397666279464599969"
    "45444549898441359433959695"
    "26572997476679259537295969"
    "47551555387474567625584968"
    "37642688298386369744579939"
    "24751789397647339745498979"
    "38333528495675468732558979"
    "65447558696432549244454799"
    "27662675497377349253587959"
    "66767799779595569547099999"
    "37551658395645369534567959"
    "48462664396566448632376859"
    "37562693299567459344577848"
    "44464559498332639333899899"
    "27691689299856479767788899"
    "27653673298463368336786899"
    "45353475399468529652779457"
    "55453567498443429533665766"
    "39860556399664369763697966"
)
_NO_WORD: Final = 4.4  # mean surprise of letter pairs that hardly any word or name reaches
_SEGMENT: Final = re.compile(r"[A-Za-z0-9]+")
_LETTERS: Final = re.compile(r"[a-z]+")
_BOUNDARY: Final = re.compile(r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
_ODD_CASE: Final = re.compile(r"[A-Z]{2}[a-z](?![a-z]{2})|[a-z][A-Z](?![a-z]{2})")
_HEX: Final = re.compile(r"[0-9a-f]+|[0-9A-F]+")


def surprise(text: str) -> float:
    """Mean surprise of the letter pairs of `text` in bits, case aside; 4.5, which says nothing, where there are under 3."""
    total = pairs = 0
    for run in _LETTERS.findall(text.lower()):
        for first, second in itertools.pairwise(run):
            total += ord(_SURPRISE[ord(first) * 26 + ord(second) - 2619]) - 48
            pairs += 1
    return total / pairs if pairs >= 3 else 4.5


@lru_cache(maxsize=8192)
def looks_random(text: str) -> bool:
    """Whether some unbroken piece of letters and digits in `text` is likelier drawn than named.

    `8f3kZ0qLw2x`, hex and base64 are; `utf8mb4_unicode_ci`, `Summer2024!`, `velvet-saddle-64`, `HTTPServer2` are not.
    """
    return any(_random_segment(segment) for segment in _SEGMENT.findall(text[:512]))


def _random_segment(segment: str) -> bool:
    size = len(segment)
    if size < 8:
        return False
    digits = sum(char.isdigit() for char in segment)
    if not digits:
        odd = len(_ODD_CASE.findall(segment))
        return size >= 12 and surprise(segment) >= 4.6 and (odd >= 2 or size >= 20)
    if digits == size:
        return False
    if _HEX.fullmatch(segment):
        return size >= 12 and len(_BOUNDARY.findall(segment)) >= 4
    boundaries = len(_BOUNDARY.findall(segment))
    odd = len(_ODD_CASE.findall(segment))
    strange = surprise(segment)
    if boundaries >= 5 or (boundaries >= 3 and (strange >= 3.8 or odd >= 2)):
        return True
    if boundaries == 2 and strange >= 4.5 and size >= 10:
        return True
    return size >= 12 and strange >= 4.5 and odd >= 2


def no_word(text: str) -> bool:
    """Whether `text` is letters of one case that make no word of any language: at least eight, in pairs that words hardly have."""
    return len(text) >= 8 and text.isascii() and text.isalpha() and surprise(text) >= _NO_WORD


def odd_case(text: str) -> bool:
    """Whether capitals stand where no name has them, at least twice: `OLipDI`."""
    return len(_ODD_CASE.findall(text)) >= 2


def mixes_classes(text: str) -> bool:
    """Letters with digits, or with a mark that names do not have: what a password that stands in a sentence looks like."""
    letters = any(char.isalpha() for char in text)
    return letters and (any(char.isdigit() for char in text) or bool(re.search(r"[!@#$%^&*+?~]", text)))
