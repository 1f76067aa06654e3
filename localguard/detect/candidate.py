"""A match before it is believed, as validators see it."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A match before it is believed: the value, the key it was assigned to (or ""), and its line around it.

    `before` and `after` are at most 256 characters of the text on either side, on any line.
    """

    value: str
    key: str
    before: str
    after: str


Validator = Callable[[Candidate], bool]


def shannon_entropy(value: str) -> float:
    """Bits per character of `value`; 0.0 for the empty string."""
    if not value:
        return 0.0
    length = len(value)
    return -sum(count / length * math.log2(count / length) for count in Counter(value).values())
