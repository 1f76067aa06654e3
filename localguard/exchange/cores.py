"""Telling quickly which texts cannot hold any of some values: by the longest plain run of each."""

from collections.abc import Callable, Sequence

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

GROUP = 32
"""Cores that ahocorasick's packed search looks for at once on every processor, at gigabytes a second."""
_MAX_GROUPS = 96
"""Beyond so many groups one automaton reads a text sooner."""
_SHORT = 6
"""Bytes. Shorter runs stand in so many texts that counting all their places would cost more than one search each."""
_SLICE = 256 * 1024
"""Bytes after which a search that has found something ends."""

Build = Callable[[Sequence[bytes]], BytesAhoCorasick]


def automaton(cores: Sequence[bytes]) -> BytesAhoCorasick:
    """What finds `cores`."""
    return BytesAhoCorasick(
        cores, matchkind=MatchKind.LeftmostFirst, implementation=Implementation.ContiguousNFA
    )  # of the kinds of matches only the leftmost ones have the packed search


class CoreFilter:
    """Says whether some text holds one of `cores`. Linear in the text, however many cores there are.

    `build` makes an automaton for a group of cores; the same groups are asked for again when more are known.
    """

    def __init__(self, cores: Sequence[bytes], build: Build = automaton) -> None:
        self._searched = [core for core in cores if len(core) < _SHORT]
        rest = [core for core in cores if len(core) >= _SHORT]
        size = GROUP if len(rest) <= GROUP * _MAX_GROUPS else len(rest)
        self._automata = [build(rest[start : start + size]) for start in range(0, len(rest), size or 1)]
        self._overlap = max(map(len, rest), default=1) - 1

    def may_hold(self, text: bytes) -> bool:
        """Whether one of the cores stands in `text`; an empty core stands everywhere."""
        if any(core in text for core in self._searched):
            return True
        if len(text) <= _SLICE:
            return any(one.find_matches_as_indexes(text) for one in self._automata)
        view = memoryview(text)
        return any(
            one.find_matches_as_indexes(view[start : start + _SLICE + self._overlap])
            for start in range(0, len(text), _SLICE)
            for one in self._automata
        )
