"""The experiments of a running guard: begun and ended through the control API, over by themselves, recorded."""

import asyncio
import getpass
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.policy.experiment import Experiment, with_experiments
from localguard.policy.model import EndpointClass, Experimenting, Layer, LayerName
from localguard.proxy.callers import Callers, PolicyState
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import ExperimentList
from localguard.proxy.control_models import ExperimentBody, NothingBody


class Experiments:
    """Which experiments run. A restart of the guard ends them. `on_change` is called when `applied` answers something else."""

    def __init__(
        self,
        store: Store,
        control: Control,
        callers: Callers,
        policy: Callable[[], PolicyState],
        layers: tuple[Layer, ...],
    ) -> None:
        self._store = store
        self._control = control
        self._callers = callers
        self._policy = policy
        self.layers = layers
        """The policy as it is written."""
        self.on_change: Callable[[], object] = lambda: None
        self._running: dict[str, tuple[Experiment, asyncio.TimerHandle]] = {}
        control.offer(
            Call("GET", "/experiments", "The experiments that run.", lambda _: self.shown(), gives=ExperimentList),
            Call(
                "POST",
                "/experiments/{endpoint}",
                "Begin one: `hours`, `reason`, `limit_usd`.",
                self._start,
                takes=ExperimentBody,
                gives=ExperimentList,
            ),
            Call(
                "POST", "/experiments/{endpoint}/stop", "End one.", self._stop, takes=NothingBody, gives=ExperimentList
            ),
        )

    def applied(self) -> tuple[Layer, ...]:
        """The policy with what the experiments that run add to it."""
        return with_experiments(self.layers, [one for one, _ in self._running.values()])

    def shown(self) -> Mapping[str, object]:
        """The state for people."""
        now = time.monotonic()
        return {
            "experiments": [
                {
                    "endpoint": one.endpoint,
                    "seconds_left": max(0, int(one.until - now)),
                    "limit_usd": str(one.limit_usd),
                    "reason": one.reason,
                }
                for one, _ in self._running.values()
            ]
        }

    async def _start(self, given: Arguments) -> Mapping[str, object]:
        policy, name = self._policy(), given.path["endpoint"]
        allowed = next((one.experiments for one in policy.layers if one.name is LayerName.USER), Experimenting())
        endpoint = policy.endpoints.get(name)
        if endpoint is None:
            raise ControlRefused(404, "No endpoint has this name. `localguard endpoint list` shows them.")
        if endpoint.endpoint_class is not EndpointClass.EXPERIMENTAL:
            raise ControlRefused(
                400, f"Endpoint {name} is {endpoint.endpoint_class}; experiments are for experimental ones."
            )
        if not allowed.hours or not allowed.sensitivity:
            raise ControlRefused(403, "The policy allows no experiments.")
        hours, reason = given.number("hours", most=allowed.hours), given.text("reason").strip()
        if not reason:
            raise ControlRefused(400, "Say why: the reason stands in the log and in every refusal.")
        limit = _money(given.text("limit_usd", str(allowed.limit_usd)))
        if limit > allowed.limit_usd:
            raise ControlRefused(403, f"The policy allows {allowed.limit_usd} USD a day for an experiment.")
        await self._callers.only_persons(given.request, "begin an experiment")
        self._end(name)
        loop = asyncio.get_running_loop()
        over = loop.call_later(3600 * hours, self._over, name)
        self._running[name] = Experiment(name, limit, reason, time.monotonic() + 3600 * hours), over
        self._record("experiment-start", reason, {"endpoint": name, "hours": hours, "limit_usd": str(limit)})
        return self.shown()

    def _stop(self, given: Arguments) -> Mapping[str, object]:
        if not self._end(given.path["endpoint"]):
            raise ControlRefused(404, "No experiment with this endpoint runs.")
        self._record("experiment-stop", "", {"endpoint": given.path["endpoint"]})
        return self.shown()

    def _over(self, name: str) -> None:
        self._end(name)
        self._record("experiment-over", "", {"endpoint": name})

    def _end(self, name: str) -> bool:
        ended = self._running.pop(name, None)
        if ended is not None:
            ended[1].cancel()
        return ended is not None

    def _record(self, event: str, reason: str, detail: dict[str, str | int | bool | None]) -> None:
        self.on_change()
        with suppress(LogUnavailable, RecordInvalid):
            self._store.note(
                "control",
                metadata={"event": event, "reason": reason, "detail": detail},
                local={"by": getpass.getuser()},
            )
        self._control.publish("experiments", self.shown())


def _money(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value <= 0:
        raise ControlRefused(400, "limit_usd must be an amount above 0.")
    return value
