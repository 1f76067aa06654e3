"""A collector as a sink, over HTTPS.

A failed or unclear answer is never taken for a receipt: the batch is sent again, and the collector holds it once.
"""

import json
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
from localguard.sync.https import TIMEOUT, Connection, tls_context
from localguard.sync.request_signature import signed_headers
from localguard.sync.sink import Receipt, SinkRefused, SinkUnavailable


class CollectorSink:
    """Sends batches of the device whose key this is. One connection, kept alive."""

    signs_of_life = True
    pause = 0.0

    def __init__(
        self, agreement: Agreement, key: DeviceKey, *, clock: Callable[[], float] = time.time, timeout: float = TIMEOUT
    ) -> None:
        self._agreement = agreement
        self._key = key
        self._clock = clock
        self._skew = 0.0
        """Seconds that the collector's clock is ahead; learned where it says so."""
        self._parts = urlsplit(agreement.to)
        self._prefix = self._parts.path.rstrip("/")
        self._connection = Connection(self._parts, agreement, "The collector", timeout)

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
        self._connection.close()

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
        status, after, raw = self._connection.exchange(method, self._prefix + path, body, headers)
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


def check_files(agreement: Agreement) -> None:
    """Raise AgreementInvalid for files of an agreement that cannot be used."""
    try:
        tls_context(agreement)
    except SinkUnavailable as error:
        raise AgreementInvalid(str(error)) from None
