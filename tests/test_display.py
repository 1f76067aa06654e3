"""What others wrote reaches a screen as plain text, on its own line, and at a bounded length."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.display import cleaned, escaped, lines, one_line, printable

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "screen cleared": "\x1b[2J\x1b[H",
    "title set": "\x1b]0;owned\x07",
    "C1 control": "\x9b31mred",
    "backspace": "safe\x08\x08\x08\x08evil",
    "carriage return": "safe\revil",
    "right to left": "model\u202egpj.exe",
    "isolates": "\u2066a\u2069",
    "zero width": "a\u200bb\ufeffc",
    "tags": "a\U000e0041\U000e0042",
    "soft hyphen": "a\u00adb",
    "lines": "one\ntwo\u2028three\x85four\x0cfive",
    "hangul filler": "a\u3164\u115fb",
    "piled marks": "a" + "\u0301" * 500,
    "null": "a\x00b",
    "lone surrogate": "a\ud800b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_becomes_one_plain_line(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert len(shown) <= 300
    assert "\u3164" not in shown
    assert sum(1 for one in shown if unicodedata.combining(one)) <= 2


@given(st.text(), st.integers(1, 80))
def test_any_text_fits_its_line(text: str, most: int) -> None:
    shown = one_line(text, most)
    assert shown.isprintable()
    assert len(shown) <= most
    assert one_line(shown, most) == shown


def test_ordinary_text_is_left_alone() -> None:
    for text in ("claude-sonnet-4", "[red]not markup[/]", "日本語 Ünïcode é 🔑", "नमस्ते", "a <b> & 'c'"):
        assert one_line(text) == text


def test_what_is_too_long_says_so() -> None:
    assert one_line("x" * 10_000, 10) == "xxxxxxxxx…"
    assert one_line("x" * 10, 10) == "x" * 10
    assert lines("a\nb\nc", most=2) == ["a", "b", "…"]


def test_lines_keep_their_indentation() -> None:
    assert lines("[[rules]]\n  id = 1\n\tx\n\n\x1b[1mend") == ["[[rules]]", "  id = 1", "    x", "", "?[1mend"]


def test_a_document_is_cleaned_throughout() -> None:
    nested: object = "\x1b"
    for _ in range(100):
        nested = [nested]
    document = {"na\nme": ["\x1b[2J", {"deep": "a\u202eb"}, 1, 2.5, True, None], "bytes": b"\x1b", "nested": nested}
    clean = cleaned(document)
    assert isinstance(clean, dict)
    assert clean["na me"] == ["?[2J", {"deep": "a?b"}, 1, 2.5, True, None]
    assert "\x1b" not in repr(clean)
    assert cleaned(list(range(9)), members=3) == [0, 1, 2]


def test_escapes_show_what_stood_there() -> None:
    assert escaped("a\x1b[2J\u202e") == "a\\x1b[2J\\u202e"
    assert printable("a\x1b[2J\u202e") == "a?[2J?"
