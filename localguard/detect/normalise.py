"""Secrets in disguise: hidden and look-alike characters, escapes of several languages, hex, base64 once and twice, gzip in it.

All rules for secrets run on what is decoded, and what is reported is the span in the original text. Everything is
bounded: two levels, runs of at most MAX_ENCODED bytes, one pass per level.

Not caught: other encodings (base32, base85, zlib without gzip's header), values spelt letter by letter, backwards or by a
cipher, and personal data in any disguise.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

from localguard.detect.encodings import (
    BASE64_GATE,
    GZIP_GATE,
    HEX_GATE,
    Decoded,
    base64_runs,
    gzip_runs,
    hex_runs,
)
from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.prefilter import Gate, Prefilter
from localguard.detect.rule_engine import RuleEngine, gate_of
from localguard.detect.rules import Rule, compile_pattern

ENCODED: Final = "+encoded"
"""What the name of a rule ends in that found something in decoded text."""
_DEPTH: Final = 2

_HIDDEN: Final = (
    rb"\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf|\xc2\xad|\xcd\x8f|\xef\xb8[\x80-\x8f]|"
    rb"\xcc[\x80-\xbf]|\xf3\xa0[\x80-\x87][\x80-\xbf]"
)
_WIDE: Final = rb"\xef\xbc[\x81-\xbf]|\xef\xbd[\x80-\x9e]|\xf0\x9d[\x90-\x9f][\x80-\xbf]"
_ALIKE: Final = dict(
    zip(
        "АВЕЅІЈКМНОРСТХҮаеѕіјорсухһԁԛԝɡΑΒΕΖΗΙΚΜΝΟΡΤΥΧοѵӏ",
        "ABESIJKMHOPCTXYaesijopcyxhdqwgABEZHIKMNOPTYXovl",
        strict=True,
    )
)
_LETTER: Final = rb"[\xc9\xce\xcf\xd0\xd1\xd2\xd3\xd4][\x80-\xbf]"

_GATES: Final[dict[str, bytes]] = {
    "encoded/hidden": rb"[A-Za-z0-9_-](?:" + _HIDDEN + rb")+[A-Za-z0-9_./+=-]",
    "encoded/look-alike": rb"(?:" + _WIDE + rb"){6}|[A-Za-z0-9_-]" + _LETTER + rb"[A-Za-z0-9_-]",
    "encoded/percent": rb"(?:%[2-7][0-9A-Fa-f]){4}|[A-Za-z0-9]%(?:5[fF]|2[dD])[A-Za-z0-9]{8}",
    "encoded/escape": rb"(?:\\u00[2-7][0-9A-Fa-f]){4}|(?:\\x[2-7][0-9A-Fa-f]){4}|(?:&#[xX]?[0-9A-Fa-f]{2,3};){4}|"
    rb"(?:\\[01][0-7]{2}){4}",
    "encoded/joined": rb"[^\s\"'`]{4}[\"'`][ \t]*[+.&]?[ \t]*[\"'`][^\s\"'`]{4}|"
    rb"[A-Za-z0-9_-]{8}[\"'`][ \t]*[+.&\\]\r?\n[ \t]*[\"'`][^\s\"'`]|[A-Za-z0-9_-]{10}(?:[\"'`]\r?\n[ \t]*[\"'`]|\\\r?\n)[^\s\"'`]",
    "encoded/quoted-printable": rb"(?:=[2-7][0-9A-F]){4}|=(?:5F|2D)[A-Za-z0-9]{8}|(?m:[A-Za-z0-9_-]{16}=\r?$)",
}
_REACH: Final = {"encoded/quoted-printable": 256, "encoded/joined": 256}
# Rules for values that nothing but their surroundings tell: those of what is decoded are not those of the text.
_NEAR_ONLY: Final = ("alone/", "context/")
_RUNS: Final = (
    ("encoded/base64", BASE64_GATE, base64_runs),
    ("encoded/hex", HEX_GATE, hex_runs),
    ("encoded/gzip", GZIP_GATE, gzip_runs),
)

_UNITS: Final[dict[str, tuple[bytes, ...]]] = {
    "encoded/hidden": (rb"(?P<hidden>(?:" + _HIDDEN + rb")+)",),
    "encoded/look-alike": (rb"(?P<wide>" + _WIDE + rb")", rb"(?P<alike>" + _LETTER + rb")"),
    "encoded/percent": (rb"%(?P<percent>[2-7][0-9A-Fa-f])",),
    "encoded/escape": (
        rb"\\u00(?P<u>[2-7][0-9A-Fa-f])",
        rb"\\x(?P<x>[2-7][0-9A-Fa-f])",
        rb"&#(?P<decimal>[0-9]{2,3});",
        rb"&#[xX](?P<hex>[2-7][0-9A-Fa-f]);",
        rb"\\(?P<octal>[01][0-7]{2})",
    ),
    "encoded/quoted-printable": (
        rb"=(?P<quoted>[2-7][0-9A-F])",
        rb"(?P<soft>(?<=[A-Za-z0-9_-])=\r?\n(?=[A-Za-z0-9_-]))",
    ),
    # Begins with a class and looks back from there, so that the engine skips to its bytes.
    "encoded/joined": (
        rb"(?P<joint>[\"'`\\](?<=[^\s\"'`].)(?:(?<=[\"'`])[ \t]*[+.&\\]?[ \t]*(?:\r?\n[ \t]*)?[\"'`]|(?<=\\)\r?\n)(?=[^\s\"'`])"
        rb"(?![^\"'`\n]{0,80}[\"'`][ \t]*[:=]|[A-Za-z_][A-Za-z0-9_.-]{1,40}=))",
    ),
}
"""What each gate opens; without it that is taken as it stands: `=7C` is no escape in most texts. No two begin alike."""


@lru_cache(maxsize=64)
def _unit(gates: frozenset[str]) -> re.Pattern[bytes]:
    """A pattern for what the gates open."""
    return re.compile(b"|".join(unit for gate, units in _UNITS.items() if gate in gates for unit in units))


class NormaliseEngine:
    """Decodes what its gates point at and runs the rules that know a value by itself on it."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = {
            rule.id: rule
            for rule in rules
            if rule.data_class is DataClass.SECRET and not rule.id.startswith(_NEAR_ONLY)
        }
        self._gates = [
            *(Gate(name, pattern, _REACH.get(name, 0), apart=True) for name, pattern in _GATES.items()),
            *(Gate(name, pattern, apart=True) for name, pattern, _ in _RUNS),
        ]
        self._shared: tuple[Prefilter, RuleEngine] | None = None
        self._patterns: dict[str, Any] = {}

    @property
    def gates(self) -> Sequence[Gate]:
        """One for each kind of disguise."""
        return self._gates

    def share(self, prefilter: Prefilter, rules: RuleEngine) -> None:
        """Use what the scanner has compiled already. `prefilter` and `rules` know all rules for secrets by their ids."""
        self._shared = prefilter, rules

    def load(self) -> None:
        """Compiles the rules for decoded text, unless they are shared."""
        if not self._patterns:
            self._patterns = {gate.name: compile_pattern(gate.pattern) for gate in self._gates}
        if self._shared is None:
            rules = self._rules.values()
            self._shared = Prefilter([gate_of(rule) for rule in rules]), RuleEngine(list(rules))

    def examine(self, window: Window) -> Iterator[Finding]:
        """Findings whose values stand encoded in `window`; spans are those of the encoded text."""
        yield from self._examine(window.text, window.gates, window.start, _DEPTH)

    def _examine(self, text: bytes, gates: Sequence[str], offset: int, depth: int) -> Iterator[Finding]:
        if any(name in gates for name in _GATES):
            characters = _characters(text, gates)
            if characters is not None:  # else what could be found stands there in clear
                for finding in self._look(characters.text, depth):
                    start, end = characters.origin(finding.start, finding.end)
                    if end - start != finding.end - finding.start:  # else it stood there in clear, and was found
                        yield replace(finding, start=offset + start, end=offset + end)
        for name, _, runs in _RUNS:
            if name in gates:
                for decoded in runs(text, self._patterns[name]):
                    for finding in self._look(decoded.text, depth):
                        start, end = decoded.origin(finding.start, finding.end)
                        yield replace(finding, start=offset + start, end=offset + end)

    def _look(self, text: bytes, depth: int) -> Iterator[Finding]:
        """What the rules find in decoded text, and what is encoded in it once more."""
        self.load()
        assert self._shared is not None
        prefilter, rules = self._shared
        of_secrets = tuple(name for name in prefilter.gates_of(text) if name in self._rules)
        for finding in rules.examine(Window(0, len(text), text, of_secrets)):
            yield replace(finding, rule=finding.rule + ENCODED)
        if depth > 1:
            gates = [name for name, pattern in self._patterns.items() if pattern.search(text)]
            yield from self._examine(text, gates, 0, depth - 1)


def _characters(text: bytes, gates: Sequence[str]) -> Decoded | None:
    """`text` without hidden characters, look-alikes and escapes replaced by what they stand for, as far as `gates` are open.

    None where it holds none of them.
    """
    out, position = bytearray(), 0
    origins = _Origins([], [])
    for found in _unit(frozenset(_UNITS.keys() & set(gates))).finditer(text):
        start, end = found.span()
        out += text[position:start]
        position = end
        origins.places.append(len(out))
        out += _meaning(found)
        origins.units.append((len(out), start, end))
    if not origins.places:
        return None
    out += text[position:]
    return Decoded(bytes(out), origins.of)


class _Origins(NamedTuple):
    """Where in a text the bytes of its decoded form come from."""

    places: list[int]
    """Where in the decoded form each unit's meaning begins."""
    units: list[tuple[int, int, int]]
    """One past its end there, and the unit's start and end in the text."""

    def of(self, start: int, end: int) -> tuple[int, int]:
        """The span in the text of the decoded bytes from `start` to `end`."""
        return self._of(start)[0], self._of(end - 1)[1]

    def _of(self, place: int) -> tuple[int, int]:
        number = bisect_right(self.places, place) - 1
        if number < 0:
            return place, place + 1
        stop, start, end = self.units[number]
        return (start, end) if place < stop else (end + place - stop, end + place - stop + 1)


def _meaning(found: re.Match[bytes]) -> bytes:
    kind, body = found.lastgroup, found[found.lastindex or 0]
    if kind in ("hidden", "soft", "joint"):
        return b""
    if kind == "octal":
        return bytes([int(body, 8)])
    if kind == "wide":
        return unicodedata.normalize("NFKC", body.decode("utf-8", "replace")).encode()
    if kind == "alike":
        letter = body.decode("utf-8", "replace")
        return _ALIKE.get(letter, letter).encode()
    if kind == "decimal":
        return bytes([int(body)]) if 32 <= int(body) < 127 else found[0]
    return bytes([int(body, 16)])
