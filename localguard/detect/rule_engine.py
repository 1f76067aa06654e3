"""Runs the rules of the rule files on windows."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from localguard.detect.candidate import Candidate, shannon_entropy
from localguard.detect.finding import Finding, Window
from localguard.detect.keynames import secret_key_type
from localguard.detect.prefilter import Gate
from localguard.detect.randomness import looks_random
from localguard.detect.rules import Rule, compile_pattern
from localguard.detect.words import is_distinctive

CONTEXT_BYTES = 256  # of the text before and after a match that validators see
CONTEXT_WORDS_BYTES = 120  # how far from the value a context word may stand
# Rules that go by what stands around a value.
_CONTEXT_PACKS = frozenset({"assignment", "call", "command", "context", "hash", "header", "url"})


def gate_of(rule: Rule) -> Gate:
    """The gate of one rule, for the prefilter."""
    return Gate(rule.id, rule.gate, rule.reach, context=rule.id.partition("/")[0] in _CONTEXT_PACKS)


class RuleEngine:
    """The rules, compiled on first use. Patterns are RE2: linear whatever the window holds."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: Mapping[str, Rule] = {rule.id: rule for rule in rules}
        self._patterns: dict[bytes, Any] = {}

    @property
    def types(self) -> Mapping[str, str]:
        """Rule id to the type it gives."""
        return {rule.id: rule.type for rule in self._rules.values()}

    def examine(self, window: Window) -> Iterator[Finding]:
        """The findings of all rules whose gates matched in `window`; offsets are in the whole text."""
        for name in window.gates:
            rule = self._rules.get(name)
            if rule is not None:
                yield from self._run(rule, window)

    def _run(self, rule: Rule, window: Window) -> Iterator[Finding]:
        pattern = self._compiled(rule.pattern)
        text, size = window.text, len(window.text)
        for found in pattern.finditer(text):
            if (window.cut_left and found.start() == 0) or (window.cut_right and found.end() == size):
                continue
            span = next((found.span(group) for group in rule.groups if found.start(group) >= 0), (-1, -1))
            start, end = _trim(text, *span)
            if text[start : start + 1] in (b"{", b"("):
                start, end = _unwrapped(text, start, end)
            if start >= end:
                continue
            if rule.not_before and start > 0 and text[start - 1] in rule.not_before:
                continue
            if rule.not_after and end < size and text[end] in rule.not_after:
                continue
            finding_type = rule.type
            key = ""
            if rule.key_group:
                key = (found.group(rule.key_group) or b"").decode("utf-8", "replace")
                key_type = secret_key_type(key)
                if key_type is None:
                    continue
                finding_type = key_type
            value = text[start:end].decode("utf-8", "replace")
            if rule.entropy and shannon_entropy(value) < rule.entropy:
                continue
            if rule.allow and self._compiled(rule.allow).search(text[start:end]):
                continue
            if rule.context:
                line = text[max(0, start - CONTEXT_WORDS_BYTES) : end + CONTEXT_WORDS_BYTES // 2]
                if not self._compiled(rule.context).search(_around(line, min(start, CONTEXT_WORDS_BYTES), end - start)):
                    continue
            if rule.validators:
                candidate = Candidate(
                    value=value,
                    key=key,
                    before=text[max(0, start - CONTEXT_BYTES) : start].decode("utf-8", "replace"),
                    after=text[end : end + CONTEXT_BYTES].decode("utf-8", "replace"),
                )
                if not all(validator(candidate) for validator in rule.validators):
                    continue
            distinctive = rule.distinctive if rule.distinctive is not None else is_distinctive(value)
            for low, high in rule.within(text[start:end]) if rule.within else ((0, end - start),):
                yield Finding(
                    window.start + start + low,
                    window.start + start + high,
                    finding_type,
                    rule.data_class,
                    rule.id,
                    distinctive,
                )

    def _compiled(self, source: bytes) -> Any:
        pattern = self._patterns.get(source)
        if pattern is None:
            pattern = self._patterns[source] = compile_pattern(source)
        return pattern


def _around(piece: bytes, start: int, length: int) -> bytes:
    """The part of `piece` on the same line as the value at `start`, without the value itself and the paths of addresses."""
    left = piece.rfind(b"\n", 0, start) + 1
    right = piece.find(b"\n", start + length)
    line = piece[left:start] + b" " + piece[start + length : right if right >= 0 else len(piece)]
    return _ADDRESS.sub(b"", line) if b"/" in line else line


_ADDRESS: Final = re.compile(rb"(?:://|^)[^\s\"'<>?#/]*(?:/[^\s\"'<>?#/]+){2,}")
"""A path in an address, the beginning of which may be cut off: its parts are names of places, not words for a number."""


# What was drawn at random, alone in a pair of brackets or after a few words there. Names stand there otherwise.
_WRAPPED: Final = re.compile(rb"[{(](?:[\w:.,-]{1,40} ){0,4}([A-Za-z0-9+/_-][A-Za-z0-9+/_.~:-]{14,}={0,2})[})]")


def _unwrapped(text: bytes, start: int, end: int) -> tuple[int, int]:
    """The span of the drawn value that the brackets at its ends hold; the same span where they hold anything else."""
    found = _WRAPPED.fullmatch(text, start, end)
    return found.span(1) if found and looks_random(found[1].decode()) else (start, end)


def _trim(text: bytes, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    while start < end and text[start] in b" \t\r\n":
        start += 1
    while end > start and text[end - 1] in b" \t\r\n":
        end -= 1
    return start, end
