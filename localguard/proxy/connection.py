"""One client connection: what HTTP it may speak, how long it may take, how its bodies are read and its replies written.

The rule of this file: aiohttp parses, this refuses what aiohttp lets pass or waits for. Nothing that a client sent goes into
a log line or an error text, because the parser's own messages quote the offending bytes.
"""

import asyncio
import logging
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import StreamReader, hdrs, web
from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.web_protocol import RequestPayloadError

from localguard.errors import LocalguardError
from localguard.proxy.admission import Head
from localguard.proxy.headers import EXCHANGE, text_headers

if TYPE_CHECKING:
    from localguard.proxy.server import ConnectionFactory

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may use. Times are seconds, sizes bytes."""

    header_bytes: int = 32 * 1024
    """All header lines of one request together."""
    header_count: int = 200
    line_bytes: int = 16 * 1024
    """The request line, and each header line."""
    header_timeout: float = 10.0
    """From the connection, or from the first byte of a further request, to the end of its header."""
    idle_timeout: float = 300.0
    """Between requests of one connection."""
    body_bytes: int = 64 * 1024 * 1024
    """A body as it arrives, and once more after its content coding is undone."""
    body_stall_timeout: float = 30.0
    """Without a byte of the body."""
    body_timeout: float = 120.0
    """For a whole body."""
    linger: float = 2.0
    """Spent on reading what a refused client still sends, so that it gets to read the refusal."""
    connections: int = 900
    """At once; 1,024 is the usual limit of open files, and each exchange may need a second one upstream."""


class BodyError(LocalguardError):
    """A request body could not be had; the connection is to be closed after the refusal."""


class BodyTooLarge(BodyError):
    """The body is longer than `Limits.body_bytes`."""


class BodyTimedOut(BodyError):
    """The body stalled, or took longer than `Limits.body_timeout`."""


class BodyIncomplete(BodyError):
    """The body's framing is broken, or the client went away before its end."""


class FramingRefused(LocalguardError):
    """The head of a request is not acceptable HTTP. `status` and `code` say how to answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def head_of(request: web.BaseRequest) -> Head:
    """Answer the head of `request` as it arrived. Raises HeaderNotText."""
    return Head(request.method, request.raw_path, text_headers(request.raw_headers))


def check_framing(request: web.BaseRequest, limits: Limits) -> None:
    """Refuse what the parser lets pass: see `tests/proxy/test_http.py` for who refuses what. Raises FramingRefused."""
    if sum(len(name) + len(value) + 4 for name, value in request.raw_headers) > limits.header_bytes:
        raise FramingRefused(431, "localguard_headers_too_large", "The request's headers are too large.")
    if request.version not in (HttpVersion10, HttpVersion11):
        raise FramingRefused(505, "localguard_http_version", "The guard speaks HTTP/1.1 and HTTP/1.0.")
    encodings = request.headers.getall(hdrs.TRANSFER_ENCODING, [])
    if encodings and (request.version == HttpVersion10 or [value.lower() for value in encodings] != ["chunked"]):
        raise FramingRefused(
            400, "localguard_framing", "Transfer-Encoding may only be `chunked`, and only in HTTP/1.1."
        )
    lengths = request.headers.getall(hdrs.CONTENT_LENGTH, [])
    if encodings and lengths:
        raise FramingRefused(400, "localguard_framing", "The request has both Content-Length and Transfer-Encoding.")
    if len(lengths) > 1 or not all(length.isascii() and length.isdigit() and len(length) < 19 for length in lengths):
        raise FramingRefused(400, "localguard_framing", "Content-Length is not one plain number.")
    expectations = request.headers.getall(hdrs.EXPECT, [])
    if any(value.lower() != "100-continue" for value in expectations):
        raise FramingRefused(417, "localguard_expectation", "The only expectation that can be met is 100-continue.")


async def read_body(request: web.BaseRequest, limits: Limits) -> bytes:
    """Read the whole body as it was sent (still content-coded), at most `limits.body_bytes`.

    A client that expects it is told to continue first. Raises BodyTooLarge (before reading, if Content-Length says so),
    BodyTimedOut or BodyIncomplete; the rest of the body is then not read, so the connection has to be closed.
    """
    declared = request.content_length
    if declared is not None and declared > limits.body_bytes:
        raise BodyTooLarge(f"the request body is larger than {limits.body_bytes} bytes")
    if not request.body_exists:
        return b""
    if request.headers.get(hdrs.EXPECT) and request.version == HttpVersion11 and not request.content.total_bytes:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer itself has been sent
    content = request.content
    if content.is_eof() and content.exception() is None:  # all of it is here already
        body = content.read_nowait()
        if len(body) > limits.body_bytes:
            raise BodyTooLarge(f"the request body is larger than {limits.body_bytes} bytes")
        return body
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_timeout):
            while True:
                async with asyncio.timeout(limits.body_stall_timeout):
                    chunk = await content.readany()
                if not chunk:
                    return b"".join(chunks)
                size += len(chunk)
                if size > limits.body_bytes:
                    raise BodyTooLarge(f"the request body is larger than {limits.body_bytes} bytes")
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTimedOut("the request body did not arrive in time") from None
    except (RequestPayloadError, web.PayloadAccessError, ConnectionError, RuntimeError) as error:
        raise BodyIncomplete("the request body is cut off or its framing is broken") from error


class Reply(web.StreamResponse):
    """A provider's reply on its way to the agent: status, reason and headers as given, nothing of aiohttp's added.

    `headers` come from `headers.reply_headers`. Use: `await reply.prepare(request)` sends the header at once, then
    `write` and `write_eof`; `whole` has it sent together with the body. Without a Content-Length the body is chunked
    (HTTP/1.0: ended by close).
    """

    def __init__(self, status: int, reason: str | None, headers: Iterable[tuple[str, str]]) -> None:
        super().__init__(status=status, reason=reason, headers=headers)
        given = {name.lower() for name in self.headers}
        self._not_ours = [name for name in (hdrs.SERVER, hdrs.CONTENT_TYPE) if name.lower() not in given]

    def whole(self, length: int) -> None:
        """Before `prepare`: the body is here, `length` bytes, so its header need not go ahead of it."""
        self.content_length = length
        self._send_headers_immediately = False

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        for name in self._not_ours:
            self.headers.popall(name, None)


def refusal(status: int, code: str, message: str, *, exchange: str | None = None, close: bool = True) -> web.Response:
    """Answer a refusal for a request whose wire format is not known: a shape that OpenAI's and Anthropic's clients both read.

    `exchange` is its id, where it has one. With `close` the connection ends after it.
    """
    error = {"type": code, "code": code, "message": _with_id(message, exchange), "param": None}
    headers = {"x-should-retry": "false"}
    if exchange is not None:
        headers[EXCHANGE] = exchange
    if status == 426:
        headers["Upgrade"] = "HTTP/1.1"
    response = web.Response(
        status=status,
        body=orjson.dumps({"type": "error", "error": error}),
        content_type="application/json",
        headers=headers,
    )
    if close:
        response.force_close()
    return response


def _with_id(message: str, exchange: str | None) -> str:
    return message if exchange is None else f"{message} More: localguard explain {exchange}"


def cut(request: web.BaseRequest) -> None:
    """End the connection under a reply that cannot be finished, so that the agent sees it as cut off, not as complete."""
    if request.transport is not None:
        request.transport.close()


def places(error: BaseException) -> str:
    """Say where `error` and its causes came from, by type, file and line, without their texts, which may hold values."""
    steps: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(steps) < 5:
        frames = traceback.extract_tb(cause.__traceback__)[-4:]
        where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
        steps.append(f"{type(cause).__name__} at {where or 'an unknown place'}")
        cause = cause.__cause__
    return ", caused by ".join(steps)


class GuardConnection(web.RequestHandler):
    """aiohttp's connection with a time limit for headers, a limit of connections, and no client's bytes in logs."""

    def __init__(self, manager: "ConnectionFactory", *, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=limits.idle_timeout,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None, its annotation does not say so
            logger=log,
            max_line_size=limits.line_bytes,
            max_field_size=limits.line_bytes,
            max_headers=limits.header_count,
            lingering_time=limits.linger,
            auto_decompress=False,
        )
        self._factory = manager
        self._limits = limits
        self._incoming: StreamReader | None = None
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the header's time, or turn the connection away if there are too many."""
        if len(self._factory.connections) >= self._limits.connections:
            self._answer_raw(transport, 503, "localguard_busy", "Too many connections to the guard are open.", "guard")
            return
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timers."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, and keep track of whether a header is under way."""
        seen = self._request_count
        between_requests = self._incoming is None or self._incoming.is_eof()
        super().data_received(data)
        if self._request_count > seen:
            self._stop_head_timer()
            self._incoming = self._messages[-1][1] if self._messages else None
        elif data and between_requests and not self._upgraded:
            self._start_head_timer()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self._loop.call_later(self._limits.header_timeout, self._head_overdue)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_overdue(self) -> None:
        self._head_timer = None
        if self._request_in_progress or self._messages:
            self.close()  # a pipelined header is late: the request before it is still answered
        elif self.transport is not None:
            self._answer_raw(
                self.transport, 408, "localguard_header_timeout", "The request's header did not arrive in time."
            )
            self.force_close()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what the parser or the handler could not cope with, without quoting it."""
        if request.writer.output_size > 0:
            raise ConnectionError("part of a reply has been sent already")
        if status >= 500:
            log.error("a request failed: %s", places(exc) if exc else "no exception")
            return self._refuse(
                500, "localguard_internal", "The guard failed on this request and did not pass it on.", "guard"
            )
        return self._refuse(400, "localguard_bad_request", "The request is not valid HTTP/1.1.")

    def _refuse(self, status: int, code: str, message: str, origin: str = "agent") -> web.Response:
        early = self._factory.early
        id = early.refused(status, code, message, None, origin) if early is not None else None
        return refusal(status, code, message, exchange=id)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log the place of an exception, not its text."""
        error = kw.get("exc_info")
        log.error("a connection failed: %s", places(error) if isinstance(error, BaseException) else args[0])

    def _answer_raw(
        self, transport: asyncio.BaseTransport, status: int, code: str, message: str, origin: str = "agent"
    ) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            answer = self._refuse(status, code, message, origin)
            body = answer.body
            assert isinstance(body, bytes)
            head = f"HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            if EXCHANGE in answer.headers:
                head += f"{EXCHANGE}: {answer.headers[EXCHANGE]}\r\n"
            transport.write(f"{head}x-should-retry: false\r\nConnection: close\r\n\r\n".encode("ascii") + body)
        transport.close()
