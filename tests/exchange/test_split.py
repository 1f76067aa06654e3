"""A body is cut into pieces only where they, joined, are the very bytes that came."""

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.exchange.split import Split, split
from localguard.wire.chat import CHAT, EMBEDDINGS
from tests.exchange.driver import Workspace

MESSAGES = [{"role": "user", "content": 'é " \\ / \u2028 \x7f'}, {"role": "user", "content": "two"}]
BODY: dict[str, Any] = {"model": "m", "messages": MESSAGES, "n": 1e-7, "tools": [], "stream": True}
TWICE = b'{"model":"a","messages":[{"role":"user"}],"model":"b"}'
ODD = [
    TWICE,
    b'{"messages":[1],"messages":[2]}',
    b'{"model":"m" ,"messages":[{"role":"user"}]}',
    b' {"model":"m","messages":[{"role":"user"}]}',
    b'{"model":"m","messages":[{"role":"user"}]}\n',
    b'{"m\\u006fdel":"m","messages":[{"role":"user"}]}',
    b'{"a key":"m","messages":[{"role":"user"}]}',
    b'{"messages":[1,2,]}',
    b'{"messages":[1,2}',
    b"[1,2]",
    b"",
]


def joined(made: Split) -> bytes:
    return made.join([piece.raw for piece in made.pieces])


@pytest.mark.parametrize("spell", [orjson.dumps, lambda value: json.dumps(value).encode()])
def test_a_usual_body_is_cut_into_members_and_items(spell: Any) -> None:
    made = split(spell(BODY), CHAT)
    assert [piece.where for piece in made.pieces] == ["model", "messages[0]", "messages[1]", "n", "tools", "stream"]
    assert joined(made) == spell(BODY)
    assert set(made.names) == set(BODY)
    assert made.members["n"] == spell(1e-7)


@pytest.mark.parametrize("raw", ODD)
def test_what_the_pieces_do_not_spell_comes_as_one(raw: bytes) -> None:
    made = split(raw, CHAT)
    assert joined(made) == raw
    assert [piece.raw for piece in made.pieces] == [raw]


@pytest.mark.parametrize("items", [b'[{"role":"user"} ]', b'[{"role":"user"}, {"role":"user"}]', b"[ ]", b"[]", b"{}"])
def test_an_array_that_is_spelled_otherwise_stays_whole(items: bytes) -> None:
    raw = b'{"model":"m","messages":%b}' % items
    made = split(raw, CHAT)
    assert joined(made) == raw
    assert [piece.where for piece in made.pieces] == ["model", "messages"]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_no_cut_changes_a_byte(value: Any) -> None:
    for raw in (json.dumps({"messages": value, "x": value}).encode(), json.dumps(value, indent=1).encode()):
        assert joined(split(raw, CHAT)) == raw


def test_many_tiny_items_are_one_piece_and_many_messages_are_not() -> None:
    tokens = orjson.dumps({"model": "m", "input": list(range(200_000))})
    assert [piece.where for piece in split(tokens, EMBEDDINGS).pieces] == ["model", "input"]
    messages = orjson.dumps({"messages": [{"role": "user", "content": "x" * 60}] * 2000})
    assert len(split(messages, CHAT).pieces) == 2000


def test_token_arrays_of_any_length_take_little_time_and_memory() -> None:
    workspace = Workspace()
    start = time.process_time()
    raw = orjson.dumps({"model": "m", "input": list(range(300_000))})
    assert workspace.send(EMBEDDINGS, raw).body == raw
    assert time.process_time() - start < 5.0
