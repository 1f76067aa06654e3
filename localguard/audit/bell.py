"""When the log's writer gets to work: at once, at the end of an event loop's turn, or when what can wait is due.

Waking a thread costs both threads the GIL twice, so the bell is rung as seldom as may be.
"""

import asyncio
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

NEVER = float("inf")


class Bell:
    """Rung from any thread, heard by one.

    `company` is how long a record may wait for others that are about to come, `look` how long after its last work the
    writer goes on to look by itself. Seconds.
    """

    def __init__(self, *, company: float, look: float) -> None:
        self._company = company
        self._look = look
        self._rings: SimpleQueue[None] = SimpleQueue()
        self._ringing: tuple[asyncio.AbstractEventLoop, asyncio.Handle] | None = None
        """An event loop that will ring once its turn is over, or when nobody else has come."""
        self._resting = False
        self.urgent = False
        """Whether somebody waits. Taken back by the writer, before it looks at what there is."""

    def ring(self) -> None:
        """Somebody waits."""
        self.urgent = True
        self._rings.put(None)

    def ring_after_turn(self, *, crowded: bool) -> None:
        """Somebody waits in the running event loop: ring when its turn is over, or soon where others are about to come."""
        loop = asyncio.get_running_loop()
        ringing = self._ringing if self._ringing is not None and self._ringing[0] is loop else None
        if not crowded:
            if ringing is not None:
                ringing[1].cancel()
            self._ringing = loop, loop.call_soon(self._turn_over)
        elif ringing is None:
            self._ringing = loop, loop.call_later(self._company, self._turn_over)

    def nudge(self) -> None:
        """Something is due that was not: look again when."""
        self._rings.put(None)

    def nudge_if_resting(self) -> None:
        """The same for what is due no sooner than the writer looks by itself: while requests come, it need not be told."""
        if self._resting:
            self._rings.put(None)

    def wait(self, due: Callable[[], float]) -> None:
        """Return when it was rung or what is `due` (monotonic seconds, NEVER) has come due."""
        while not self.urgent:
            left = due() - time.monotonic()
            if left <= 0:
                break
            patience = left if self._resting else min(left, self._look)
            try:
                self._rings.get(timeout=None if patience == NEVER else patience)
            except Empty:
                self._resting = True  # and look once more, as what came before this was not told
        self._resting = False

    def _turn_over(self) -> None:
        self._ringing = None
        self.ring()
