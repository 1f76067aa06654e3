"""Telling quickly which texts cannot hold any of some values: by the longest plain run of each."""

from collections.abc import Sequence

from localguard.redact.sweep import SHORT, automaton_of, holds

_GROUP = 32
"""Cores that ahocorasick's packed search looks for at once on every processor, at gigabytes a second."""
_MAX_GROUPS = 48
"""Beyond so many groups one automaton reads a text sooner."""


class CoreFilter:
    """Says whether some text holds one of `cores`. Linear in the text, however many cores there are."""

    def __init__(self, cores: Sequence[bytes]) -> None:
        self._searched = [core for core in cores if len(core) < SHORT]
        rest = [core for core in cores if len(core) >= SHORT]
        size = _GROUP if len(rest) <= _GROUP * _MAX_GROUPS else len(rest)
        self._automata = [automaton_of(rest[start : start + size]) for start in range(0, len(rest), size or 1)]
        self._longest = max(map(len, rest), default=0)

    def may_hold(self, text: bytes) -> bool:
        """Whether one of the cores stands in `text`; an empty core stands everywhere."""
        return any(core in text for core in self._searched) or any(
            holds(automaton, text, self._longest) for automaton in self._automata
        )
