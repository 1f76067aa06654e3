"""How much one device may send: a token bucket each. Pure; the clock is passed in."""

from collections import OrderedDict

_MOST_DEVICES = 50_000


class Rates:
    """Buckets by device: `burst` at once, `per_second` on average. The least recent device is forgotten, and begins full again."""

    def __init__(self, *, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, device: str, amount: float, now: float) -> float:
        """Take `amount` and answer 0, or take nothing and answer the seconds until there is enough.

        More than a whole bucket is let through when the bucket is full.
        """
        level, then = self._buckets.get(device, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._per_second)
        needed = min(amount, self._burst)
        taken = level >= needed
        self._buckets[device] = (level - needed if taken else level), now
        self._buckets.move_to_end(device)
        while len(self._buckets) > _MOST_DEVICES:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (needed - level) / self._per_second
