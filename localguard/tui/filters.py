"""What a person types to see some exchanges only. Pure, and never wrong: what is no condition is a word that is looked for.

Words have to be there, all of them, in any case; `-word` must not. `agent:codex` looks in one field, `redactions>0`, `ms>1000`
and `cost>0.1` compare.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from localguard.tui.rows import CLASSES, STATES, Row

Test = Callable[[Row], bool]

FIELDS: dict[str, Callable[[Row], str]] = {
    "agent": lambda row: row.agent,
    "workspace": lambda row: row.workspace,
    "task": lambda row: row.task,
    "endpoint": lambda row: row.endpoint,
    "class": lambda row: f"{row.endpoint_class} {CLASSES.get(row.endpoint_class, ('', ''))[0]}",
    "model": lambda row: row.model,
    "state": lambda row: f"{row.state} {STATES.get(row.state, ('', ''))[1]}",
    "session": lambda row: row.session,
    "type": lambda row: " ".join(row.types),
    "rule": lambda row: row.rule,
    "error": lambda row: row.error,
    "branch": lambda row: row.branch,
    "repository": lambda row: row.repository,
    "identity": lambda row: row.identity,
    "id": lambda row: row.id,
}
"""Fields that a condition can name, by what it is compared with."""

NUMBERS: dict[str, Callable[[Row], Decimal | int]] = {
    "redactions": lambda row: row.redactions,
    "withheld": lambda row: row.withheld,
    "exposed": lambda row: row.exposed,
    "ms": lambda row: row.total_ms,
    "cost": lambda row: row.spent,
}
_MOST = 500
_CONDITION = re.compile(r"([a-z]+):(\S+)")
_COMPARISON = re.compile(r"([a-z]+)([<>])(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was typed."""

    text: str
    tests: tuple[Test, ...]

    def __call__(self, row: Row) -> bool:
        """Whether the filter lets a row through."""
        return all(test(row) for test in self.tests)

    def __bool__(self) -> bool:
        """Whether it holds anything back."""
        return bool(self.tests)


def filter_from(text: str) -> Filter:
    """The filter that a person typed, of 500 characters at most."""
    text = text[:_MOST]
    return Filter(text, tuple(_test(word) for word in text.casefold().split() if word != "-"))


EVERYTHING = filter_from("")


def _test(word: str) -> Test:
    if word.startswith("-"):
        unwanted = _test(word[1:])
        return lambda row: not unwanted(row)
    if (named := _CONDITION.fullmatch(word)) and named[1] in FIELDS:
        field, wanted = FIELDS[named[1]], named[2]
        return lambda row: wanted in field(row).casefold()
    if (compared := _COMPARISON.fullmatch(word)) and compared[1] in NUMBERS:
        return _comparison(*compared.groups())
    return lambda row: word in row.haystack


def _comparison(name: str, sign: str, limit: str) -> Test:
    number = NUMBERS[name]
    try:
        bound = Decimal(limit)
    except InvalidOperation:
        return lambda row: False
    return (lambda row: number(row) > bound) if sign == ">" else (lambda row: number(row) < bound)
