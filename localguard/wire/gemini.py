"""Gemini `generateContent`, `streamGenerateContent?alt=sse` and `countTokens`.

Source: Gemini API reference (read November 2026). Field names come in camelCase and snake_case alike.
"""

from localguard.wire.format import Delta, JsonObject, Observed, Reading, WireFormat, integer, mapping, objects, scalars
from localguard.wire.table import BASE64, IDENTIFIER, SEALED, Kind, Row, at, compile_reply, compile_table

PART = [
    Row("thoughtSignature", Kind.OPAQUE, SEALED),
    Row("thought_signature", Kind.OPAQUE, SEALED),
    Row("inlineData.data", Kind.OPAQUE, BASE64),
    Row("inline_data.data", Kind.OPAQUE, BASE64),
    Row("functionCall.id", Kind.OPAQUE, IDENTIFIER),
    Row("functionCall.args", Kind.INPUT),
    Row("functionCall.partialArgs", Kind.INPUT),
    Row("function_call.args", Kind.INPUT),
    Row("functionResponse.id", Kind.OPAQUE, IDENTIFIER),
    Row("functionResponse.response", Kind.INPUT),
    Row("function_response.response", Kind.INPUT),
]
REQUEST = compile_table(at("contents[].parts[]", PART))
REPLY = compile_reply([Row("responseId", Kind.OPAQUE, IDENTIFIER), *at("candidates[].content.parts[]", PART)])


def observe(reply: JsonObject, observed: Observed) -> None:
    """Usage, model and error of a whole reply or of one event."""
    if isinstance(reply.get("modelVersion"), str):
        observed.model = reply["modelVersion"]
    if reply.get("error"):
        observed.error = str(mapping(reply["error"]).get("status") or "error")
    usage = reply.get("usageMetadata")
    if isinstance(usage, dict):
        cached = integer(usage.get("cachedContentTokenCount"))
        observed.usage.input = max(integer(usage.get("promptTokenCount")) - cached, 0)
        observed.usage.cache_read = cached
        observed.usage.reasoning = integer(usage.get("thoughtsTokenCount"))
        observed.usage.output = integer(usage.get("candidatesTokenCount")) + observed.usage.reasoning
        observed.usage.seen = True
    for _, candidate in objects(reply.get("candidates")):
        if isinstance(candidate.get("finishReason"), str):
            observed.stop = candidate["finishReason"]
            observed.complete = True


class GeminiStream:
    """Events of a streamed reply; a channel is one candidate's text or its thoughts."""

    def __init__(self) -> None:
        self.observed = Observed()

    def read(self, event: JsonObject) -> Reading:
        """See StreamReader."""
        observe(event, self.observed)
        deltas: list[Delta] = []
        finished = bool(event.get("error"))
        for position, candidate in objects(event.get("candidates")):
            index = integer(candidate.get("index"))
            finished = finished or bool(candidate.get("finishReason"))
            for place, part in objects(mapping(candidate.get("content")).get("parts")):
                if isinstance(part.get("text"), str):
                    channel = (index, bool(part.get("thought")))
                    path = ("candidates", position, "content", "parts", place, "text")
                    deltas.append(Delta(path, channel, Kind.TEXT))
        return Reading(deltas, closes_all=finished)

    def tail(self, event: JsonObject, delta: Delta, text: str) -> JsonObject:
        """See StreamReader."""
        candidate = event["candidates"][delta.path[1]]
        part: JsonObject = {"text": text}
        if candidate["content"]["parts"][delta.path[4]].get("thought"):
            part["thought"] = True
        role = candidate["content"].get("role")
        content = {"role": role if isinstance(role, str) else "model", "parts": [part]}
        return scalars(event) | {"candidates": [{"index": integer(candidate.get("index")), "content": content}]}


GEMINI = WireFormat(
    "gemini",
    REQUEST,
    REPLY,
    frozenset({"contents", "tools"}),
    GeminiStream,
    observe,
    whole_calls=b"unctionCall",
    errors="gemini",
)
