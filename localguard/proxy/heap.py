"""What large requests took of the heap goes back to the system.

glibc keeps freed memory where something small still lives behind it: a session of 60 turns left 25 MB of holes in the
daemon, which `malloc_trim` gives back within some milliseconds, in a thread, without Python's lock. Elsewhere nothing
is done: other allocators give memory back by themselves.
"""

import asyncio
import ctypes
import sys
from collections.abc import Callable

_SOON = 0.05
"""Seconds: what the last request holds is let go of by then."""
_IDLE = 2.0
_MUCH = 8 * 1024 * 1024
_LITTLE = 256 * 1024


def trimmer() -> Callable[[], object] | None:
    """What gives the heap's holes back to the system, None where there is no such thing."""
    if sys.platform != "linux":
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    return None if trim is None else lambda: trim(0)


class Heap:
    """Trims the heap after so many bytes of bodies, and when no large one has come for a while. Lives in one loop."""

    def __init__(self, trim: Callable[[], object] | None = None) -> None:
        self._trim = trim if trim is not None else trimmer()
        self._used = 0
        self._timer: asyncio.TimerHandle | None = None

    def used(self, size: int) -> None:
        """A body of `size` bytes was dealt with, and is about to be let go of."""
        if size < _LITTLE or self._trim is None:
            return
        self._used += size
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_SOON if self._used >= _MUCH else _IDLE, self._start)

    def _start(self) -> None:
        assert self._trim is not None
        self._used, self._timer = 0, None
        asyncio.get_running_loop().run_in_executor(None, self._trim)
