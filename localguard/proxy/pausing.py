"""Pausing redaction: asked for by a person, with a reason, for some minutes, where policy allows it. Logged all the same.

Credentials never pass: those that agents were seen to use, the guard's own keys and its tokens are replaced as ever.
"""

import getpass
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.keys import KeychainUnavailable, KeysDamaged
from localguard.policy.pause import pausing_allowed
from localguard.proxy.callers import Caller, Callers, PolicyState
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import PauseView
from localguard.proxy.control_models import NothingBody, PauseBody

_NOT_ALLOWED = "The policy does not let redaction be paused. Its owner can add [pause] with max_minutes."


class Pause:
    """Whether redaction is paused now. A restart of the guard ends a pause."""

    def __init__(
        self,
        store: Store,
        control: Control,
        callers: Callers,
        policy: Callable[[], PolicyState],
        keep_back: Callable[[], Awaitable[None]],
    ) -> None:
        """`keep_back` has the guard's own keys known everywhere; it raises KeychainUnavailable or KeysDamaged."""
        self._keep_back = keep_back
        self._store = store
        self._control = control
        self._callers = callers
        self._policy = policy
        self._until = 0.0
        self._reason = ""
        control.offer(
            Call(
                "GET",
                "/pause",
                "Whether redaction is paused, and for how long still.",
                lambda _: self.shown(),
                gives=PauseView,
            ),
            Call(
                "POST",
                "/pause",
                "Pause redaction for `minutes`, with a `reason`.",
                self._pause,
                takes=PauseBody,
                gives=PauseView,
            ),
            Call("POST", "/resume", "End the pause.", self._resume, takes=NothingBody, gives=PauseView),
        )

    def covers(self, caller: Caller) -> bool:
        """Whether what is found in this caller's request is sent as it is."""
        if time.monotonic() >= self._until:
            return False
        allowed = pausing_allowed(caller.layers)
        workspaces = (caller.workspace, *caller.workspace.beside)
        return allowed.minutes > 0 and all(one.sensitivity in allowed.sensitivity for one in workspaces)

    def shown(self) -> Mapping[str, object]:
        """The state for people."""
        left = max(0, int(self._until - time.monotonic()))
        allowed = pausing_allowed(self._policy().layers)
        return {
            "paused": left > 0,
            "seconds_left": left,
            "reason": self._reason if left else None,
            "most_minutes": allowed.minutes,
            "sensitivity": sorted(map(str, allowed.sensitivity)),
        }

    async def _pause(self, given: Arguments) -> Mapping[str, object]:
        allowed = pausing_allowed(self._policy().layers)
        if not allowed.minutes or not allowed.sensitivity:
            raise ControlRefused(403, _NOT_ALLOWED)
        minutes = given.number("minutes", most=allowed.minutes)
        reason = given.text("reason").strip()
        if not reason:
            raise ControlRefused(400, "Say why: the reason stands in the log.")
        await self._callers.only_persons(given.request, "pause the guard")
        try:
            await self._keep_back()
        except (KeychainUnavailable, KeysDamaged) as error:
            raise ControlRefused(503, f"{error} Without it the guard's own keys could leave in a pause.") from None
        self._until, self._reason = time.monotonic() + 60 * minutes, reason
        self._record("pause", reason, {"minutes": minutes})
        return self.shown()

    def _resume(self, _: Arguments) -> Mapping[str, object]:
        if time.monotonic() < self._until:
            self._until = 0.0
            self._record("resume", "", {})
        return self.shown()

    def _record(self, event: str, reason: str, detail: dict[str, str | int | bool | None]) -> None:
        with suppress(LogUnavailable, RecordInvalid):
            self._store.note(
                "control",
                metadata={"event": event, "reason": reason, "detail": detail},
                local={"by": getpass.getuser()},
            )
        self._control.publish("pause", self.shown())
