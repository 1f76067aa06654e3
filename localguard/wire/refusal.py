"""Refusals in the error shape of the wire format that the agent spoke.

Statuses are those on which real clients neither retry nor ask for a new login (measured on Codex, opencode and the
official SDKs, November 2026): 403 policy, 402 budget, 400 unreadable, 503 the guard itself cannot work, 429 only for
the guard's own rate limits. `x-should-retry: false` is honoured by the OpenAI and Anthropic SDKs.
"""

from dataclasses import dataclass

import orjson

from localguard.wire.sse import encode

HEADERS = (("Content-Type", "application/json"), ("x-should-retry", "false"), ("Cache-Control", "no-store"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the guard did not pass a request on. Holds no raw value.

    `code` is the short name behind `localguard_`; `origin` says whose failure it is (guard, policy, agent, …).
    """

    status: int
    code: str
    rule: str
    reason: str
    next_step: str
    origin: str = "guard"

    def message(self, exchange: str) -> str:
        """The text that the agent shows: rule, reason, next step, and how to ask for more."""
        return (
            f"localguard refused this request ({self.rule}): {self.reason} {self.next_step} "
            f"More: localguard explain {exchange}"
        )


def render(shape: str, refusal: Refusal, exchange: str) -> bytes:
    """The body of a refusal in a provider's error shape (`openai`, `anthropic`, `ollama` or `gemini`)."""
    message = refusal.message(exchange)
    code = f"localguard_{refusal.code}"
    if shape == "anthropic":
        return orjson.dumps({"type": "error", "error": {"type": code, "message": message}, "request_id": exchange})
    if shape == "ollama":
        return orjson.dumps({"error": message})
    if shape == "gemini":
        return orjson.dumps({"error": {"code": refusal.status, "message": message, "status": code.upper()}})
    return orjson.dumps({"error": {"message": message, "type": code, "param": None, "code": code}})


def render_unknown_response(previous: str) -> bytes:
    """OpenAI's own not-found error for a `previous_response_id`, on which clients send the whole history."""
    return orjson.dumps(
        {
            "error": {
                "message": f"Previous response with id '{previous}' not found.",
                "type": "invalid_request_error",
                "param": "previous_response_id",
                "code": "previous_response_not_found",
            }
        }
    )


def render_event(format: str, shape: str, code: str, message: str, response_id: str | None) -> bytes:
    """Server-sent events that end a stream of wire format `format` with an error."""
    error: dict[str, object]
    if shape == "anthropic":
        return encode(orjson.dumps({"type": "error", "error": {"type": code, "message": message}}), "error")
    if format == "openai-responses":
        error = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": 0}
        # Codex reads no `error` event, the SDKs raise on it; both end their turn on this pair.
        failed: dict[str, object] = {
            "id": response_id,
            "object": "response",
            "status": "failed",
            "error": {"code": code, "message": message},
            "output": [],
        }
        event = {"type": "response.failed", "sequence_number": 1, "response": failed}
        return encode(orjson.dumps(error), "error") + encode(orjson.dumps(event), "response.failed")
    if shape == "gemini":
        return encode(orjson.dumps({"error": {"code": 502, "message": message, "status": code.upper()}}))
    return encode(orjson.dumps({"error": {"message": message, "type": code, "param": None, "code": code}}))
