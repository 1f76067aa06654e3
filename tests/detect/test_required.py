"""Literals that patterns cannot do without: every match holds one of them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.config.rule_files import read_rules
from localguard.detect.normalise import NormaliseEngine
from localguard.detect.prefilter import Gate, Prefilter
from localguard.detect.presidio_engine import PresidioEngine
from localguard.detect.required import is_rare, required
from localguard.detect.rule_engine import gate_of
from localguard.detect.rules import compile_pattern
from localguard.detect.secrets_engine import SecretsEngine

RULES = read_rules([])
GATES = [
    *map(gate_of, RULES),
    *(gate for engine in (NormaliseEngine(RULES), SecretsEngine(), PresidioEngine()) for gate in engine.gates),
]
BYTES = st.characters(max_codepoint=0xFF)
POINTED = [gate for gate in GATES if is_rare(required(gate.pattern).literals)]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(POINTED), st.data())
def test_every_match_of_a_gate_holds_one_of_its_literals(gate: Gate, data: st.DataObject) -> None:
    pattern = re.compile(
        gate.pattern.decode("latin-1"), re.ASCII
    )  # bytes in text: hypothesis fails on some byte patterns
    matched = data.draw(st.from_regex(pattern, fullmatch=True, alphabet=BYTES)).encode("latin-1")
    if compile_pattern(gate.pattern).search(matched) is not None:
        assert any(literal in matched.lower() for literal in required(gate.pattern).literals)


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
        (rb"abcd\s+efgh", set()),
        (rb"abcd(?:x\n){6}", set()),
        (rb"abcd[^\s]", {b"abcd"}),
        (rb"\xc3\xa9abcd", {b"abcd"}),
        (rb"[[:alpha:]]abcd", set()),
        (rb"\Qabcd\E", set()),
        (rb"(?s)abcd", set()),
        (rb"[^abcd]", set()),
    ],
)
def test_literals_are_those_that_the_pattern_says(pattern: bytes, literals: set[bytes]) -> None:
    assert required(pattern).literals == literals


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        (rb"abcd[^x]", 1),
        (rb"abcd\n?[^\n]*\r?\n", 2),
        (rb"(?:\sabcd\D|\n{3}abcd)", 3),
        (rb"abcd\s{0,4}", 4),
        (rb"abcd[^\s].+\w", 0),
    ],
)
def test_the_line_breaks_of_a_match_are_counted(pattern: bytes, count: int) -> None:
    assert required(pattern).line_breaks == count


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"gsk_", b"\n", b" ", b"12", b"ab", b"\nxkq_", b"x" * 30]), max_size=40))
def test_a_match_over_several_lines_is_found_by_a_literal_on_any_of_them(parts: list[bytes]) -> None:
    text = b"".join(parts)
    gates = [Gate("one", rb"[0-9]+\s?gsk_\s\s?[0-9]"), Gate("two", rb"ab[^x][^x]?xkq_")]
    assert all(is_rare(required(gate.pattern).literals) for gate in gates)
    windows = Prefilter(gates).windows(text)
    for gate in gates:
        for line in (0, *(found.end() for found in re.finditer(rb"\n", text))):
            match = compile_pattern(gate.pattern).search(text, line)
            assert match is None or any(
                one.start <= match.start() and match.end() <= one.end and gate.name in one.gates for one in windows
            )


@pytest.mark.parametrize("literal", [b"key", b"password", b"test_", b"us", b"://", b"-token", b"19850"])
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
