"""Ollama's own API: `/api/chat`, `/api/generate`, `/api/embed*` and side calls; streams are NDJSON.

Source: Ollama API documentation (read November 2026). Errors may come as a line of a 200 stream.
"""

from collections.abc import Hashable

from localguard.wire.format import Delta, JsonObject, Observed, Reading, WireFormat, integer, mapping
from localguard.wire.table import BASE64, IDENTIFIER, Kind, Row, at, compile_reply, compile_table

MESSAGE = [
    Row("images[]", Kind.OPAQUE, BASE64),
    Row("tool_calls[].id", Kind.OPAQUE, IDENTIFIER),
    Row("tool_calls[].function.arguments", Kind.INPUT),
    Row("tool_call_id", Kind.OPAQUE, IDENTIFIER),
]
REQUEST = compile_table([*at("messages[]", MESSAGE), Row("images[]", Kind.OPAQUE, BASE64)])
REPLY = compile_reply(at("message", MESSAGE))
_PROSE = (("message", "content"), ("message", "thinking"), ("response",), ("thinking",))


def observe(reply: JsonObject, observed: Observed) -> None:
    """Usage, model and error of a whole reply or of one line."""
    if isinstance(reply.get("model"), str):
        observed.model = reply["model"]
    if reply.get("error"):
        observed.error = "ollama_error"
    if reply.get("done") is True:
        observed.complete = True
        observed.stop = str(reply.get("done_reason") or "stop")
    if reply.get("done") is True or "prompt_eval_count" in reply:  # embeddings say no `done`
        observed.usage.input = integer(reply.get("prompt_eval_count"))
        observed.usage.output = integer(reply.get("eval_count"))
        observed.usage.seen = True


class OllamaStream:
    """Lines of a streamed reply; a channel is one of its growing texts."""

    def __init__(self) -> None:
        self.observed = Observed()

    def read(self, event: JsonObject) -> Reading:
        """See StreamReader."""
        observe(event, self.observed)
        deltas: list[Delta] = []
        for path in _PROSE:
            holder = event if len(path) == 1 else mapping(event.get(path[0]))
            if isinstance(holder.get(path[-1]), str):
                channel: Hashable = path
                deltas.append(Delta(path, channel, Kind.TEXT))
        return Reading(deltas, closes_all=event.get("done") is True or bool(event.get("error")))

    def tail(self, event: JsonObject, delta: Delta, text: str) -> JsonObject:
        """See StreamReader."""
        made: JsonObject = {name: event[name] for name in ("model", "created_at") if isinstance(event.get(name), str)}
        if len(delta.path) == 1:
            made[str(delta.path[0])] = text
            if delta.path[0] == "thinking":
                made["response"] = ""
        else:
            role = mapping(event.get("message")).get("role")
            message = {"role": role if isinstance(role, str) else "assistant", "content": ""}
            message[str(delta.path[1])] = text
            made["message"] = message
        made["done"] = False
        return made


OLLAMA = WireFormat(
    "ollama",
    REQUEST,
    REPLY,
    frozenset({"messages", "tools", "input"}),
    OllamaStream,
    observe,
    framing="ndjson",
    streams_by_default=True,
    whole_calls=b'"tool_calls"',
    errors="ollama",
)
