"""Which rules match a piece of work: globs, and an index that answers for all rules of a layer at once.

For every field and value the index keeps a bit mask of the rules that this value satisfies; the rules that match are the
conjunction of twelve masks. Masks are computed once per value, so that a decision over a hundred rules is a dozen look-ups.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache, reduce

from localguard.policy.layers import RuleRef, reference
from localguard.policy.model import Effect, Layer, Rule, Work
from localguard.policy.obligations import NO_VOTES, Votes, both, votes_of

_REMEMBERED_VALUES = 4096
"""Masks kept per layer. Values come from requests, so this bounds memory against a client that invents names."""


@lru_cache(maxsize=4096)
def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return the compiled form of a glob: `*` any run, `/` included, `?` one character, the rest literal, any case."""
    translated = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", glob))
    return re.compile(translated, re.DOTALL | re.IGNORECASE)


def glob_matches(globs: Iterable[str], value: str) -> bool:
    """Say whether the whole value matches any of the globs."""
    return any(glob_pattern(glob).fullmatch(value) for glob in globs)


FIELDS: tuple[tuple[str, bool], ...] = (
    # field of When, and whether a None in Work is "not known" (a deny or ask then matches) or a plain absence
    ("workspaces", True),
    ("sensitivity", True),
    ("tasks", False),
    ("endpoints", True),
    ("classes", True),
    ("models", True),
    ("identities", True),
    ("agents", False),
    ("tools", False),
    ("findings", False),
    ("attachments", False),
    ("times", True),
)
_MODELS, _TIMES = 5, 11


class _Globs:
    """The globs of one field over all rules: which rules a value satisfies.

    Globs that are plain words, or words with `*` behind or around them, are compared as lower-case text; that is what the
    patterns do as long as all is ASCII, and a value that is not goes through the patterns.
    """

    def __init__(self, conditions: Iterable[tuple[int, tuple[str, ...]]]) -> None:
        masks: dict[str, int] = {}
        for bit, globs in conditions:
            for glob in globs:
                masks[glob] = masks.get(glob, 0) | 1 << bit
        self._all = [(glob_pattern(glob), mask) for glob, mask in masks.items()]
        self._exact: dict[str, int] = {}
        self._beginnings: list[tuple[str, int]] = []
        self._inner: list[tuple[str, int]] = []
        self._others: list[tuple[re.Pattern[str], int]] = []
        for glob, mask in masks.items():
            word = glob.lower()
            bare = word.strip("*")
            if not glob.isascii() or "?" in glob or "*" in bare:
                self._others.append((glob_pattern(glob), mask))
            elif word == bare:
                self._exact[word] = self._exact.get(word, 0) | mask
            elif not word.startswith("*"):
                self._beginnings.append((bare, mask))
            elif word.endswith("*"):
                self._inner.append((bare, mask))
            else:
                self._others.append((glob_pattern(glob), mask))

    def mask(self, value: str) -> int:
        """Return the mask of the rules of which some glob matches the whole value, in any case."""
        if not value.isascii():
            return self._union(self._all, value)
        word = value.lower()
        mask = self._exact.get(word, 0) | self._union(self._others, value)
        for beginning, one in self._beginnings:
            if word.startswith(beginning):
                mask |= one
        for inner, one in self._inner:
            if inner in word:
                mask |= one
        return mask

    @staticmethod
    def _union(patterns: Iterable[tuple[re.Pattern[str], int]], value: str) -> int:
        mask = 0
        for pattern, one in patterns:
            if pattern.fullmatch(value):
                mask |= one
        return mask


class RuleIndex:
    """All rules of one layer, ready to be matched. Safe to share between threads."""

    def __init__(self, layer: Layer) -> None:
        self.rules = layer.rules
        self.references: tuple[RuleRef, ...] = tuple(reference(rule, layer) for rule in self.rules)
        self.everything = (1 << len(self.rules)) - 1
        self.denies = self._mask(rule.effect is Effect.DENY for rule in self.rules)
        self.asks = self._mask(rule.effect is Effect.ASK for rule in self.rules)
        self.allows = self.everything & ~(self.denies | self.asks)
        self._models = layer.models
        self._votes = tuple(votes_of(rule) for rule in self.rules)
        self._voting = self._mask(votes is not NO_VOTES for votes in self._votes)
        self._masks: dict[tuple[int, str | int | None], int] = {}
        self._conditions = tuple(
            tuple((bit, globs) for bit, rule in enumerate(self.rules) if (globs := _entries(rule, name)) is not None)
            for name, _ in FIELDS
        )
        self._globs = tuple(
            _Globs(conditions if field != _TIMES else ()) for field, conditions in enumerate(self._conditions)
        )
        self._unconditional = tuple(
            self.everything & ~sum(1 << bit for bit, _ in conditions) for conditions in self._conditions
        )

    def matching(self, work: Work) -> int:
        """Return the mask of the rules whose every given condition this work meets (bit 0 is the first rule)."""
        return (
            self._one(0, work.workspace)
            & self._one(1, work.sensitivity)
            & self._one(2, work.task)
            & self._one(3, work.endpoint)
            & self._one(4, work.endpoint_class)
            & self._one(5, work.model)
            & self._one(6, work.identity)
            & self._one(7, work.agent)
            & self._any(8, work.tools)
            & self._any(9, work.findings)
            & self._any(10, work.attachments)
            & self._at(work.time)
        )

    def by_field(self, work: Work) -> dict[str, int]:
        """Return, for each field of `when`, the mask of the rules that are satisfied with it."""
        single = (work.workspace, work.sensitivity, work.task, work.endpoint, work.endpoint_class, work.model,
                  work.identity, work.agent)  # fmt: skip
        several = (work.tools, work.findings, work.attachments)
        masks = [self._one(field, value) for field, value in enumerate(single)]
        masks += [self._any(field, values) for field, values in enumerate(several, len(single))]
        return dict(zip((name for name, _ in FIELDS), (*masks, self._at(work.time)), strict=True))

    def nearly(self, work: Work) -> list[tuple[RuleRef, str]]:
        """Return the allow rules that miss in a single field, with its name, in file order, three at most."""
        missed = missed_again = 0
        masks = self.by_field(work)
        for mask in masks.values():
            missing = self.allows & ~mask
            missed_again |= missed & missing
            missed |= missing
        once = missed & ~missed_again
        found = [bit for bit in range(len(self.rules)) if once >> bit & 1][:3]
        return [(self.references[bit], next(n for n, mask in masks.items() if not mask >> bit & 1)) for bit in found]

    def of(self, mask: int) -> tuple[RuleRef, ...]:
        """Return the rules of a mask in file order."""
        return tuple(self.references[bit] for bit in _bits(mask))

    def with_rules(self, mask: int) -> list[tuple[Rule, RuleRef]]:
        """Return the rules of a mask in file order, each with its reference."""
        return [(self.rules[bit], self.references[bit]) for bit in _bits(mask)]

    def votes(self, mask: int) -> Votes:
        """Return the votes of the rules of a mask."""
        return reduce(both, (self._votes[bit] for bit in _bits(mask & self._voting)), NO_VOTES)

    def canonical(self, model: str) -> str:
        """Return the name of a model that is called otherwise here: the first that lists it, else itself."""
        return next((known.name for known in self._models if glob_matches(known.aliases, model)), model)

    def _any(self, field: int, values: frozenset[str]) -> int:
        mask = self._unconditional[field]
        if self._conditions[field]:
            for value in values:
                mask |= self._one(field, value)
        return mask

    def _one(self, field: int, value: str | None) -> int:
        if not self._conditions[field]:
            return self.everything
        known = self._masks.get((field, value))
        return known if known is not None else self._remember(field, value)

    def _at(self, moment: datetime | None) -> int:
        conditions = self._conditions[_TIMES]
        if not conditions:
            return self.everything
        minute = None if moment is None else int(moment.timestamp() // 60)
        known = self._masks.get((_TIMES, minute))
        if known is not None:
            return known
        mask = self._unconditional[_TIMES]
        for bit, _ in conditions:
            rule = self.rules[bit]
            met = (
                rule.effect is not Effect.ALLOW
                if moment is None
                else any(window.contains(moment) for window in rule.when.times or ())
            )
            mask |= met << bit
        return self._kept(_TIMES, minute, mask)

    def _remember(self, field: int, value: str | None) -> int:
        mask = self._unconditional[field]
        if value is None:
            if FIELDS[field][1]:
                mask |= self.denies | self.asks
            return self._kept(field, value, mask)
        if field != _MODELS:
            return self._kept(field, value, mask | self._globs[field].mask(value))
        canonical = self.canonical(value)
        mask |= self._globs[field].mask(canonical)
        if canonical != value:
            # an alias says nothing in favour of a model: what it is called here could be anything
            mask |= self._globs[field].mask(value) & ~self.allows
        return self._kept(field, value, mask)

    def _kept(self, field: int, value: str | int | None, mask: int) -> int:
        if len(self._masks) >= _REMEMBERED_VALUES:
            self._masks.clear()
        self._masks[field, value] = mask
        return mask

    @staticmethod
    def _mask(bits: Iterable[bool]) -> int:
        return sum(1 << position for position, bit in enumerate(bits) if bit)


@lru_cache(maxsize=512)
def index_of(layer: Layer) -> RuleIndex:
    """Return the index of a layer, made once."""
    return RuleIndex(layer)


def _entries(rule: Rule, name: str) -> tuple[str, ...] | None:
    found: tuple[object, ...] | None = getattr(rule.when, name)
    if found is None:
        return None
    return tuple(str(entry) for entry in found) if name == "times" else found  # type: ignore[return-value]


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found
