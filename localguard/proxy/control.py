"""The guard's own addresses below `/-/`: health, challenge, control API and live events (design section 4).

The rule of this file: without the control token a caller learns that a guard is here, and nothing else. What the API can do
is a table of `Call`s; each room of the guard offers its own.
"""

import asyncio
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import orjson
from aiohttp import web

from localguard.config.home import Home, write_private
from localguard.errors import LocalguardError
from localguard.proxy.admission import AdmissionRefused, ControlCall
from localguard.proxy.connection import Limits, read_body
from localguard.proxy.control_answers import StatusView, Stopping
from localguard.proxy.control_client import NONCE_DIGITS, proof
from localguard.proxy.control_models import NothingBody
from localguard.proxy.feed import Feed, FellBehind, Reader, TooManyReaders
from localguard.proxy.headers import bare_credential, joined, query_parts

Model = TypeVar("Model", bound=msgspec.Struct)

_NONCE = re.compile(rf"[0-9a-f]{{{NONCE_DIGITS}}}")
_QUIET_SECONDS = 15.0  # a comment this often shows both ends that the other is still there
_GATHERED_SECONDS = 0.05  # events of this time go out together: a write for each costs traffic more than their making
_SLOWEST_SECONDS = 10.0  # a reader that takes nothing for so long is cut off
_RETRY_MS = 1000
_BODY = Limits(body_bytes=64 * 1024, body_stall_timeout=5.0, body_timeout=10.0)
_MOST_TEXT = 2000
"""Characters of one text that a caller may give."""


class ControlRefused(LocalguardError):
    """A control call cannot be done. `status` is its HTTP status; the message holds no content of a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a caller of the control API gave: the `{names}` of the path, the query's parameters, the body's JSON object."""

    request: web.BaseRequest
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    def queried(self, model: type[Model]) -> Model:
        """The query as `model` describes it. Raises ControlRefused (400)."""
        return _converted(self.query, model, strict=False)

    def said(self, model: type[Model]) -> Model:
        """The body as `model` describes it. Raises ControlRefused (400)."""
        return _converted(self.body, model, strict=True)

    def text(self, name: str, default: str | None = None) -> str:
        """A text of the body. Raises ControlRefused (400) where there is none and no default."""
        value = self.body.get(name, default)
        if not isinstance(value, str) or len(value) > _MOST_TEXT:
            raise ControlRefused(400, f"{name} must be a text of at most {_MOST_TEXT} characters.")
        return value

    def number(self, name: str, default: int | None = None, *, most: int) -> int:
        """A whole number of the body, from 1 to `most`. Raises ControlRefused (400)."""
        value = self.body.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise ControlRefused(400, f"{name} must be a whole number from 1 to {most}.")
        return value


@dataclass(frozen=True, slots=True)
class Call:
    """One address of the control API, below `/-/api`: `{name}` in `path` stands for one segment.

    `answer` gives the JSON object of the reply. It may raise ControlRefused. `query`, `takes` and `gives` are what the call is
    given and gives: by the first two every call is checked, and by all of them the API is described.
    """

    method: str
    path: str
    summary: str
    answer: Callable[[Arguments], Awaitable[Mapping[str, object]] | Mapping[str, object]]
    query: type[msgspec.Struct] | None = None
    takes: type[msgspec.Struct] | None = None
    gives: Any = None

    def matches(self, path: str) -> dict[str, str] | None:
        """The path's names and what stands for them; None if this is another address."""
        own, given = self.path.split("/"), path.split("/")
        if len(own) != len(given):
            return None
        names: dict[str, str] = {}
        for mine, theirs in zip(own, given, strict=True):
            if mine.startswith("{"):
                names[mine[1:-1]] = theirs
            elif mine != theirs:
                return None
        return names


Page = Callable[[web.BaseRequest, ControlCall], Awaitable[web.StreamResponse]]
"""Answers a browser. It may raise AdmissionRefused."""


class Control:
    """Answers control calls. A new token is written to the home's `control.token` (mode 0600) on construction.

    `status` answers the guard's own description, without any content; `stop` asks the guard to end. Raises OSError if the
    token cannot be written.
    """

    def __init__(
        self,
        home: Home,
        *,
        stop: Callable[[], object],
        status: Callable[[], Mapping[str, object]],
        feed: Feed | None = None,
        slowest: float = _SLOWEST_SECONDS,
    ) -> None:
        self._token = secrets.token_urlsafe(32)
        write_private(home.control_token, self._token.encode("ascii"))
        self._calls: tuple[Call, ...] = (
            Call("GET", "/status", "What the guard says of itself.", lambda _: status(), gives=StatusView),
            Call(
                "POST",
                "/stop",
                "Finish what runs, then end.",
                lambda _: _stopping(stop),
                takes=NothingBody,
                gives=Stopping,
            ),
            Call("GET", "/openapi.json", "This description.", lambda _: self.description(), gives=dict[str, Any]),
        )
        self.feed = feed or Feed()
        self._slowest = slowest
        self._described: tuple[int, Mapping[str, object]] | None = None
        self._pages: dict[str, Page] = {}

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
        if (shown := self._pages.get(call.path)) is not None:
            return await shown(request, call)
        self._check_token(call)
        if call.path == "/events":
            _only(request, "GET")
            return await self._stream(request)
        return await self._call(request, call)

    def show(self, path: str, page: Page) -> None:
        """Have a page answer at `path` below `/-`. Who may see it is the page's own matter: browsers have no control token."""
        self._pages[path] = page

    def description(self) -> Mapping[str, object]:
        """What this API can do, as an OpenAPI document."""
        if self._described is None or self._described[0] != len(self._calls):
            from localguard.proxy.openapi import description  # the types of all rooms, for the few who ask

            self._described = len(self._calls), description(self._calls)
        return self._described[1]

    def offer(self, *calls: Call) -> None:
        """Add to what the API can do."""
        self._calls += calls

    async def _call(self, request: web.BaseRequest, call: ControlCall) -> web.StreamResponse:
        found = [
            (one, names) for one in self._calls if (names := one.matches(call.path.removeprefix("/api"))) is not None
        ]
        if not call.path.startswith("/api/") or not found:
            raise AdmissionRefused(404, "localguard_no_such_call", "The control API has no such address.")
        _only(request, *(one.method for one, _ in found))
        one, names = next((one, names) for one, names in found if one.method == request.method)
        arguments = Arguments(request, names, dict(query_parts(call.query)), _object(await read_body(request, _BODY)))
        try:
            if one.query is not None:
                arguments.queried(one.query)
            if one.takes is not None:
                arguments.said(one.takes)
            answer = one.answer(arguments)
            return _json(answer if isinstance(answer, Mapping) else await answer)
        except ControlRefused as refused:
            raise AdmissionRefused(refused.status, "localguard_control_refused", f"{refused}") from None

    def publish(self, event: str, data: Mapping[str, object]) -> None:
        """Tell everybody who follows `/-/events`. Never waits. `data` must hold no content."""
        self.feed.publish(event, data)

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
        """Events as they come. The first, `ready`, says whether everything since `Last-Event-ID` follows; else read the state anew.

        A reader that does not keep up is cut off: it comes back with the id of its last event.
        """
        try:
            with self.feed.reader(request.headers.get("Last-Event-ID")) as reader:
                response = web.StreamResponse(
                    headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
                )
                await response.prepare(request)
                began = b'retry: %d\nid: %s\nevent: ready\ndata: {"resumed":%s}\n\n'
                resumed = b"true" if reader.resumed else b"false"
                await response.write(began % (_RETRY_MS, reader.last.encode(), resumed))
                with suppress(TimeoutError, FellBehind):
                    await self._follow(reader, response)
                if request.transport is not None:
                    request.transport.abort()  # what waits to be sent would wait for as long as nobody reads
                return response
        except TooManyReaders:
            raise AdmissionRefused(
                503, "localguard_too_many_readers", "Too many programs follow the guard's events; close some."
            ) from None

    async def _follow(self, reader: Reader, response: web.StreamResponse) -> None:
        """Write what comes until the reader hangs up (ConnectionError). Raises FellBehind or TimeoutError where it is too slow."""
        while True:
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    await reader.news.wait()
                await asyncio.sleep(_GATHERED_SECONDS)
            except TimeoutError:
                pass
            while True:
                async with asyncio.timeout(self._slowest):
                    await response.write(reader.take() or b": quiet\n\n")
                if not reader.news.is_set():
                    break


def _converted(given: Mapping[str, Any], model: type[Model], *, strict: bool) -> Model:
    try:
        return msgspec.convert(given, model, strict=strict)
    except msgspec.ValidationError as error:
        from localguard.proxy.misfit import told  # only for who gave something wrong

        raise ControlRefused(400, told(error, model)) from None


def _only(request: web.BaseRequest, *methods: str) -> None:
    if request.method not in methods:
        raise AdmissionRefused(405, "localguard_method_refused", f"This address takes {' or '.join(methods)} only.")


def _stopping(stop: Callable[[], object]) -> Mapping[str, object]:
    asyncio.get_running_loop().call_soon(stop)
    return {"stopping": True}


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise AdmissionRefused(400, "localguard_body_invalid", "The body of a control call is a JSON object.")
    return value


def _json(data: Mapping[str, Any]) -> web.Response:
    return web.Response(
        body=orjson.dumps(dict(data), default=str),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
