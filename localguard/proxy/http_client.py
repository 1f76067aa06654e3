"""One HTTP/1.1 request over a connection of aiohttp's connector, read by its parser, without its session.

The rule of this file: the bytes that are given go out, the bytes that come are given. A session may also follow, retry,
merge, trace and remember; none of it is wanted here, and finding that out took a quarter of a small request's time. What
keeps connections apart, resolves names, checks certificates and refuses control characters in headers is aiohttp's.
"""

import asyncio
import ssl
from collections.abc import Iterable

import aiohttp
from aiohttp import ClientRequest, StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage, StreamWriter
from multidict import CIMultiDict
from yarl import URL

_AT_ONCE = 64 * 1024
"""Bytes of a body that are handed to the transport with the head; a longer one is written while the reply may come."""
_SLICE = 256 * 1024
_BUFFER = 256 * 1024
_LINE = 64 * 1024
_MAX_HEADERS = 512
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods of which a second request does no harm (RFC 9110 section 9.2.2): a kept-alive connection may just have ended."""


class Origin:
    """Scheme, host and port of URLs, with the TLS context for `https`: what a connection is for.

    Lives in the running event loop. Raises aiohttp.InvalidURL or ValueError for what is no origin.
    """

    def __init__(self, spelled: str, tls: ssl.SSLContext | None) -> None:
        self.url = URL(spelled, encoded=True)
        self.tls = tls
        self.host = self.url.host_port_subcomponent or ""
        self.asking = ClientRequest("GET", self.url, loop=asyncio.get_running_loop(), ssl=True if tls is None else tls)
        """What the connector wants to know; nothing of it is sent."""


class Received:
    """The head of a reply, and its body as it comes. `close` it: what is not read then is dropped with its connection."""

    def __init__(
        self,
        message: RawResponseMessage,
        content: StreamReader,
        connection: Connection,
        protocol: ResponseHandler,
        writing: "asyncio.Task[None] | None",
    ) -> None:
        self.status: int = message.code
        self.reason: str | None = message.reason
        self.headers = message.headers
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = message.raw_headers
        self.content = content
        self._protocol = protocol
        self._connection: Connection | None = connection
        self._writing = writing
        content.on_eof(self._all_here)

    @property
    def lost(self) -> bool:
        """Whether the connection ended by an error; known after aiohttp has let go of it, too."""
        error = self._protocol.exception()
        return isinstance(error, OSError) and not isinstance(error, aiohttp.ServerDisconnectedError)

    def close(self) -> None:
        """Drop the connection, unless all of the reply was here and it has gone back."""
        connection, self._connection = self._connection, None
        if self._writing is not None:
            self._writing.cancel()
        if connection is not None:
            connection.close()

    def _all_here(self) -> None:
        if self._connection is None:
            return
        if self._writing is not None and not self._writing.done():
            self.close()  # answered before all was sent: the rest of the request is no next one
            return
        connection, self._connection = self._connection, None
        connection.release()


async def ask(
    connector: aiohttp.BaseConnector,
    origin: Origin,
    times: aiohttp.ClientTimeout,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    body: bytes | None,
) -> Received:
    """Send a request and answer its reply as soon as the head of it is here. `target` is the raw path with query.

    Headers go out as given, with order, case and duplicates; `Host` goes before them. Raises ValueError for a control
    character in one, and aiohttp's errors, TimeoutError and OSError. Cancelling closes the connection.
    """
    fields: CIMultiDict[str] = CIMultiDict([("Host", origin.host), *headers])
    again = method in _REPEATABLE
    while True:
        try:
            connection = await connector.connect(origin.asking, [], times)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError("connecting took too long") from None
        try:
            return await _ask(connection, times, f"{method} {target} HTTP/1.1", fields, body, method == "HEAD")
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            connection.close()
            if not again:
                raise
            again = False
        except BaseException:
            connection.close()
            raise


async def _ask(
    connection: Connection,
    times: aiohttp.ClientTimeout,
    first_line: str,
    fields: "CIMultiDict[str]",
    body: bytes | None,
    bodiless: bool,
) -> Received:
    protocol = connection.protocol
    assert protocol is not None
    protocol.set_response_params(
        skip_payload=bodiless,
        read_until_eof=True,
        auto_decompress=False,
        read_timeout=times.sock_read,
        read_bufsize=_BUFFER,
        max_line_size=_LINE,
        max_field_size=_LINE,
        max_headers=_MAX_HEADERS,
    )
    loop = asyncio.get_running_loop()
    writer = StreamWriter(protocol, loop)
    await writer.write_headers(first_line, fields)
    writing: asyncio.Task[None] | None = None
    if body is None or len(body) <= _AT_ONCE:
        if body:
            await writer.write(body, drain=False)
        else:
            writer.send_headers()
        protocol.start_timeout()
    else:
        writing = loop.create_task(_write(writer, protocol, body))
    try:
        message, content = await protocol.read()
        while 100 <= message.code < 200 and message.code != 101:
            message, content = await protocol.read()
    except BaseException:
        if writing is not None:
            writing.cancel()
        raise
    return Received(message, content, connection, protocol, writing)


async def _write(writer: StreamWriter, protocol: ResponseHandler, body: bytes) -> None:
    """A long body in slices, so that it neither holds the event loop up nor is copied.

    Who waits for the reply is told of a failure, unless the reply is here: it may say why the provider reads no further.
    """
    view = memoryview(body)
    try:
        for start in range(0, len(view), _SLICE):
            await writer.write(view[start : start + _SLICE])
        await writer.drain()
    except (aiohttp.ClientError, OSError) as error:
        protocol.set_exception(aiohttp.ClientConnectionError("the request could not be sent"), error)
    else:
        protocol.start_timeout()
