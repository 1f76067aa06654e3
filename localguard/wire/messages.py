"""Anthropic Messages and `count_tokens` (also Foundry's `/anthropic/v1` and LM Studio's and Ollama's `/v1/messages`).

Source: Anthropic API reference, Messages and streaming (read November 2026). Signed thinking must come back with the
bytes it went out with, so neither its text nor its signature is ever rewritten.
"""

from collections.abc import Hashable

from localguard.wire.format import Delta, JsonObject, Observed, Reading, WireFormat, integer, mapping
from localguard.wire.table import BASE64, IDENTIFIER, SEALED, Kind, Row, at, compile_reply, compile_table

BLOCK = [
    Row("id", Kind.OPAQUE, IDENTIFIER),
    Row("tool_use_id", Kind.OPAQUE, IDENTIFIER),
    Row("signature", Kind.OPAQUE, SEALED),
    Row("thinking", Kind.SIGNED, when={"type": "thinking", "signature": ...}),
    Row("data", Kind.OPAQUE, SEALED, when={"type": "redacted_thinking"}),
    Row("encrypted_content", Kind.OPAQUE, SEALED),
    Row("encrypted_index", Kind.OPAQUE, SEALED),
    Row("source.data", Kind.OPAQUE, BASE64, when={"type": "base64"}),
    Row("source.file_id", Kind.OPAQUE, IDENTIFIER),
    Row("input", Kind.INPUT),
]
BLOCKS = [
    *BLOCK,
    *at("content[]", [*BLOCK, *at("content[]", BLOCK)]),
    Row("content.encrypted_content", Kind.OPAQUE, SEALED),
]
REQUEST = compile_table(
    [
        *at("messages[].content[]", BLOCKS),
        *at("system[]", BLOCK),
        Row("container", Kind.OPAQUE, IDENTIFIER),
    ]
)
REPLY = compile_reply(
    [
        Row("id", Kind.OPAQUE, IDENTIFIER),
        Row("request_id", Kind.OPAQUE, IDENTIFIER),
        *at("content[]", BLOCKS),
        Row("message.id", Kind.OPAQUE, IDENTIFIER),
        *at("message.content[]", BLOCKS),
        *at("content_block", BLOCKS),
        Row("delta.signature", Kind.OPAQUE, SEALED),
        Row("delta.thinking", Kind.SIGNED),
        # A reply's thinking comes back with its signature: as it went, whether or not this event carries it.
        Row("content[].thinking", Kind.SIGNED),
        Row("content_block.thinking", Kind.SIGNED),
        Row("message.content[].thinking", Kind.SIGNED),
    ]
)


def _usage(usage: object, observed: Observed) -> None:
    if not isinstance(usage, dict):
        return
    # message_delta's counts are cumulative and may leave out what message_start said.
    for name, field in (
        ("input_tokens", "input"),
        ("output_tokens", "output"),
        ("cache_read_input_tokens", "cache_read"),
        ("cache_creation_input_tokens", "cache_write"),
    ):
        if isinstance(usage.get(name), int):
            setattr(observed.usage, field, integer(usage[name]))
            observed.usage.seen = True
    written = mapping(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")
    if written is not None:
        observed.usage.cache_write_1h = integer(written)


def observe(reply: JsonObject, observed: Observed) -> None:
    """Usage, model and error of a whole reply."""
    if isinstance(reply.get("model"), str):
        observed.model = reply["model"]
    if isinstance(reply.get("id"), str):
        observed.response_id = reply["id"]
    if isinstance(reply.get("stop_reason"), str):
        observed.stop = reply["stop_reason"]
    if reply.get("type") == "error":
        observed.error = str(mapping(reply.get("error")).get("type") or "error")
    _usage(reply.get("usage"), observed)


class MessagesStream:
    """Events of a streamed message; a channel is one content block."""

    def __init__(self) -> None:
        self.observed = Observed()
        self._tools: dict[Hashable, str] = {}

    def read(self, event: JsonObject) -> Reading:
        """See StreamReader."""
        kind = event.get("type")
        index = event.get("index")
        channel: Hashable = index if isinstance(index, int) else 0
        if kind == "content_block_delta":
            return Reading(self._deltas(mapping(event.get("delta")), channel))
        if kind == "content_block_start":
            block = mapping(event.get("content_block"))
            self._tools[channel] = str(block.get("name") or "")
            if isinstance(block.get("text"), str):
                return Reading([Delta(("content_block", "text"), (channel, "text"), Kind.TEXT)])
        elif kind == "content_block_stop":
            return Reading(closes=[(channel, "text"), (channel, "input")])
        elif kind == "message_start":
            observe(dict(mapping(event.get("message"))), self.observed)
        elif kind == "message_delta":
            _usage(event.get("usage"), self.observed)
            stop = mapping(event.get("delta")).get("stop_reason")
            self.observed.stop = stop if isinstance(stop, str) else self.observed.stop
            return Reading(closes_all=True)
        elif kind == "message_stop":
            self.observed.complete = True
            return Reading(closes_all=True)
        elif kind == "error":
            self.observed.error = str(mapping(event.get("error")).get("type") or "error")
            return Reading(closes_all=True)
        return Reading()

    def _deltas(self, delta: object, channel: Hashable) -> list[Delta]:
        part = mapping(delta)
        kind = part.get("type")
        if kind == "text_delta" and isinstance(part.get("text"), str):
            return [Delta(("delta", "text"), (channel, "text"), Kind.TEXT)]
        if kind == "thinking_delta" and isinstance(part.get("thinking"), str):
            self.observed.thinking_bytes += len(part["thinking"].encode("utf-8", "surrogatepass"))
            return []
        if kind == "input_json_delta" and isinstance(part.get("partial_json"), str):
            tool = self._tools.get(channel, "")
            return [Delta(("delta", "partial_json"), (channel, "input"), Kind.ARGUMENTS, tool)]
        return []

    def tail(self, event: JsonObject, delta: Delta, text: str) -> JsonObject:
        """See StreamReader."""
        if delta.path[0] == "content_block":
            part = {"type": "text_delta", "text": text}
        else:
            part = {"type": event["delta"]["type"], str(delta.path[1]): text}
        return {"type": "content_block_delta", "index": integer(event.get("index")), "delta": part}


MESSAGES = WireFormat(
    "anthropic-messages",
    REQUEST,
    REPLY,
    frozenset({"messages", "system", "tools"}),
    MessagesStream,
    observe,
    errors="anthropic",
)
