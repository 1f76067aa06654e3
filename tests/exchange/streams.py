"""Streamed replies of every wire format, made of pieces, and what an agent reads out of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from localguard.wire.chat import CHAT, COMPLETIONS
from localguard.wire.format import WireFormat
from localguard.wire.gemini import GEMINI
from localguard.wire.messages import MESSAGES
from localguard.wire.ollama import OLLAMA
from localguard.wire.responses import RESPONSES
from localguard.wire.sse import EventParser


def sse(events: Sequence[Any], *, named: bool = False, done: bool = False) -> bytes:
    """Events as server-sent events, spelled as providers do."""
    made = [
        (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event, separators=(',', ':'))}\n\n"
        for event in events
    ]
    return "".join([*made, "data: [DONE]\n\n" if done else ""]).encode()


def events_of(raw: bytes) -> list[Any]:
    """The parsed events of a stream of server-sent events, `[DONE]` as itself."""
    parser = EventParser()
    found = [*parser.feed(raw)]
    last = parser.finish()
    return [
        event.data.decode() if event.data == b"[DONE]" else json.loads(event.data)
        for event in [*found, *([last] if last else [])]
        if event.data
    ]


def lines_of(raw: bytes) -> list[Any]:
    return [json.loads(line) for line in raw.split(b"\n") if line.strip()]


Call = tuple[str, Sequence[str]]
"""Tool and the pieces of its arguments."""


def chat(pieces: Sequence[str], calls: Sequence[Call] = ()) -> bytes:
    def chunk(delta: Any, finish: str | None = None) -> Any:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice], "usage": None}

    events = [chunk({"role": "assistant", "content": ""})] + [chunk({"content": piece}) for piece in pieces]
    for index, (tool, _) in enumerate(calls):
        call = {"index": index, "id": f"call_{index}", "type": "function"}
        events.append(chunk({"tool_calls": [{**call, "function": {"name": tool, "arguments": ""}}]}))
    longest = max((len(arguments) for _, arguments in calls), default=0)
    for number in range(longest):  # interleaved
        for index, (_, arguments) in enumerate(calls):
            if number < len(arguments):
                piece = {"index": index, "function": {"arguments": arguments[number]}}
                events.append(chunk({"tool_calls": [piece]}))
    events.append(chunk({}, "tool_calls" if calls else "stop"))
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    return sse([*events, {"id": "c1", "model": "m-1", "choices": [], "usage": usage}], done=True)


def read_chat(raw: bytes) -> tuple[str, list[str]]:
    text = ""
    calls: dict[int, str] = {}
    for event in events_of(raw)[:-1]:
        for choice in event["choices"]:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", ()):
                calls[call["index"]] = calls.get(call["index"], "") + call["function"]["arguments"]
    return text, [calls[index] for index in sorted(calls)]


def completions(pieces: Sequence[str], calls: Sequence[Call] = ()) -> bytes:
    events = [
        {"id": "c", "model": "m-1", "choices": [{"index": 0, "text": piece, "logprobs": None}]} for piece in pieces
    ]
    usage = {"prompt_tokens": 6, "completion_tokens": 5}
    last = {"id": "c", "model": "m-1", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}], "usage": usage}
    return sse([*events, last], done=True)


def read_completions(raw: bytes) -> tuple[str, list[str]]:
    return "".join(event["choices"][0]["text"] for event in events_of(raw)[:-1]), []


def responses(pieces: Sequence[str], calls: Sequence[Call] = ()) -> bytes:
    text = "".join(pieces)
    events: list[Any] = [
        {"type": "response.created", "response": {"id": "resp_1", "model": "m-1", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "msg_1"}},
    ]
    at: Any = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events += [{"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []} for piece in pieces]
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "msg_1", "content": [part]}
    events += [
        {"type": "response.output_text.done", **at, "text": text},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
    ]
    output: list[Any] = [message]
    for index, (tool, _) in enumerate(calls, 1):
        item = {"type": "function_call", "id": f"fc_{index}", "call_id": f"call_{index}", "name": tool, "arguments": ""}
        events.append({"type": "response.output_item.added", "output_index": index, "item": item})
    longest = max((len(arguments) for _, arguments in calls), default=0)
    for number in range(longest):
        for index, (_, arguments) in enumerate(calls, 1):
            if number < len(arguments):
                kind = "response.function_call_arguments.delta"
                events.append({"type": kind, "output_index": index, "delta": arguments[number]})
    for index, (tool, arguments) in enumerate(calls, 1):
        item = {"type": "function_call", "id": f"fc_{index}", "call_id": f"call_{index}", "name": tool}
        item["arguments"] = "".join(arguments)
        kind = "response.function_call_arguments.done"
        events.append({"type": kind, "output_index": index, "arguments": "".join(arguments)})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        output.append(item)
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5}
    done = {"id": "resp_1", "model": "m-1", "status": "completed", "output": output, "usage": usage}
    events.append({"type": "response.completed", "response": done})
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    return sse(numbered, named=True)


def read_responses(raw: bytes) -> tuple[str, list[str]]:
    """Reads the deltas, and checks that every repetition of them agrees."""
    text = ""
    calls: dict[int, str] = {}
    for event in events_of(raw):
        kind, index = event["type"], event.get("output_index")
        if kind == "response.output_text.delta":
            text += event["delta"]
        elif kind == "response.function_call_arguments.delta":
            calls[index] = calls.get(index, "") + event["delta"]
        elif kind == "response.output_text.done":
            assert event["text"] == text
        elif kind == "response.content_part.done":
            assert event["part"]["text"] == text
        elif kind == "response.function_call_arguments.done":
            assert event["arguments"] == calls[index]
        elif kind == "response.output_item.done" and index:
            assert event["item"]["arguments"] == calls[index]
        elif kind == "response.completed":
            output = event["response"]["output"]
            assert output[0]["content"][0]["text"] == text
            assert [item["arguments"] for item in output[1:]] == [calls[key] for key in sorted(calls)]
    return text, [calls[key] for key in sorted(calls)]


def messages(pieces: Sequence[str], calls: Sequence[Call] = ()) -> bytes:
    usage = {"input_tokens": 6, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 1}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": [], "usage": usage}
    events: list[Any] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
    ]
    events += [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces
    ]
    for index, (tool, _) in enumerate(calls, 1):
        block = {"type": "tool_use", "id": f"toolu_{index}", "name": tool, "input": {}}
        events.append({"type": "content_block_start", "index": index, "content_block": block})
    events.append({"type": "content_block_stop", "index": 0})
    longest = max((len(arguments) for _, arguments in calls), default=0)
    for number in range(longest):
        for index, (_, arguments) in enumerate(calls, 1):
            if number < len(arguments):
                delta = {"type": "input_json_delta", "partial_json": arguments[number]}
                events.append({"type": "content_block_delta", "index": index, "delta": delta})
    events += [{"type": "content_block_stop", "index": index} for index, _ in enumerate(calls, 1)]
    events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}})
    return sse([*events, {"type": "message_stop"}], named=True)


def read_messages(raw: bytes) -> tuple[str, list[str]]:
    """Reads the deltas, and checks that none comes outside its block."""
    text, over = "", False
    calls: dict[int, str] = {}
    opened: set[int] = set()
    for event in events_of(raw):
        assert not over
        index = event.get("index")
        if event["type"] == "content_block_start":
            opened.add(index)
        elif event["type"] == "content_block_stop":
            opened.discard(index)
        elif event["type"] == "content_block_delta":
            assert index in opened
            if event["delta"]["type"] == "text_delta":
                text += event["delta"]["text"]
            else:
                calls[index] = calls.get(index, "") + event["delta"]["partial_json"]
        over = event["type"] == "message_stop"
    return text, [calls[index] for index in sorted(calls)]


def ollama(pieces: Sequence[str], calls: Sequence[Call] = ()) -> bytes:
    def line(message: Any) -> Any:
        return {"model": "m-1", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": False}

    lines = [line({"role": "assistant", "content": piece}) for piece in pieces]
    for tool, arguments in calls:
        call = {"function": {"name": tool, "arguments": json.loads("".join(arguments))}}
        lines.append(line({"role": "assistant", "content": "", "tool_calls": [call]}))
    last = line({"role": "assistant", "content": ""}) | {"done": True, "done_reason": "stop"}
    lines.append(last | {"prompt_eval_count": 6, "eval_count": 5, "total_duration": 1.0})
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in lines)


def read_ollama(raw: bytes) -> tuple[str, list[str]]:
    """Reads the lines, and checks that nothing comes after the last."""
    lines = lines_of(raw)
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    calls = [call for line in lines for call in line["message"].get("tool_calls", ())]
    text = "".join(line["message"]["content"] for line in lines)
    return text, [json.dumps(call["function"]["arguments"]) for call in calls]


def gemini(pieces: Sequence[str], calls: Sequence[Call] = ()) -> bytes:
    def event(*parts: Any, **candidate: Any) -> Any:
        return {"candidates": [{"content": {"role": "model", "parts": [*parts]}, "index": 0, **candidate}]}

    events = [event({"text": piece}) for piece in pieces]
    for tool, arguments in calls:
        call = {"name": tool, "args": json.loads("".join(arguments))}
        events.append(event({"functionCall": call, "thoughtSignature": "Zm9vYmFy" * 8}))
    usage = {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}
    last = event({"text": ""}, finishReason="STOP") | {"usageMetadata": usage, "modelVersion": "m-1"}
    return sse([*events, last])


def read_gemini(raw: bytes) -> tuple[str, list[str]]:
    text, calls = "", []
    for event in events_of(raw):
        for part in event["candidates"][0]["content"]["parts"]:
            text += part.get("text", "")
            if "functionCall" in part:
                calls.append(json.dumps(part["functionCall"]["args"]))
    return text, calls


@dataclass(frozen=True)
class Dialect:
    """How one format streams: its events made of pieces, and read again."""

    format: WireFormat
    make: Callable[..., bytes]
    read: Callable[[bytes], tuple[str, list[str]]]
    calls: bool = True


DIALECTS = {
    dialect.format.name: dialect
    for dialect in (
        Dialect(CHAT, chat, read_chat),
        Dialect(RESPONSES, responses, read_responses),
        Dialect(MESSAGES, messages, read_messages),
        Dialect(OLLAMA, ollama, read_ollama),
        Dialect(GEMINI, gemini, read_gemini),
        Dialect(COMPLETIONS, completions, read_completions, calls=False),
    )
}
