"""Random bytes by the block: one call to the system for some hundred records."""

import os
import threading

_BLOCK = 8192


class RandomBytes:
    """Bytes of the system's generator, none handed out twice. Thread-safe; not to be used on both sides of a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._block = b""
        self._next = 0

    def take(self, count: int) -> bytes:
        """`count` bytes that nobody has seen."""
        with self._lock:
            start, self._next = self._next, self._next + count
            if self._next > len(self._block):
                self._block = os.urandom(max(_BLOCK, count))
                start, self._next = 0, count
            return self._block[start : self._next]
