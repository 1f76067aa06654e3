"""Turns on the event loop: requests that come at once are worked on one after another, and replies go on in between.

A request takes a millisecond or two of the loop from its head to its intent. Fifty that come together would keep every
chunk of every reply waiting for all of them.
"""

import asyncio
from collections import deque


class Turns:
    """Lets so many tasks a turn of the event loop go on, in the order in which they came. Lives in one event loop."""

    def __init__(self, at_once: int = 1) -> None:
        self._at_once = at_once
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._left = at_once
        self._running = False

    @property
    def crowded(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    async def take(self) -> None:
        """Return at once for the first of a turn of the loop, else when it is this task's turn."""
        loop = asyncio.get_running_loop()
        if not self._running:
            self._running = True
            loop.call_soon(self._next)
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next(self) -> None:
        """A turn of the loop later: its connections have been looked at."""
        self._left = self._at_once
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():  # who waited has not gone
                turn.set_result(None)
                self._left -= 1
        if self._left == self._at_once:
            self._running = False
        else:
            asyncio.get_running_loop().call_soon(self._next)
