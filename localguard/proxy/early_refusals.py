"""Refusals of requests that never became an exchange: broken HTTP, a foreign host, a token that is none, no endpoint of that name.

Each has an id, and a record that `explain` answers by. Whoever sends no more than heads can fill no disk: 60 a minute are recorded one
by one, further ones are counted together, in a record that the id's time falls into. The start of this module is light: a guard answers
before its heavy parts are loaded.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from localguard.audit.record import RecordInvalid, timestamp
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.agents import agent_of
from localguard.proxy.exchange_ids import ExchangeIds

EVENT = "refusals"
"""The control record of those that were counted together."""
_A_MINUTE = 60
_TOGETHER_SECONDS = 10.0


class EarlyRefusals:
    """What is recorded of them. Lives in the guard's event loop."""

    def __init__(self, store: Store, *, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._now = now
        self._ids = ExchangeIds()
        self._minute = 0, 0
        """The minute, and how many were recorded in it."""
        self._together: Counter[str] = Counter()
        self._since = ""
        self._timer: asyncio.TimerHandle | None = None

    def refused(self, status: int, code: str, message: str, user_agent: str | None, origin: str = "agent") -> str:
        """Record one, without waiting for the disk; returns its id. `code` begins with `localguard_`, `message` holds no value."""
        exchange = self._ids.new()
        agent, _ = agent_of(user_agent, None)
        metadata: dict[str, object] = {
            "agent": agent,
            "status": status,
            "code": code,
            "origin": origin,
            "reason": message,
            "next_step": "",
            "rule": "admission",
        }
        if self.admits(code):
            with suppress(LogUnavailable, RecordInvalid):
                self._store.note("refusal", exchange=exchange, metadata=metadata)
        return exchange

    async def record(self, exchange: str, metadata: Mapping[str, object]) -> None:
        """Record one of which more is known, and wait until that is durable. A log that cannot be written keeps nobody waiting."""
        if self.admits(str(metadata.get("code"))):
            with suppress(LogUnavailable, RecordInvalid):
                await self._store.durable("refusal", exchange=exchange, metadata=metadata)

    def admits(self, code: str) -> bool:
        """Whether one more may have a record of its own; else it is counted together with others."""
        minute = int(self._now() // 60)
        count = self._minute[1] + 1 if minute == self._minute[0] else 1
        self._minute = minute, count
        if count <= _A_MINUTE:
            return True
        if not self._together:
            self._since = timestamp(datetime.now(UTC))
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self.close)
        self._together[code] += 1
        return False

    def close(self) -> None:
        """Write down what was counted together so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._together:
            detail: dict[str, str | int | bool | None] = dict(self._together)
            with suppress(LogUnavailable, RecordInvalid):
                self._store.note("control", metadata={"event": EVENT, "since": self._since, "detail": detail})
            self._together.clear()
