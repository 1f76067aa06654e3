"""One collector process: its key, its TLS, its port, until it is told to stop."""

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from localguard.audit.checkpoint import DeviceKey
from localguard.collector import database
from localguard.collector.service import Collector
from localguard.errors import LocalguardError

_SEED = 32


class ServingInvalid(LocalguardError):
    """A key, certificate or address that a collector is to serve with cannot be used."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a collector listens. Without a certificate it speaks HTTP, and on loopback only: TLS ends before it then."""

    host: str = "127.0.0.1"
    port: int = 4150
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    """Where given, only clients with a certificate of these authorities are answered."""

    def context(self) -> ssl.SSLContext | None:
        """The TLS side. Raises ServingInvalid."""
        if self.certificate is None:
            if self.client_ca is not None or self.host not in ("127.0.0.1", "::1", "localhost"):
                raise ServingInvalid("Without --tls-cert a collector listens on 127.0.0.1 only, behind what ends TLS.")
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError):
            raise ServingInvalid("Certificate, key or client authorities cannot be read as PEM.") from None
        return context


def collector_key(path: Path, *, create: bool = False) -> DeviceKey:
    """The key that cosigns, 32 bytes in a file of mode 0600, the same for all processes. Raises ServingInvalid."""
    try:
        if create:
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(os.urandom(_SEED))
                    file.flush()
                    os.fsync(file.fileno())
        seed = path.read_bytes()
    except OSError as error:
        raise ServingInvalid(f"The collector's key {path} cannot be read or made ({error.strerror}).") from None
    if len(seed) != _SEED:
        raise ServingInvalid(f"{path} is no collector's key.")
    return DeviceKey(seed)


async def serve(
    url: str,
    key: DeviceKey,
    place: Place,
    *,
    ready: Callable[[int], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` or a signal. Raises StoreUnavailable, SchemaUnknown, ServingInvalid before serving."""
    stop = stop or asyncio.Event()
    context = place.context()
    pool = await database.open_pool(url)
    try:
        await database.check_schema(pool)
        runner = web.AppRunner(Collector(pool, key).application(), access_log=None, shutdown_timeout=10)
        await runner.setup()
        try:
            site = web.TCPSite(runner, place.host, place.port, ssl_context=context)
            try:
                await site.start()
            except OSError as error:
                raise ServingInvalid(f"Port {place.port} cannot be used ({error.strerror}).") from None
            for name in (signal.SIGTERM, signal.SIGINT):
                with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                    asyncio.get_running_loop().add_signal_handler(name, stop.set)
            if ready is not None:
                ready(runner.addresses[0][1])
            await stop.wait()
        finally:
            await runner.cleanup()
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), 10)
