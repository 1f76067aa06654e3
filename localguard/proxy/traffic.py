"""Limits of endpoints at work: requests wait for their turn, fairly among workspaces, and are refused when it does not come."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from localguard.policy.fair_queue import FairQueue
from localguard.policy.model import Endpoint, EndpointLimits
from localguard.proxy import refusals
from localguard.proxy.refusals import Refused

Leave = Callable[[], None]
"""Gives a turn back. Twice is once."""


@dataclass(slots=True)
class _Line:
    limits: EndpointLimits
    queue: FairQueue
    waiting: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None


class Traffic:
    """The lines before the endpoints. Lives in one event loop."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    async def turn(self, endpoint: Endpoint, workspace: str, ticket: str) -> Leave:
        """Wait for a turn at an endpoint and return what gives it back. Raises Refused (429) when it does not come in time."""
        limits = endpoint.limits
        if limits.at_once is None and limits.per_minute is None:
            return _nothing
        line = self._lines.get(endpoint.name)
        if line is None or line.limits != limits:  # who is under way by other limits ends by them
            line = self._lines[endpoint.name] = _Line(limits, FairQueue(limits.at_once, limits.per_minute))
        line.waiting[ticket] = came = asyncio.get_running_loop().create_future()
        line.queue.join(ticket, workspace)
        self._serve(line)
        try:
            async with asyncio.timeout(limits.wait):
                await came
        except (TimeoutError, asyncio.CancelledError) as over:
            if came.done() and not came.cancelled():  # the turn came in the very moment in which the wait was over
                self._leave(line)
            line.queue.withdraw(ticket, workspace)
            if isinstance(over, asyncio.CancelledError):
                raise
            due = line.queue.due(time.monotonic())
            raise Refused(refusals.of_traffic(endpoint, math.ceil(due if due is not None else limits.wait))) from None
        finally:
            del line.waiting[ticket]
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._leave(line)

        return leave

    def _leave(self, line: _Line) -> None:
        line.queue.leave()
        self._serve(line)

    def _serve(self, line: _Line) -> None:
        for ticket in line.queue.next_turns(time.monotonic()):
            came = line.waiting.get(ticket)
            if came is None or came.done():  # it gave up in this very moment
                line.queue.leave()
                continue
            came.set_result(None)
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None
        due = line.queue.due(time.monotonic())
        if due is not None:
            line.timer = asyncio.get_running_loop().call_later(due + 0.001, self._serve, line)


def _nothing() -> None:
    """There was no line."""
