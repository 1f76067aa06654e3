"""OpenAI Chat Completions (`/v1/chat/completions`, Azure deployments, compatible servers).

Source: OpenAI API reference, Chat Completions (read November 2026), and what agents send (stream options, parallel
tool calls, `reasoning_content` of compatible servers).
"""

from collections.abc import Hashable

from localguard.wire.format import (
    Delta,
    JsonObject,
    Observed,
    Path,
    Reading,
    WireFormat,
    integer,
    mapping,
    objects,
    position,
    scalars,
)
from localguard.wire.table import BASE64, DATA_URL, IDENTIFIER, SEALED, Kind, Row, at, compile_reply, compile_table

CONTENT = [
    Row("image_url.url", Kind.OPAQUE, DATA_URL),
    Row("input_audio.data", Kind.OPAQUE, BASE64),
    Row("file.file_data", Kind.OPAQUE, DATA_URL),
    Row("file.file_id", Kind.OPAQUE, IDENTIFIER),
]
MESSAGE = [
    *at("content[]", CONTENT),
    Row("tool_call_id", Kind.OPAQUE, IDENTIFIER),
    Row("audio.id", Kind.OPAQUE, IDENTIFIER),
    Row("audio.data", Kind.OPAQUE, BASE64),
    Row("tool_calls[].id", Kind.OPAQUE, IDENTIFIER),
    Row("tool_calls[].function.arguments", Kind.ARGUMENTS),
    Row("tool_calls[].custom.input", Kind.FREEFORM),
    Row("tool_calls[].extra_content.google.thought_signature", Kind.OPAQUE, SEALED),
    Row("function_call.arguments", Kind.ARGUMENTS),
    Row("reasoning_details[].data", Kind.OPAQUE, SEALED),
    Row("reasoning_details[].signature", Kind.OPAQUE, SEALED),
    Row("reasoning_details[].text", Kind.SIGNED, when={"signature": ...}),
]
REQUEST = compile_table(at("messages[]", MESSAGE))
REPLY = compile_reply(
    [
        Row("id", Kind.OPAQUE, IDENTIFIER),
        Row("system_fingerprint", Kind.OPAQUE, IDENTIFIER),
        *at("choices[].message", MESSAGE),
        # Whether a signature will cover it is only known when its last piece has come.
        Row("choices[].delta.reasoning_details[].text", Kind.SIGNED),
        *at("choices[].delta", MESSAGE),
    ]
)
_PROSE = ("content", "reasoning_content", "reasoning", "refusal")


def observe(reply: JsonObject, observed: Observed) -> None:
    """Usage, model and error of a whole reply or of one chunk."""
    if isinstance(reply.get("model"), str) and reply["model"]:
        observed.model = reply["model"]
    if isinstance(reply.get("id"), str):
        observed.response_id = reply["id"]
    usage = reply.get("usage")
    if isinstance(usage, dict):
        cached = integer(mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
        observed.usage.input = max(integer(usage.get("prompt_tokens")) - cached, 0)
        observed.usage.cache_read = cached
        observed.usage.output = integer(usage.get("completion_tokens"))
        observed.usage.reasoning = integer(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
        observed.usage.seen = True
    error = reply.get("error")
    if error:
        observed.error = str(mapping(error).get("type") or mapping(error).get("code") or "error")
    for _, choice in objects(reply.get("choices")):
        if isinstance(choice.get("finish_reason"), str):
            observed.stop = choice["finish_reason"]


class ChatStream:
    """Chunks of a streamed chat completion; a channel is one choice's text or one of its tool calls."""

    def __init__(self) -> None:
        self.observed = Observed()
        self._tools: dict[Hashable, str] = {}
        self._open: dict[int, set[Hashable]] = {}

    def read(self, event: JsonObject) -> Reading:
        """See StreamReader."""
        observe(event, self.observed)
        deltas: list[Delta] = []
        closes: list[Hashable] = []
        for number, choice in objects(event.get("choices")):
            index = integer(choice.get("index"))
            before = len(deltas)
            path: Path = ("choices", number, "delta")
            delta = mapping(choice.get("delta"))
            for name in _PROSE:
                if isinstance(delta.get(name), str):
                    deltas.append(Delta((*path, name), (index, name), Kind.TEXT))
                elif isinstance(delta.get(name), list):
                    deltas += _parts(delta[name], (*path, name), (index, name))
            for place, call in objects(delta.get("tool_calls")):
                self._read_call(
                    call, (*path, "tool_calls", place), (index, "call", position(call.get("index", place))), deltas
                )
            if isinstance(delta.get("function_call"), dict):
                self._read_function(delta["function_call"], (*path, "function_call"), (index, "function"), deltas)
            if isinstance(choice.get("text"), str):  # legacy completions
                deltas.append(Delta(("choices", number, "text"), (index, "text"), Kind.TEXT))
            opened = self._open.setdefault(index, set())
            opened.update(delta.channel for delta in deltas[before:])
            if choice.get("finish_reason"):
                closes.extend(opened)
                opened.clear()
        return Reading(deltas, closes, closes_all=bool(event.get("error")))

    def _read_call(self, call: JsonObject, path: Path, channel: Hashable, deltas: list[Delta]) -> None:
        if isinstance(call.get("function"), dict):
            self._read_function(call["function"], (*path, "function"), channel, deltas)
        custom = mapping(call.get("custom"))
        if isinstance(custom.get("name"), str):
            self._tools[channel] = custom["name"]
        if isinstance(custom.get("input"), str):
            deltas.append(Delta((*path, "custom", "input"), channel, Kind.FREEFORM, self._tools.get(channel, "")))

    def _read_function(self, function: JsonObject, path: Path, channel: Hashable, deltas: list[Delta]) -> None:
        name = function.get("name")
        if isinstance(name, str) and name and name != self._tools.get(channel):  # some servers repeat it
            self._tools[channel] = self._tools.get(channel, "") + name
        if isinstance(function.get("arguments"), str):
            deltas.append(Delta((*path, "arguments"), channel, Kind.ARGUMENTS, self._tools.get(channel, "")))

    def tail(self, event: JsonObject, delta: Delta, text: str) -> JsonObject:
        """See StreamReader."""
        choice = event["choices"][delta.path[1]]
        made = scalars(event, "usage", "obfuscation")
        if "usage" in event:
            made["usage"] = None
        one: JsonObject = {"index": integer(choice.get("index")), "finish_reason": None}
        if delta.path[2] == "text":
            one["text"] = text
        elif delta.path[3] == "tool_calls":
            call = choice["delta"]["tool_calls"][delta.path[4]]
            piece: JsonObject = {"index": position(call.get("index", delta.path[4]))}
            piece[str(delta.path[5])] = {str(delta.path[6]): text}
            one["delta"] = {"tool_calls": [piece]}
        elif delta.path[3] == "function_call":
            one["delta"] = {"function_call": {"arguments": text}}
        elif len(delta.path) > 4:
            made_part: JsonObject = {"type": "text", "text": text}
            if len(delta.path) > 6:
                made_part = {"type": "thinking", "thinking": [made_part]}
            one["delta"] = {str(delta.path[3]): [made_part]}
        else:
            one["delta"] = {str(delta.path[3]): text}
        made["choices"] = [one]
        return made


def _parts(parts: object, path: Path, channel: tuple[Hashable, ...]) -> list[Delta]:
    """The growing texts of a content that comes in parts (Mistral, API reference read November 2026)."""
    deltas: list[Delta] = []
    for place, part in objects(parts):
        if isinstance(part.get("text"), str):
            deltas.append(Delta((*path, place, "text"), (*channel, "text"), Kind.TEXT))
        elif isinstance(part.get("thinking"), list):
            deltas += _parts(part["thinking"], (*path, place, "thinking"), (*channel, "thinking"))
    return deltas


CHAT = WireFormat("openai-chat", REQUEST, REPLY, frozenset({"messages", "tools", "functions"}), ChatStream, observe)
COMPLETIONS = WireFormat(
    "openai-completions",
    compile_table([]),
    compile_reply([Row("id", Kind.OPAQUE, IDENTIFIER), Row("system_fingerprint", Kind.OPAQUE, IDENTIFIER)]),
    frozenset(),
    ChatStream,
    observe,
)
"""Legacy completions: prompts are text or arrays of text, choices carry `text`."""
EMBEDDINGS = WireFormat(
    "openai-embeddings",
    compile_table([]),
    compile_reply([Row("data[].embedding", Kind.OPAQUE, BASE64)]),
    frozenset({"input"}),
    ChatStream,
    observe,
)
"""Embeddings: inputs are text; vectors (numbers, or base64 on request) are opaque."""
