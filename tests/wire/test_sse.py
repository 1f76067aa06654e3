"""Cutting streams into events and lines, whatever the chunking and the line ends."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.wire.ndjson import LineParser
from localguard.wire.sse import Event, EventParser, StreamTooLong, encode

ENDINGS = ["\n", "\r", "\r\n"]
LINES = st.sampled_from(
    ['data: {"a": 1}', "data:x", "data", "event: message_stop", ": comment", "retry: 10", "id: 1", "odd", "data: é", ""]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(ENDINGS)), max_size=14).map(
    lambda made: "".join(line + ending for line, ending in made).encode()
)


def read(stream: bytes, cuts: list[int]) -> list[Event]:
    parser = EventParser()
    events: list[Event] = []
    for low, high in itertools.pairwise([0, *cuts, len(stream)]):
        events += parser.feed(stream[low:high])
    last = parser.finish()
    return [*events, last] if last is not None else events


def dispatched(events: list[Event]) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for event in events if event.data]


@given(STREAMS, st.data())
def test_any_chunking_gives_the_same_events_and_all_bytes(stream: bytes, data: st.DataObject) -> None:
    whole = read(stream, [])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    assert b"".join(event.raw for event in whole) == stream
    for chosen in (cuts, list(range(1, len(stream)))):
        events = read(stream, chosen)
        assert b"".join(event.raw for event in events) == stream
        assert dispatched(events) == dispatched(whole)


@pytest.mark.parametrize("first", ENDINGS)
@pytest.mark.parametrize("second", ENDINGS)
def test_every_mix_of_line_ends_ends_an_event(first: str, second: str) -> None:
    if first + second == "\r\n":
        pytest.skip("one line end, not two")
    stream = f"data: a{first}{second}data: b{first}{second}".encode()
    for cuts in ([], list(range(1, len(stream)))):
        assert [data for _, data in dispatched(read(stream, cuts))] == [b"a", b"b"]


def test_comments_retry_and_unknown_fields_stay_when_data_changes() -> None:
    [event] = read(b": hi\r\nretry: 5\r\nevent: x\r\ndata: old\r\nfoo: bar\r\n\r\n", [])
    assert event.with_data(b"new") == b": hi\r\nretry: 5\r\nevent: x\r\ndata: new\r\nfoo: bar\r\n\r\n"


def test_data_over_several_lines_is_written_over_several_lines() -> None:
    [event] = read(b'data: {\ndata: "a": 1}\n\n', [])
    assert event.data == b'{\n"a": 1}'
    [again] = read(event.with_data(b'{\n"a": 2}'), [])
    assert again.data == b'{\n"a": 2}'


def test_an_event_without_its_last_line_end_changes_too() -> None:
    [event] = read(b"event: x\ndata: old", [])
    assert event.with_data(b"new") == b"event: x\ndata: new"


def test_a_byte_order_mark_before_the_first_line_hides_no_data() -> None:
    [event] = read(b"\xef\xbb\xbfdata: old\n\n", [])
    assert event.data == b"old"
    assert event.with_data(b"new") == b"data: new\n\n"


def test_a_made_event_reads_back() -> None:
    assert dispatched(read(encode(b"{}", "ping"), [])) == [("ping", b"{}")]


def test_a_line_of_10_mb_in_small_chunks_is_one_event() -> None:
    stream = b"data: " + b"x" * 10_000_000 + b"\n\n"
    events = read(stream, list(range(1000, len(stream), 1000)))
    assert [len(event.data) for event in events] == [10_000_000]


@pytest.mark.parametrize("parser", [EventParser(limit=1000), LineParser(limit=1000)])
def test_an_event_without_end_is_bounded(parser: EventParser | LineParser) -> None:
    list(parser.feed(b"x" * 900))
    with pytest.raises(StreamTooLong):
        list(parser.feed(b"x" * 200))


@given(st.lists(st.sampled_from([b'{"a": 1}', b"", b"\r", b"x", "é".encode()]), max_size=8), st.booleans())
def test_lines_are_cut_alike_in_any_chunking(lines: list[bytes], ended: bool) -> None:
    stream = b"\n".join(lines) + (b"\n" if ended else b"")
    whole = LineParser()
    expected = [*whole.feed(stream)], whole.finish()
    drip = LineParser()
    assert ([line for i in range(len(stream)) for line in drip.feed(stream[i : i + 1])], drip.finish()) == expected
    assert b"".join(expected[0]) + expected[1] == stream
