"""How long to wait after failures: full jitter below an exponential ceiling. Pure.

Half a fleet that comes back from an outage together must not arrive together; see M. Brooker, "Exponential Backoff And Jitter"
(AWS Architecture Blog, 2015).
"""

FIRST = 1.0
CEILING = 300.0
"""Seconds."""


def delay(failures: int, share: float, asked: float = 0.0) -> float:
    """Seconds to wait after so many failures in a row (1 or more). `share` is random in [0, 1); never below what was `asked`."""
    ceiling = min(CEILING, FIRST * 2.0 ** min(failures - 1, 30))
    return max(asked, 0.05, share * ceiling)
