"""The sink of an address, and the sender of a home: where scheme, keys and files meet."""

import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.record import timestamp
from localguard.config.home import Home
from localguard.config.keys import DEVICE_KEY, Keys
from localguard.sync.agreement import Agreement, Agreements
from localguard.sync.collector_sink import CollectorSink
from localguard.sync.directory import DirectorySink
from localguard.sync.log_reader import Bounds, LogReader
from localguard.sync.sender import Pace, Sender
from localguard.sync.sink import Sink

_MACHINE = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def now() -> str:
    """The time as records have it."""
    return timestamp(datetime.now(UTC))


def device_key(keys: Keys) -> DeviceKey:
    """The key that this home signs with. Raises KeychainUnavailable, KeysDamaged."""
    return DeviceKey(keys.derived_key(DEVICE_KEY))


def reader_of(home: Home, keys: Keys, bounds: Bounds | None = None) -> LogReader:
    """What makes batches of a home's log. Raises KeychainUnavailable, KeysDamaged."""
    return LogReader(
        home.audit_db,
        key=device_key(keys),
        names_key=keys.derived_key("sync names 1"),
        instance=_instance(home, keys.derived_key("sync instance 1")),
        clock=now,
        bounds=bounds,
    )


def sink_of(agreement: Agreement, key: DeviceKey, held: int | None = None) -> Sink:
    """The sink that an agreement names; `held` is what it acknowledged before, as this machine remembers.

    Raises AgreementInvalid where this installation cannot reach such a place.
    """
    parts = urlsplit(agreement.to)
    if parts.scheme == "file":
        return DirectorySink(Path(unquote(parts.path)), key.public.device)
    if parts.scheme in ("https", "http"):
        return CollectorSink(agreement, key)
    if parts.scheme in ("otlp+https", "otlp+http"):
        from localguard.sync.otlp import OtlpSink

        return OtlpSink(agreement, held=held, env=os.environ)
    from localguard.sync.objects import object_sink

    return object_sink(agreement, key.public.device)


def sender_of(home: Home, keys: Keys, agreement: Agreement, *, pace: Pace | None = None) -> Sender:
    """What carries an agreement out. Raises AgreementInvalid, KeychainUnavailable, KeysDamaged."""
    agreements = Agreements(home)
    sink = sink_of(agreement, device_key(keys), agreements.progress().size)
    return Sender(reader_of(home, keys), sink, agreement, agreements, now=now, pace=pace)


def push(sender: Sender, *, going_on: Callable[[int], bool] = lambda sent: True) -> tuple[int, Exception | None]:
    """Send what there is, until nothing is left, `going_on` (given what was sent so far) says no, or a step fails.

    Returns how many records were acknowledged, and what failed.
    """
    sent = 0
    while going_on(sent):
        step = sender.step()
        sent += step.sent
        if step.problem is not None or not step.sent:
            return sent, step.problem
    return sent, None


def _instance(home: Home, key: bytes) -> str:
    """A keyed digest of what is another one when a home is copied elsewhere: the machine, and where the home stands."""
    machine = b""
    for path in _MACHINE:
        try:
            machine = path.read_bytes().strip()
            break
        except OSError:
            continue
    place = str(home.root.resolve()).encode("utf-8", "surrogateescape")
    return hmac.digest(key, hashlib.sha256(machine).digest() + place, "sha256")[:8].hex()
