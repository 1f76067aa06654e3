"""The ids of exchanges, by which agents, people and the log speak of them."""

import time

from localguard.audit.entropy import RandomBytes

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]


class ExchangeIds:
    """Makes exchange ids: 48 bits of time in milliseconds, then 32 random ones, so that ids sort by time."""

    def __init__(self) -> None:
        self._random = RandomBytes()

    def new(self) -> str:
        """An id that no other exchange has."""
        number = (int(time.time() * 1000) << 32) | int.from_bytes(self._random.take(4))
        return "x" + "".join([_PAIRS[number >> shift & 1023] for shift in range(70, -1, -10)])
