"""Who approved what an agent did in a session: a control record of the session, made by a person's call.

An agent cannot approve: a process that sent model traffic to this guard lately is refused, one that the log names as the
session's own too (on Linux), and whatever descends from either. What this does not protect against: other programs of the same
user, and what a caller says of itself as its git identity.
"""

import asyncio
import getpass
from collections.abc import Mapping
from pathlib import Path

from localguard.audit.queries import Log
from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.peer import descent, program_of
from localguard.proxy.callers import Callers
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_answers import SessionApproved
from localguard.proxy.control_models import SessionApprovalBody


class SessionApprovals:
    """The control call that approves a session. `database` is the log that `store` writes."""

    def __init__(self, database: Path, store: Store, control: Control, callers: Callers) -> None:
        self._database = database
        self._store = store
        self._control = control
        self._callers = callers
        control.offer(
            Call(
                "POST",
                "/session-approvals",
                "Approve a `session`, with `identity` and `note`.",
                self._approve,
                takes=SessionApprovalBody,
                gives=SessionApproved,
            )
        )

    async def _approve(self, given: Arguments) -> Mapping[str, object]:
        await self._callers.only_persons(given.request, "approve a session")
        session, note, identity = given.text("session"), given.text("note", ""), given.text("identity", "")
        try:
            peer = await self._callers.peer_of(given.request)
            records, until, agents = await asyncio.to_thread(self._extent, session)
            if not records:
                raise ControlRefused(404, "The log has no such session. `localguard session list` shows them.")
            if peer is not None and peer.pid is not None and await asyncio.to_thread(_descends, peer.pid, agents):
                raise ControlRefused(403, "An agent cannot approve a session. Do it in a terminal of your own.")
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

    def _extent(self, session: str) -> tuple[int, str, set[tuple[int, str]]]:
        """How many records a session has, the time of the last one, and the processes that sent it: id and program."""
        count, last = 0, ""
        agents: set[tuple[int, str]] = set()
        with Log(self._database) as log:
            for record in log.whole_session(session):
                count, last = count + 1, record.time
                peer = (record.local or {}).get("peer") or {}
                agents.add((peer.get("pid", 0), str(peer.get("name"))))
        return count, last, agents


def _descends(pid: int, agents: set[tuple[int, str]]) -> bool:
    """Whether a process is one of these, or descends from one. A process id alone says nothing: they are used again."""
    return any((one, program_of(one)) in agents for one in descent(pid))


def user_name() -> str:
    """The user that the guard runs as, who is the only one it serves."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
