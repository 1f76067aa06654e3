"""A reply on its way in: observed, placeholders turned back, everything else byte for byte as it came.

One restorer per stream channel, whatever the chunking. An event that nothing changes leaves as the bytes that came.
What a channel still holds is sent as one more event of its own kind before the channel's own end.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import orjson

from localguard.exchange.calls import SEARCH_MARK, ToolCall
from localguard.exchange.framing import Framing, of_file
from localguard.exchange.history import ids_of_reply
from localguard.exchange.leaves import LeafRestorer, ReplyRefused
from localguard.exchange.look_ahead import CALLS, AnswerNeeded, CallRestorer, call_restorer, try_calls
from localguard.exchange.memory import WorkspaceMemory
from localguard.exchange.plain_text import PlainText
from localguard.exchange.provenance import Provenance
from localguard.redact.report import PlaceholderKept, Report, UnknownPlaceholder, ValuesWanted
from localguard.redact.restorer import ProseRestorer
from localguard.wire import messages, responses
from localguard.wire.format import (
    Delta,
    JsonObject,
    Observed,
    Path,
    Reading,
    WireFormat,
    get_path,
    mapping,
)
from localguard.wire.generic import GENERIC
from localguard.wire.json_edit import JsonInvalid, load
from localguard.wire.multipart import MULTIPART
from localguard.wire.ndjson import LineParser
from localguard.wire.refusal import render_event
from localguard.wire.sse import Event, EventParser, StreamTooLong, encode
from localguard.wire.table import Kind

__all__ = ["Framing", "ReplyRefused", "ReplyRestorer", "ToolCall"]

_MARKS = (b"LG", b"\\u004")
"""One of them stands wherever a placeholder begins, also where a JSON encoder escaped its letters."""
_WORTH_A_LOOK = (b"LG", b"\\u004", b"tool", b"call", b"Call", b"action", b"operation")
"""A whole reply without any of these holds neither a placeholder nor a tool call."""
_SEARCH = SEARCH_MARK.encode()
_SSE_HEADS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MAX_WHOLE = 128 * 1024 * 1024
"""Bytes of a reply that is not streamed."""
_MAX_HELD = 1_000
_PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_COMMENT = b": a person is asked\n\n"
"""Server-sent events: a line that begins with a colon is no event and means nothing."""
_BOM = b"\xef\xbb\xbf"
"""Before a whole reply it means nothing (RFC 8259 section 8.1), and JSON readers stumble over it."""
_NAMING = frozenset({responses.RESPONSES.name, GENERIC.name, MULTIPART.name})
"""Formats whose events name what the provider keeps."""
T = TypeVar("T")


@dataclass(slots=True)
class _Channel:
    delta: Delta
    restorer: ProseRestorer | CallRestorer
    last: JsonObject
    name: str
    written: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)


class ReplyRestorer:
    """Restores one reply. `start`, then `feed` for every chunk (decoded from its content coding), then `finish`.

    With `asks`, either may stop before an event that would give a command its secrets: `wanted` says what has to be
    answered then, and `answer` goes on. Nothing else may be called meanwhile.

    After `ended` is set, `feed` and `finish` return nothing more: the reply was ended with an error event.
    """

    def __init__(
        self,
        format: WireFormat,
        memory: WorkspaceMemory,
        *,
        stream: bool | None,
        exchange: str,
        asked_for_json: bool = False,
        kept: frozenset[str] = frozenset(),
        asks: bool = False,
    ) -> None:
        self._asks = asks
        self.wanted: tuple[ValuesWanted, ...] = ()
        """What has to be answered before the reply goes on."""
        self._rest: Callable[[], bytes] | None = None
        self._reading: Reading | None = None
        """Of the event that waits: it is read once."""
        self._format = format
        self._memory = memory
        self._stream = format.streams_by_default if stream is None else stream
        self._exchange = exchange
        self._reader = format.reader()
        self._framing = Framing.UNDECIDED
        self._events = EventParser()
        self._lines = LineParser()
        self._whole = bytearray()
        self._channels: dict[Hashable, _Channel] = {}
        self.report = Report(kept=kept)
        self._repeats = Report(kept=kept, answers=self.report.answers)
        self._asked_for_json = asked_for_json
        self._leaves = self._new_leaves()
        self._is_text = False
        self._is_file = False
        self._plain = PlainText(memory, self.report)
        self.ended = False
        self.held: set[str] = set()
        """Ids under which the provider may hold this exchange."""
        self._provenance = Provenance(format, memory)
        self._begun = False
        self.text_bytes = 0
        """Of the text and the calls that came in a stream."""

    @property
    def observed(self) -> Observed:
        """What the reply says of itself."""
        return self._reader.observed

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls so far, in the order in which they were complete."""
        return self._leaves.tool_calls

    @property
    def files(self) -> list[str]:
        """The files that edits in the reply's prose change."""
        return self._leaves.files

    def start(self, status: int, content_type: str) -> Framing:
        """Decide how the body is cut. Error bodies pass verbatim; a missing or wrong type is decided by what comes."""
        kind = content_type.partition(";")[0].strip().lower()
        self._is_text = kind.startswith("text/")
        if status >= 400 or status in (204, 304):
            self._framing = Framing.VERBATIM
        elif kind == "text/event-stream":
            self._framing = Framing.SSE
        elif kind in ("application/x-ndjson", "application/jsonl", "application/x-jsonl", "application/x-jsonlines"):
            self._framing = Framing.NDJSON
        elif kind == "application/octet-stream":
            self._is_file = True
        elif kind.startswith(("image/", "audio/", "video/", "application/zip")):
            self._framing = Framing.VERBATIM
        elif kind == "application/json" and not self._stream:
            self._framing = Framing.JSON
        return self._framing

    @property
    def framing(self) -> Framing:
        """How the body is cut, once that is decided."""
        return self._framing

    def feed(self, chunk: bytes) -> bytes:
        """What the agent gets for this chunk. Raises StreamTooLong; see `ended`."""
        if self.ended:
            return b""
        if self._framing is Framing.UNDECIDED:
            chunk = self._decide(chunk)
        elif self._framing is Framing.SSE and not self._begun:
            self._correct(chunk)
        if self._framing is Framing.VERBATIM:
            return chunk
        if self._framing is Framing.SSE:
            return self._each(self._events.feed(chunk), self._event)
        if self._framing is Framing.NDJSON:
            return self._each(self._lines.feed(chunk), self._line)
        if self._framing is Framing.TEXT:
            return self._plain.feed(chunk)
        self._whole += chunk
        if len(self._whole) > _MAX_WHOLE:
            raise StreamTooLong(f"the reply exceeds {_MAX_WHOLE} bytes")
        return b""

    def finish(self) -> bytes:
        """What is left for the agent at the end of the body, cut or not.

        Raises ReplyRefused for a whole (not streamed) reply that would write an unknown value into a file, or that holds
        placeholders and cannot be read without doubt.
        """
        if self.ended:
            return b""
        if self._framing is Framing.SSE:
            event = self._events.finish()
            if event is None:
                return self._each([None], lambda _: self._close_all())
            return self._each([event], lambda event: self._last(event, event.raw, event.data, self._event, b"\n\n"))
        if self._framing is Framing.NDJSON:
            line = self._lines.finish()
            return self._each([line], lambda line: self._last(line, line, line, self._line, b"\n"))
        if self._framing in (Framing.JSON, Framing.UNDECIDED):
            return self._finish_whole()
        if self._framing is Framing.TEXT:
            self.observed.complete = True
            return self._plain.finish()
        return b""

    def answer(self, allowed: Sequence[bool]) -> bytes:
        """Go on with what was answered to each of `wanted`: what the agent gets until the next question."""
        self.report.answers.update(zip(self.wanted, allowed, strict=True))
        rest, self._rest, self.wanted = self._rest, None, ()
        assert rest is not None
        return rest()

    @property
    def keep_alive(self) -> bytes:
        """What may stand between two events and says only that there is somebody; nothing in formats without such a thing."""
        if self._framing is not Framing.SSE:
            return b""
        return _PING if self._format is messages.MESSAGES else _COMMENT

    def _wait(self, needed: AnswerNeeded, rest: Callable[[], bytes]) -> None:
        self.wanted, self._rest = needed.wanted, rest

    def _then(self, made: bytes, following: Callable[[], bytes]) -> bytes:
        """`made` and what follows it; where `made` waits for an answer, what follows waits behind it."""
        if (rest := self._rest) is None:
            return made + following()
        self._rest = lambda: self._then(rest(), following)
        return made

    def _decide(self, chunk: bytes) -> bytes:
        """Sniff a body whose content type says nothing: the first byte that is no white space tells."""
        self._whole += chunk
        head = bytes(self._whole[:64]).removeprefix(_BOM).lstrip()
        if not head:
            return b""
        if self._is_file:
            self._framing = of_file(self._whole)
        elif self._is_lines(head):
            self._framing = Framing.NDJSON
        elif head[:1] in (b"{", b"["):
            self._framing = Framing.JSON
            return b""
        elif head.startswith(_SSE_HEADS) or self._stream:
            self._framing = Framing.SSE
        elif self._is_text:
            self._framing = Framing.TEXT
        else:
            self._framing = Framing.VERBATIM
        chunk = bytes(self._whole)
        self._whole.clear()
        return chunk

    def _correct(self, chunk: bytes) -> None:
        """A body that is called an event stream and begins like JSON is what it begins like."""
        head = chunk.lstrip()[:64]
        self._begun = bool(head)
        if head[:1] in (b"{", b"["):
            self._framing = Framing.NDJSON if self._is_lines(head) else Framing.JSON

    def _is_lines(self, head: bytes) -> bool:
        ndjson = self._stream and self._format.framing == "ndjson"
        return ndjson and head[:1] == b"{" and head[1:2] not in (b"\n", b"\r")  # else one document, set in lines

    def _each(self, parts: Iterable[T], step: Callable[[T], bytes]) -> bytes:
        """What `step` makes of each part; one that would write an unknown value into a file ends the reply."""
        made: list[bytes] = []
        waiting = deque(parts)
        try:
            while waiting:
                made.append(step(waiting[0]))
                waiting.popleft()
        except AnswerNeeded as needed:
            self._wait(needed, lambda: self._each(waiting, step))
        except UnknownPlaceholder as error:
            self.ended = True
            self.observed.error = _code(error)
            made.append(self._error_event(error))
        return b"".join(made)

    def _last(self, part: T, raw: bytes, data: bytes, step: Callable[[T], bytes], end: bytes) -> bytes:
        """The end of a stream: `part` came without its end mark, and may be half of an event."""
        try:
            load(data, lenient=True)
        except JsonInvalid:
            return self._close_all() + raw
        made = step(part)
        rest = self._close_all()
        return made + end + rest if made and rest else made + rest

    def _error_event(self, error: UnknownPlaceholder) -> bytes:
        code, message = _code(error), _ended(error, self._exchange)
        if self._framing is Framing.NDJSON:
            return orjson.dumps({"error": message}) + b"\n"
        return render_event(self._format.name, self._format.errors, code, message, self.observed.response_id)

    # streamed replies

    def _event(self, event: Event) -> bytes:
        data = event.data
        if not data:
            return event.raw
        if data.strip() == b"[DONE]":
            self.observed.complete = True
            return self._close_all() + event.raw
        try:
            value = load(data, lenient=True)
        except JsonInvalid:
            return event.raw
        if not isinstance(value, dict):
            return event.raw
        before, new = self._json_event(value, data, event.name)
        return before + (event.raw if new is None else event.with_data(new))

    def _line(self, line: bytes) -> bytes:
        data = line.rstrip(b"\r\n")
        try:
            value = load(data, lenient=True)
        except JsonInvalid:
            return line
        if not isinstance(value, dict):
            return line
        before, new = self._json_event(value, data, "")
        return before + (line if new is None else new + line[len(data) :])

    def _json_event(self, value: JsonObject, data: bytes, name: str) -> tuple[bytes, bytes | None]:
        """What goes before this event, and its new data where something in it changed."""
        reading, self._reading = self._reading, None
        if reading is None:
            reading = self._reader.read(value if "type" in value or not name else {**value, "type": name})
        if self._asks:
            self._look_ahead(value, data, reading)
        self._provenance.read_event(value, data)
        if self._format.name in _NAMING:
            self._note_held(value)
        changed: dict[Path, str] = {}
        closing = self._closing(reading)
        final = {delta.channel: index for index, delta in enumerate(reading.deltas) if delta.channel in closing}
        for index, delta in enumerate(reading.deltas):
            old: str = get_path(value, delta.path)
            channel = self._channel(delta, value, name)
            new = channel.restorer.feed(old)
            self.text_bytes += len(old) if old.isascii() else len(old.encode("utf-8", "surrogatepass"))
            last = final.get(delta.channel) == index
            if last:
                new += channel.restorer.finish()
            self._keep(channel, old, new)
            if last:
                self._closed(self._channels.pop(delta.channel))
            if new != old:
                changed[delta.path] = new
        before = b"".join([self._close(channel) for channel in list(self._channels) if channel in closing])
        return before, self._rest_of_event(value, data, reading, changed)

    def _closing(self, reading: Reading) -> set[Hashable]:
        if not reading.closes_all:
            return set(reading.closes)
        return set(self._channels) | {delta.channel for delta in reading.deltas}

    def _look_ahead(self, value: JsonObject, data: bytes, reading: Reading) -> None:
        """Raise AnswerNeeded if this event would end an argument whose values nobody was asked about. Changes nothing."""
        calls = {
            key: channel.restorer
            for key, channel in self._channels.items()
            if not isinstance(channel.restorer, ProseRestorer)
        }
        marked = any(mark in data for mark in _MARKS)
        if not marked and not any(restorer.holds for restorer in calls.values()):
            return
        trial = Report(kept=self.report.kept, asks=True, answers=self.report.answers)
        try_calls(value, reading, self._closing(reading), calls, self._memory.vault, trial)
        whole_calls, repeats = self._calls_in(value, data)
        if marked and not repeats:
            handled = {delta.path for delta in reading.deltas}
            self._new_leaves().restore(value, data, {}, handled, trial, calls=whole_calls)
        if trial.wanted:
            self._reading = reading
            raise AnswerNeeded(trial.wanted)

    def _rest_of_event(
        self, value: JsonObject, data: bytes, reading: Reading, changed: Mapping[Path, str]
    ) -> bytes | None:
        """The event's new data with its other leaves restored too; None where nothing changed."""
        calls, repeats = self._calls_in(value, data)
        if changed or calls or any(mark in data for mark in _MARKS):
            handled = {delta.path for delta in reading.deltas}
            report = self._repeats if repeats else self.report
            return self._leaves.restore(value, data, changed, handled, report, calls=calls)
        return None

    def _calls_in(self, value: JsonObject, data: bytes) -> tuple[bool, bool]:
        """Whether an event may hold calls that have not come yet, and whether it repeats what came in pieces.

        What came in pieces comes again whole in Responses, up to three times: restored alike, counted once.
        """
        whole_calls = self._format.whole_calls
        kind = value.get("type")
        if not isinstance(self._reader, responses.ResponsesStream) or not isinstance(kind, str):
            return bool(whole_calls) and whole_calls in data, False
        calls = kind == "response.output_item.done" and not self._reader.was_streamed(value.get("output_index"))
        return calls, not calls and kind != "response.output_item.added"

    def _channel(self, delta: Delta, event: JsonObject, name: str) -> _Channel:
        channel = self._channels.get(delta.channel)
        if channel is None:
            channel = _Channel(delta, self._restorer(delta), event, name)
            self._channels[delta.channel] = channel
        channel.delta = delta
        channel.last = event
        channel.name = name
        return channel

    def _new_leaves(self) -> LeafRestorer:
        return LeafRestorer(self._format, self._memory, self._reader, asked_for_json=self._asked_for_json)

    def _restorer(self, delta: Delta) -> ProseRestorer | CallRestorer:
        if delta.kind in CALLS:
            return call_restorer(delta, self._memory.vault, self.report)
        return ProseRestorer(self._memory.vault, self.report, asked_for_json=self._asked_for_json)

    def _keep(self, channel: _Channel, old: str, new: str) -> None:
        channel.read.append(old)
        channel.written.append(new)

    def _closed(self, channel: _Channel) -> None:
        """The channel is whole: note its tool call, and remember text that values were put into."""
        read, written = "".join(channel.read), "".join(channel.written)
        if channel.delta.kind in CALLS:
            self._leaves.note_call(channel.delta.tool, read)
        elif SEARCH_MARK in read:
            self._leaves.note_prose(read)
        if read != written:
            self._leaves.remember(read, written, arguments=channel.delta.kind is Kind.ARGUMENTS)

    def _close(self, key: Hashable) -> bytes:
        """End a channel; what it still held goes out as one more event of its kind."""
        channel = self._channels.pop(key)
        rest = channel.restorer.finish()
        self._keep(channel, "", rest)
        self._closed(channel)
        if not rest:
            return b""
        made = orjson.dumps(self._reader.tail(channel.last, channel.delta, rest))
        if self._framing is Framing.NDJSON:
            return made + b"\n"
        name = channel.name
        if self._format is messages.MESSAGES:
            name = "content_block_delta"
        return encode(made, name)

    def _close_all(self) -> bytes:
        return b"".join([self._close(key) for key in list(self._channels)])

    def _note_held(self, value: JsonObject) -> None:
        if "delta" not in value and len(self.held) < _MAX_HELD:
            self.held.update(ids_of_reply(value))
            self.held.update(ids_of_reply(mapping(value.get("response"))))

    # whole replies

    def _finish_whole(self) -> bytes:
        body = bytes(self._whole).removeprefix(_BOM)
        self._whole.clear()
        if body.lstrip()[:8].startswith(_SSE_HEADS):
            self._framing = Framing.SSE  # whatever it was called
            return self._then(self.feed(body), self.finish)
        try:
            value = load(body, lenient=True)
        except JsonInvalid:
            return body
        for one in value if isinstance(value, list) else [value]:  # Gemini streams an array where SSE is not asked for
            if isinstance(one, dict):
                self._format.observe(one, self.observed)
                self._note_held(one)
                self._provenance.read_whole(one, body)
        self.observed.complete = True
        if _SEARCH in body:
            self._leaves.note_prose_of(value)
        if not any(mark in body for mark in _WORTH_A_LOOK):
            return body
        if self._asks and any(mark in body for mark in _MARKS):
            trial = Report(kept=self.report.kept, asks=True, answers=self.report.answers)
            self._restore_whole(value, body, self._new_leaves(), trial)
            if trial.wanted:
                self._wait(
                    AnswerNeeded(trial.wanted), lambda: self._restore_whole(value, body, self._leaves, self.report)
                )
                return b""
        return self._restore_whole(value, body, self._leaves, self.report)

    def _restore_whole(self, value: object, body: bytes, leaves: LeafRestorer, report: Report) -> bytes:
        try:
            new = leaves.restore(value, body, {}, set(), report, calls=True, whole=True)
        except UnknownPlaceholder as error:
            raise ReplyRefused(_ended(error, self._exchange)) from None
        return body if new is None else new


def _code(error: UnknownPlaceholder) -> str:
    kept = isinstance(error, PlaceholderKept)
    return "localguard_placeholder_kept" if kept else "localguard_unknown_placeholder"


def _ended(error: UnknownPlaceholder, exchange: str) -> str:
    if isinstance(error, PlaceholderKept):
        return (
            "localguard ended this reply: it would write a placeholder into a file, and policy does not turn placeholders of "
            "this class back at this endpoint. Use another endpoint for this edit, or make it by hand. "
            f"More: localguard explain {exchange}"
        )
    return (
        "localguard ended this reply: it would write a placeholder into a file whose value this process does not know "
        "(the guard was restarted in between). Have the agent read the file again, then repeat the edit. "
        f"More: localguard explain {exchange}"
    )
