"""Validators for numbers that states give to persons, by the names that rule files use."""

from collections.abc import Callable, Mapping
from typing import Final

from localguard.detect.candidate import Candidate, Validator
from localguard.detect.check_digits import compact
from localguard.detect.national_ids_americas import AMERICAS
from localguard.detect.national_ids_europe import EUROPE
from localguard.detect.national_ids_world import WORLD


def _validator(check: Callable[[str], bool], lengths: tuple[int, ...]) -> Validator:
    """Compacts the value, and asks `check` where its length is right; checks of digits see digits alone."""

    def validate(candidate: Candidate) -> bool:
        number = compact(candidate.value)
        if len(number) not in lengths:
            return False
        try:
            return check(number)
        except ValueError:  # a letter where the number has digits
            return False

    validate.__doc__ = check.__doc__
    return validate


NATIONAL_IDS: Final[Mapping[str, Validator]] = {
    name: _validator(check, lengths) for name, (check, lengths) in {**EUROPE, **AMERICAS, **WORLD}.items()
}
