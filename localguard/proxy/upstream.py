"""Connections to providers: exactly our bytes out, exactly their bytes in, and only where an endpoint may connect.

The rule of this file: nothing is decided, added or repaired here. No redirect is followed, no cookie kept, no proxy of the
environment used, no content decoded; a reply that ends too early is an error and never a shorter reply.

What it cannot tell: whether a reply without length that the provider ended by an orderly close is whole
(`UpstreamReply.close_delimited` says so; the wire format's own end mark decides).
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import truststore
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http import HttpProcessingError
from yarl import URL

from localguard.errors import LocalguardError
from localguard.proxy.http_client import Origin, Received, ask

CONNECT_TIMEOUT = 10.0
"""Seconds for name, connection and TLS together."""

READ_TIMEOUT = 600.0
"""Seconds without a byte from the provider: the official SDKs wait this long for a reply."""

_KEEP_REMOTE = 55.0  # below the 60 s after which common load balancers close
_KEEP_LOCAL = 4.0  # below uvicorn's 5 s; a new loopback connection costs 0.1 ms
_MAX_ORIGINS = 256
_BACKOFF = 0.25
_LONGEST_WAIT = 60.0
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class UpstreamError(LocalguardError):
    """A provider could not be asked or did not answer properly. `endpoint` names it; the text holds no value."""

    sent = True
    """Whether the request, or a part of it, may have reached the provider."""

    def __init__(self, endpoint: str, what: str) -> None:
        super().__init__(f"endpoint {endpoint}: {what}")
        self.endpoint = endpoint


class UpstreamUnreachable(UpstreamError):
    """The provider's name does not resolve, or nothing accepts connections there. Nothing was sent."""

    sent = False


class UpstreamTimeout(UpstreamError):
    """Connecting took too long, or the provider has been silent for too long."""


class UpstreamConnectTimeout(UpstreamTimeout):
    """Connecting took too long. Nothing was sent."""

    sent = False


class UpstreamTLSInvalid(UpstreamError):
    """The provider's certificate is not valid for it (expired, self-signed, another host). Nothing was sent."""

    sent = False


class UpstreamBroken(UpstreamError):
    """The connection was lost, the reply is cut off, or it is not HTTP. The request may have been carried out."""


class UpstreamRefused(UpstreamError):
    """The address may not be connected to. Nothing was sent."""

    sent = False


class UpstreamLoops(UpstreamRefused):
    """The address is the guard's own port."""


class UpstreamForbidden(UpstreamRefused):
    """The address is link-local or a cloud's metadata service, which hands out credentials to whoever asks."""


class UpstreamNotLocal(UpstreamRefused):
    """An endpoint of class `local` resolves to an address that is not this machine."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What the connection to an endpoint depends on. `local` endpoints may only be on a loopback address."""

    name: str
    local: bool = False
    ca_file: Path | None = None
    """PEM file of certificate authorities that are trusted beside the system's."""
    read_timeout: float = READ_TIMEOUT
    connect_timeout: float | None = None
    """None for the client's."""


class Upstream:
    """The daemon's one client. `own_ports` are the guard's own; lives in one event loop, `close` it there."""

    def __init__(
        self,
        *,
        own_ports: Iterable[int] = (),
        connect_timeout: float = CONNECT_TIMEOUT,
        resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
    ) -> None:
        self._own_ports = frozenset(own_ports)
        self._connect_timeout = connect_timeout
        self._resolver = resolver
        self._connectors: dict[bool, aiohttp.TCPConnector] = {}
        self._contexts: dict[Path | None, asyncio.Task[ssl.SSLContext]] = {}
        self._timeouts: dict[tuple[float, float], aiohttp.ClientTimeout] = {}
        self._not_before: dict[str, float] = {}
        """By endpoint, until when its provider wants to be left alone."""
        self._origins: dict[tuple[str, bool, Path | None], Origin] = {}
        """Origins as URLs spell them, with whether they have to be local: names, or addresses that were judged."""

    @contextlib.asynccontextmanager
    async def send(
        self,
        destination: Destination,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]],
        body: bytes | None,
        *,
        retries: int = 0,
    ) -> AsyncGenerator["UpstreamReply", None]:
        """Send one request and give its reply once the head of it is here; leaving the block drops what is not read.

        `url` goes out as it is spelt (`joined_url`), `headers` as given, with order, case and duplicates kept; `Host` is
        added.
        A certificate, address or name that is not right is found before the first byte of the request is sent.
        Where no connection comes about it is tried `retries` times more, each time after a longer wait, and not before the
        provider's last 429 or 503 allowed (`Retry-After`; a minute at most). What may have reached it is not sent again.
        Raises the errors above; cancelling closes the connection.
        """
        kept = tuple(headers)
        for attempt in range(retries):
            try:
                received = await self._ask(destination, method, url, kept, body)
                break
            except (UpstreamUnreachable, UpstreamConnectTimeout):
                asked = self._not_before.get(destination.name, 0.0) - asyncio.get_running_loop().time()
                await asyncio.sleep(max(_BACKOFF * 2**attempt, min(asked, _LONGEST_WAIT)))
        else:
            received = await self._ask(destination, method, url, kept, body)
        self._heed(destination.name, received)
        try:
            yield UpstreamReply(destination.name, received, bodiless=method == "HEAD")
        finally:
            received.close()

    def _heed(self, name: str, received: Received) -> None:
        """Remember for how long a provider wants to be left alone."""
        if received.status in (429, 503):
            asked = received.headers.get("Retry-After", "")
            if asked.isascii() and asked.isdigit() and len(asked) < 6:
                self._not_before[name] = asyncio.get_running_loop().time() + int(asked)
        elif self._not_before:
            self._not_before.pop(name, None)

    async def close(self) -> None:
        """Close all connections. Replies still being read end with UpstreamBroken."""
        for connector in self._connectors.values():
            await connector.close()
        self._connectors.clear()

    async def _ask(
        self, destination: Destination, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes | None
    ) -> Received:
        name = destination.name
        try:
            origin, target = await self._origin(destination, url)
            connector, times = self._connector(destination.local), self._timeout(destination)
            received = await ask(connector, origin, times, method, target, headers, body)
        except _AddressRefused as refused:
            raise refused.kind(name, refused.reason) from None
        except aiohttp.ConnectionTimeoutError:
            raise UpstreamConnectTimeout(name, "connecting to the provider took too long") from None
        except (TimeoutError, aiohttp.ServerTimeoutError):
            raise UpstreamTimeout(name, "the provider did not answer in time") from None
        except (ssl.SSLError, aiohttp.ClientSSLError) as error:
            raise UpstreamTLSInvalid(name, tls_fault(error)) from None
        except (aiohttp.ClientConnectorDNSError, socket.gaierror):
            raise UpstreamUnreachable(name, "the provider's host name does not resolve") from None
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL):
            raise UpstreamUnreachable(name, "nothing accepts connections at the provider's address") from None
        except (aiohttp.ClientError, HttpProcessingError, OSError):
            raise UpstreamBroken(name, "the connection was lost before the provider answered") from None
        if received.status < 200:
            received.close()
            raise UpstreamBroken(name, "the provider switched protocols without being asked to")
        return received

    async def _origin(self, destination: Destination, url: str) -> tuple[Origin, str]:
        """What to connect to for `url`, and the rest of it: the target of the request as it is spelt."""
        spelled, target = _split(url)
        key = (spelled, destination.local, destination.ca_file)
        origin = self._origins.get(key)
        if origin is None:
            tls = await self._context(destination) if spelled.startswith("https:") else None
            origin = Origin(spelled, tls)
            self._judge_literal(origin.url, destination.local)
            if len(self._origins) < _MAX_ORIGINS:
                self._origins[key] = origin
        return origin, target

    def _timeout(self, destination: Destination) -> aiohttp.ClientTimeout:
        read, connect = destination.read_timeout, destination.connect_timeout or self._connect_timeout
        if (read, connect) not in self._timeouts:
            self._timeouts[read, connect] = aiohttp.ClientTimeout(
                total=None, connect=connect, sock_connect=connect, sock_read=read
            )
        return self._timeouts[read, connect]

    def _judge_literal(self, url: URL, local: bool) -> None:
        # aiohttp asks the resolver for names only
        with contextlib.suppress(ValueError):
            self._judge(ipaddress.ip_address(url.raw_host or ""), url.port or 0, local)

    def _judge(self, address: Address, port: int, local: bool) -> None:
        address = embedded(address)
        if (address.is_loopback or address.is_unspecified) and port in self._own_ports:
            raise _AddressRefused(UpstreamLoops, "its address is the guard's own port; check base_url")
        if address.is_link_local or address in _METADATA:
            raise _AddressRefused(UpstreamForbidden, "its address is link-local or a metadata service; check base_url")
        if local and not address.is_loopback:
            raise _AddressRefused(
                UpstreamNotLocal,
                "its class is local, but its address is not 127.0.0.1 or ::1; check base_url and class",
            )

    def _connector(self, local: bool) -> aiohttp.TCPConnector:
        # one pool for local endpoints and one for the others: a connection that was not checked for being local is never
        # handed to an endpoint that has to be
        if local not in self._connectors:
            self._connectors[local] = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=_KEEP_LOCAL if local else _KEEP_REMOTE,
                resolver=_JudgingResolver(self._resolver(), lambda address, port: self._judge(address, port, local)),
                ttl_dns_cache=10,
            )
        return self._connectors[local]

    async def _context(self, destination: Destination) -> ssl.SSLContext:
        ca_file = destination.ca_file
        if ca_file not in self._contexts:
            self._contexts[ca_file] = asyncio.create_task(asyncio.to_thread(tls_context, ca_file))
        try:
            return await asyncio.shield(self._contexts[ca_file])
        except (OSError, ssl.SSLError):
            del self._contexts[ca_file]  # the file may be repaired
            raise UpstreamTLSInvalid(destination.name, "its ca_file cannot be read as PEM certificates") from None


class UpstreamReply:
    """A provider's reply: the head is here, the body is read by `chunks`."""

    def __init__(self, endpoint: str, received: Received, *, bodiless: bool) -> None:
        self._endpoint = endpoint
        self._received = received
        self._bodiless = bodiless
        self.status: int = received.status
        self.reason: str | None = received.reason
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = received.raw_headers

    @property
    def close_delimited(self) -> bool:
        """Whether only the end of the connection ends the body, so that a cut body looks like a whole one."""
        headers = self._received.headers
        bodiless = self._bodiless or self.status in (204, 304)
        chunked = headers.get("Transfer-Encoding", "").lower().endswith("chunked")
        return not bodiless and not chunked and "Content-Length" not in headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body's bytes as they arrive, still content-coded, never an empty piece.

        Raises UpstreamBroken where the body ends before its framing says, or UpstreamTimeout.
        """
        if self._received.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
            raise UpstreamBroken(self._endpoint, "the provider's reply has a transfer coding that nobody asked for")
        content = self._received.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (TimeoutError, aiohttp.ServerTimeoutError):
            raise UpstreamTimeout(self._endpoint, "the provider stopped in the middle of its reply") from None
        except (aiohttp.ClientError, HttpProcessingError, OSError, RuntimeError):
            raise UpstreamBroken(self._endpoint, "the provider's reply is cut off") from None
        if self.close_delimited and self._received.lost:
            # aiohttp reads a connection that was reset as the end of such a body
            raise UpstreamBroken(self._endpoint, "the provider's reply is cut off")


def _split(url: str) -> tuple[str, str]:
    """The origin of a URL and what is behind it, byte for byte; a path that is not there is `/`."""
    begin = url.find("://") + 3
    end = next((at for at in range(begin, len(url)) if url[at] in "/?#"), len(url))
    rest = url[end:]
    return url[:end], rest if rest.startswith("/") else "/" + rest


def joined_url(base_url: str, target: str) -> str:
    """Put a raw path with query behind an endpoint's base URL, byte for byte. One slash between them, not two."""
    return base_url.rstrip("/") + target


def embedded(address: Address) -> Address:
    """Answer the IPv4 address that an IPv6 address stands for (mapped, NAT64, 6to4), or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Build a client context over the system's trust store, with `ca_file` beside it. Slow (1–40 ms): not on the loop.

    Raises OSError or ssl.SSLError if `ca_file` cannot be used.
    """
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is not None:
        context.load_verify_locations(cafile=str(ca_file))
    context.set_alpn_protocols(["http/1.1"])
    return context


def tls_fault(error: BaseException) -> str:
    """Say what is wrong with a provider's certificate, and what to do."""
    cause: BaseException = error
    while isinstance(
        nested := getattr(cause, "certificate_error", None) or getattr(cause, "os_error", None), BaseException
    ):
        cause = nested  # aiohttp wraps the error of the ssl module
    message = getattr(cause, "verify_message", None) or str(cause)
    for pattern, fault in _TLS_FAULTS:
        if re.search(pattern, message, re.IGNORECASE):
            return fault
    return "TLS with the provider failed"


_TLS_FAULTS = (
    ("hostname mismatch|not valid for|IP address mismatch", "the provider's certificate is for another host"),
    ("expired", "the provider's certificate has expired"),
    ("not yet valid", "the provider's certificate is not valid yet; check this machine's clock"),
    ("self.signed", "the provider's certificate is self-signed; set the endpoint's ca_file to trust it"),
    (
        "local issuer|unknown ca",
        "the provider's certificate has an unknown issuer; set the endpoint's ca_file to trust it",
    ),
)


class _AddressRefused(Exception):
    def __init__(self, kind: type[UpstreamRefused], reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class _JudgingResolver(AbstractResolver):
    """Judges every address that a name resolves to; the connection is then made to exactly these."""

    def __init__(self, inner: AbstractResolver, judge: Callable[[Address, int], None]) -> None:
        self._inner = inner
        self._judge = judge

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        results = await self._inner.resolve(host, port, family)
        for result in results:
            self._judge(
                ipaddress.ip_address(result["host"].partition("%")[0]),
                port,
            )
        return results

    async def close(self) -> None:
        await self._inner.close()
