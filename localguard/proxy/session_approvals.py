"""Who approved what an agent did in a session: a control record of the session, made by a person's call.

An agent cannot approve: a process that sent model traffic to this guard lately, or descends from one, is refused. What this
does not protect against: other programs of the same user, an agent that has sent nothing since the guard started, and what a
caller says of itself as its git identity.
"""

import asyncio
import getpass
from collections.abc import Mapping
from pathlib import Path

from localguard.audit.queries import Log
from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.proxy.callers import Callers
from localguard.proxy.control import Arguments, Call, Control, ControlRefused


class SessionApprovals:
    """The control call that approves a session. `database` is the log that `store` writes."""

    def __init__(self, database: Path, store: Store, control: Control, callers: Callers) -> None:
        self._database = database
        self._store = store
        self._control = control
        self._callers = callers
        control.offer(
            Call("POST", "/session-approvals", "Approve a `session`, with `identity` and `note`.", self._approve)
        )

    async def _approve(self, given: Arguments) -> Mapping[str, object]:
        await self._callers.only_persons(given.request, "approve a session")
        session, note, identity = given.text("session"), given.text("note", ""), given.text("identity", "")
        try:
            records, until = await asyncio.to_thread(self._extent, session)
            if not records:
                raise ControlRefused(404, "The log has no such session. `localguard session list` shows them.")
            by = user_name()
            await self._store.durable(
                "control",
                session=session,
                metadata={
                    "event": "session-approval",
                    "reason": note,
                    "detail": {"records": records, "until": until},
                },
                local={"by": by, "identity": identity or None},
            )
        except (LogUnavailable, RecordInvalid):
            raise ControlRefused(503, "The log cannot be written, so nothing was approved.") from None
        self._control.publish("session-approval", {"session": session})
        return {"session": session, "by": by, "identity": identity or None, "records": records, "until": until}

    def _extent(self, session: str) -> tuple[int, str]:
        """How many records a session has, and the time of the last one."""
        count, last = 0, ""
        with Log(self._database) as log:
            for record in log.whole_session(session):
                count, last = count + 1, record.time
        return count, last


def user_name() -> str:
    """The user that the guard runs as, who is the only one it serves."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
