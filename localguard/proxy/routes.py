"""The route switches of a running guard: asked by every request, changed through the control API, recorded in the log."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.routes_file import RoutesFile
from localguard.policy.model import Endpoint
from localguard.policy.routes import RouteMode, Routes
from localguard.proxy.callers import Callers
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import RoutesView
from localguard.proxy.control_models import ModeBody, SwitchBody

log = logging.getLogger(__name__)


class RouteSwitches:
    """Which endpoints are switched on. `endpoints` answers those that policy knows now, by name.

    Anybody with the control token may switch off; only persons undo it.
    """

    def __init__(
        self,
        file: RoutesFile,
        store: Store,
        control: Control,
        callers: Callers,
        endpoints: Callable[[], Mapping[str, Endpoint]],
    ) -> None:
        self._file = file
        self._store = store
        self._control = control
        self._callers = callers
        self._endpoints = endpoints
        self.current, self.error = file.read()
        if self.error is not None:
            log.warning("%s", self.error)
        control.offer(
            Call(
                "GET",
                "/routes",
                "The route switches, and what they make of each endpoint.",
                lambda _: self.shown(),
                gives=RoutesView,
            ),
            Call(
                "POST", "/routes", "Switch to `mode` policy or local.", self._set_mode, takes=ModeBody, gives=RoutesView
            ),
            Call(
                "POST",
                "/routes/{endpoint}",
                "Switch one endpoint `on` (true) or off.",
                self._set_endpoint,
                takes=SwitchBody,
                gives=RoutesView,
            ),
        )

    def shown(self) -> Mapping[str, object]:
        """Mode and endpoints, for people: `switched` is an endpoint's own switch, `on` what comes of it and the mode."""
        endpoints = [
            {
                "name": one.name,
                "class": str(one.endpoint_class),
                "on": self.current.objection(one.name, one.endpoint_class) is None,
                "switched": one.name not in self.current.off,
            }
            for one in self._endpoints().values()
        ]
        return {"mode": str(self.current.mode), "endpoints": endpoints, "error": self.error}

    async def _set_mode(self, given: Arguments) -> Mapping[str, object]:
        try:
            mode = RouteMode(given.text("mode"))
        except ValueError:
            raise ControlRefused(400, f"mode is none of {', '.join(RouteMode)}.") from None
        if mode is not RouteMode.LOCAL:
            await self._callers.only_persons(given.request, "switch endpoints on")
        self._change(self.current.with_mode(mode), {"mode": str(mode)})
        return self.shown()

    async def _set_endpoint(self, given: Arguments) -> Mapping[str, object]:
        name, on = given.path["endpoint"], given.body.get("on")
        if not isinstance(on, bool):
            raise ControlRefused(400, "on must be true or false.")
        if name not in self._endpoints() and name not in self.current.off:
            raise ControlRefused(404, "No endpoint has this name. `localguard endpoint list` shows them.")
        if on:
            await self._callers.only_persons(given.request, "switch endpoints on")
        self._change(self.current.with_endpoint(name, on=on), {"endpoint": name, "on": on})
        return self.shown()

    def _change(self, routes: Routes, detail: dict[str, str | int | bool | None]) -> None:
        try:
            self._file.write(routes)
        except OSError as error:
            raise ControlRefused(503, f"The switches cannot be kept ({error.strerror}); nothing was changed.") from None
        self.current, self.error = routes, None
        with suppress(LogUnavailable, RecordInvalid):
            self._store.note("control", metadata={"event": "route", "detail": detail})
        self._control.publish("routes", self.shown())
