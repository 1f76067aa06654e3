"""Anchors for `audit verify`: checkpoints that were kept in a file, or at an address that this machine cannot change."""

from pathlib import Path
from urllib.parse import urlsplit

from localguard.cli.exit_codes import WrongUse

_MOST = 64 * 1024
"""Bytes, as of any checkpoint."""
_SECONDS = 20.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def read_anchor(place: str) -> bytes:
    """The checkpoint at a path, or at an `https://` address (`http://` on this machine only). Raises WrongUse.

    No redirect is followed and no proxy used; nothing but the request goes out, without credentials.
    """
    if "://" in place:
        return _fetched(place)
    try:
        with Path(place).open("rb") as file:
            return file.read(_MOST + 1)
    except OSError as error:
        raise WrongUse(f"An anchor cannot be read ({error.strerror}).") from None


def _fetched(address: str) -> bytes:
    import ssl
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    import truststore

    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise WrongUse("An anchor's address cannot be read.") from None
    if not host or parts.username or not (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)):
        raise WrongUse("An anchor's address begins with https:// and holds no credentials.")
    connection = (
        HTTPSConnection(host, port, timeout=_SECONDS, context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        if parts.scheme == "https"
        else HTTPConnection(host, port, timeout=_SECONDS)
    )
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        reply = connection.getresponse()
        if reply.status != 200:
            raise WrongUse(f"{host} answers with status {reply.status} instead of an anchor.")
        return reply.read(_MOST + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise WrongUse(f"The anchor cannot be fetched from {host} ({type(error).__name__}).") from None
    finally:
        connection.close()
