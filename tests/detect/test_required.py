"""Literals that patterns cannot do without: every match holds one of them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.config.rule_files import read_rules
from localguard.detect.normalise import NormaliseEngine
from localguard.detect.prefilter import Gate, Prefilter
from localguard.detect.presidio_engine import PresidioEngine
from localguard.detect.required import is_rare, required_literals
from localguard.detect.rule_engine import gate_of
from localguard.detect.rules import compile_pattern
from localguard.detect.secrets_engine import SecretsEngine

RULES = read_rules([])
GATES = [
    *map(gate_of, RULES),
    *(gate for engine in (NormaliseEngine(RULES), SecretsEngine(), PresidioEngine()) for gate in engine.gates),
]
POINTED = [gate for gate in GATES if is_rare(required_literals(gate.pattern))]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(POINTED), st.data())
def test_every_match_of_a_gate_holds_one_of_its_literals(gate: Gate, data: st.DataObject) -> None:
    matched = data.draw(st.from_regex(re.compile(gate.pattern), fullmatch=True))
    if compile_pattern(gate.pattern).search(matched) is not None:
        assert any(literal in matched.lower() for literal in required_literals(gate.pattern))


def test_most_gates_are_looked_for_by_their_literals() -> None:
    assert len(POINTED) > len(GATES) // 2


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        (rb"gsk_[A-Za-z0-9]{32}", {b"gsk_"}),
        (rb"gh[pousr]_[A-Z]", {b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"}),
        (rb"(?i:Twilio|Sendgrid)[\w.-]*=", {b"twilio", b"sendgrid"}),
        (rb"x-?api-?key-long", {b"xapikey-long", b"x-apikey-long", b"xapi-key-long", b"x-api-key-long"}),
        (rb"(?:abc_)+def", {b"abc_"}),
        (rb"(?:abc_)*de+f", {b"d"}),
        (rb"abcd|[0-9a-z]+", set()),
        (rb"ab\ncdef", set()),
        (rb"abcd\s+efgh", set()),
        (rb"abcd[^x]", set()),
        (rb"abcd[^\s]", {b"abcd"}),
        (rb"\xc3\xa9abcd", {b"abcd"}),
        (rb"[[:alpha:]]abcd", set()),
        (rb"\Qabcd\E", set()),
        (rb"(?s)abcd", set()),
        (rb"[^abcd]", set()),
    ],
)
def test_literals_are_those_that_the_pattern_says(pattern: bytes, literals: set[bytes]) -> None:
    assert required_literals(pattern) == literals


@pytest.mark.parametrize("literal", [b"key", b"password", b"test_", b"us", b"://", b"-token"])
def test_what_stands_everywhere_is_not_rare(literal: bytes) -> None:
    assert not is_rare([literal])


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"gsk_abc", b"GSK_", b"x" * 300, b"\n", b" ", b"re_", b"hit_12"]), max_size=60),
    st.integers(1, 40),
)
def test_literals_across_blocks_and_lines_are_found(parts: list[bytes], block: int) -> None:
    gates = [Gate("one", rb"gsk_[a-z]{3}"), Gate("two", rb"(?i:hit_)[0-9]{2}", 5)]
    text = b"".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        whole = Prefilter(gates).windows(text)
        patch.setattr("localguard.detect.prefilter._BLOCK", block)
        assert Prefilter(gates).windows(text) == whole
    for gate in gates:
        for match in compile_pattern(gate.pattern).finditer(text):
            assert any(
                one.start <= match.start() and match.end() <= one.end and gate.name in one.gates for one in whole
            )
