"""Checks of values that only their place gives away, by the names that rule files use."""

import re
from typing import Final

from localguard.detect.literals import literal_value, masked
from localguard.detect.randomness import looks_random, mixes_classes
from localguard.detect.words import is_common

_NAME: Final = re.compile(r"[A-Za-z]+(?:[-_. /:][A-Za-z]+)*")


def not_placeholder(value: str) -> bool:
    """Anything but a mask, a reference or a common word: where the syntax leaves no doubt that a secret stands there."""
    return len(value) >= 3 and not masked(value) and not is_common(value)


def told(value: str) -> bool:
    """What somebody tells as a password in a sentence: no mask, no word, and something that words do not have."""
    if len(value) < 4 or masked(value) or is_common(value) or _NAME.fullmatch(value):
        return False
    return mixes_classes(value)


def random_or_mixed(value: str, key: str) -> bool:
    """A literal that no program names so: letters and digits, after a telling name and nothing but space."""
    return mixes_classes(value) and any(char.isdigit() for char in value) and literal_value(value, key, "bare")


def generated_marks(value: str) -> bool:
    """Drawn from all printable characters."""
    return looks_random(value) or sum(not char.isalnum() and char != " " for char in value) > len(value) // 5
