"""What is wrong with a policy file, told so that a person can mend it: file, line, field, reason, nearest valid name."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from localguard.errors import LocalguardError


@dataclass(frozen=True, slots=True, order=True)
class PolicyProblem:
    """One thing that is wrong. `line` counts from 1; `field` is a dotted path such as `rules[2].effect`, or empty."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {field}{self.message}"


class PolicyInvalid(LocalguardError):
    """A policy file cannot be used; `problems` holds everything that is wrong with it, in line order, at least one.

    The message holds no values from the file beyond field names and the words of closed lists.
    """

    def __init__(self, problems: Sequence[PolicyProblem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def file(self) -> str:
        """File of the first problem."""
        return self.problems[0].file

    @property
    def line(self) -> int:
        """Line of the first problem."""
        return self.problems[0].line

    @property
    def field(self) -> str:
        """Field of the first problem."""
        return self.problems[0].field

    @property
    def message(self) -> str:
        """Message of the first problem."""
        return self.problems[0].message


def nearest(word: str, valid: Sequence[str]) -> str:
    """Return ` Did you mean "…"?`, or the list of what is valid where nothing is near."""
    close = get_close_matches(word.lower(), valid, n=1, cutoff=0.55)
    if close:
        return f' Did you mean "{close[0]}"?'
    return f" Valid are: {', '.join(valid)}."


def printable(text: str) -> str:
    """Return a key or word for a message: short, without control characters."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= 60 else clean[:57] + "…"
