"""OpenAI Responses over HTTP and SSE (`/v1/responses`, Azure and Foundry `/openai/v1/responses`).

Source: OpenAI API reference, Responses and its streaming events (read November 2026), and what Codex sends.
Reasoning summaries are prose; `encrypted_content` and compaction items are opaque.
"""

from collections.abc import Hashable, Mapping

from localguard.wire.format import Delta, JsonObject, Observed, Reading, WireFormat, integer, mapping, position, scalars
from localguard.wire.table import BASE64, DATA_URL, IDENTIFIER, SEALED, Kind, Row, at, compile_reply, compile_table

PART = [
    Row("image_url", Kind.OPAQUE, DATA_URL),
    Row("file_data", Kind.OPAQUE, DATA_URL),
    Row("file_id", Kind.OPAQUE, IDENTIFIER),
    Row("input_audio.data", Kind.OPAQUE, BASE64),
]
ITEM = [
    Row("id", Kind.OPAQUE, IDENTIFIER),
    Row("call_id", Kind.OPAQUE, IDENTIFIER),
    Row("approval_request_id", Kind.OPAQUE, IDENTIFIER),
    Row("encrypted_content", Kind.OPAQUE, SEALED),
    Row("arguments", Kind.ARGUMENTS, when={"type": "function_call"}),
    Row("arguments", Kind.ARGUMENTS, when={"type": "mcp_call"}),
    Row("arguments", Kind.ARGUMENTS, when={"type": "mcp_approval_request"}),
    Row("input", Kind.FREEFORM, when={"type": "custom_tool_call"}),
    Row("action", Kind.INPUT),
    Row("actions", Kind.INPUT),
    Row("operation", Kind.INPUT),
    Row("result", Kind.OPAQUE, BASE64, when={"type": "image_generation_call"}),
    *at("content[]", PART),
    *at("output[]", PART),
]
REQUEST = compile_table(
    [
        *at("input[]", ITEM),
        Row("previous_response_id", Kind.OPAQUE, IDENTIFIER),
        Row("prompt_cache_key", Kind.OPAQUE, IDENTIFIER),
        Row("conversation", Kind.OPAQUE, IDENTIFIER),
        Row("conversation.id", Kind.OPAQUE, IDENTIFIER),
    ]
)
REPLY = compile_reply(
    [
        Row("id", Kind.OPAQUE, IDENTIFIER),
        Row("previous_response_id", Kind.OPAQUE, IDENTIFIER),
        *at("output[]", ITEM),
        *at("input[]", ITEM),
        Row("item_id", Kind.OPAQUE, IDENTIFIER),
        *at("item", ITEM),
        Row("response.id", Kind.OPAQUE, IDENTIFIER),
        Row("response.previous_response_id", Kind.OPAQUE, IDENTIFIER),
        *at("response.output[]", ITEM),
        Row("arguments", Kind.ARGUMENTS),
        Row("command", Kind.FREEFORM),
        Row("diff", Kind.FREEFORM),
        Row("input", Kind.FREEFORM, when={"type": "response.custom_tool_call_input.done"}),
        Row("obfuscation", Kind.OPAQUE, IDENTIFIER),
        Row("partial_image_b64", Kind.OPAQUE, BASE64),
        Row("delta", Kind.OPAQUE, BASE64, when={"type": "response.audio.delta"}),
    ]
)

# event type up to its last part -> (kind of content, which index besides output_index makes the channel)
_CHANNELS = {
    "response.output_text": (Kind.TEXT, "content_index"),
    "response.refusal": (Kind.TEXT, "content_index"),
    "response.reasoning_text": (Kind.TEXT, "content_index"),
    "response.reasoning_summary_text": (Kind.TEXT, "summary_index"),
    "response.function_call_arguments": (Kind.ARGUMENTS, ""),
    "response.mcp_call_arguments": (Kind.ARGUMENTS, ""),
    "response.custom_tool_call_input": (Kind.FREEFORM, ""),
    "response.code_interpreter_call_code": (Kind.TEXT, ""),
    "response.audio.transcript": (Kind.TEXT, ""),
}


_PROSE_ITEMS = ("message", "reasoning")
_MEDIA = (".audio", ".output_audio", ".image", "_image")


def tool_of(item: Mapping[str, object]) -> str:
    """The tool that an output item calls: its name, or for tools of the API's own its type without `_call`."""
    name = item.get("name")
    return name if isinstance(name, str) and name else str(item.get("type") or "").removesuffix("_call")


def observe(reply: JsonObject, observed: Observed) -> None:
    """Usage, model, id and error of a whole response object."""
    if isinstance(reply.get("model"), str):
        observed.model = reply["model"]
    if isinstance(reply.get("id"), str):
        observed.response_id = reply["id"]
    if isinstance(reply.get("status"), str):
        observed.stop = reply["status"]
    error = reply.get("error")
    if error:
        observed.error = str(mapping(error).get("code") or mapping(error).get("type") or "error")
    usage = reply.get("usage")
    if isinstance(usage, dict):
        cached = integer(mapping(usage.get("input_tokens_details")).get("cached_tokens"))
        observed.usage.input = max(integer(usage.get("input_tokens")) - cached, 0)
        observed.usage.cache_read = cached
        observed.usage.output = integer(usage.get("output_tokens"))
        observed.usage.reasoning = integer(mapping(usage.get("output_tokens_details")).get("reasoning_tokens"))
        observed.usage.seen = True


class ResponsesStream:
    """Events of a streamed response; a channel is one content part, summary part or call of one output item."""

    def __init__(self) -> None:
        self.observed = Observed()
        self._tools: dict[Hashable, str] = {}
        self._prose: set[Hashable] = set()
        self._streamed: set[Hashable] = set()
        self._open: dict[Hashable, set[Hashable]] = {}

    def read(self, event: JsonObject) -> Reading:
        """See StreamReader."""
        kind = str(event.get("type") or "")
        if kind == "response.output_item.added":
            output_index = position(event.get("output_index"))
            item = mapping(event.get("item"))
            self._tools[output_index] = tool_of(item)
            if item.get("type") in _PROSE_ITEMS:
                self._prose.add(output_index)
            return Reading()
        if kind == "response.output_item.done":
            return Reading(closes=[*self._open.pop(position(event.get("output_index")), ())])
        stem, _, verb = kind.rpartition(".")
        if verb in ("delta", "done") and stem.startswith("response.") and not stem.endswith(_MEDIA):
            output_index = position(event.get("output_index"))
            content, index = _CHANNELS.get(stem) or self._unknown(output_index)
            channel = (stem, output_index, position(event.get(index)) if index else None)
            if verb == "done":
                return Reading(closes=[channel])
            if isinstance(event.get("delta"), str):
                self._streamed.add(output_index)
                self._open.setdefault(output_index, set()).add(channel)
                return Reading([Delta(("delta",), channel, content, self._tools.get(output_index, ""))])
            return Reading()
        if isinstance(event.get("response"), dict):
            observe(event["response"], self.observed)
            if verb in ("completed", "failed", "incomplete"):
                self.observed.complete = True
                return Reading(closes_all=True)
        elif kind == "error":
            error = event.get("code") or mapping(event.get("error")).get("code")
            self.observed.error = str(error or "error")
            return Reading(closes_all=True)
        return Reading()

    def _unknown(self, output_index: int | str) -> tuple[Kind, str]:
        """How the pieces of an event that is not known are read: as prose inside a message, else as a call's input."""
        return (Kind.TEXT, "content_index") if output_index in self._prose else (Kind.FREEFORM, "command_index")

    def tool_at(self, output_index: object) -> str:
        """The tool that the stream began an output item with, for events that carry its arguments whole."""
        return self._tools.get(position(output_index), "")

    def was_streamed(self, output_index: object) -> bool:
        """Whether pieces of an output item came before the event that carries it whole."""
        return position(output_index) in self._streamed

    def tail(self, event: JsonObject, delta: Delta, text: str) -> JsonObject:
        """See StreamReader."""
        made = scalars(event, "obfuscation")
        made["delta"] = text
        if "logprobs" in event:
            made["logprobs"] = []
        return made


RESPONSES = WireFormat("openai-responses", REQUEST, REPLY, frozenset({"input", "tools"}), ResponsesStream, observe)
