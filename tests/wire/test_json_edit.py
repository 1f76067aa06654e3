"""Reading JSON with places and rewriting it without touching anything else."""

import json
import time
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.wire import json_edit
from localguard.wire.json_edit import (
    MAX_DEPTH,
    Edit,
    JsonInvalid,
    LeafKind,
    lift,
    lift_spans,
    load,
    parse,
    path_text,
    splice,
    string_token,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBER_SPELLINGS = st.sampled_from(["0", "-0", "1.0", "1e-7", "9223372036854775809", "-1.50E+10", "12345678901234"])


def _containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)


@st.composite
def spelled_strings(draw: st.DrawFn) -> str:
    """One string token, with any mix of raw characters and escapes."""
    parts = []
    for character in draw(TEXT):
        units = character.encode("utf-16-be")
        escaped = "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))
        must = character in '"\\' or character < " "
        parts.append(escaped if must or draw(st.booleans()) else character)
    return '"' + "".join(parts) + '"'


def spelled_documents() -> st.SearchStrategy[str]:
    scalars = st.one_of(spelled_strings(), NUMBER_SPELLINGS, st.sampled_from(["true", "false", "null"]))

    def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        members = st.lists(
            st.tuples(spelled_strings(), inner), max_size=4, unique_by=lambda member: json.loads(member[0])
        )
        objects = st.tuples(members, st.sampled_from([": ", ":", "\n :"])).map(
            lambda made: "{" + ",".join(key + made[1] + value for key, value in made[0]) + "}"
        )
        return objects | st.tuples(st.lists(inner, max_size=4), st.sampled_from([",", ", ", " ,\t"])).map(
            lambda made: "[" + made[1].join(made[0]) + "]"
        )

    return st.recursive(scalars, containers, max_leaves=12)


@given(spelled_documents())
def test_every_leaf_is_found_with_its_exact_token(text: str) -> None:
    raw = text.encode()
    for leaf in parse(raw).leaves:
        token = raw[leaf.start : leaf.end]
        if leaf.kind is LeafKind.NUMBER:
            assert token.decode() == leaf.text
        else:
            assert json.loads(token) == leaf.text


@given(spelled_documents())
def test_no_edit_is_identity(text: str) -> None:
    assert splice(text.encode(), []) == text.encode()


@given(spelled_documents(), st.data())
def test_an_edit_of_one_leaf_changes_that_leaf_only(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    document = parse(raw)
    strings = [leaf for leaf in document.leaves if leaf.kind is LeafKind.STRING and leaf.text]
    if not strings:
        return
    leaf = data.draw(st.sampled_from(strings))
    start = data.draw(st.integers(0, len(leaf.text) - 1))
    end = data.draw(st.integers(start + 1, len(leaf.text)))
    low, high = len(leaf.text[:start].encode()), len(leaf.text[:end].encode())
    new = data.draw(st.sampled_from(["LG_X", 'a"b', "new\nline", "é\U0001f600"]))
    [edit] = lift(raw, leaf.start, [Edit(low, high, new.encode())])
    changed = splice(raw, [edit])
    other = parse(changed)
    assert changed[: leaf.start] == raw[: leaf.start]
    assert changed[len(changed) - (len(raw) - leaf.end) :] == raw[leaf.end :]
    for one, two in zip(document.leaves, other.leaves, strict=True):
        assert two.text == (leaf.text[:start] + new + leaf.text[end:] if one is leaf else one.text)
        assert path_text(one.path) == path_text(two.path)


@given(spelled_strings(), st.data())
def test_many_spans_lift_as_each_alone(token: str, data: st.DataObject) -> None:
    raw = token.encode()
    size = len(json.loads(token).encode())
    spans = data.draw(
        st.lists(
            st.tuples(st.integers(0, size), st.integers(0, size)).map(lambda two: (min(two), max(two))), max_size=6
        )
    )
    assert lift_spans(raw, 0, spans) == [lift_spans(raw, 0, [span])[0] for span in spans]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["orjson", "ascii", "mixed"]), st.data())
def test_offsets_told_by_spelling_are_those_of_a_walk_over_every_escape(
    text: str, way: str, data: st.DataObject
) -> None:
    token = {
        "orjson": lambda: orjson.dumps(text),
        "ascii": lambda: json.dumps(text).encode(),
        "mixed": lambda: json.dumps(text, ensure_ascii=False).replace("/", "\\/").encode(),
    }[way]()
    offsets = st.integers(0, len(text.encode()))
    spans = data.draw(st.lists(st.tuples(offsets, offsets).map(lambda two: (min(two), max(two))), max_size=6))
    raw = b'{"x": ' + token + b', "y": "\\\\"}'
    before, after = json_edit._offsets_by_walking(raw, 7, 5 + len(token), sorted({at for span in spans for at in span}))
    assert lift_spans(raw, 6, spans) == [(before[low], after[high]) for low, high in spans]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 1 << 60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
        _containers,
    )
)
def test_tokens_told_by_spelling_are_those_that_stand_there(value: object) -> None:
    for raw in (orjson.dumps(value), json.dumps(value).encode()):
        told = json_edit._canonical_tokens(raw, orjson.loads(raw))
        assert told is None or told == [match.span() for match in json_edit._SCALAR.finditer(raw)]


def test_what_agents_send_is_read_by_its_spelling() -> None:
    raw = orjson.dumps({"messages": [{"role": "user", "content": 'é "x"\n' * 9}], "n": [1, -2.5, 1e-7, {}, []]})
    assert json_edit._canonical_tokens(raw, orjson.loads(raw)) is not None
    assert json_edit._canonical_tokens(raw.replace(b":", b": "), orjson.loads(raw)) is None


def test_an_edit_inside_an_escape_takes_the_whole_escape() -> None:
    raw = rb'"a\ud83d\ude00b"'
    assert splice(raw, lift(raw, 0, [Edit(2, 3, b"X")])) == b'"aXb"'


@pytest.mark.parametrize("number", ["1.0", "-0", "9223372036854775809", "1e-7", "1E5", "0.10", "-0.0"])
def test_numbers_keep_their_spelling(number: str) -> None:
    raw = f'{{"a": {number}, "b": ["{number}", {number}], "s": "x"}}'.encode()
    document = parse(raw)
    leaf = next(leaf for leaf in document.leaves if leaf.key == "s" and leaf.kind is LeafKind.STRING)
    changed = splice(raw, lift(raw, leaf.start, [Edit(0, 1, b"y")]))
    assert changed == raw.replace(b'"x"', b'"y"')
    assert [leaf.text for leaf in document.leaves if leaf.kind is LeafKind.NUMBER] == [number] * 2


INVALID = {
    "duplicate key": b'{"a": 1, "a": 2}',
    "duplicate key, escaped": b'{"a": 1, "\\u0061": 2}',
    "duplicate key of other types": '{"a": "é", "a": 1}'.encode(),
    "duplicate key, nested": b'[{"x": {"k": "v", "k": {"y": [1, "z"]}}}]',
    "duplicate key, null": b'{"a": null, "a": null}',
    "NaN": b'{"a": NaN}',
    "Infinity": b"-Infinity",
    "1E400": b'{"a": 1E400}',
    "5,000-digit integer": b"9" * 5000,
    "100,000 levels of arrays": b"[" * 100_000 + b"]" * 100_000,
    "100,000 levels of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "one level too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "100,000 levels, cut": b'{"a":[' * 100_000,
    "lone high surrogate": b'"\\ud83d"',
    "lone low surrogate": b'"\\ude00 x"',
    "surrogates swapped": b'"\\ude00\\ud83d"',
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without BOM": '{"a": 1}'.encode("utf-16-le"),
    "invalid UTF-8": b'{"a": "\xff"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"a": "\xed\xa0\xbd"}',
    "raw control character": b'{"a": "\n"}',
    "raw NUL": b'{"a": "\x00"}',
    "trailing text": b'{"a": 1} {"b": 2}',
    "trailing comma": b'{"a": 1,}',
    "comment": b'{"a": 1 /* x */}',
    "single quotes": b"{'a': 1}",
    "bare word": b"secret",
    "cut": b'{"a": "x',
    "nothing": b"",
    "leading zero": b"[01]",
}


@pytest.mark.parametrize("name", INVALID)
def test_what_is_not_strict_json_is_refused(name: str) -> None:
    with pytest.raises(JsonInvalid) as caught:
        parse(INVALID[name])
    assert "secret" not in str(caught.value)


def test_an_escaped_nul_is_a_character() -> None:
    raw = b'{"a": "x\\u0000y"}'
    leaf = parse(raw).leaves[1]
    assert leaf.text == "x\0y"
    assert splice(raw, lift(raw, leaf.start, [Edit(1, 2, b"-")])) == b'{"a": "x-y"}'


def test_the_deepest_document_is_read() -> None:
    assert parse(b"[" * MAX_DEPTH + b'"x"' + b"]" * MAX_DEPTH).leaves[0].text == "x"


def test_lenient_reading_takes_lone_surrogates_and_writes_them_again() -> None:
    raw = b'{"text": "cut \\ud83d"}'
    leaf = parse(raw, lenient=True).leaves[1]
    assert leaf.text == "cut \ud83d"
    assert json.loads(string_token(leaf.text)) == leaf.text
    with pytest.raises(JsonInvalid):
        load(b'{"a": NaN, "b": "\\ud83d"}', lenient=True)


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_input_raises_anything_else(raw: bytes) -> None:
    for lenient in (False, True):
        with suppress(JsonInvalid):
            parse(raw, lenient=lenient)


@given(st.lists(st.sampled_from(['"a"', '"é"', "1", ",", ":", "{", "}", "[", "]", '"\\u0061"', "null"]), max_size=14))
def test_no_near_json_raises_anything_else(tokens: list[str]) -> None:
    raw = "".join(tokens).encode()
    try:
        document = parse(raw)
    except JsonInvalid:
        return
    assert document.value == json.loads(raw)


def test_a_string_of_16_mb_full_of_escapes_is_read_and_edited_in_seconds() -> None:
    text = 'line "quoted"\n' * 1_200_000
    raw = orjson.dumps({"a": text})
    started = time.perf_counter()
    leaf = parse(raw).leaves[1]
    made = lift(raw, leaf.start, [Edit(i * 14 * 1000, i * 14 * 1000 + 4, b"LG_X") for i in range(1000)])
    changed = splice(raw, made)
    assert time.perf_counter() - started < 10
    assert json.loads(changed)["a"].count("LG_X") == 1000


def test_half_a_million_small_leaves_are_read_in_seconds() -> None:
    raw = orjson.dumps([{"k": i, "s": "ab"} for i in range(125_000)])
    started = time.perf_counter()
    assert len(parse(raw).leaves) == 500_000
    assert time.perf_counter() - started < 10
