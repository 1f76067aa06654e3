"""The floor: the least that a proxy that reads JSON can do with aiohttp. Parses and re-serialises, guards nothing."""

import sys

import aiohttp
import orjson
from aiohttp import web

_HOP = frozenset({"host", "content-length", "transfer-encoding", "connection", "keep-alive"})


class Floor:
    """Passes every request on to one provider."""

    def __init__(self, upstream: int) -> None:
        self._base = f"http://127.0.0.1:{upstream}"
        self._session: aiohttp.ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), auto_decompress=False, timeout=aiohttp.ClientTimeout(None)
            )
        body = await request.read()
        if body:
            body = orjson.dumps(orjson.loads(body))
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP]
        async with self._session.request(
            request.method, self._base + request.path_qs, data=body, headers=headers
        ) as got:
            passed = [(name, value) for name, value in got.headers.items() if name.lower() not in _HOP]
            if not got.content_type.startswith("text/event-stream"):
                whole = orjson.dumps(orjson.loads(await got.read()))
                return web.Response(status=got.status, body=whole, headers=passed)
            response = web.StreamResponse(status=got.status, headers=passed)
            await response.prepare(request)
            rest = b""
            async for chunk in got.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                if lines:
                    await response.write(b"".join(_line(line) for line in lines))
            if rest:
                await response.write(_line(rest))
            return response

    async def close(self, _: web.Application) -> None:
        """Close the connections to the provider."""
        if self._session is not None:
            await self._session.close()


def _line(line: bytes) -> bytes:
    if line.startswith(b"data: {"):
        return b"data: " + orjson.dumps(orjson.loads(line[6:])) + b"\n"
    return line + b"\n"


def main() -> None:
    """`floor.py PORT UPSTREAM_PORT`: serve until killed."""
    app = web.Application(client_max_size=1 << 30)
    floor = Floor(int(sys.argv[2]))
    app.router.add_route("*", "/{path:.*}", floor.handle)
    app.on_cleanup.append(floor.close)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
