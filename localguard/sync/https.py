"""One connection to a sink over HTTPS: plain `http.client`, no redirect followed, no proxy used, every reply bounded."""

import contextlib
import http.client
import socket
import ssl
import threading
from urllib.parse import SplitResult

from localguard.sync.agreement import Agreement
from localguard.sync.sink import SinkUnavailable

TIMEOUT = 30.0
"""Seconds without a byte."""
_MOST_REPLY = 1 << 20
_LONGEST_ASKED = 3600.0


class Connection:
    """Kept alive between requests, opened again where it was lost. `close` may be called from another thread.

    `parts` is the address, without TLS where its scheme ends with `http`; `who` is what the other end is called in messages.
    """

    def __init__(self, parts: SplitResult, agreement: Agreement, who: str, timeout: float = TIMEOUT) -> None:
        self._parts = parts
        self._agreement = agreement
        self._who = who
        self._timeout = timeout
        self._context: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Cut it; a request that runs fails, and so does every other from now on."""
        self._closed = True
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits on it
            connection.close()

    def exchange(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, float, bytes]:
        """Status, seconds that it asks to wait, and the body of the answer. Raises SinkUnavailable."""
        connection = self._open()
        try:
            connection.request(method, path, body=body or None, headers=headers)
            response = connection.getresponse()
            raw = response.read(_MOST_REPLY)
            if response.will_close or len(raw) == _MOST_REPLY:
                self._drop()
            return response.status, _seconds(response.headers.get("Retry-After")), raw
        except ssl.SSLCertVerificationError as error:
            self._drop()
            raise SinkUnavailable(f"{self._who}'s certificate is not accepted ({error.verify_message}).") from None
        except ssl.SSLError as error:
            self._drop()
            raise SinkUnavailable(
                f"{self._who} speaks no TLS that will do ({error.reason or type(error).__name__})."
            ) from None
        except TimeoutError:
            self._drop()
            raise SinkUnavailable(f"{self._who} does not answer.") from None
        except (OSError, http.client.HTTPException, AttributeError) as error:  # the last: closed by another thread
            self._drop()
            raise SinkUnavailable(f"{self._who} cannot be reached ({type(error).__name__}).") from None

    def _open(self) -> http.client.HTTPConnection:
        with self._lock:
            if self._closed:
                raise SinkUnavailable("Sync was ended.")
            if self._connection is None:
                host, port = self._parts.hostname or "", self._parts.port
                if self._parts.scheme.endswith("http"):
                    self._connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
                else:
                    self._context = self._context or tls_context(self._agreement)
                    self._connection = http.client.HTTPSConnection(
                        host, port, timeout=self._timeout, context=self._context
                    )
            return self._connection

    def _drop(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def tls_context(agreement: Agreement) -> ssl.SSLContext:
    """The system's authorities, or the agreement's only. Raises SinkUnavailable for files that cannot be read."""
    import truststore

    try:
        context: ssl.SSLContext
        if agreement.ca_file is not None:
            context = ssl.create_default_context(cafile=agreement.ca_file)
        else:
            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if agreement.client_cert is not None:
            context.load_cert_chain(agreement.client_cert)
    except (OSError, ssl.SSLError):
        raise SinkUnavailable("The authorities' file or the client certificate cannot be read as PEM.") from None
    return context


def _seconds(text: str | None) -> float:
    return min(float(text), _LONGEST_ASKED) if text is not None and text.isascii() and text.isdigit() else 0.0
