"""The provider as a server on a free loopback port, in a thread of its own. Every request is kept as it came."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.provider.formats import STREAM, WHOLE, error_event
from tests.provider.script import Answer, Brain, Turn, read

_FORMATS = (
    ("/chat/completions", "chat"),
    ("/responses", "responses"),
    ("/messages", "messages"),
    ("/completions", "completions"),
    ("/api/chat", "ollama"),
    ("/api/generate", "ollama"),
)
MODELS = {"object": "list", "data": [{"id": "stub-1", "object": "model", "created": 1, "owned_by": "stub"}]}
_ANTHROPIC_MODEL = {"type": "model", "id": "stub-1", "display_name": "Stub", "created_at": "2026-01-01T00:00:00Z"}
_SIDE_CALLS: dict[str, object] = {
    "/api/tags": {"models": [{"model": "stub-1", "name": "stub-1", "size": 1, "digest": "0" * 64}]},
    "/api/version": {"version": "0.99.0"},
    "/api/show": {"details": {"family": "stub", "quantization_level": "Q4_0"}, "capabilities": ["tools"]},
    "/api/ps": {"models": []},
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it came. `target` is path and query, still encoded; `headers` are in wire order."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The value of the first header of this name (lower case)."""
        return next((value for given, value in self.headers if given.lower() == name), None)

    @property
    def everything(self) -> bytes:
        """All that an upstream sees of a request, to be searched."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"{self.method} {self.target}\r\n{head}\r\n".encode() + self.body


class Provider:
    """A running provider. `brain` decides what the model says; `requests` is what was asked; `reply_headers` go with all replies.

    `slice` writes streams in pieces of that many bytes instead of one event at a time. In the middle of a stream the
    first event of `pause` is set and the second waited for.
    """

    def __init__(self) -> None:
        self.reset()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="provider", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the provider does not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Recorded:
        """The newest request."""
        return self.requests[-1]

    @property
    def content(self) -> list[Recorded]:
        """The requests that carry content."""
        return [one for one in self.requests if one.body]

    def reset(self) -> None:
        """Forget what was asked and how to answer."""
        self.requests: list[Recorded] = []
        self.brain: Brain = lambda asked: Turn(text=f"You said: {asked.user}")
        self.reply_headers: tuple[tuple[str, str], ...] = ()
        self.slice: int | None = None
        self.pause: tuple[threading.Event, threading.Event] | None = None
        self.side_answer: Callable[[Recorded], Answer | None] = lambda recorded: None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = tuple((name.decode("latin-1"), value.decode()) for name, value in request.raw_headers)
        recorded = Recorded(request.method, request.raw_path, headers, await request.read())
        self.requests.append(recorded)
        answer = self.side_answer(recorded)
        if answer is not None:
            return self._given(answer)
        path = recorded.path
        if path.endswith("/count_tokens"):
            return self._json({"input_tokens": 42})
        format = next((name for end, name in _FORMATS if path.endswith(end)), None)
        if format is None or request.method != "POST":
            return self._side_call(recorded)
        asked = read(format, recorded.json)
        turn = self.brain(asked)
        if isinstance(turn, Answer):
            return self._given(turn)
        if not asked.streams:
            body = json.dumps(WHOLE[format](turn, asked), ensure_ascii=False).encode()
            return await self._cut(request, body) if turn.cut is not None else self._json(body)
        return await self._stream(request, turn, STREAM[format](turn, asked), format)

    def _given(self, answer: Answer) -> web.Response:
        return web.Response(status=answer.status, body=answer.body, headers=[*answer.headers, *self.reply_headers])

    def _json(self, value: object) -> web.Response:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return web.Response(body=body, headers=[("Content-Type", "application/json"), *self.reply_headers])

    def _side_call(self, recorded: Recorded) -> web.Response:
        path = recorded.path
        if path in _SIDE_CALLS:
            return self._json(_SIDE_CALLS[path])
        if path.endswith("/embeddings"):
            given = recorded.json["input"]
            count = len(given) if isinstance(given, list) else 1
            vectors = [{"object": "embedding", "index": n, "embedding": [0.25, -1.0, 1e-7]} for n in range(count)]
            usage = {"prompt_tokens": 3, "total_tokens": 3}
            return self._json({"object": "list", "model": "stub-1", "data": vectors, "usage": usage})
        if path == "/api/embed":
            return self._json({"model": "stub-1", "embeddings": [[0.25, -1.0, 1e-7]], "prompt_eval_count": 3})
        if path.endswith("/models"):
            anthropic = recorded.header("anthropic-version") is not None
            return self._json({"data": [_ANTHROPIC_MODEL], "has_more": False} if anthropic else MODELS)
        if path == "/":
            return web.Response()
        return web.Response(status=404, body=b'{"error":{"message":"no such path"}}', content_type="application/json")

    async def _cut(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers=[("Content-Type", "application/json"), *self.reply_headers])
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    async def _stream(
        self, request: web.BaseRequest, turn: Turn, parts: list[bytes], format: str
    ) -> web.StreamResponse:
        kind = "application/x-ndjson" if format == "ollama" else "text/event-stream; charset=utf-8"
        response = web.StreamResponse(headers=[("Content-Type", kind), *self.reply_headers])
        await response.prepare(request)
        if turn.error_after is not None:
            parts = [*parts[: turn.error_after], error_event(format)]
        if turn.cut is not None:
            parts = parts[: turn.cut]
        if self.slice is not None:
            whole = b"".join(parts)
            parts = [whole[start : start + self.slice] for start in range(0, len(whole), self.slice)]
        with contextlib.suppress(ConnectionError):
            for number, part in enumerate(parts):
                if number == 2 and self.pause is not None:
                    self.pause[0].set()
                    await asyncio.to_thread(self.pause[1].wait, 30)
                await response.write(part)
                await asyncio.sleep(0)
            if turn.cut is not None:
                await asyncio.sleep(0.05)
                assert request.transport is not None
                request.transport.close()
            else:
                await response.write_eof()
        return response
