"""A collector as a sink, over HTTPS: plain `http.client`, no redirect followed, no proxy used, every reply bounded.

A failed or unclear answer is never taken for a receipt: the batch is sent again, and the collector holds it once.
"""

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from localguard import __version__
from localguard.audit.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    DeviceKey,
    PublicKey,
    is_cosigned,
    public_key,
    verify_checkpoint,
)
from localguard.sync.agreement import Agreement, AgreementInvalid
from localguard.sync.batch import Batch
from localguard.sync.directory import compressed
from localguard.sync.request_signature import signed_headers
from localguard.sync.sink import Receipt, SinkRefused, SinkUnavailable

_TIMEOUT = 30.0
"""Seconds without a byte."""
_MOST_REPLY = 1 << 20
_LONGEST_ASKED = 3600.0


class CollectorSink:
    """Sends batches of the device whose key this is. One connection, kept alive."""

    signs_of_life = True

    def __init__(
        self, agreement: Agreement, key: DeviceKey, *, clock: Callable[[], float] = time.time, timeout: float = _TIMEOUT
    ) -> None:
        self._agreement = agreement
        self._key = key
        self._clock = clock
        self._timeout = timeout
        self._skew = 0.0
        """Seconds that the collector's clock is ahead; learned where it says so."""
        self._parts = urlsplit(agreement.to)
        self._prefix = self._parts.path.rstrip("/")
        self._context: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()
        self._closed = False

    def enrol(self, token: str) -> PublicKey:
        """Make the device known with a one-time token; answers the collector's key. Raises SinkUnavailable, SinkRefused."""
        body = json.dumps({"token": token, "key": self._key.public.encoded()}).encode()
        told = self._ask("POST", "/v1/enrol", body)
        return _collector_key(told)

    def hello(self) -> PublicKey:
        """The collector's key, for a device that it knows already. Raises SinkUnavailable, SinkRefused."""
        return _collector_key(self._ask("GET", "/v1/cursor"))

    def resume(self) -> Receipt | None:
        """What the collector holds of this device."""
        told = self._ask("GET", "/v1/cursor")
        if told.get("size") is None:
            return None
        return self._receipt(told)

    def write(self, batch: Batch) -> Receipt:
        """Hand a batch over; acknowledged when it is committed there and its checkpoint is cosigned."""
        return self._receipt(self._ask("POST", "/v1/batches", compressed(batch.data)))

    def close(self) -> None:
        """Cut the connection."""
        self._closed = True
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits on it
            connection.close()

    def _receipt(self, told: dict[str, Any]) -> Receipt:
        """A receipt counts only with the collector's signature on a checkpoint of this device's own."""
        try:
            note, size = str(told["checkpoint"]).encode(), told["size"]
            checkpoint: Checkpoint = verify_checkpoint(note, self._key.public)
        except (KeyError, CheckpointInvalid):
            raise SinkUnavailable("The collector's receipt cannot be read.") from None
        pinned = self._agreement.collector_key
        if checkpoint.size != size or (pinned is not None and not is_cosigned(note, public_key(pinned))):
            raise SinkUnavailable("The collector's receipt is not signed by the key that it had when you agreed.")
        return Receipt(checkpoint.size, note)

    def _ask(self, method: str, path: str, body: bytes = b"", *, again: bool = True) -> dict[str, Any]:
        headers = {
            **signed_headers(self._key, method, path, body, int(self._clock() + self._skew)),
            "User-Agent": f"localguard/{__version__}",
            "Content-Type": "application/json" if path == "/v1/enrol" else "application/zstd",
        }
        status, after, raw = self._exchange(method, self._prefix + path, body, headers)
        told = _object(raw)
        if status == 200:
            return told
        raw_error = told.get("error")
        error: dict[str, Any] = raw_error if isinstance(raw_error, dict) else {}
        code, message = str(error.get("code", ""))[:40], str(error.get("message", ""))[:500]
        if code == "clock" and again and isinstance(error.get("time"), int | float):
            self._skew = float(error["time"]) - self._clock()
            return self._ask(method, path, body, again=False)
        if code and status in (400, 401, 403, 409, 413):
            raise SinkRefused(code, f"The collector refused: {message}")
        raise SinkUnavailable(f"The collector answered with status {status}. {message}".strip(), after)

    def _exchange(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, float, bytes]:
        """Status, seconds that it asks to wait, and the body of the answer."""
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
            raise SinkUnavailable(f"The collector's certificate is not accepted ({error.verify_message}).") from None
        except ssl.SSLError as error:
            self._drop()
            raise SinkUnavailable(f"No TLS with the collector ({error.reason or type(error).__name__}).") from None
        except TimeoutError:
            self._drop()
            raise SinkUnavailable("The collector does not answer.") from None
        except (OSError, http.client.HTTPException, AttributeError) as error:  # the last: closed by another thread
            self._drop()
            raise SinkUnavailable(f"The collector cannot be reached ({type(error).__name__}).") from None

    def _open(self) -> http.client.HTTPConnection:
        with self._lock:
            if self._closed:
                raise SinkUnavailable("Sync was ended.")
            if self._connection is None:
                host, port = self._parts.hostname or "", self._parts.port
                if self._parts.scheme == "http":
                    self._connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
                else:
                    self._context = self._context or _context(self._agreement)
                    self._connection = http.client.HTTPSConnection(
                        host, port, timeout=self._timeout, context=self._context
                    )
            return self._connection

    def _drop(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _context(agreement: Agreement) -> ssl.SSLContext:
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


def _collector_key(told: dict[str, Any]) -> PublicKey:
    try:
        return public_key(str(told["collector"]))
    except (KeyError, CheckpointInvalid):
        raise SinkUnavailable("What answers there is no collector.") from None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _seconds(text: str | None) -> float:
    return min(float(text), _LONGEST_ASKED) if text is not None and text.isascii() and text.isdigit() else 0.0


def check_files(agreement: Agreement) -> None:
    """Raise AgreementInvalid for files of an agreement that cannot be used."""
    try:
        _context(agreement)
    except SinkUnavailable as error:
        raise AgreementInvalid(str(error)) from None
