"""Telling quickly which texts cannot hold any of some values: by the longest plain run of each."""

from collections.abc import Sequence

from ahocorasick_rs import BytesAhoCorasick

_FEW = 32
_SHORT = 6
"""Bytes. Shorter runs stand in so many texts that counting all their places would cost more than one search each."""


class CoreFilter:
    """Says whether some text holds one of `cores`. Linear in the text, however many cores there are."""

    def __init__(self, cores: Sequence[bytes]) -> None:
        many = len(cores) > _FEW
        self._searched = [core for core in cores if not many or len(core) < _SHORT]
        rest = [core for core in cores if many and len(core) >= _SHORT]
        self._automaton = BytesAhoCorasick(rest) if rest else None

    def may_hold(self, text: bytes) -> bool:
        """Whether one of the cores stands in `text`; an empty core stands everywhere."""
        if any(core in text for core in self._searched):
            return True
        return self._automaton is not None and bool(self._automaton.find_matches_as_indexes(text))
