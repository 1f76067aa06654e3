"""Dictionaries: a team's own words are found as they are really written, and only as whole words."""

import pytest

from localguard.detect.finding import DataClass
from localguard.detect.rules import RuleInvalid, parse_pack
from localguard.detect.scanner import Scanner


def found(text: str, **entry: object) -> list[tuple[str, str]]:
    """Return type and text of what a dictionary of one entry finds."""
    data = {"dictionaries": [{"id": "acme/customers", "type": "CUSTOMER", **entry}]}
    raw = text.encode()
    return [(one.type, raw[one.start : one.end].decode()) for one in Scanner(parse_pack(data, "x.toml")).scan(raw)]


def test_a_word_is_found_in_any_case_and_keeps_its_own_type() -> None:
    assert found("the GLOBEX deal", words=["Globex"]) == [("CUSTOMER", "GLOBEX")]


def test_case_counts_where_the_dictionary_says_so() -> None:
    assert found("an apple from Apple", words=["Apple"], match_case=True) == [("CUSTOMER", "Apple")]


def test_parts_of_longer_words_are_left_alone_unless_asked_for() -> None:
    assert found("conformance", words=["forman"]) == []
    assert found("conformance", words=["forman"], whole_words=False) == [("CUSTOMER", "forman")]


@pytest.mark.parametrize("text", ["Blue Heron", "blue_heron", "BLUE-HERON", "blue\n  heron"])
def test_the_words_of_a_name_may_be_joined_as_code_joins_them(text: str) -> None:
    assert found(f"x {text}.", words=["Blue Heron"]) == [("CUSTOMER", text)]


def test_letters_beyond_ascii_have_both_cases() -> None:
    assert found("bei MÜLLER & SÖHNE", words=["Müller & Söhne"]) == [("CUSTOMER", "MÜLLER & SÖHNE")]


def test_a_name_inside_an_identifier_is_found_at_its_underscores() -> None:
    assert found("customer_globex_id", words=["globex"]) == [("CUSTOMER", "globex")]


def test_the_longer_of_two_words_wins() -> None:
    assert found("Globex Corporation", words=["Globex", "Globex Corporation"]) == [("CUSTOMER", "Globex Corporation")]


def test_the_class_is_custom_unless_said_otherwise() -> None:
    data = {"dictionaries": [{"id": "acme/people", "type": "PERSON", "class": "pii", "words": ["Jo Doe"]}]}
    (finding,) = Scanner(parse_pack(data, "x.toml")).scan(b"ask Jo Doe")
    assert finding.data_class is DataClass.PII


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"words": ["ab"]}, "words[0] is shorter"),
        ({"words": []}, "words must be a list"),
        ({"words": ["abc"], "case": True}, "case is unknown"),
        ({"words": ["abc"], "match_case": "no"}, "match_case must be true or false"),
        ({"words": ["abc"], "type": "lower"}, "type must be upper case"),
    ],
)
def test_a_broken_dictionary_is_told_by_file_entry_and_field(entry: dict[str, object], told: str) -> None:
    with pytest.raises(RuleInvalid) as caught:
        parse_pack({"dictionaries": [{"id": "acme/x", "type": "X", **entry}]}, "mine.toml")
    assert "mine.toml" in str(caught.value)
    assert told in str(caught.value)
