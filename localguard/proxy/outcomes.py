"""The control call by which somebody says what became of a session."""

import asyncio
import getpass
from collections.abc import Mapping

from localguard.audit.outcomes import FACTS, RESULTS, verdict_event
from localguard.audit.queries import Log
from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.home import Home
from localguard.proxy.callers import Callers
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import OutcomeTold
from localguard.proxy.control_models import OutcomeBody
from localguard.proxy.tasks import TASK

MOST_MINUTES = 100_000


class SessionOutcomes:
    """Records verdicts on sessions that the log has. The text of a note goes through the store's scrub."""

    def __init__(self, home: Home, store: Store, control: Control, callers: Callers) -> None:
        self._home = home
        self._store = store
        self._callers = callers
        control.offer(
            Call(
                "POST",
                "/session-outcomes",
                "Say what became of `session`: `workflow`, `result`, and if known `review_minutes`, `note`, `commits`.",
                self._record,
                takes=OutcomeBody,
                gives=OutcomeTold,
            )
        )

    async def _record(self, given: Arguments) -> Mapping[str, object]:
        session, workflow, result = given.text("session"), given.text("workflow"), given.text("result")
        if not TASK.fullmatch(workflow):
            raise ControlRefused(400, "A workflow holds letters, digits and . _ : - only, 64 at most.")
        if result not in RESULTS:
            raise ControlRefused(400, f"result is one of {', '.join(RESULTS)}.")
        minutes = given.body.get("review_minutes")
        if minutes is not None and (type(minutes) is not int or not 0 <= minutes <= MOST_MINUTES):
            raise ControlRefused(400, f"review_minutes is a whole number, {MOST_MINUTES} at most.")
        told = given.body.get("commits") or {}
        if not isinstance(told, dict):
            raise ControlRefused(400, "commits is an object of numbers.")
        commits = {name: told[name] for name in FACTS if type(told.get(name)) is int and 0 <= told[name] < 1 << 31}
        if not await asyncio.to_thread(self._known, session):
            raise ControlRefused(404, "The log has no such session. `localguard session list` shows the latest ones.")
        await self._callers.only_persons(given.request, "say what became of its own work")
        note = given.text("note", "")
        try:
            await self._store.durable(
                "control",
                crowded=False,
                session=session,
                metadata=verdict_event(workflow, result, minutes, commits),
                local={"by": getpass.getuser()} | ({"note": note} if note else {}),
            )
        except (LogUnavailable, RecordInvalid) as error:
            raise ControlRefused(503, f"The log cannot be written ({error}).") from None
        return {"session": session, "workflow": workflow, "result": result}

    def _known(self, session: str) -> bool:
        with Log(self._home.audit_db) as log:
            return bool(log.session(session, 1))
