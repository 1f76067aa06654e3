"""A provider of our own for the demonstration: it answers like a chat model that edits the file it was shown."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECE = 7
"""Characters of a streamed fragment; short, so that every placeholder comes in pieces."""


class DemoProvider:
    """Serves Chat Completions on a free loopback port until closed; keeps the bytes of every request it got.

    `edit` is what the "model" does to the text of the last tool result.
    """

    def __init__(self, edit: Callable[[str], str]) -> None:
        self.seen: list[bytes] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                head = f"{self.requestline}\n{self.headers}".encode()
                provider.seen.append(head + body)
                reply = b"".join(_events(json.loads(body), edit))
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="demo-provider", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _events(request: dict[str, list[dict[str, str]]], edit: Callable[[str], str]) -> list[bytes]:
    """Return the stream of one tool call that writes the edited file, as OpenAI's reference describes it (read 2026-11)."""
    content = next(message["content"] for message in reversed(request["messages"]) if message["role"] == "tool")
    arguments = json.dumps({"path": ".env", "content": edit(content)})
    pieces = [arguments[start : start + _PIECE] for start in range(0, len(arguments), _PIECE)]
    opening = {"index": 0, "id": "call_2", "type": "function", "function": {"name": "write_file", "arguments": ""}}
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": None, "tool_calls": [opening]}]
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    chunks = [_chunk(delta, None) for delta in deltas] + [_chunk({}, "tool_calls")]
    return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


def _chunk(delta: dict[str, object], finish: str | None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-demo",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "demo",
        "choices": [choice],
    }
