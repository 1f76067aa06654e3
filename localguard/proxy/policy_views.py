"""The control calls by which people look at endpoints and policy, and ask what policy says of some work."""

import asyncio
import hashlib
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from localguard.audit.queries import Log
from localguard.audit.replay import work_of_record
from localguard.audit.rows import ExchangeRow
from localguard.audit.schema import LogUnavailable
from localguard.policy.given import GivenUnknown, with_organisation, work_of
from localguard.policy.model import Endpoint, Layer, When, Work
from localguard.policy.trace import Told, told
from localguard.proxy.callers import PolicyState
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_models import (
    EndpointList,
    EndpointView,
    ExplainBody,
    Health,
    HealthState,
    LayerView,
    PolicyView,
    RuleView,
)
from localguard.proxy.recorder import Recorder
from localguard.proxy.routes import RouteSwitches

_LATEST = 20
"""Exchanges of an endpoint that its health is told by."""
_FAILING = 3
"""Failures in a row after which an endpoint is failing."""
_ITS_OWN = frozenset({"provider", "network", "gateway", "rate limit", "local model"})
"""Origins of failures that say something of the endpoint."""
_MOST_TEXT = 256 * 1024


class PolicyViews:
    """Offers its calls to `control`. `policy` answers what is in force, `now` the time."""

    def __init__(
        self,
        log_file: Path,
        recorder: Recorder,
        switches: RouteSwitches,
        control: Control,
        policy: Callable[[], PolicyState],
        now: Callable[[], datetime],
    ) -> None:
        self._log_file = log_file
        self._recorder = recorder
        self._switches = switches
        self._policy = policy
        self._now = now
        control.offer(
            Call(
                "GET",
                "/endpoints",
                "The endpoints, which of them are on, and how they do.",
                lambda _: self._endpoints(),
                gives=EndpointList,
            ),
            Call("GET", "/policy", "The policies in force, with their texts.", self._show, gives=PolicyView),
            Call(
                "POST",
                "/policy/explain",
                "What policy says of some work, or of an `exchange`, and how every rule comes out.",
                self._explain,
                takes=ExplainBody,
                gives=Told,
            ),
        )

    def _endpoints(self) -> Mapping[str, object]:
        by_endpoint: dict[str, list[ExchangeRow]] = {}
        for row in self._recorder.recent:
            by_endpoint.setdefault(row.get("endpoint") or "", []).append(row)
        routes = self._switches.current
        return {
            "mode": str(routes.mode),
            "endpoints": [
                _endpoint(
                    one,
                    on=routes.objection(one.name, one.endpoint_class) is None,
                    health=health_of(by_endpoint.get(one.name, ())),
                )
                for one in self._policy().endpoints.values()
            ],
        }

    async def _show(self, _: Arguments) -> Mapping[str, object]:
        policy = self._policy()
        layers = await asyncio.to_thread(lambda: [_layer(one) for one in policy.layers])
        return {"digest": policy.digest, "error": policy.error, "layers": layers}

    async def _explain(self, given: Arguments) -> Mapping[str, object]:
        asked, layers = given.said(ExplainBody), self._policy().layers
        if asked.exchange is not None:
            exchange = asked.exchange
            work = await asyncio.to_thread(self._recorded, exchange, layers)
        elif asked.endpoint is None:
            raise ControlRefused(400, "Say which endpoint, or give the id of an exchange.")
        else:
            try:
                work = with_organisation(work_of({**_described(asked), "time": self._now()}, layers), layers)
            except GivenUnknown as unknown:
                raise ControlRefused(400, f"{unknown} It knows: {', '.join(unknown.valid) or 'none'}.") from None
        return told(layers, work)

    def _recorded(self, exchange: str, layers: Sequence[Layer]) -> Work:
        try:
            with Log(self._log_file) as log:
                records = [one for one in log.show(exchange) if one.kind in ("intent", "refusal") and one.metadata]
        except LogUnavailable as error:
            raise ControlRefused(503, f"The log cannot be read ({error}).") from None
        if not records or not (records[0].metadata or {}).get("endpoint"):
            raise ControlRefused(404, "The log has no request with this id. `localguard audit tail` lists the newest.")
        return work_of_record(records[0], layers)


def health_of(rows: Iterable[ExchangeRow]) -> Health:
    """How an endpoint does by its latest exchanges, oldest first. What agents, people or policy ended says nothing of it."""
    ended = [row for row in rows if row["state"] in ("completed", "failed", "cut")]
    telling = [row for row in ended if row["state"] == "completed" or row.get("origin") in _ITS_OWN][-_LATEST:]
    failed = [row["state"] != "completed" for row in telling]
    times = [took for row in telling if (took := row.get("first_byte_ms")) is not None]
    last = telling[-1] if telling else None
    return Health(
        state=_state(failed),
        exchanges=len(telling),
        failed=sum(failed),
        last=last["time"] if last else None,
        last_status=last.get("status") if last else None,
        last_error=last.get("error") if last else None,
        first_byte_ms=int(statistics.median(times)) if times else None,
    )


def _state(failed: Sequence[bool]) -> HealthState:
    if not failed:
        return "unused"
    if all(failed[-_FAILING:]):
        return "failing"
    return "unsteady" if any(failed) else "ok"


def _endpoint(one: Endpoint, *, on: bool, health: Health) -> EndpointView:
    return {
        "name": one.name,
        "kind": one.kind,
        "class": str(one.endpoint_class),
        "base_url": one.base_url,
        "credential": one.credential_alias,
        "identity": one.identity,
        "support": one.support,
        "region": one.region,
        "retention": one.retention,
        "fallback": one.fallback,
        "file": one.file,
        "line": one.line,
        "on": on,
        "health": health,
    }


def _layer(layer: Layer) -> LayerView:
    return LayerView(
        name=str(layer.name),
        file=layer.file,
        digest=layer.digest,
        default=str(layer.default),
        organisation=layer.organisation,
        revision=layer.revision,
        rules=[
            RuleView(id=one.id, effect=str(one.effect), reason=one.reason, line=one.line, when=_when(one.when))
            for one in layer.rules
        ],
        text=_text(layer),
    )


def _text(layer: Layer) -> str | None:
    """The file's text, if it is what is in force."""
    try:
        with Path(layer.file).open("rb") as file:
            data = file.read(_MOST_TEXT + 1)
    except (OSError, ValueError):
        return None
    known = hashlib.sha256(data).hexdigest() == layer.digest
    return data.decode("utf-8", "replace") if known and len(data) <= _MOST_TEXT else None


def _when(match: When) -> dict[str, list[str]]:
    given = {one.name: getattr(match, one.name) for one in fields(match)}
    return {name: [str(entry) for entry in wanted] for name, wanted in given.items() if wanted is not None}


def _described(asked: ExplainBody) -> dict[str, str | int | tuple[str, ...]]:
    given = {name: getattr(asked, name) for name in asked.__struct_fields__ if name != "exchange"}
    return {name: str(value) if name == "sensitivity" else value for name, value in given.items() if value is not None}
