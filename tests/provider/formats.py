"""One turn of the model in each wire format: whole as an object, streamed as a list of events or lines."""

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from tests.provider.script import Asked, Call, Turn

_CREATED = 1_760_000_000
_SIGNATURE = "c2lnbmVkIGJ5IHRoZSBwcm92aWRlciwgbm90IGZvciBhbnlib2R5IGVsc2U"


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _data(event: object) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def _named(event: dict[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\n" + _data(event)


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _arguments(calls: tuple[Call, ...], size: int) -> Iterator[tuple[int, str]]:
    """The arguments of all calls in pieces, interleaved."""
    for row in zip_longest(*(_pieces(one.arguments, size) for one in calls)):
        yield from ((index, piece) for index, piece in enumerate(row) if piece is not None)


# Chat Completions


def chat_whole(turn: Turn, asked: Asked) -> dict[str, Any]:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None, "refusal": None}
    if turn.calls:
        message["tool_calls"] = [_chat_call(index, one) for index, one in enumerate(turn.calls)]
    return {
        "id": "chatcmpl-stub1",
        "object": "chat.completion",
        "created": _CREATED,
        "model": asked.body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if turn.calls else "stop"}],
        "usage": _chat_usage(),
        "an_unknown_field": 1.0,
    }


def _chat_call(index: int, one: Call, *, first: bool = False) -> dict[str, Any]:
    given = "" if first else one.arguments
    if one.custom:
        return {"id": f"call_{index}", "type": "custom", "custom": {"name": one.tool, "input": given}}
    return {"id": f"call_{index}", "type": "function", "function": {"name": one.tool, "arguments": given}}


def _chat_usage() -> dict[str, Any]:
    return {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 40},
    }


def chat_stream(turn: Turn, asked: Asked) -> list[bytes]:
    """The events of a streamed chat completion."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _data(
            {
                "id": "chatcmpl-stub1",
                "object": "chat.completion.chunk",
                "created": _CREATED,
                "model": asked.body.get("model"),
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
        )

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": piece}) for piece in _pieces(turn.text, turn.piece)]
    events += [
        chunk({"tool_calls": [{"index": index, **_chat_call(index, one, first=True)}]})
        for index, one in enumerate(turn.calls)
    ]
    for index, piece in _arguments(turn.calls, turn.piece):
        custom = turn.calls[index].custom
        part = {"custom": {"input": piece}} if custom else {"function": {"arguments": piece}}
        events.append(chunk({"tool_calls": [{"index": index, **part}]}))
    events.append(chunk({}, "tool_calls" if turn.calls else "stop"))
    if (asked.body.get("stream_options") or {}).get("include_usage"):
        last = {"id": "chatcmpl-stub1", "object": "chat.completion.chunk", "created": _CREATED, "choices": []}
        events.append(_data({**last, "model": asked.body.get("model"), "usage": _chat_usage()}))
    return [*events, b"data: [DONE]\n\n"]


def completions_whole(turn: Turn, asked: Asked) -> dict[str, Any]:
    """A legacy completion."""
    choice = {"index": 0, "text": turn.text, "finish_reason": "stop", "logprobs": None}
    return {
        "id": "cmpl-stub1",
        "object": "text_completion",
        "created": _CREATED,
        "model": asked.body.get("model"),
        "choices": [choice],
        "usage": _chat_usage(),
    }


def completions_stream(turn: Turn, asked: Asked) -> list[bytes]:
    """The events of a streamed legacy completion."""
    events = []
    for piece in [*_pieces(turn.text, turn.piece), ""]:
        choice = {"index": 0, "text": piece, "finish_reason": None if piece else "stop", "logprobs": None}
        one = {"id": "cmpl-stub1", "object": "text_completion", "created": _CREATED, "choices": [choice]}
        events.append(_data({**one, "model": asked.body.get("model")}))
    return [*events, b"data: [DONE]\n\n"]


# Responses


def _response_items(turn: Turn) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if turn.thinking:
        summary = [{"type": "summary_text", "text": turn.thinking}]
        items.append({"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": _SIGNATURE})
    if turn.text:
        part = {"type": "output_text", "text": turn.text, "annotations": []}
        items.append({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]})
    for index, one in enumerate(turn.calls):
        base = {"id": f"fc_{index}", "call_id": f"call_{index}", "name": one.tool, "status": "completed"}
        if one.custom:
            items.append({**base, "type": "custom_tool_call", "input": one.arguments})
        else:
            items.append({**base, "type": "function_call", "arguments": one.arguments})
    return items


def responses_whole(turn: Turn, asked: Asked, status: str = "completed") -> dict[str, Any]:
    """A response object."""
    done = status == "completed"
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 120,
    }
    return {
        "id": "resp_stub1",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.body.get("instructions"),
        "model": asked.body.get("model"),
        "output": _response_items(turn) if done else [],
        "parallel_tool_calls": True,
        "previous_response_id": asked.body.get("previous_response_id"),
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": asked.body.get("tools") or [],
        "top_p": 1.0,
        "metadata": {},
        "usage": usage if done else None,
    }


_EMPTY: dict[str, tuple[str, object]] = {
    "message": ("content", []),
    "reasoning": ("summary", []),
    "function_call": ("arguments", ""),
}


def responses_stream(turn: Turn, asked: Asked) -> list[bytes]:
    """The events of a streamed response."""
    made: list[dict[str, Any]] = []

    def event(kind: str, **members: object) -> None:
        made.append({"type": f"response.{kind}", "sequence_number": len(made), **members})

    event("created", response=responses_whole(turn, asked, "in_progress"))
    for number, item in enumerate(_response_items(turn)):
        at = {"output_index": number, "item_id": item["id"]}
        kind = item["type"]
        grows, empty = _EMPTY.get(kind, ("input", ""))
        event("output_item.added", output_index=number, item={**item, grows: empty})
        if kind == "message":
            part = {"type": "output_text", "annotations": []}
            event("content_part.added", **at, content_index=0, part={**part, "text": ""})
            for piece in _pieces(turn.text, turn.piece):
                event("output_text.delta", **at, content_index=0, delta=piece, logprobs=[])
            event("output_text.done", **at, content_index=0, text=turn.text, logprobs=[])
            event("content_part.done", **at, content_index=0, part={**part, "text": turn.text})
        elif kind == "reasoning":
            event("reasoning_summary_part.added", **at, summary_index=0, part={"type": "summary_text", "text": ""})
            for piece in _pieces(turn.thinking, turn.piece):
                event("reasoning_summary_text.delta", **at, summary_index=0, delta=piece)
            event("reasoning_summary_text.done", **at, summary_index=0, text=turn.thinking)
        else:
            stem, name = (
                ("function_call_arguments", "arguments")
                if kind == "function_call"
                else ("custom_tool_call_input", "input")
            )
            for piece in _pieces(item[name], turn.piece):
                event(f"{stem}.delta", **at, delta=piece)
            event(f"{stem}.done", **at, **{name: item[name]})
        event("output_item.done", output_index=number, item=item)
    event("completed", response=responses_whole(turn, asked))
    return [_named(one) for one in made]


# Messages


def _blocks(turn: Turn) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if turn.thinking:
        blocks.append({"type": "thinking", "thinking": turn.thinking, "signature": turn.signature or _SIGNATURE})
    if turn.text:
        blocks.append({"type": "text", "text": turn.text})
    for index, one in enumerate(turn.calls):
        blocks.append(
            {"type": "tool_use", "id": f"toolu_{index}", "name": one.tool, "input": json.loads(one.arguments)}
        )
    return blocks


def messages_whole(turn: Turn, asked: Asked) -> dict[str, Any]:
    """A message."""
    return {
        "id": "msg_stub1",
        "type": "message",
        "role": "assistant",
        "model": asked.body.get("model"),
        "content": _blocks(turn),
        "stop_reason": "tool_use" if turn.calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 60,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 40,
            "output_tokens": 20,
        },
    }


def messages_stream(turn: Turn, asked: Asked) -> list[bytes]:
    """The events of a streamed message."""
    whole = messages_whole(turn, asked)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    made: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    calls = iter(turn.calls)
    for index, block in enumerate(whole["content"]):
        at = {"index": index}
        kind = block["type"]
        empty: dict[str, Any] = {"thinking": "", "signature": ""} if kind == "thinking" else {"text": ""}
        empty = {"input": {}} if kind == "tool_use" else empty
        made.append({"type": "content_block_start", **at, "content_block": {**block, **empty}})
        pieces: list[dict[str, Any]]
        if kind == "text":
            pieces = [{"type": "text_delta", "text": piece} for piece in _pieces(turn.text, turn.piece)]
        elif kind == "thinking":
            pieces = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(turn.thinking, turn.piece)]
            pieces.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            arguments = ["", *_pieces(next(calls).arguments, turn.piece)]
            pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in arguments]
        made += [{"type": "content_block_delta", **at, "delta": piece} for piece in pieces]
        made.append({"type": "content_block_stop", **at})
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    made.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 20}})
    made.append({"type": "message_stop"})
    return [_named(one) for one in made]


# Ollama


def _ollama(asked: Asked, **members: object) -> dict[str, Any]:
    return {"model": asked.body.get("model"), "created_at": "2026-01-31T12:00:00.123456789Z", **members}


_OLLAMA_COUNTS = {
    "done_reason": "stop",
    "done": True,
    "total_duration": 5_043_500_667,
    "prompt_eval_count": 100,
    "eval_count": 20,
    "eval_duration": 4_709_213_000,
}


def _ollama_calls(turn: Turn) -> dict[str, Any]:
    calls = [{"function": {"name": one.tool, "arguments": json.loads(one.arguments)}} for one in turn.calls]
    return {"tool_calls": calls} if calls else {}


def ollama_whole(turn: Turn, asked: Asked) -> dict[str, Any]:
    """A chat or generate reply."""
    if "prompt" in asked.body:
        return _ollama(asked, response=turn.text, **_OLLAMA_COUNTS)
    message = {"role": "assistant", "content": turn.text, **_ollama_calls(turn)}
    return _ollama(asked, message=message, **_OLLAMA_COUNTS)


def ollama_stream(turn: Turn, asked: Asked) -> list[bytes]:
    """The lines of a streamed chat or generate reply."""
    if "prompt" in asked.body:
        pieces = [_ollama(asked, response=piece, done=False) for piece in _pieces(turn.text, turn.piece)]
        return [_line(one) for one in [*pieces, _ollama(asked, response="", **_OLLAMA_COUNTS)]]
    said = {"role": "assistant"}
    lines = [_ollama(asked, message={**said, "content": piece}, done=False) for piece in _pieces(turn.text, turn.piece)]
    if turn.calls:
        lines.append(_ollama(asked, message={**said, "content": "", **_ollama_calls(turn)}, done=False))
    lines.append(_ollama(asked, message={**said, "content": ""}, **_OLLAMA_COUNTS))
    return [_line(one) for one in lines]


WHOLE = {
    "chat": chat_whole,
    "completions": completions_whole,
    "responses": responses_whole,
    "messages": messages_whole,
    "ollama": ollama_whole,
}
STREAM = {
    "chat": chat_stream,
    "completions": completions_stream,
    "responses": responses_stream,
    "messages": messages_stream,
    "ollama": ollama_stream,
}


def error_event(format: str) -> bytes:
    """An error in the middle of a stream, as the provider of this format sends it."""
    if format == "ollama":
        return _line({"error": "the model runner has stopped"})
    if format == "messages":
        return _named({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    if format == "responses":
        return _named(
            {"type": "error", "sequence_number": 3, "code": "server_error", "message": "Overloaded", "param": None}
        )
    return _data({"error": {"message": "Overloaded", "type": "server_error", "param": None, "code": None}})
