"""What restoring did: counts and types for the exchange's record, never a value."""

from collections import Counter
from dataclasses import dataclass, field

from localguard.errors import LocalguardError


class UnknownPlaceholder(LocalguardError):
    """A file edit holds an own placeholder whose value this process does not know (it was restarted in between).

    The reply must end with an error rather than write a placeholder into a file. Attribute `placeholder` names it.
    """

    def __init__(self, placeholder: str) -> None:
        super().__init__(
            f"the reply would write {placeholder} into a file, but its value is not known any more; "
            "let the agent read the file again, then repeat the request"
        )
        self.placeholder = placeholder


class PlaceholderKept(UnknownPlaceholder):
    """A file edit holds a placeholder that policy does not have turned back at this endpoint. The reply must end likewise."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A known placeholder that was not restored: where it stood and why, in words."""

    type: str
    data_class: str
    place: str  # "url", "markdown destination", "html attribute", or "<tool>.<argument>"
    reason: str


@dataclass(frozen=True, slots=True)
class ValuesWanted:
    """One argument of a tool call that would be given values if a person says so: what that person has to know."""

    tool: str
    argument: str
    text: str
    """The whole argument as the model wrote it, with its placeholders; JSON where it is no text."""
    reason: str
    """Why its values are withheld."""
    types: tuple[str, ...]
    """Of the values, one for each of their places, sorted."""


@dataclass(slots=True)
class Report:
    """Collected by the restorers of one reply. `near_misses` counts text in file edits that only resembles a placeholder."""

    restored: Counter[str] = field(default_factory=Counter)  # by type
    withheld: list[Withheld] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # own placeholders, in order, whose value is not known
    near_misses: int = 0
    kept: frozenset[str] = frozenset()
    """Data classes whose placeholders stay wherever they stand: policy's obligation `restore`."""
    asks: bool = False
    """Whether a person is asked about the secrets that an argument is not given."""
    answers: dict[ValuesWanted, bool] = field(default_factory=dict)
    """What was answered."""
    wanted: list[ValuesWanted] = field(default_factory=list)
    """What nobody was asked about yet; withheld meanwhile."""

    def keeps(self, type: str, data_class: str, place: str) -> bool:
        """Whether a known placeholder stays because of its class; noted as withheld then."""
        if data_class not in self.kept:
            return False
        self.withheld.append(Withheld(type, data_class, place, "policy keeps placeholders of this class here"))
        return True
