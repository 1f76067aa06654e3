"""Who may use an endpoint next, where it may only have so many requests at once or in a minute. Pure: times are passed in.

Workspaces take turns: one that has hundreds waiting delays another by one request of its own, not by hundreds. In one
workspace the first to come is the first to go.
"""

from collections import OrderedDict, deque
from typing import Final

_MINUTE: Final = 60.0


class FairQueue:
    """The requests of one endpoint. `at_once` and `per_minute` are limits, None for none. Times are seconds that never go back."""

    def __init__(self, at_once: int | None, per_minute: int | None) -> None:
        self._at_once = at_once
        self._per_minute = per_minute
        self._running = 0
        self._begun: deque[float] = deque()
        self._waiting: OrderedDict[str, deque[str]] = OrderedDict()
        """Tickets by workspace; the first workspace is the next to have a turn."""

    def join(self, ticket: str, workspace: str) -> None:
        """Wait for a turn; `next_turns` says who has one."""
        self._waiting.setdefault(workspace, deque()).append(ticket)

    def next_turns(self, now: float) -> list[str]:
        """The tickets whose turn it is now, in order; they are running from now on."""
        turns = []
        while self._waiting and self._free(now):
            workspace, tickets = next(iter(self._waiting.items()))
            turns.append(tickets.popleft())
            if tickets:
                self._waiting.move_to_end(workspace)
            else:
                del self._waiting[workspace]
            self._running += 1
            if self._per_minute is not None:
                self._begun.append(now)
        return turns

    def leave(self) -> None:
        """One that was running has ended."""
        self._running -= 1

    def withdraw(self, ticket: str, workspace: str) -> None:
        """One that waited does so no longer."""
        tickets = self._waiting.get(workspace)
        if tickets is not None and ticket in tickets:
            tickets.remove(ticket)
            if not tickets:
                del self._waiting[workspace]

    def due(self, now: float) -> float | None:
        """In how many seconds time alone makes room for one that waits; None where it does not."""
        if not self._waiting or self._per_minute is None or len(self._begun) < self._per_minute:
            return None
        return max(self._begun[0] + _MINUTE - now, 0.0)

    def _free(self, now: float) -> bool:
        while self._begun and self._begun[0] <= now - _MINUTE:
            self._begun.popleft()
        return (self._at_once is None or self._running < self._at_once) and (
            self._per_minute is None or len(self._begun) < self._per_minute
        )
