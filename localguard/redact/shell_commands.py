"""What a shell text is made of, once it is read: simple commands, words, redirections, and how its stretches are quoted."""

import re
from dataclasses import dataclass, field

from localguard.errors import LocalguardError

COMPUTED = "\0"
"""Stands in a word's text for what only running the command would tell: a variable, a substitution."""

INDEX_RUNS = re.compile(r"\w\[[^\]]*(?:\$\(|`)")
"""What bash runs when it evaluates the name of an array's element, quoted or not."""


class NotParsable(LocalguardError):
    """The text is no shell text that this reader understands."""


@dataclass(slots=True)
class Word:
    """One word without its quotes; `pattern` says that unquoted it holds `*`, `?`, `[` or `{`."""

    text: str
    quoted: bool = False
    pattern: bool = False

    @property
    def computed(self) -> bool:
        """True where running the command would make another text of it."""
        return COMPUTED in self.text


@dataclass(slots=True)
class Redirect:
    """One redirection: `target` is the file or descriptor; `body` the text of a here-document or here-string."""

    operator: str
    target: Word
    body: str | None = None
    expands: bool = False
    text: str | None = None  # the body as the command reads it


@dataclass(frozen=True, slots=True)
class Spot:
    """A stretch of the text that means itself, and how it is quoted.

    `word` (not at all), `single`, `double`, `body` (of a here-document that is expanded), `exact` (of another), `comment`.
    """

    start: int
    end: int
    kind: str


@dataclass(slots=True)
class Command:
    """One simple command: assignments before it, its words, its redirections. Words may be empty."""

    assignments: list[tuple[str, Word]] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)

    @property
    def stdin(self) -> str | None:
        """The here-document or here-string that the command reads, the last if there are several."""
        bodies = [redirect.body for redirect in self.redirects if redirect.body is not None]
        return bodies[-1] if bodies else None
