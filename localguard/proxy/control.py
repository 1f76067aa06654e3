"""The guard's own addresses below `/-/`: health, challenge, control API and live events (design section 4).

The rule of this file: without the control token a caller learns that a guard is here, and nothing else.
"""

import asyncio
import hmac
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from aiohttp import web

from localguard.config.home import Home, write_private
from localguard.proxy.admission import AdmissionRefused, ControlCall
from localguard.proxy.control_client import NONCE_DIGITS, proof
from localguard.proxy.headers import bare_credential, joined, query_parts

_NONCE = re.compile(rf"[0-9a-f]{{{NONCE_DIGITS}}}")
_MOST_EXCHANGES = 1000
_WAITING_EVENTS = 1000
_QUIET_SECONDS = 15.0  # a comment this often shows both ends that the other is still there


class Control:
    """Answers control calls. A new token is written to the home's `control.token` (mode 0600) on construction.

    `status` answers the guard's own description, `exchanges` its latest exchanges, oldest first, both without any content;
    `stop` asks the guard to end. Raises OSError if the token cannot be written.
    """

    def __init__(
        self,
        home: Home,
        *,
        stop: Callable[[], object],
        status: Callable[[], Mapping[str, object]],
        exchanges: Callable[[], Iterable[Mapping[str, object]]],
    ) -> None:
        self._token = secrets.token_urlsafe(32)
        write_private(home.control_token, self._token.encode("ascii"))
        self._stop = stop
        self._status = status
        self._exchanges = exchanges
        self._listeners: set[asyncio.Queue[tuple[str, bytes]]] = set()
        self._lost: dict[asyncio.Queue[tuple[str, bytes]], int] = {}

    @property
    def token(self) -> str:
        """The control token; a known value that is redacted wherever it turns up."""
        return self._token

    async def answer(self, request: web.BaseRequest, call: ControlCall) -> web.StreamResponse:
        """Answer one call that admission has let pass. Raises AdmissionRefused (404, 405, 400, 403)."""
        if call.path == "/healthz":
            _only(request, "GET", "HEAD")
            return _json({"status": "ok"})
        if call.path == "/challenge":
            _only(request, "GET")
            return self._prove(request, call)
        self._check_token(call)
        if call.path == "/api/status":
            _only(request, "GET")
            return _json(self._status())
        if call.path == "/api/exchanges":
            _only(request, "GET")
            return _json({"exchanges": _last(self._exchanges(), _limit(call))})
        if call.path == "/api/stop":
            _only(request, "POST")
            asyncio.get_running_loop().call_soon(self._stop)
            return _json({"stopping": True})
        if call.path == "/events":
            _only(request, "GET")
            return await self._stream(request)
        raise AdmissionRefused(404, "localguard_no_such_call", "The control API has no such address.")

    def publish(self, event: str, data: Mapping[str, object]) -> None:
        """Tell everybody who listens on `/-/events`. `data` must hold no content.

        Never waits: a listener that does not keep up loses events, and is told how many by an event `lost`.
        """
        if not self._listeners:
            return
        packed = orjson.dumps(dict(data), default=str)
        for queue in self._listeners:
            try:
                queue.put_nowait((event, packed))
            except asyncio.QueueFull:
                self._lost[queue] = self._lost.get(queue, 0) + 1

    def _prove(self, request: web.BaseRequest, call: ControlCall) -> web.Response:
        nonces = [value for name, value in query_parts(call.query) if name == "nonce"]
        if len(nonces) != 1 or not _NONCE.fullmatch(nonces[0]):
            raise AdmissionRefused(
                400, "localguard_nonce_invalid", f"The challenge needs one nonce of {NONCE_DIGITS} hexadecimal digits."
            )
        name = request.transport.get_extra_info("sockname") if request.transport is not None else None
        if name is None:
            raise ConnectionError("the client has gone")
        return _json({"proof": proof(self._token, nonces[0], name[1])})

    def _check_token(self, call: ControlCall) -> None:
        given = bare_credential(joined(call.headers, "authorization") or "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode("ascii")):
            raise AdmissionRefused(
                403, "localguard_control_token", "The control API needs the token of this guard's home."
            )

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_WAITING_EVENTS)
        self._listeners.add(queue)
        try:
            await response.prepare(request)
            await response.write(b": listening\n\n")
            while True:
                try:
                    async with asyncio.timeout(_QUIET_SECONDS):
                        event, data = await queue.get()
                except TimeoutError:
                    await response.write(b": quiet\n\n")
                    continue
                await response.write(b"event: %s\ndata: %s\n\n" % (event.encode(), data))
                if lost := self._lost.pop(queue, 0):
                    await response.write(b'event: lost\ndata: {"events":%d}\n\n' % lost)
        finally:
            self._listeners.discard(queue)
            self._lost.pop(queue, None)


def _only(request: web.BaseRequest, *methods: str) -> None:
    if request.method not in methods:
        raise AdmissionRefused(405, "localguard_method_refused", f"This address takes {' or '.join(methods)} only.")


def _limit(call: ControlCall) -> int:
    given = dict(query_parts(call.query)).get("limit", "50")
    if not given.isascii() or not given.isdigit() or len(given) > 6:
        raise AdmissionRefused(400, "localguard_limit_invalid", "limit is not a number.")
    return min(int(given), _MOST_EXCHANGES)


def _last(exchanges: Iterable[Mapping[str, object]], limit: int) -> list[Mapping[str, object]]:
    return list(deque(exchanges, maxlen=limit))


def _json(data: Mapping[str, Any]) -> web.Response:
    return web.Response(
        body=orjson.dumps(dict(data), default=str),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
