"""How random a piece of text is: what a generator of secrets emits against what people name things.

The measure is the surprise of letter pairs. The table was counted over the words of Python's standard library and of
package documentation (11,434 words, 2026-11-22): row is the first letter, column the second, each figure the whole
part of -log2 of the share of the second letter after the first, 9 at most. Words of that vocabulary have a mean of 3.0
per pair (99 % are below 4.6), letters drawn evenly 5.7 (at twelve letters 99 % are above 4.1).

Polish and Czech pair their letters otherwise than the languages of the West do: half of the Polish words are above 4.0. So
what is to be told from the words of any language is measured by a second table as well (3,292 words without accents of the
translations of Apache Guacamole and OWASP Juice Shop, 2026-11-28), and the lower figure counts: at 4.2 it is 1 to 7 % of the
words of six letters and more in eleven languages, and 93 % of six, 98 % of ten letters drawn evenly.
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
_SLAVIC: Final = (
    "85349658564342949343565966"
    "36783688265264388347368848"
    "49593992344597399593599943"
    "36662788397554349458477943"
    "56336548845442857234866586"
    "48882488188486288386388858"
    "38872854388574188357387876"
    "28672788287554288484586858"
    "36352659885452368643656995"
    "27851878386753468535588888"
    "29483799298396289453496969"
    "38962778296494379865467939"
    "25792899297755339979498969"
    "39442539286796499943669938"
    "74439658666432649344452876"
    "38883986399397249264498969"
    "66666666666666666666064666"
    "28552669396645279645466943"
    "49493796374767347941496953"
    "37792795296575399355495939"
    "44445668534343949333976897"
    "28771888285788388878588858"
    "18653786296694369549699927"
    "46363666266666516663666566"
    "85255557553534549833993995"
    "26552979375953469686485928"
)
_NO_WORD: Final = 4.2  # mean surprise of letter pairs, by either table, that few words of any language reach
_SEGMENT: Final = re.compile(r"[A-Za-z0-9]+")
_LETTERS: Final = re.compile(r"[a-z]+")
_BOUNDARY: Final = re.compile(r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
_ODD_CASE: Final = re.compile(r"[A-Z]{2}[a-z](?![a-z]{2})|[a-z][A-Z](?![a-z]{2})")
_HEX: Final = re.compile(r"[0-9a-f]+|[0-9A-F]+")


def surprise(text: str) -> float:
    """Mean surprise of the letter pairs of `text` in bits, case aside; 4.5, which says nothing, where there are under 3."""
    return _mean(text, _SURPRISE)


def _mean(text: str, table: str) -> float:
    total = pairs = 0
    for run in _LETTERS.findall(text.lower()):
        for first, second in itertools.pairwise(run):
            total += ord(table[ord(first) * 26 + ord(second) - 2619]) - 48
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


@lru_cache(maxsize=4096)
def no_word(text: str, least: int = 8) -> bool:
    """Whether `text` is letters that make no word of any language: at least `least`, in pairs that words hardly have."""
    if len(text) < least or not (text.isascii() and text.isalpha()):
        return False
    letters = text.replace("ij", "y")  # one vowel of Dutch
    return min(surprise(letters), _mean(letters, _SLAVIC)) >= _NO_WORD


def odd_case(text: str) -> bool:
    """Whether capitals stand where no name has them, at least twice: `OLipDI`."""
    return len(_ODD_CASE.findall(text)) >= 2


def mixes_classes(text: str) -> bool:
    """Letters with digits, or with a mark that names do not have: what a password that stands in a sentence looks like."""
    letters = any(char.isalpha() for char in text)
    return letters and (any(char.isdigit() for char in text) or bool(re.search(r"[!@#$%^&*+?~]", text)))
