"""A reply on its way in: observed, placeholders turned back, everything else byte for byte as it came.

One restorer per stream channel, whatever the chunking. An event that nothing changes leaves as the bytes that came.
What a channel still holds is sent as one more event of its own kind before the channel's own end.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

import orjson

from localguard.errors import LocalguardError
from localguard.exchange.memory import Restored, WorkspaceMemory
from localguard.redact.restorer import (
    ArgumentsRestorer,
    FreeformRestorer,
    ProseRestorer,
    Report,
    UnknownPlaceholder,
    restore_arguments_json,
    restore_arguments_object,
    restore_freeform,
    restore_prose,
)
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
    objects,
    position,
)
from localguard.wire.json_edit import Document, Edit, JsonInvalid, Leaf, LeafKind, load, parse, splice, string_token
from localguard.wire.ndjson import LineParser
from localguard.wire.sse import Event, EventParser, StreamTooLong, encode
from localguard.wire.table import Kind, Node

_MARKS = (b"LG", b"\\u004")
"""One of them stands wherever a placeholder begins, also where a JSON encoder escaped its letters."""
_SSE_HEADS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MAX_WHOLE = 128 * 1024 * 1024
"""Bytes of a reply that is not streamed."""
T = TypeVar("T")
_MAX_CALL = 65_536
"""Characters of one tool call's arguments that are kept for the log."""


class Framing(Enum):
    """How a reply's body is cut."""

    UNDECIDED = "undecided"
    SSE = "sse"
    NDJSON = "ndjson"
    JSON = "json"
    VERBATIM = "verbatim"


class ReplyRefused(LocalguardError):
    """The reply cannot be given to the agent; what went before it stands. No raw value in the message."""


@dataclass(slots=True)
class ToolCall:
    """A tool call as the model wrote it: with placeholders, not values."""

    tool: str
    arguments: str


@dataclass(slots=True)
class _Channel:
    delta: Delta
    restorer: "ProseRestorer | ArgumentsRestorer | FreeformRestorer"
    last: JsonObject
    name: str
    written: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)


class ReplyRestorer:
    """Restores one reply. `start`, then `feed` for every chunk (decoded from its content coding), then `finish`.

    After `ended` is set, `feed` and `finish` return nothing more: the reply was ended with an error event.
    """

    def __init__(self, format: WireFormat, memory: WorkspaceMemory, *, stream: bool | None, exchange: str) -> None:
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
        self.report = Report()
        self._repeats = Report()
        self.tool_calls: list[ToolCall] = []
        self.ended = False
        self._signed: dict[Hashable, tuple[list[str], list[str]]] = {}  # signature and thinking, in pieces
        self._begun = False

    @property
    def observed(self) -> Observed:
        """What the reply says of itself."""
        return self._reader.observed

    def start(self, status: int, content_type: str) -> Framing:
        """Decide how the body is cut. Error bodies pass verbatim; a missing or wrong type is decided by what comes."""
        kind = content_type.partition(";")[0].strip().lower()
        if status >= 400 or status in (204, 304):
            self._framing = Framing.VERBATIM
        elif kind == "text/event-stream":
            self._framing = Framing.SSE
        elif kind in ("application/x-ndjson", "application/jsonl", "application/x-jsonlines"):
            self._framing = Framing.NDJSON
        elif kind.startswith(("image/", "audio/", "video/", "application/octet-stream", "application/zip")):
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
        return b""

    def _decide(self, chunk: bytes) -> bytes:
        """Sniff a body whose content type says nothing: the first byte that is no white space tells."""
        self._whole += chunk
        head = bytes(self._whole[:64]).lstrip()
        if not head:
            return b""
        if self._is_lines(head):
            self._framing = Framing.NDJSON
        elif head[:1] in (b"{", b"["):
            self._framing = Framing.JSON
            return b""
        elif head.startswith(_SSE_HEADS) or self._stream:
            self._framing = Framing.SSE
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
        try:
            for part in parts:
                made.append(step(part))
        except UnknownPlaceholder:
            self.ended = True
            self.observed.error = "localguard_unknown_placeholder"
            made.append(self._error_event())
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

    def _error_event(self) -> bytes:
        message = _unknown_message(self._exchange)
        code = "localguard_unknown_placeholder"
        if self._framing is Framing.NDJSON:
            return orjson.dumps({"error": message}) + b"\n"
        if self._format is messages.MESSAGES:
            return encode(orjson.dumps({"type": "error", "error": {"type": code, "message": message}}), "error")
        if self._format is responses.RESPONSES:
            error = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": 0}
            # Codex reads no `error` event, the SDKs raise on it; both end their turn on this pair.
            failed: JsonObject = {
                "id": self.observed.response_id,
                "object": "response",
                "status": "failed",
                "error": {"code": code, "message": message},
                "output": [],
            }
            event = {"type": "response.failed", "sequence_number": 1, "response": failed}
            return encode(orjson.dumps(error), "error") + encode(orjson.dumps(event), "response.failed")
        if self._format.errors == "gemini":
            return encode(orjson.dumps({"error": {"code": 502, "message": message, "status": code.upper()}}))
        return encode(orjson.dumps({"error": {"message": message, "type": code, "param": None, "code": code}}))

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
        reading = self._reader.read(value if "type" in value or not name else {**value, "type": name})
        if self._format is messages.MESSAGES:
            self._note_signature(value)
        changed: dict[Path, str] = {}
        closing = set(self._channels) if reading.closes_all else set(reading.closes)
        if reading.closes_all:
            closing |= {delta.channel for delta in reading.deltas}
        final = {delta.channel: index for index, delta in enumerate(reading.deltas) if delta.channel in closing}
        for index, delta in enumerate(reading.deltas):
            old: str = get_path(value, delta.path)
            channel = self._channel(delta, value, name)
            new = channel.restorer.feed(old)
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

    def _rest_of_event(
        self, value: JsonObject, data: bytes, reading: Reading, changed: Mapping[Path, str]
    ) -> bytes | None:
        """The event's new data with its other leaves restored too; None where nothing changed."""
        whole_calls = self._format.whole_calls
        calls = bool(whole_calls) and whole_calls in data
        report = self.report
        kind = value.get("type")
        if isinstance(self._reader, responses.ResponsesStream) and isinstance(kind, str):
            # What came in pieces comes again whole, up to three times: restored alike, counted once.
            calls = kind == "response.output_item.done" and not self._reader.was_streamed(value.get("output_index"))
            report = self.report if calls or kind == "response.output_item.added" else self._repeats
        if changed or calls or any(mark in data for mark in _MARKS):
            handled = {delta.path for delta in reading.deltas}
            return self._rewrite(value, data, changed, handled, report, calls=calls)
        return None

    def _channel(self, delta: Delta, event: JsonObject, name: str) -> _Channel:
        channel = self._channels.get(delta.channel)
        if channel is None:
            channel = _Channel(delta, self._restorer(delta), event, name)
            self._channels[delta.channel] = channel
        channel.delta = delta
        channel.last = event
        channel.name = name
        return channel

    def _restorer(self, delta: Delta) -> "ProseRestorer | ArgumentsRestorer | FreeformRestorer":
        if delta.kind is Kind.ARGUMENTS:
            return ArgumentsRestorer(self._memory.vault, delta.tool, self.report)
        if delta.kind is Kind.FREEFORM:
            return FreeformRestorer(self._memory.vault, delta.tool, self.report)
        return ProseRestorer(self._memory.vault, self.report)

    def _keep(self, channel: _Channel, old: str, new: str) -> None:
        channel.read.append(old)
        channel.written.append(new)

    def _closed(self, channel: _Channel) -> None:
        """The channel is whole: note its tool call, and remember text that values were put into."""
        read, written = "".join(channel.read), "".join(channel.written)
        if channel.delta.kind in (Kind.ARGUMENTS, Kind.FREEFORM):
            self.tool_calls.append(ToolCall(channel.delta.tool, read[:_MAX_CALL]))
        if read != written:
            self._remember(read, written, arguments=channel.delta.kind is Kind.ARGUMENTS)

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

    def _note_signature(self, value: JsonObject) -> None:
        """Gather signed thinking: what comes back exactly so in the next request needs no look."""
        kind, index = value.get("type"), position(value.get("index"))
        if kind in ("content_block_delta", "content_block_start"):
            part = mapping(value.get("delta") or value.get("content_block"))
            for number, name in enumerate(("signature", "thinking")):
                if isinstance(part.get(name), str):
                    self._signed.setdefault(index, ([], []))[number].append(part[name])
        elif kind == "content_block_stop" and index in self._signed:
            signature, thinking = self._signed.pop(index)
            if any(signature):
                self._memory.note_signed("".join(signature), "".join(thinking))

    # whole replies

    def _finish_whole(self) -> bytes:
        body = bytes(self._whole)
        self._whole.clear()
        if body.lstrip()[:8].startswith(_SSE_HEADS):
            self._framing = Framing.SSE  # whatever it was called
            return self.feed(body) + self.finish()
        try:
            value = load(body, lenient=True)
        except JsonInvalid:
            return body
        for one in value if isinstance(value, list) else [value]:  # Gemini streams an array where SSE is not asked for
            if isinstance(one, dict):
                self._format.observe(one, self.observed)
                self._note_whole_signatures(one)
        self.observed.complete = True
        try:
            new = self._rewrite(value, body, {}, set(), self.report, calls=True)
        except UnknownPlaceholder:
            raise ReplyRefused(_unknown_message(self._exchange)) from None
        return body if new is None else new

    def _note_whole_signatures(self, value: JsonObject) -> None:
        blocks = [block for _, block in objects(value.get("content"))]
        for _, choice in objects(value.get("choices")):
            blocks += [block for _, block in objects(mapping(choice.get("message")).get("reasoning_details"))]
        for block in blocks:
            signature, text = block.get("signature"), block.get("thinking", block.get("text"))
            if isinstance(signature, str) and isinstance(text, str):
                self._memory.note_signed(signature, text)

    def _rewrite(
        self,
        value: object,
        data: bytes,
        changed: Mapping[Path, str],
        handled: set[Path],
        report: Report,
        *,
        calls: bool,
    ) -> bytes | None:
        """`data` with `changed` leaves written and every other leaf restored by its place; None if nothing changed."""
        try:
            document = parse(data, self._format.reply, lenient=True)
        except JsonInvalid:
            return self._rewrite_doubtful(value, data, changed)
        edits: list[Edit] = []
        root: Path | None = None
        inputs: list[str] = []
        for leaf in document.leaves:
            kind = leaf.place.kind
            if leaf.kind is LeafKind.NUMBER:
                continue
            text = leaf.text
            if kind is Kind.INPUT:
                path = _path(leaf)
                if root is None or path[: len(root)] != root:
                    root = _input_root(self._format.reply, path)
                    inputs = self._input(document, root, report, calls=calls)
                new = inputs.pop() if inputs else text
            elif leaf.kind is LeafKind.STRING and handled and (path := _path(leaf)) in handled:
                new = changed.get(path, text)
            else:
                called = kind in (Kind.ARGUMENTS, Kind.FREEFORM) and leaf.kind is LeafKind.STRING
                if calls and called:
                    self.tool_calls.append(ToolCall(self._tool(document, _path(leaf)), text[:_MAX_CALL]))
                if "LG_" not in text and not (called and "\\u004" in text):
                    continue
                if kind is Kind.SIGNED or _is_opaque(leaf):
                    continue
                new = self._restore_leaf(document, leaf, report)
            if new != text:
                edits.append(Edit(leaf.start, leaf.end, string_token(new)))
        return splice(data, edits) if edits else None

    def _rewrite_doubtful(self, value: object, data: bytes, changed: Mapping[Path, str]) -> bytes | None:
        """`data` that repeats a key or is nested too deeply, read as most readers do: the last one counts.

        Raises ReplyRefused for a whole reply with placeholders in it.
        """
        if not changed:
            if self._framing is Framing.JSON and self._memory.vault.own_spans(data):
                raise ReplyRefused("the reply holds placeholders and repeats a key or is nested too deeply")
            return None
        for path, new in changed.items():
            holder = get_path(value, path[:-1])
            holder[path[-1]] = new
        try:
            return json.dumps(value, separators=(",", ":")).encode("ascii")
        except RecursionError:
            raise ReplyRefused("an event of the reply is nested too deeply") from None

    def _restore_leaf(self, document: Document, leaf: Leaf, report: Report) -> str:
        vault, text, kind = self._memory.vault, leaf.text, leaf.place.kind
        json_text = kind is Kind.ARGUMENTS and text.lstrip()[:1] in ("{", "[", '"')
        if leaf.kind is LeafKind.STRING and kind in (Kind.ARGUMENTS, Kind.FREEFORM):
            tool = self._tool(document, _path(leaf))
            restore = restore_arguments_json if json_text else restore_freeform
            new = restore(text, tool, vault, report)
        else:
            new = restore_prose(text, vault, report)
        if new != text:
            self._remember(text, new, arguments=json_text)
        return new

    def _tool(self, document: Document, path: Path) -> str:
        """The tool whose call holds the leaf at `path`: the name beside it, or the one the stream began it with."""
        holder = mapping(get_path(document.value, path[:-1]))
        for name in (holder.get("name"), mapping(holder.get("function")).get("name"), holder.get("tool_name")):
            if isinstance(name, str) and name:
                return name
        if self._format is responses.RESPONSES:
            if isinstance(self._reader, responses.ResponsesStream) and (
                tool := self._reader.tool_at(holder.get("output_index"))
            ):
                return tool
            return responses.tool_of(holder)
        return ""

    def _input(self, document: Document, root: Path, report: Report, *, calls: bool) -> list[str]:
        """The keys and strings of a whole call's arguments, restored, last one first."""
        value = get_path(document.value, root)
        tool = self._tool(document, root)
        if calls:
            self.tool_calls.append(ToolCall(tool, _json_text(value)[:_MAX_CALL]))
        new: object
        if isinstance(value, str):
            json_text = value.lstrip()[:1] in ("{", "[")
            new = (restore_arguments_json if json_text else restore_freeform)(value, tool, self._memory.vault, report)
        else:
            new = restore_arguments_object(value, tool, self._memory.vault, report)
        before, after = _strings(value), _strings(new)
        if len(before) != len(after):  # two names became one: what is not sure is left
            return []
        self._remember_all(before, after)
        return after[::-1]

    # restored text comes back in the next request

    def _remember(self, read: str, written: str, *, arguments: bool) -> None:
        if not arguments:
            self._remember_text(read, written)
            return
        try:
            before, after = _strings(orjson.loads(read)), _strings(orjson.loads(written))
        except orjson.JSONDecodeError:
            return
        if len(before) == len(after):
            self._remember_all(before, after)

    def _remember_all(self, before: list[str], after: list[str]) -> None:
        for one, other in zip(before, after, strict=True):
            if one != other:
                self._remember_text(one, other)

    def _remember_text(self, before: str, after: str) -> None:
        """Remember where a text was given values, so that the same text goes back upstream as it came."""
        if before == after:
            return
        read, written = before.encode("utf-8", "surrogatepass"), after.encode("utf-8", "surrogatepass")
        spans: list[Restored] = []
        moved = 0  # bytes by which the written text is longer than the read one so far
        for start, end in self._memory.vault.own_spans(read):
            placeholder = read[start:end].decode("ascii")
            known = self._memory.vault.resolve(placeholder)
            value = known.value.encode("utf-8", "surrogatepass") if known is not None else b""
            if value and written.startswith(value, start + moved):
                spans.append(Restored(start + moved, start + moved + len(value), placeholder))
                moved += len(value) - (end - start)
        if spans and len(read) + moved == len(written):
            self._memory.restored.put(self._memory.digest(b"restored", written), tuple(spans))


def _path(leaf: Leaf) -> Path:
    steps: list[str | int] = []
    link = leaf.path
    while link is not None:
        steps.append(link.step)
        link = link.parent
    return tuple(reversed(steps))


def _is_opaque(leaf: Leaf) -> bool:
    grammar = leaf.place.grammar
    return leaf.place.kind is Kind.OPAQUE and grammar is not None and grammar.fullmatch(leaf.text) is not None


def _input_root(node: Node, path: Path) -> Path:
    """Where the arguments begin that the leaf at `path` belongs to."""
    for depth, step in enumerate(path):
        node = node.item() if isinstance(step, int) else node.child(step)
        if node.inherited.kind is Kind.INPUT:
            return path[: depth + 1]
    return path


def _strings(value: object) -> list[str]:
    """Every key and string of parsed JSON in document order."""
    found: list[str] = []
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, list):
            pending += reversed(one)
        elif isinstance(one, dict):
            for name, inner in reversed(one.items()):
                pending += (inner, name)
    return found


def _json_text(value: object) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except RecursionError:
        return ""


def _unknown_message(exchange: str) -> str:
    return (
        "localguard ended this reply: it would write a placeholder into a file whose value this process does not know "
        "(the guard was restarted in between). Have the agent read the file again, then repeat the edit. "
        f"More: localguard explain {exchange}"
    )
