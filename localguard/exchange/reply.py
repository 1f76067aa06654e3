"""A reply on its way in: observed, placeholders turned back, everything else byte for byte as it came.

One restorer per stream channel, whatever the chunking. An event that nothing changes leaves as the bytes that came.
What a channel still holds is sent as one more event of its own kind before the channel's own end.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

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
from localguard.wire.format import Delta, JsonObject, Observed, Path, WireFormat, get_path
from localguard.wire.json_edit import Document, Edit, JsonInvalid, Leaf, LeafKind, load, parse, splice, string_token
from localguard.wire.ndjson import LineParser
from localguard.wire.sse import Event, EventParser, encode
from localguard.wire.table import Kind

_MARK = b"LG"
"""Begins every placeholder, also where a JSON encoder escaped what follows."""
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
        self._signatures: dict[Hashable, list[str]] = {}

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
        elif kind == "application/json" and not (self._stream and self._format.framing == "ndjson"):
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
        if self._framing is Framing.VERBATIM:
            return chunk
        if self._framing is Framing.SSE:
            return self._guarded(lambda: b"".join([self._event(event) for event in self._events.feed(chunk)]))
        if self._framing is Framing.NDJSON:
            return self._guarded(lambda: b"".join([self._line(line) for line in self._lines.feed(chunk)]))
        self._whole += chunk
        return b""

    def finish(self) -> bytes:
        """What is left for the agent at the end of the body, cut or not.

        Raises ReplyRefused for a whole (not streamed) reply that would write an unknown value into a file.
        """
        if self.ended:
            return b""
        if self._framing is Framing.SSE:
            rest = self._events.finish()
            last = self._guarded(lambda: self._event(rest)) if rest is not None else b""
            return last + (b"" if self.ended else self._guarded(self._close_all))
        if self._framing is Framing.NDJSON:
            tail = self._lines.finish()
            last = self._guarded(lambda: self._line(tail)) if tail else b""
            return last + (b"" if self.ended else self._guarded(self._close_all))
        if self._framing in (Framing.JSON, Framing.UNDECIDED):
            return self._finish_whole()
        return b""

    def _decide(self, chunk: bytes) -> bytes:
        """Sniff a body whose content type says nothing: the first byte that is no white space tells."""
        self._whole += chunk
        head = bytes(self._whole[:64]).lstrip()
        if not head:
            return b""
        if self._stream and self._format.framing == "ndjson" and head[:1] == b"{":
            self._framing = Framing.NDJSON
        elif head[:1] in (b"{", b"["):
            self._framing = Framing.JSON
            return b""
        elif head.startswith((b"data:", b"event:", b"id:", b"retry:", b":")) or self._stream:
            self._framing = Framing.SSE
        else:
            self._framing = Framing.VERBATIM
        chunk = bytes(self._whole)
        self._whole.clear()
        return chunk

    def _guarded(self, step: "Any") -> bytes:
        try:
            made: bytes = step()
        except UnknownPlaceholder:
            self.ended = True
            self.observed.error = "localguard_unknown_placeholder"
            return self._error_event()
        return made

    def _error_event(self) -> bytes:
        message = _unknown_message(self._exchange)
        code = "localguard_unknown_placeholder"
        if self._framing is Framing.NDJSON:
            return orjson.dumps({"error": message}) + b"\n"
        if self._format is messages.MESSAGES:
            return encode(orjson.dumps({"type": "error", "error": {"type": code, "message": message}}), "error")
        if self._format is responses.RESPONSES:
            error = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": 0}
            return encode(orjson.dumps(error), "error")
        return encode(orjson.dumps({"error": {"message": message, "type": code, "param": None, "code": code}}))

    # streamed replies

    def _event(self, event: Event) -> bytes:
        data = event.data
        if not data:
            return event.raw
        if data == b"[DONE]":
            self.observed.complete = True
            return self._close_all() + event.raw
        try:
            value = load(data)
        except JsonInvalid:
            return event.raw
        if not isinstance(value, dict):
            return event.raw
        before, new = self._json_event(value, data, event.name)
        return before + (event.raw if new is None else event.with_data(new))

    def _line(self, line: bytes) -> bytes:
        data = line.rstrip(b"\r\n")
        try:
            value = load(data)
        except JsonInvalid:
            return line
        if not isinstance(value, dict):
            return line
        before, new = self._json_event(value, data, "")
        return before + (line if new is None else new + line[len(data) :])

    def _json_event(self, value: JsonObject, data: bytes, name: str) -> tuple[bytes, bytes | None]:
        """What goes before this event, and its new data where something in it changed."""
        reading = self._reader.read(value)
        if self._format is messages.MESSAGES:
            self._note_signature(value)
        changed: dict[Path, str] = {}
        seen: set[Hashable] = set()
        closing = set(self._channels) if reading.closes_all else set(reading.closes)
        if reading.closes_all:
            closing |= {delta.channel for delta in reading.deltas}
        for delta in reading.deltas:
            old: str = get_path(value, delta.path)
            channel = self._channel(delta, value, name)
            new = channel.restorer.feed(old)
            last = delta.channel in closing and not any(
                other.channel == delta.channel for other in reading.deltas[reading.deltas.index(delta) + 1 :]
            )
            if last:
                new += channel.restorer.finish()
            self._keep(channel, old, new)
            if last:
                self._closed(self._channels.pop(delta.channel))
            seen.add(delta.channel)
            if new != old:
                changed[delta.path] = new
        before = b"".join([self._close(channel) for channel in list(self._channels) if channel in closing])
        calls = self._format.whole_calls in data if self._format.whole_calls else False
        if changed or calls or _MARK in data:
            handled = {delta.path for delta in reading.deltas}
            repeats = str(value.get("type") or "").startswith("response.")
            return before, self._rewrite(data, changed, handled, self._repeats if repeats else self.report)
        return before, None

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
        delta = value.get("delta")
        if isinstance(delta, dict) and delta.get("type") == "signature_delta":
            self._signatures.setdefault(value.get("index"), []).append(str(delta.get("signature") or ""))
        elif value.get("type") == "content_block_stop":
            signature = "".join(self._signatures.pop(value.get("index"), []))
            if signature:
                self._memory.signatures.put(self._memory.digest(signature.encode()), True)

    # whole replies

    def _finish_whole(self) -> bytes:
        body = bytes(self._whole)
        self._whole.clear()
        try:
            value = load(body)
        except JsonInvalid:
            return body
        if isinstance(value, dict):
            self._format.observe(value, self.observed)
            if self._format is messages.MESSAGES:
                for block in value.get("content") or []:
                    if isinstance(block, dict) and isinstance(block.get("signature"), str):
                        self._memory.signatures.put(self._memory.digest(block["signature"].encode()), True)
        self.observed.complete = True
        try:
            new = self._rewrite(body, {}, set(), self.report, calls=True)
        except UnknownPlaceholder:
            raise ReplyRefused(_unknown_message(self._exchange)) from None
        return body if new is None else new

    def _rewrite(
        self, data: bytes, changed: Mapping[Path, str], handled: set[Path], report: Report, *, calls: bool = False
    ) -> bytes | None:
        """`data` with `changed` leaves written and every other leaf restored by its place; None if nothing changed."""
        try:
            document = parse(data, self._format.reply)
        except JsonInvalid:
            return None  # duplicate keys or too deep: what cannot be read without doubt is left as it is
        edits: list[Edit] = []
        inputs: dict[Path, object] = {}
        for leaf in document.leaves:
            kind = leaf.place.kind
            if leaf.kind is LeafKind.NUMBER:
                continue
            path = _path(leaf)
            if leaf.kind is LeafKind.STRING and path in handled:
                if path in changed:
                    edits.append(Edit(leaf.start, leaf.end, string_token(changed[path])))
                continue
            if calls and kind in (Kind.ARGUMENTS, Kind.FREEFORM) and leaf.kind is LeafKind.STRING:
                self.tool_calls.append(ToolCall(self._tool(document, path), leaf.text[:_MAX_CALL]))
            if kind is Kind.INPUT:
                self._input(document, path, inputs, report)
            if "LG_" not in leaf.text or kind is Kind.SIGNED:
                continue
            if kind is Kind.OPAQUE and leaf.place.grammar is not None and leaf.place.grammar.fullmatch(leaf.text):
                continue
            if kind is Kind.INPUT and leaf.kind is LeafKind.STRING:
                root = _input_root(document, path)
                new = get_path(inputs[root], path[len(root) :])
            else:
                new = self._restore_leaf(document, leaf, path, report)
            if isinstance(new, str) and new != leaf.text:
                edits.append(Edit(leaf.start, leaf.end, string_token(new)))
        return splice(data, edits) if edits else None

    def _restore_leaf(self, document: Document, leaf: Leaf, path: Path, report: Report) -> str:
        vault = self._memory.vault
        if leaf.kind is LeafKind.STRING and leaf.place.kind is Kind.ARGUMENTS:
            new = restore_arguments_json(leaf.text, self._tool(document, path), vault, report)
        elif leaf.kind is LeafKind.STRING and leaf.place.kind is Kind.FREEFORM:
            new = restore_freeform(leaf.text, self._tool(document, path), vault, report)
        else:
            new = restore_prose(leaf.text, vault, report)
        if new != leaf.text:
            self._remember(leaf.text, new, arguments=leaf.place.kind is Kind.ARGUMENTS)
        return new

    def _tool(self, document: Document, path: Path) -> str:
        """The tool whose call holds the leaf at `path`: the name beside it, or the one the stream began it with."""
        holder = get_path(document.value, path[:-1])
        if isinstance(holder, dict):
            name = holder.get("name") or (holder.get("function") or {}).get("name")
            if isinstance(name, str) and name:
                return name
            if isinstance(self._reader, responses.ResponsesStream):
                return self._reader.tool_at(holder.get("output_index")) or responses.tool_of(holder)
        return ""

    def _input(self, document: Document, path: Path, inputs: dict[Path, object], report: Report) -> None:
        """Restore a whole parsed arguments object once, the first time one of its leaves is met."""
        root = _input_root(document, path)
        if root in inputs:
            return
        value = get_path(document.value, root)
        tool = self._tool(document, root)
        self.tool_calls.append(ToolCall(tool, orjson.dumps(value).decode()[:_MAX_CALL]))
        new = restore_arguments_object(value, tool, self._memory.vault, report)
        inputs[root] = new
        self._remember_leaves(value, new)

    # restored text comes back in the next request

    def _remember(self, read: str, written: str, *, arguments: bool) -> None:
        if not arguments:
            self._remember_text(read, written)
            return
        try:
            before, after = orjson.loads(read), orjson.loads(written)
        except orjson.JSONDecodeError:
            return
        self._remember_leaves(before, after)

    def _remember_leaves(self, before: object, after: object) -> None:
        if isinstance(before, str) and isinstance(after, str):
            self._remember_text(before, after)
        elif isinstance(before, dict) and isinstance(after, dict):
            for name in before.keys() & after.keys():
                self._remember_leaves(before[name], after[name])
        elif isinstance(before, list) and isinstance(after, list):
            for one, other in zip(before, after, strict=False):
                self._remember_leaves(one, other)

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


def _input_root(document: Document, path: Path) -> Path:
    """The arguments object that the leaf at `path` belongs to: the outermost member of a call's own name."""
    for depth, step in enumerate(path):
        if step in ("input", "arguments", "args", "action", "operation") and depth > 0:
            holder = get_path(document.value, path[:depth])
            if isinstance(holder, dict) and isinstance(holder.get(str(step)), (dict, list)):
                return path[: depth + 1]
    return path[:1]


def _unknown_message(exchange: str) -> str:
    return (
        "localguard ended this reply: it would write a placeholder into a file whose value this process does not know "
        "(the guard was restarted in between). Have the agent read the file again, then repeat the edit. "
        f"More: localguard explain {exchange}"
    )
