"""Saying yes and no: what is agreed to, checked, and the control records that tell of it."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from localguard.audit.checkpoint import DeviceKey
from localguard.audit.fields import ControlMetadata
from localguard.sync.agreement import Agreement, AgreementInvalid, check_address
from localguard.sync.collector_sink import CollectorSink, check_files
from localguard.sync.disclosure import LEVELS
from localguard.sync.outlet import now, sink_of

_MOST_GLOBS = 200


def proposed(
    to: str,
    level: str,
    *,
    names: bool = False,
    exclude: Sequence[str] = (),
    since: int = 0,
    ca_file: str | None = None,
    client_cert: str | None = None,
) -> Agreement:
    """What may be agreed to. Raises AgreementInvalid for what cannot be."""
    if level not in LEVELS:
        raise AgreementInvalid(f"The level is {' or '.join(LEVELS)}.")
    globs = tuple(dict.fromkeys(exclude))
    if len(globs) > _MOST_GLOBS or not all(0 < len(glob) <= 500 for glob in globs):
        raise AgreementInvalid(f"At most {_MOST_GLOBS} workspaces are excluded, each by a name or glob.")
    return Agreement(
        to=check_address(to),
        level=level,
        agreed=now(),
        names=names,
        exclude=globs,
        since=since,
        ca_file=ca_file,
        client_cert=client_cert,
    )


def enrolled(agreement: Agreement, key: DeviceKey, token: str | None) -> Agreement:
    """The agreement with what its sink says at first contact. Nothing is sent but the device's key and the token.

    Raises AgreementInvalid, SinkRefused, SinkUnavailable.
    """
    if urlsplit(agreement.to).scheme in ("https", "http"):
        check_files(agreement)
        sink = CollectorSink(agreement, key)
        try:
            collector = sink.enrol(token) if token is not None else sink.hello()
        finally:
            sink.close()
        return replace(agreement, collector_key=collector.encoded())
    if token is not None:
        raise AgreementInvalid("Only a collector takes a token.")
    sink_of(agreement, key).close()
    return agreement


def consent_event(agreement: Agreement) -> ControlMetadata:
    """The record of a yes."""
    parts = urlsplit(agreement.to)
    return {
        "event": "sync-consent",
        "detail": {
            "agreed": True,
            "to": f"{parts.scheme}://{parts.hostname or ''}",
            "level": agreement.level,
            "names": agreement.names,
            "excluded": len(agreement.exclude),
            "since": agreement.since,
        },
    }


def end_event() -> ControlMetadata:
    """The record of a no."""
    return {"event": "sync-consent", "detail": {"agreed": False}}
