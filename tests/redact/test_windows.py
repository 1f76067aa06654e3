"""Thousands of byte strings found by a window of each: exactly those that are there, in bounded time."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.redact import windows
from localguard.redact.windows import Windows
from tests.redact.conftest import secret

BYTES = st.binary(min_size=1, max_size=14).map(lambda raw: bytes(b"abA1@-"[byte % 6] for byte in raw))


def by_hand(patterns: list[bytes], text: bytes) -> set[tuple[int, int]]:
    return {
        (start, index)
        for index, pattern in enumerate(patterns)
        for start in range(len(text))
        if text.startswith(pattern, start)
    }


@given(st.lists(BYTES, min_size=1, max_size=40, unique=True), st.lists(BYTES, max_size=20).map(b"".join), st.data())
@settings(max_examples=200, deadline=None)
def test_every_occurrence_is_found_wherever_the_window_lies(
    patterns: list[bytes], text: bytes, data: st.DataObject
) -> None:
    cores = []
    for pattern in patterns:
        start = data.draw(st.integers(0, len(pattern) - 1))
        cores.append(pattern[start : data.draw(st.integers(start + 1, len(pattern)))])
    found = Windows(patterns, cores)
    hits = found.find(text)
    assert hits is not None
    assert set(hits) == by_hand(patterns, text)
    assert found.holds_core(text) == bool(by_hand(cores, text))


def test_nothing_is_lost_or_doubled_where_a_long_text_is_cut() -> None:
    patterns = [secret(seed, 12).encode() for seed in range(50)]
    found = Windows(patterns, patterns)
    for shift in range(-14, 3):
        text = b"." * (windows._SLICE + shift) + patterns[7] + b"." * windows._SLICE + patterns[8]
        expected = [(windows._SLICE + shift, 7), (len(text) - len(patterns[8]), 8)]
        assert sorted(found.find(text) or ()) == expected


def test_patterns_with_one_beginning_get_windows_of_their_own() -> None:
    chance = random.Random(5)
    patterns = [f"{chance.randrange(10**9):09}@example.org".encode() for _ in range(2000)]
    text = b"".join(b"someone@example.org, " for _ in range(20_000))
    assert Windows(patterns, patterns).find(text) == []


@pytest.mark.timeout(10)
def test_a_text_full_of_windows_is_given_up_soon() -> None:
    patterns = [b"a" * size for size in range(10, 400)]
    found = Windows(patterns, patterns)
    assert found.find(b"a" * 8_000_000) is None
    assert found.find(b"b" * 8_000_000) == []
