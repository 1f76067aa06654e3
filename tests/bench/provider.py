"""A provider stub in a process of its own: reads the body, keeps the last one, answers at once or streams on request.

`x-bench-chunks: N` asks for an event stream of N events, `x-bench-interval: MS` for that pause between them. Every event
carries the time when it was sent (`sent`, nanoseconds of the machine's monotonic clock), so that a client on the same
machine can tell how long the event was on its way.
"""

import asyncio
import sys
import time

import orjson
from aiohttp import web

_WORDS = ("the", "parser", "reads", "each", "line", "and", "keeps", "the", "offset", "of", "its", "first", "token")


class Provider:
    """Answers any POST like a chat provider; `GET /last` gives the last body that came."""

    def __init__(self) -> None:
        self._last = b"{}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.method == "GET":
            return web.Response(body=self._last)
        self._last = await request.read()
        if "x-bench-chunks" not in request.headers:
            return web.Response(body=_WHOLE, content_type="application/json")
        chunks = int(request.headers["x-bench-chunks"])
        interval = float(request.headers.get("x-bench-interval", "0")) / 1000
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        began = time.monotonic()
        for number in range(chunks):
            if interval:
                await asyncio.sleep(max(0.0, began + number * interval - time.monotonic()))
            await response.write(b"data: " + orjson.dumps(_event(number)) + b"\n\n")
        await response.write(b"data: " + orjson.dumps(_LAST) + b"\n\ndata: [DONE]\n\n")
        return response


def _event(number: int) -> dict[str, object]:
    delta = {"content": " " + _WORDS[number % len(_WORDS)]}
    return {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "bench-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        "sent": time.monotonic_ns(),
    }


_LAST = {
    "id": "chatcmpl-bench",
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
}
_WHOLE = orjson.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "model": "bench-1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": " ".join(_WORDS)}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }
)


def main() -> None:
    """Serve on the port given as the only argument until killed."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", Provider().handle)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
