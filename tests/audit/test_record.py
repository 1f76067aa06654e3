import hashlib
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from localguard.audit import record
from localguard.audit.record import (
    RecordInvalid,
    canonical,
    leaf,
    leaf_hash,
    plain,
    seal,
    seal_record,
    section_hash,
    without_userinfo,
)

SALT = bytes(range(16))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
CONTENT = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=25,
)


@given(CONTENT)
def test_canonical_is_what_the_reference_writes(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


def test_keys_sort_by_utf_16_as_rfc_8785_demands() -> None:
    # U+1F600 is D83D DE00 in UTF-16 and stands before U+FB33; in UTF-8 and by code point it stands behind
    assert canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


@given(CONTENT)
def test_canonical_survives_reading_and_writing_again(value: Any) -> None:
    assert canonical(plain(json.loads(canonical(value)), "metadata")) == canonical(value)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"cost": 1.5}, "metadata.cost: a float"),
        ({"usage": [{"input": 2**53}]}, r"metadata.usage\[0\].input: an integer of 2\^53"),
        ({"low": -(2**53)}, r"metadata.low: an integer of 2\^53"),
        ({"nan": float("nan")}, "metadata.nan: a float"),
        ({"body": b"raw-bytes-here"}, "metadata.body: a value of type bytes"),
        ({"when": datetime(2026, 1, 1, tzinfo=UTC)}, "metadata.when: a value of type datetime"),
        ({"map": {7: "x"}}, "metadata.map: an object key of type int"),
        ({"set": {"a"}}, "metadata.set: a value of type set"),
    ],
)
def test_what_has_no_place_in_a_record_is_refused_by_its_path_and_not_by_its_value(value: Any, place: str) -> None:
    with pytest.raises(RecordInvalid, match=place) as caught:
        plain(value, "metadata")
    assert "raw-bytes-here" not in str(caught.value)


def test_deep_and_huge_sections_are_refused() -> None:
    value: Any = "x"
    for _ in range(100):
        value = [value]
    with pytest.raises(RecordInvalid, match="more than 32 levels"):
        plain(value, "local")
    with pytest.raises(RecordInvalid, match="local: 17000002 bytes"):
        seal("local", "x" * 17_000_000, SALT)


def test_enumerations_and_tuples_become_plain() -> None:
    class Effect(StrEnum):
        DENY = "deny"

    assert (
        canonical(plain({"effect": Effect.DENY, "pair": (1, True)}, "metadata")) == b'{"effect":"deny","pair":[1,true]}'
    )


def test_a_path_that_is_no_utf_8_is_recorded_with_escapes() -> None:
    assert plain(b"/src/caf\xe9".decode("utf-8", "surrogateescape"), "local.root") == "/src/caf\\udce9"


def test_section_and_leaf_hashes_are_those_of_the_contract() -> None:
    metadata, findings, local = seal("m", {"b": 1, "a": "é"}, SALT), seal("f", [], SALT), seal("l", {}, SALT)
    assert metadata.hash == hashlib.sha256(SALT + '{"a":"é","b":1}'.encode()).digest()
    text = (
        f'{{"findings":"{findings.hash.hex()}","kind":"intent","local":"{local.hash.hex()}",'
        f'"metadata":"{metadata.hash.hex()}","seq":7,"time":"2026-01-31T08:15:00.000000Z"}}'
    ).encode()
    assert leaf("intent", 7, "2026-01-31T08:15:00.000000Z", metadata.hash, findings.hash, local.hash) == text
    assert leaf_hash(text) == hashlib.sha256(b"\x00" + text).digest()


def test_the_leaf_hash_of_nothing_is_the_published_one() -> None:
    # RFC 6962: SHA-256(0x00), the leaf hash of an empty entry in the test data of Certificate Transparency
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_equal_sections_with_other_salts_have_other_hashes() -> None:
    assert section_hash(SALT, b"{}") != section_hash(bytes(16), b"{}")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://dev:pa55@github.com/acme/app.git", "https://github.com/acme/app.git"),
        ("https://tok3n@github.com/acme/app", "https://github.com/acme/app"),
        ("git clone https://a:b@c@host/x && curl ftp://u:p@h2/", "git clone https://host/x && curl ftp://h2/"),
        ("postgres://app:pw@db:5432/main?sslmode=off", "postgres://db:5432/main?sslmode=off"),
        ("ssh://git@host/acme/app", "ssh://host/acme/app"),
        ("git@github.com:acme/app.git", "git@github.com:acme/app.git"),
        ("https://host/path@2", "https://host/path@2"),
        ("see https://host and mail dev@example.com", "see https://host and mail dev@example.com"),
        ("no url @ all", "no url @ all"),
    ],
)
def test_urls_lose_their_userinfo(text: str, clean: str) -> None:
    assert without_userinfo(text) == clean
    assert plain({"remote": text}, "local") == {"remote": clean}


@pytest.mark.parametrize(
    "text",
    [
        "a" * 2_000_000 + "://@",
        "://" * 600_000 + "@",
        "://" + "@" * 2_000_000,
        "x" * 2_000_000 + "://" + "y" * 2_000_000 + "@",
    ],
)
def test_hostile_text_is_cleaned_in_linear_time(text: str) -> None:
    started = time.perf_counter()
    without_userinfo(text)
    assert time.perf_counter() - started < 2


class Approving:
    """A scrub that finds every record clean, and remembers which texts it was asked about."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, text: str) -> str:
        return text

    def is_clean(self, texts: Sequence[bytes]) -> bool:
        self.asked = list(texts)
        return True


RECORDABLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(TEXT, RECORDABLE, max_size=5), st.lists(RECORDABLE, max_size=3), TEXT | st.none())
def test_a_record_sealed_as_it_is_has_the_bytes_of_a_copied_one(
    metadata: dict[str, Any], findings: list[Any], exchange: str | None
) -> None:
    def sealed(scrub: Any) -> object:
        try:
            return seal_record(
                metadata, findings, {"root": "/r"}, {"exchange": exchange, "session": None}, bytes(48), scrub
            )
        except RecordInvalid:
            return RecordInvalid

    assert sealed(Approving()) == sealed(str)


@given(st.dictionaries(TEXT, TEXT, max_size=5), st.text(st.characters(max_codepoint=126)))
def test_a_record_sealed_as_it_is_had_every_text_looked_at(metadata: dict[str, str], exchange: str) -> None:
    scrub = Approving()
    seal_record(metadata, [], {}, {"exchange": exchange, "session": None}, bytes(48), scrub)
    texts = {json.loads(b'"' + text + b'"') for text in scrub.asked}
    if scrub.asked:  # else the record was no plain one, and each text was scrubbed
        assert texts == {"exchange", "session", *metadata, *metadata.values(), exchange}


def test_a_record_that_is_not_clean_is_scrubbed_text_by_text() -> None:
    class Refusing(Approving):
        def __call__(self, text: str) -> str:
            return text.replace("raw", "LG")

        def is_clean(self, texts: Sequence[bytes]) -> bool:
            return False

    sealed = seal_record({"model": "raw-1"}, [], {}, {"exchange": "raw", "session": None}, bytes(48), Refusing())
    assert sealed.sections[0].text == b'{"exchange":"LG","model":"LG-1","session":null}'
    assert sealed.exchange == "LG"


def test_every_text_and_key_is_scrubbed() -> None:
    seen: list[str] = []

    def scrub(text: str) -> str:
        seen.append(text)
        return text.replace("raw", "LG")

    assert plain({"raw key": ["raw one", {"x": "raw two"}], "n": 1}, "metadata", scrub) == {
        "LG key": ["LG one", {"x": "LG two"}],
        "n": 1,
    }
    assert seen == ["raw key", "raw one", "x", "raw two", "n"]


def test_a_path_in_an_error_is_scrubbed_too() -> None:
    with pytest.raises(RecordInvalid, match=r"metadata\.LG: a float"):
        plain({"hunter2hunter2": 1.0}, "metadata", lambda text: text.replace("hunter2hunter2", "LG"))


def test_keys_that_become_one_when_scrubbed_are_refused() -> None:
    with pytest.raises(RecordInvalid, match="became the same"):
        plain({"a1": 1, "a2": 2}, "metadata", lambda text: text[:1])


def test_a_scrub_that_fails_refuses_the_record_without_its_text() -> None:
    def scrub(text: str) -> str:
        raise RuntimeError(f"cannot handle {text}")

    with pytest.raises(RecordInvalid, match=r"metadata\.?.*RuntimeError") as caught:
        plain(["hunter2hunter2"], "metadata", scrub)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 31, 8, 15, tzinfo=UTC), "2026-01-31T08:15:00.000000Z"),
        (datetime(2026, 1, 31, 8, 15, 0, 7, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T06:15:00.000007Z"),
        (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_with_microseconds(moment: datetime, text: str) -> None:
    assert record.timestamp(moment) == text


def test_a_time_without_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="time zone"):
        record.timestamp(datetime(2026, 1, 1))


@given(
    kind=st.sampled_from(record.KINDS) | TEXT,
    seq=st.integers(1, record.MAX_INTEGER),
    time=st.datetimes(timezones=st.just(UTC)).map(record.timestamp) | TEXT,
    hashes=st.tuples(*[st.binary(min_size=32, max_size=32)] * 3),
)
def test_the_leaf_is_the_canonical_json_of_its_fields(
    kind: str, seq: int, time: str, hashes: tuple[bytes, bytes, bytes]
) -> None:
    fields: dict[str, Any] = {"kind": kind, "seq": seq, "time": time}
    fields |= dict(zip(("metadata", "findings", "local"), (one.hex() for one in hashes), strict=True))
    assert leaf(kind, seq, time, *hashes) == rfc8785.dumps(fields)
