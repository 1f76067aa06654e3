"""Hyperscan changes how fast windows are found, and nothing else: the same windows, gates and findings with and without it."""

import random
import re
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localguard.detect import multipattern
from localguard.detect.expressions import drawn, expression, is_exact, line_breaks
from localguard.detect.multipattern import Matcher, Unusable, compiled
from localguard.detect.prefilter import Gate, Prefilter
from localguard.detect.rules import compile_pattern
from localguard.detect.scanner import Scanner
from localguard.detect.spans import LONG_LINE, MAX_SEARCH
from localguard.proxy.scan_pool import build_scanner
from tests.bench.detection.samples import DEV, samples
from tests.detect.test_real_text import texts
from tests.detect.test_scanner import PUMPS

pytest.importorskip("hyperscan")


@pytest.fixture(scope="module")
def fast() -> Scanner:
    built = build_scanner()
    built.accelerate(Matcher(built.patterns, compiled(built.patterns)))
    return built


def gates_of(scanner: Scanner) -> list[Gate]:
    return [gate for asked in scanner._prefilter._asked.values() for gate, _ in asked]


@pytest.fixture(scope="module")
def planted() -> list[bytes]:
    return [sample.text.encode() for sample in samples(DEV, "dev", variants=1)]


def test_all_gates_but_those_of_any_number_of_lines_are_asked_of_hyperscan(scanner: Scanner, fast: Scanner) -> None:
    assert fast._prefilter._fast is not None
    matcher, _, unasked = fast._prefilter._fast
    assert len(matcher.refused) <= 5
    assert len(unasked) <= 5
    assert len(gates_of(fast)) > 900


@pytest.mark.timeout(300)
def test_windows_of_megabytes_of_real_text_are_the_same(scanner: Scanner, fast: Scanner, planted: list[bytes]) -> None:
    size = windows = 0
    for text in texts(planted, seed=7):
        found = scanner.candidates(text)
        assert fast.candidates(text) == found
        size, windows = size + len(text), windows + len(found)
    assert size > 2.5e6
    assert windows > 1_000  # else the test would say little


@pytest.mark.parametrize(
    "line",
    [
        b'# i.e. if ("value" == my_password_secure) {}',
        b"    # or 'bar' !== my_password",
        b"                    | password | hunter2x |",
        b'                         "value" == password',
    ],
)
def test_what_hyperscan_skips_far_into_a_text_is_found(scanner: Scanner, fast: Scanner, line: bytes) -> None:
    for before in (0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 500):
        for text in (b"-" * before + line, b"-" * before + b"\n" + line + b"\n" + b"-" * 99):
            assert fast.candidates(text) == scanner.candidates(text)
            assert fast._prefilter.gates_of(text) == scanner._prefilter.gates_of(text)


def test_a_pattern_that_hyperscan_misses_in_a_text_drawn_from_it_is_refused() -> None:
    missed = rb"""["'][ \t]*(?:\)?\.(?:equals|eql\?)\(|={2,3}|!==?)[ \t]*[\w.$]*(?i:passw|pwd|secret|token)"""
    matcher = Matcher([missed, b"gsk_[0-9]"], compiled([missed, b"gsk_[0-9]"]))
    text = b"-" * 40 + b'"x" == token'
    assert compile_pattern(missed).search(text) is not None
    assert 0 in matcher.refused or any(number == 0 for number, _ in matcher.ends(text) or ())
    assert 1 not in matcher.refused


@pytest.mark.parametrize(
    "pattern", [rb"gsk_[A-Za-z0-9]{32,}", rb"(?i:key)\s?=", rb"a(?:b{0,200}c)+", rb"(?:a|[^b]x*)\d"]
)
def test_texts_drawn_from_a_pattern_match_it(pattern: bytes) -> None:
    texts = drawn(pattern, 20)
    assert texts == drawn(pattern, 20)
    assert all(compile_pattern(pattern).search(text) for text in texts)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b" ", b'\\n", "', b"\xff\n", b"\n\n\n"])
def test_samples_are_found_the_same_whatever_ends_their_lines(
    scanner: Scanner, fast: Scanner, planted: list[bytes], seed: int, ending: bytes
) -> None:
    text = ending.join(random.Random(seed).choices(planted, k=60))
    assert fast.scan(text) == scanner.scan(text)
    assert fast.candidates(text) == scanner.candidates(text)


@pytest.mark.parametrize("before", [b" " * 20, b"\t" * 6, b"    + ", b'"', b"> ", b"x" * 40 + b" "], ids=repr)
def test_samples_are_found_the_same_whatever_stands_before_them(
    scanner: Scanner, fast: Scanner, planted: list[bytes], before: bytes
) -> None:
    text = b"".join(before + line + b"\n" for sample in planted for line in sample.splitlines())
    assert fast.candidates(text) == scanner.candidates(text)  # Hyperscan 5.4.12 lost a match behind twenty spaces


@pytest.mark.parametrize("pump", PUMPS.values(), ids=PUMPS.keys())
def test_windows_of_pumped_text_are_the_same(scanner: Scanner, fast: Scanner, pump: bytes) -> None:
    assert fast.candidates(pump) == scanner.candidates(pump)


@pytest.mark.parametrize("length", [LONG_LINE - 1, LONG_LINE + 1, MAX_SEARCH - 40, MAX_SEARCH + 40, 3 * MAX_SEARCH])
def test_windows_in_lines_of_any_length_are_the_same(
    scanner: Scanner, fast: Scanner, planted: list[bytes], length: int
) -> None:
    chance = random.Random(length)
    filler = b'{"a": "lorem ipsum dolor"}, '
    pieces = [filler * (length // 5 // len(filler)) + re.sub(rb"\s", b" ", chance.choice(planted)) for _ in range(5)]
    text = b"\n".join([b"x = 1", b" ".join(pieces), chance.choice(planted), b" ".join(pieces[:3])])
    assert fast.candidates(text) == scanner.candidates(text)


PARTS = [
    b"\n",
    b"\r\n",
    b" ",
    b"x" * 300,
    b"12",
    b"ab",
    b"\xc3\xa9",
    b"\xe9",
    b"gsk_abc",
    b"KEY-9",
    b"nit 123",
    b"key=77",
]
GATES = [
    Gate("literal", rb"gsk_[a-z]{3}"),
    Gate("lines", rb"[0-9]+\s?gsk_\s?[a-z]", 3),
    Gate("end", rb"ab\s*(?:[^a-z]|$)[0-9]{2}"),
    Gate("start", rb"(?:^|[^a-z])(?i:key)[^\n]*[0-9]", context=True),
    Gate("folded", rb"(?i:\xc3\xa9)[^\n]*?(?:\b[0-9]{2}\b)", 9),
    Gate("counted", rb"x{250,400}(?m:$)", apart=True),
    Gate("anything", rb"ab[^;]*gsk_"),
    Gate("one of two", rb"nit(?:[^a-z]|$)[0-9]{2,}|=[0-9]+"),
]


def slow_and_fast(gates: list[Gate]) -> tuple[Prefilter, Prefilter]:
    slow, quick = Prefilter(gates), Prefilter(gates)
    quick.accelerate(Matcher(quick.patterns, compiled(quick.patterns)))
    return slow, quick


SLOW, QUICK = slow_and_fast(GATES)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PARTS), max_size=60), st.integers(1, 300))
@example([b"ab", b"\n", b"12", b"\n", b"\n", b"KEY-9"], 1)
def test_blocks_and_lines_may_end_anywhere(parts: list[bytes], block: int) -> None:
    text = b"".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("localguard.detect.spans.LONG_LINE", 400)
        slow = SLOW.windows(text)
        patch.setattr("localguard.detect.prefilter._MATCHED", block)
        assert QUICK.windows(text) == slow


@settings(max_examples=400)
@given(st.data())
def test_every_match_of_a_gate_is_pointed_at(fast: Scanner, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(fast.patterns) - 1))
    gate = fast._prefilter._asked[fast.patterns[number]][0][0]
    pattern = re.compile(gate.pattern.decode("latin-1"), re.ASCII)
    drawn = data.draw(st.from_regex(pattern, alphabet=st.characters(max_codepoint=0xFF))).encode("latin-1")
    found = compile_pattern(gate.pattern).search(drawn)
    if found is None:
        return
    assert fast._prefilter._fast is not None
    ends = fast._prefilter._fast[0].ends(drawn)
    assert (
        ends is None
        or number in fast._prefilter._fast[0].refused
        or any(one == number and found.start() < end <= found.end() for one, end in ends)
    )
    assert gate.name in fast._prefilter.gates_of(drawn)


def test_what_is_said_exactly_is_found_by_both_or_neither(fast: Scanner, planted: list[bytes]) -> None:
    assert fast._prefilter._fast is not None
    matcher = fast._prefilter._fast[0]
    assert len(matcher.exact) > 800
    assert matcher.on_a_line <= matcher.exact
    seen = set[int]()
    for text in (*planted, *(text[cut:-cut] for text in planted for cut in (1, 3))):
        for number in {number for number, _ in matcher.ends(text) or ()} & matcher.exact:
            assert compile_pattern(fast.patterns[number]).search(text) is not None
            seen.add(number)
    assert len(seen) > 300  # else the test would say little


@pytest.mark.parametrize(
    ("pattern", "exact"),
    [
        (rb"(?:^|\s)[a-z]{3,60}\b", True),
        (rb"ab(?:;|$)", False),
        (rb"a(?:b{0,200}c)+d", False),
        (rb"a(?:(?m:$)\n)?b", False),
    ],
)
def test_an_expression_that_asks_for_less_is_not_exact(pattern: bytes, exact: bool) -> None:
    assert is_exact(pattern) is exact


@pytest.mark.parametrize(
    ("pattern", "source", "count"),
    [
        (rb"gsk_[A-Za-z0-9]{32,}", rb"gsk_(?:[0-9A-Za-z]){32}", 0),
        (rb"(?i:key)\s?=", rb"(?:(?i:key))(?:[\x09-\x0a\x0c-\x0d\x20])?\x3d", 1),
        (rb"a\d{3,5}\b", rb"a(?:[0-9]){3,5}\b", 0),
        (rb"ab(?:[^a-z]|$)1", rb"ab(?:[^a-z])1", 1),
        (rb"ab(?:;|$)", rb"ab(?:\x3b|(?m:$))", 0),
        (rb"a(?:b{0,200}c)+", rb"a(?:(?:b)*c)", 0),
        (rb"(?i:\xe9)", rb"(?:[\xc9\xe9])", 0),
        (rb".a[^b]", rb"[^\x0a]a[^b]", 1),
    ],
)
def test_an_expression_asks_for_what_every_match_has(pattern: bytes, source: bytes, count: int) -> None:
    assert (expression(pattern), line_breaks(pattern)) == (source, count)


@pytest.mark.parametrize(
    "pattern",
    [rb"[[:alpha:]]b", rb"\Qab\E", rb"a\pLb", rb"a[^;]*b", rb"a{,3}", rb"\x{263a}", rb"(?s).", rb"a\z", rb"("],
)
def test_what_cannot_be_said_or_has_no_end_is_left_to_re2(pattern: bytes) -> None:
    assert expression(pattern) is None


def test_a_form_that_is_damaged_or_of_something_else_is_not_used() -> None:
    form = compiled([b"abc", b"def"])
    assert Matcher([b"abc", b"def"], form).ends(b"def abc") == [(1, 3), (0, 7)]
    for place in (0, 9, 45, len(form) // 2, len(form) - 1):
        wrong = form[:place] + bytes([form[place] ^ 1]) + form[place + 1 :]
        with pytest.raises(Unusable):
            Matcher([b"abc", b"def"], wrong)
    for wrong in (b"", form[:30], form[:-1], form + b"\0"):
        with pytest.raises(Unusable):
            Matcher([b"abc", b"def"], wrong)
    with pytest.raises(Unusable):
        Matcher([b"abc", b"deg"], form)


def test_a_form_of_another_engine_or_platform_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    form = compiled([b"abc"])
    monkeypatch.setattr("platform.machine", lambda: "another")
    with pytest.raises(Unusable):
        Matcher([b"abc"], form)


def test_without_hyperscan_there_is_no_matcher(monkeypatch: pytest.MonkeyPatch) -> None:
    form = compiled([b"abc"])
    monkeypatch.setattr(multipattern, "_engine", lambda: None)
    with pytest.raises(Unusable):
        compiled([b"abc"])
    with pytest.raises(Unusable):
        Matcher([b"abc"], form)


def test_gates_that_hyperscan_refuses_are_searched_for_without_it() -> None:
    gates = [
        Gate("taken", rb"gsk_[0-9]"),
        Gate("refused", b"|".join(b"[a-f]%04d[xyz]" % number for number in range(2000))),
        Gate("kind", rb"[a-z]{2}[0-9]"),
        Gate("no", rb"a?b*c?"),
    ]
    slow, quick = slow_and_fast(gates)
    assert quick._fast is not None
    assert quick._fast[0].refused
    for text in (b"gsk_1", b"ab1\n\ngsk_2\nf0777y", b"", b"\n"):
        assert quick.windows(text) == slow.windows(text)
        assert quick.gates_of(text) == slow.gates_of(text)


def test_text_that_matches_at_every_byte_is_left_to_re2() -> None:
    matcher = Matcher([b"[a-z]"], compiled([b"[a-z]"]))
    assert matcher.ends(b"a" * 500 + b"0" * 500) is not None
    assert matcher.ends(b"a" * 100_000) is None
    slow, quick = slow_and_fast([Gate("letter", b"[a-z]")])
    text = b"a" * 70_000 + b"\n" + b"b\n0\n" * 60_000
    assert quick.windows(text) == slow.windows(text)


def test_threads_share_a_matcher() -> None:
    matcher = Matcher([b"abc"], compiled([b"abc"]))
    text, wrong = b"xabc" * 200, list[int]()

    def look() -> None:
        wrong.extend(1 for _ in range(300) if len(matcher.ends(text) or ()) != 200)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
