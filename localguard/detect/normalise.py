"""Secrets in disguise: hidden and look-alike characters, percent-, character- and hex-escapes, hex, base64 once and twice.

Only rules that know a value by itself (an issuer's pattern, a checksum, a private-key block) run on what is decoded, and
what is reported is the span in the original text. Everything is bounded: two levels, runs of at most MAX_ENCODED
bytes, one pass per level.

Not caught: passwords that only their key gives away, other encodings (base32, base85, gzip, quoted-printable), text
that is split over lines, strings or messages, values spelt letter by letter.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from localguard.detect.finding import DataClass, Finding, Window
from localguard.detect.prefilter import Gate, Prefilter
from localguard.detect.rule_engine import RuleEngine, gate_of
from localguard.detect.rules import Rule, compile_pattern

MAX_ENCODED: Final = 65536
_DEPTH: Final = 2

# How the values that issuers' rules know begin. Their encoded forms are the gates.
_PREFIXES: Final = tuple(
    prefix.encode()
    for prefix in (
        ["gh" + kind + "_" for kind in "pousr"]
        + ["github_" + "pat_", "gl" + "pat-", "sk-" + "ant-", "sk-" + "proj-", "sk-" + "svcacct-", "sk-" + "or-v1"]
        + ["sk_" + "live_", "rk_" + "live_", "xox" + "b-", "xox" + "p-", "AK" + "IA", "AI" + "za", "GOC" + "SPX-"]
        + ["npm" + "_", "pypi-" + "AgE", "hf" + "_", "dop" + "_v1_", "dckr" + "_pat_", "shp" + "at_", "eyJ" + "hbG"]
        + ["-----BEGIN ", "https://hooks.slack.com/", "AccountKey="]
    )
)

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
    "encoded/escape": rb"(?:\\u00[2-7][0-9A-Fa-f]){4}|(?:\\x[2-7][0-9A-Fa-f]){4}|(?:&#[xX]?[0-9A-Fa-f]{2,3};){4}",
}

_UNIT: Final = re.compile(
    rb"(?P<hidden>(?:" + _HIDDEN + rb")+)|(?P<wide>" + _WIDE + rb")|(?P<alike>" + _LETTER + rb")|"
    rb"%(?P<percent>[2-7][0-9A-Fa-f])|\\u00(?P<u>[2-7][0-9A-Fa-f])|\\x(?P<x>[2-7][0-9A-Fa-f])|"
    rb"&#(?P<decimal>[0-9]{2,3});|&#[xX](?P<hex>[2-7][0-9A-Fa-f]);"
)
_HEX_RUN: Final = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
_BASE64_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def encoded_forms(prefix: bytes) -> list[bytes]:
    """The characters that stand in any base64 text holding `prefix`, one string for each of its three alignments."""
    forms = []
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + prefix)
        first, last = -(-lead * 8 // 6), (lead + len(prefix)) * 8 // 6
        forms.append(text[first:last])
    return [form for form in forms if len(form) >= 4]


def _base64_gate() -> bytes:
    once = [form for prefix in _PREFIXES for form in encoded_forms(prefix)]
    twice = [form for prefix in _PREFIXES for form in encoded_forms(base64.b64encode(prefix)[: len(prefix) * 8 // 6])]
    forms = dict.fromkeys(form.replace(b"+", b"[+-]").replace(b"/", b"[/_]") for form in (*once, *twice))
    return b"(?:" + b"|".join(forms) + b")[A-Za-z0-9+/_-]{8}"


def _hex_gate() -> bytes:
    return b"(?i:" + b"|".join(prefix.hex().encode() for prefix in _PREFIXES) + b")[0-9A-Fa-f]{16}"


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Decoded bytes, and for each its first and one past its last byte in the text it came from."""

    text: bytes
    starts: Sequence[int]
    ends: Sequence[int]


class NormaliseEngine:
    """Decodes what its gates point at and runs the rules that know a value by itself on it."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [rule for rule in rules if rule.distinctive and rule.data_class is DataClass.SECRET]
        self._gates = [
            *(Gate(name, pattern, apart=True) for name, pattern in _GATES.items()),
            Gate("encoded/base64", _base64_gate(), apart=True),
            Gate("encoded/hex", _hex_gate(), apart=True),
        ]
        self._engine: RuleEngine | None = None
        self._prefilter: Prefilter | None = None
        self._patterns: dict[str, Any] = {}

    @property
    def gates(self) -> Sequence[Gate]:
        """One for each kind of disguise."""
        return self._gates

    def load(self) -> None:
        """Compiles the rules for decoded text."""
        if self._engine is None:
            self._prefilter = Prefilter([gate_of(rule) for rule in self._rules])
            self._patterns = {gate.name: compile_pattern(gate.pattern) for gate in self._gates}
            self._engine = RuleEngine(self._rules)

    def examine(self, window: Window) -> Iterator[Finding]:
        """Findings whose values stand encoded in `window`; spans are those of the encoded text."""
        yield from self._examine(window.text, window.gates, window.start, _DEPTH)

    def _examine(self, text: bytes, gates: Sequence[str], offset: int, depth: int) -> Iterator[Finding]:
        if any(name in gates for name in _GATES):
            decoded = _characters(text)
            for finding in self._look(decoded.text, depth):
                start, end = decoded.starts[finding.start], decoded.ends[finding.end - 1]
                if end - start != finding.end - finding.start:  # else it stood there in clear, and was found
                    yield replace(finding, start=offset + start, end=offset + end)
        for name, runs in (("encoded/base64", _base64_runs), ("encoded/hex", _hex_runs)):
            if name in gates:
                for decoded in runs(text, self._patterns[name]):
                    for finding in self._look(decoded.text, depth):
                        start, end = decoded.starts[finding.start], decoded.ends[finding.end - 1]
                        yield replace(finding, start=offset + start, end=offset + end)

    def _look(self, text: bytes, depth: int) -> Iterator[Finding]:
        """What the rules find in decoded text, and what is encoded in it once more."""
        self.load()
        assert self._engine is not None
        assert self._prefilter is not None
        window = Window(0, len(text), text, self._prefilter.gates_of(text))
        for finding in self._engine.examine(window):
            yield replace(finding, rule=f"{finding.rule}+encoded")
        if depth > 1:
            gates = [name for name, pattern in self._patterns.items() if pattern.search(text)]
            yield from self._examine(text, gates, 0, depth - 1)


def _characters(text: bytes) -> _Decoded:
    """`text` without hidden characters, look-alikes and escapes replaced by what they stand for."""
    out, position = bytearray(), 0
    starts: list[int] = []
    ends: list[int] = []
    for found in _UNIT.finditer(text):
        start, end = found.span()
        out += text[position:start]
        starts.extend(range(position, start))
        ends.extend(range(position + 1, start + 1))
        position = end
        for byte in _meaning(found):
            out.append(byte)
            starts.append(start)
            ends.append(end)
    out += text[position:]
    starts.extend(range(position, len(text)))
    ends.extend(range(position + 1, len(text) + 1))
    return _Decoded(bytes(out), starts, ends)


def _meaning(found: re.Match[bytes]) -> bytes:
    kind, body = found.lastgroup, found[found.lastindex or 0]
    if kind == "hidden":
        return b""
    if kind == "wide":
        return unicodedata.normalize("NFKC", body.decode("utf-8", "replace")).encode()
    if kind == "alike":
        letter = body.decode("utf-8", "replace")
        return _ALIKE.get(letter, letter).encode()
    if kind == "decimal":
        return bytes([int(body)]) if 32 <= int(body) < 127 else found[0]
    return bytes([int(body, 16)])


def _base64_runs(text: bytes, gate: Any) -> Iterator[_Decoded]:
    """Each base64 run in which `gate` matches, decoded at the four places where its first group may begin."""
    position = 0
    while (found := gate.search(text, position)) is not None:
        low = max(0, found.start() - MAX_ENCODED)
        start = found.start() - len(text[low : found.start()]) + _run_start(text[low : found.start()])
        run = _BASE64_RUN.match(text, start, start + 2 * MAX_ENCODED)
        end = run.end() if run else found.end()
        characters = text[start:end].rstrip(b"=").translate(_STANDARD)
        for lead in range(4):
            body = characters[lead:]
            body = body[: len(body) - (len(body) % 4 == 1)]
            try:
                decoded = base64.b64decode(body + b"=" * (-len(body) % 4))
            except (ValueError, binascii.Error):
                continue
            first = start + lead
            starts = [first + index * 8 // 6 for index in range(len(decoded))]
            ends = [first - (-(index + 1) * 8 // 6) for index in range(len(decoded))]
            if ends and ends[-1] == first + len(body):
                ends[-1] = end  # the padding goes with the last byte
            yield _Decoded(decoded, starts, ends)
        position = max(end, found.end())


def _run_start(before: bytes) -> int:
    """Where the base64 run begins that ends with `before`."""
    last = 0
    for found in re.finditer(rb"[^A-Za-z0-9+/_-]", before[-MAX_ENCODED:]):
        last = found.end()
    return last


def _hex_runs(text: bytes, gate: Any) -> Iterator[_Decoded]:
    """Each hex run from where `gate` matches, decoded."""
    position = 0
    while (found := gate.search(text, position)) is not None:
        start = found.start()
        run = _HEX_RUN.match(text, start, start + MAX_ENCODED)
        end = run.end() if run else found.end()
        decoded = bytes.fromhex(text[start:end].decode("ascii")) if run else b""
        yield _Decoded(decoded, range(start, end, 2), range(start + 2, end + 2, 2))
        position = max(end, found.end())
