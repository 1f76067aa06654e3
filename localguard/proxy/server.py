"""The guard's own port: bound to this machine only, exclusively, and closed without dropping running requests."""

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Awaitable, Callable

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from localguard.config.agents import agent_of
from localguard.errors import LocalguardError
from localguard.proxy.admission import AdmissionRefused
from localguard.proxy.connection import (
    BodyError,
    BodyTooLarge,
    FramingRefused,
    GuardConnection,
    Limits,
    check_framing,
    cut,
    places,
    refusal,
)
from localguard.proxy.early_refusals import EarlyRefusals
from localguard.proxy.headers import HeaderNotText

log = logging.getLogger(__name__)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Answers one request. It is cancelled when the client hangs up."""

_BACKLOG = 512
_ENDLESS = "/-/events"  # nobody waits for its end


class PortInUse(LocalguardError):
    """Another process listens on the guard's port, on 127.0.0.1 or ::1."""


class GuardServer:
    """Listens on 127.0.0.1 and ::1 and hands every well-formed request to `handler`.

    Requests with broken framing never reach the handler. AdmissionRefused and BodyError raised by it are rendered here in a
    neutral shape, so a handler needs to catch only what it can render better; anything else becomes a 500 that quotes
    nothing, or cuts a reply that has begun.
    """

    def __init__(self, handler: Handler, *, port: int, limits: Limits | None = None) -> None:
        self._handler = handler
        self._asked_port = port
        self._limits = limits or Limits()
        self._sockets: list[socket.socket] = []
        self._listeners: list[asyncio.Server] = []
        self._factory: ConnectionFactory | None = None
        self.early: EarlyRefusals | None = None
        """Records what is refused before it is anybody's exchange, and gives it an id; nothing is recorded where there is none."""
        self._running = 0
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def port(self) -> int:
        """The port in use; the one chosen by the system if 0 was asked for. Valid after `start` or `bind`."""
        port: int = self._sockets[0].getsockname()[1]
        return port

    @property
    def limits(self) -> Limits:
        """What one client may use."""
        return self._limits

    @property
    def running(self) -> int:
        """Requests being answered now."""
        return self._running

    def bind(self) -> None:
        """Take the port without serving yet. Raises PortInUse, or OSError if the port may not be used at all."""
        if not self._sockets:
            self._sockets = bind_loopback(self._asked_port)

    async def start(self) -> None:
        """Serve from now on. Raises as `bind` does."""
        self.bind()
        loop = asyncio.get_running_loop()
        self._factory = ConnectionFactory(self._serve, self._limits, self.early)
        self._listeners = [
            await loop.create_server(self._factory, sock=sock, backlog=_BACKLOG) for sock in self._sockets
        ]

    async def close(self, *, grace: float = 5.0) -> None:
        """Stop listening, let running requests finish for `grace` seconds, then cancel them."""
        self._closing = True
        for listener in self._listeners:
            listener.close()
        for sock in self._sockets:
            sock.close()
        if self._factory is None:
            return
        for connection in self._factory.connections:
            if connection._current_request is None and not connection._messages:
                connection.close()
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
                await asyncio.sleep(0)  # let the last answer go out before its connection is closed
        except TimeoutError:
            log.warning("%d requests were still running at the end of the grace time", self._running)
        await self._factory.shutdown(0.5)
        self._factory = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.startswith(_ENDLESS):
            return await self._answer(request)
        self._running += 1
        self._idle.clear()
        try:
            return await self._answer(request)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
            if self._closing and request.protocol is not None:
                request.protocol.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            check_framing(request, self._limits)
            return await self._handler(request)
        except (FramingRefused, AdmissionRefused) as refused:
            why = refused.status, refused.code, refused.message
        except HeaderNotText:
            why = 400, "localguard_header_invalid", "A header of the request is not valid UTF-8."
        except BodyTooLarge as error:
            why = 400, "localguard_body_too_large", f"{error}; the limit can be raised in the configuration."
        except BodyError as error:
            why = 400, "localguard_body_incomplete", f"{error}."
        except ConnectionError:
            raise  # the client has gone
        except Exception as error:
            log.error("a request failed: %s", places(error))
            why = 500, "localguard_internal", "The guard failed on this request; see its log."
        if request.writer.output_size > 0:
            cut(request)
            raise ConnectionError("part of a reply has been sent already")
        return self._refused(request, *why)

    def _refused(self, request: web.BaseRequest, status: int, code: str, message: str) -> web.Response:
        """The answer, with an id that can be explained; what is said to the guard's own tools below `/-/` is no exchange."""
        from localguard.proxy.refusals import (
            status_for,  # it knows all parts of the guard, which are not there at first
        )

        named = request.headers.get("User-Agent")
        agent, _ = agent_of(named, None)
        status = status_for(agent, status)
        id = None
        if self.early is not None and not request.raw_path.startswith("/-/"):
            id = self.early.refused(status, code, message, named, "guard" if status >= 500 else "agent")
        return refusal(status, code, message, exchange=id)


class ConnectionFactory(web.Server):
    """aiohttp's server with the guard's own connections."""

    def __init__(self, handler: Handler, limits: Limits, early: EarlyRefusals | None) -> None:
        super().__init__(handler, handler_cancellation=True, request_factory=self._request)
        self._limits = limits
        self.early = early

    def __call__(self) -> GuardConnection:
        """Answer the protocol for one new connection."""
        return GuardConnection(self, loop=self._loop, limits=self._limits)

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        # Two faults of aiohttp's C parser (3.14.5) end with the connection: the last trailer of a chunked body is taken for
        # the first header of the next request, and what follows a declined upgrade in the same packet is lost.
        if message.chunked or message.upgrade:
            message = message._replace(should_close=True)
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop)


def bind_loopback(port: int) -> list[socket.socket]:
    """Bind 127.0.0.1 and, where the machine has it, ::1, on the same port, to nobody else's exclusion but ours.

    Port 0 asks for any port that is free on both. Raises PortInUse if either address is taken: whoever holds ::1 would get
    what clients send to `localhost`.
    """
    for _ in range(20):
        first = _bound(socket.AF_INET, "127.0.0.1", port)
        try:
            return [first, _bound(socket.AF_INET6, "::1", first.getsockname()[1])]
        except PortInUse:
            first.close()
            if port:
                raise
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
                return [first]
            first.close()
            raise
    raise PortInUse("no port is free on both 127.0.0.1 and ::1")


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # skips the wait after our own last stop; two listeners on one port need SO_REUSEPORT, which is never set
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE or getattr(error, "winerror", None) == 10013:
            raise PortInUse(
                f"port {port} on {host} is in use; stop what listens there or choose another with --port"
            ) from None
        raise
    sock.setblocking(False)
    return sock
