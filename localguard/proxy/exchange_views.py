"""The control calls by which people look at exchanges and sessions: the latest from memory, older ones from the log.

The log is read in a thread, on a connection that never writes; nothing here can hold up traffic or change anything.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from localguard.audit.detail import ExchangeDetail, detail_of, phases
from localguard.audit.queries import Log
from localguard.audit.rows import ExchangeRow, row_of
from localguard.audit.schema import LogUnavailable
from localguard.audit.session_rows import session_rows
from localguard.audit.sessions import session_data, session_of
from localguard.proxy.control import Arguments, Call, Control, ControlRefused
from localguard.proxy.control_models import ExchangeList, ExchangesQuery, SessionList, SessionsQuery, SessionView
from localguard.proxy.recorder import Recorder

Answer = TypeVar("Answer")

_LONGEST_SESSION = 20_000
"""Records of a session that are read for one look at it."""


class ExchangeViews:
    """Offers its calls to `control`."""

    def __init__(self, log_file: Path, recorder: Recorder, control: Control) -> None:
        self._log_file = log_file
        self._recorder = recorder
        control.offer(
            Call(
                "GET",
                "/exchanges",
                "Exchanges, oldest first: the latest, or those next to one.",
                self._exchanges,
                query=ExchangesQuery,
                gives=ExchangeList,
            ),
            Call(
                "GET",
                "/exchanges/{id}",
                "One exchange: decision, findings, coverage, restorations, timing, usage.",
                self._exchange,
                gives=ExchangeDetail,
            ),
            Call(
                "GET",
                "/sessions",
                "The sessions that were at work last, newest first.",
                self._sessions,
                query=SessionsQuery,
                gives=SessionList,
            ),
            Call("GET", "/sessions/{id}", "What one session did.", self._session, gives=SessionView),
        )

    async def _exchanges(self, given: Arguments) -> Mapping[str, object]:
        asked = given.queried(ExchangesQuery)
        recent = sorted(self._recorder.recent, key=_id)
        if asked.before is None and asked.after is None and len(recent) >= asked.limit:
            return {"exchanges": recent[-asked.limit :], "more": True}
        logged = await self._read(lambda log: _rows(log, asked))
        held = [
            row
            for row in recent
            if (asked.before is None or row["exchange"] < asked.before)
            and (asked.after is None or row["exchange"] > asked.after)
        ]
        both = {row["exchange"]: row for row in logged} | {row["exchange"]: row for row in held}
        rows = sorted(both.values(), key=_id)
        forward = asked.after is not None and asked.before is None
        shown = rows[: asked.limit] if forward else rows[max(0, len(rows) - asked.limit) :]
        return {"exchanges": shown, "more": len(rows) > len(shown) or len(logged) == asked.limit}

    async def _exchange(self, given: Arguments) -> Mapping[str, object]:
        id = given.path["id"]
        found = await self._read(lambda log: detail_of(log.show(id)))
        if found is None:
            raise ControlRefused(404, "The log has no exchange with this id. `localguard audit tail` lists the newest.")
        held = self._recorder.row(id)  # an outcome is in the log within a second
        return (
            found
            if held is None
            else {**found, "exchange": held, "timing": phases(held, asked=bool(found["decision"]["approval"]))}
        )

    async def _sessions(self, given: Arguments) -> Mapping[str, object]:
        asked = given.queried(SessionsQuery)
        return {"sessions": await self._read(lambda log: session_rows(log, asked.limit, asked.before_seq))}

    async def _session(self, given: Arguments) -> Mapping[str, object]:
        id = given.path["id"]
        records = await self._read(lambda log: log.session(id, _LONGEST_SESSION))
        if not records:
            raise ControlRefused(404, "The log has no such session. `localguard session list` shows the latest ones.")
        return await asyncio.to_thread(lambda: session_data(session_of(id, records)))

    async def _read(self, question: Callable[[Log], Answer]) -> Answer:
        def read() -> Answer:
            with Log(self._log_file) as log:
                return question(log)

        try:
            return await asyncio.to_thread(read)
        except LogUnavailable as error:
            raise ControlRefused(503, f"The log cannot be read ({error}).") from None


def _rows(log: Log, asked: ExchangesQuery) -> list[ExchangeRow]:
    ids = log.exchange_ids(asked.limit, before=asked.before, after=asked.after)
    return [row for row in (row_of(log.show(id)) for id in ids) if row is not None]


def _id(row: ExchangeRow) -> str:
    return row["exchange"]
