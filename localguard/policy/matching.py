"""Which rules match a piece of work: globs, and an index that answers for all rules of a layer at once.

For every field and value the index keeps a bit mask of the rules that this value satisfies; the rules that match are the
conjunction of eleven masks. Masks are computed once per value, so that a decision over a hundred rules is a dozen look-ups.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from localguard.policy.model import Effect, Rule, Work

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


_FIELDS: tuple[tuple[str, bool], ...] = (
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
)


class RuleIndex:
    """All rules of one layer, ready to be matched. Safe to share between threads."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self.everything = (1 << len(self.rules)) - 1
        self.denies = self._mask(rule.effect is Effect.DENY for rule in self.rules)
        self.asks = self._mask(rule.effect is Effect.ASK for rule in self.rules)
        self.allows = self.everything & ~(self.denies | self.asks)
        self._masks: dict[tuple[int, str | None], int] = {}
        self._conditions: tuple[tuple[tuple[int, tuple[str, ...]], ...], ...] = tuple(
            tuple(
                (bit, globs) for bit, rule in enumerate(self.rules) if (globs := getattr(rule.when, name)) is not None
            )
            for name, _ in _FIELDS
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
        )

    def of(self, mask: int) -> tuple[Rule, ...]:
        """Return the rules of a mask in file order."""
        found = []
        while mask:
            lowest = mask & -mask
            found.append(self.rules[lowest.bit_length() - 1])
            mask ^= lowest
        return tuple(found)

    def _any(self, field: int, values: frozenset[str]) -> int:
        mask = self._unconditional[field]
        if self._conditions[field]:
            for value in values:
                mask |= self._one(field, value)
        return mask

    def _one(self, field: int, value: str | None) -> int:
        if not self._conditions[field]:
            return self.everything
        key = (field, value)
        known = self._masks.get(key)
        return known if known is not None else self._remember(key)

    def _remember(self, key: tuple[int, str | None]) -> int:
        field, value = key
        mask = self._unconditional[field]
        for bit, globs in self._conditions[field]:
            if value is None:
                met = _FIELDS[field][1] and self.rules[bit].effect is not Effect.ALLOW
            else:
                met = glob_matches(globs, value)
            mask |= met << bit
        if len(self._masks) >= _REMEMBERED_VALUES:
            self._masks.clear()
        self._masks[key] = mask
        return mask

    @staticmethod
    def _mask(bits: Iterable[bool]) -> int:
        return sum(1 << position for position, bit in enumerate(bits) if bit)
