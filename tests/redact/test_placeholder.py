"""Placeholders: the contract of design section 7."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.redact import placeholder
from localguard.redact.vault import Vault
from tests.redact.conftest import KEY, OTHER_KEY

TYPES = st.from_regex(r"[A-Z][A-Z0-9_]{0,27}", fullmatch=True)


def crockford(bits: int, length: int) -> str:
    """An independent spelling: RFC 4648 base32 of the padded bits, with the alphabet exchanged."""
    padded = (bits << (-5 * length) % 40).to_bytes((5 * length + 39) // 40 * 5)
    table = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    return base64.b32encode(padded).decode().translate(table)[:length]


@given(st.text(), TYPES)
def test_tag_is_the_one_of_the_contract(value: str, type: str) -> None:
    mac = hmac.new(KEY, b"\0" + value.encode(), hashlib.sha256).digest()
    tag = crockford(int.from_bytes(mac) >> 196, 12)
    check = crockford(int.from_bytes(hmac.new(KEY, b"\1" + (type + tag).encode(), hashlib.sha256).digest()) >> 236, 4)
    assert placeholder.make(KEY, value, type) == f"LG_{type}_{tag}{check}"


@given(st.text(), TYPES)
def test_placeholder_has_the_form_and_at_most_48_characters(value: str, type: str) -> None:
    made = placeholder.make(KEY, value, type)
    assert placeholder.PATTERN.fullmatch(made)
    assert len(made) <= placeholder.MAX_LENGTH
    assert placeholder.verify(KEY, made)
    assert not placeholder.verify(OTHER_KEY, made)


@given(st.text(), TYPES, st.text(alphabet="ABCZ019_foo -", max_size=60), st.text(alphabet="ALG_x9 ", max_size=60))
def test_placeholder_is_matched_at_its_length_whatever_stands_beside_it(
    value: str, type: str, after: str, before: str
) -> None:
    made = placeholder.make(KEY, value, type)
    text = before + made + after
    span = (len(before), len(before) + len(made))
    assert span in list(placeholder.find(text, Vault(KEY).is_own))
    assert span in list(placeholder.find_bytes(text.encode(), Vault(KEY).is_own))


@given(st.text(), TYPES)
def test_every_proper_prefix_may_continue_and_the_whole_may_not_need_to(value: str, type: str) -> None:
    made = placeholder.make(KEY, value, type)
    assert all(placeholder.may_continue(made[:length]) for length in range(1, len(made)))
    assert not placeholder.may_continue("x" + made[:5])


def test_what_cannot_become_a_placeholder_is_not_waited_for() -> None:
    for text in ("LGx", "LG_a", "LG__", "LG_1", "LG_" + "A" * 29, "LG_" + "A" * 28 + "_" + "U", "LG_A-"):
        assert not placeholder.may_continue(text), text


@pytest.mark.parametrize("type", ["", "a", "1A", "_A", "A" * 29, "A-B", "Ä", "A\n"])
def test_a_type_that_could_not_be_read_back_is_refused(type: str) -> None:
    with pytest.raises(placeholder.TypeInvalid):
        placeholder.make(KEY, "value", type)


def test_changed_placeholders_are_not_own() -> None:
    made = placeholder.make(KEY, "value", "EMAIL")
    own = Vault(KEY).is_own
    forged = made[:-1] + ("0" if made[-1] != "0" else "1")
    other_type = made.replace("EMAIL", "PHONE")
    for text in (forged, other_type, made.lower(), made[:-1], made.replace("_", "\\_"), made[:3] + made[4:]):
        assert list(placeholder.find(text, own)) == []


def test_a_type_whose_end_looks_like_a_tag_is_read_at_its_shortest_verified_length() -> None:
    type = "KEY_0123456789ABCDEF"
    made = placeholder.make(KEY, "value", type)
    assert list(placeholder.find(made + "XYZ", Vault(KEY).is_own)) == [(0, len(made))]
