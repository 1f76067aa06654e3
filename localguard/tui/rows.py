"""One exchange as a line of the table: what each column says, and by which words and marks, never by colour alone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from localguard.tui.figures import clock, decimal, duration, money, number, text, tokens

STATES: Final[Mapping[str, tuple[str, str]]] = {
    "running": ("»", "running"),
    "completed": ("✓", "done"),
    "refused": ("✗", "refused"),
    "failed": ("!", "failed"),
    "cut": ("~", "cut off"),
    "cancelled": ("-", "given up"),
    "unknown": ("?", "unknown"),
}
"""The mark and the word of a state."""

CLASSES: Final[Mapping[str, tuple[str, str]]] = {
    "local": ("L", "local"),
    "enterprise": ("E", "enterprise"),
    "hosted": ("H", "hosted"),
    "experimental": ("EXP", "EXPERIMENTAL"),
}
"""The mark and the word of an endpoint's class."""


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange. Every text is fit to be shown."""

    id: str
    time: str
    state: str
    """As the API names it; its mark and word are in `STATES`."""
    agent: str
    workspace: str
    task: str
    endpoint: str
    endpoint_class: str
    model: str
    session: str
    types: tuple[str, ...]
    redactions: int
    restored: int
    withheld: int
    exposed: int
    tokens: str
    cost: str
    spent: Decimal
    """USD."""
    latency: str
    total_ms: int
    error: str
    rule: str
    branch: str
    repository: str
    identity: str
    paused: bool
    haystack: str
    """Everything that a word of the filter is looked for in, in small letters."""

    @property
    def experimental(self) -> bool:
        """Whether it went to an endpoint that is being tried out."""
        return self.endpoint_class == "experimental"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state != "running"

    def cell(self, column: str) -> str:
        """What a column says of it."""
        match column:
            case "state":
                return " ".join(STATES.get(self.state, ("?", self.state)))
            case "endpoint":
                return f"{CLASSES.get(self.endpoint_class, ('?', ''))[0]} {self.endpoint}"
            case "redactions":
                return self._redactions()
            case _:
                return str(getattr(self, column))

    def _redactions(self) -> str:
        """How many values were replaced, and marks for what a person should look at: `w` withheld, `e` exposed, `P` paused."""
        marks = f"{'w' * bool(self.withheld)}{'e' * bool(self.exposed)}{'P' * self.paused}"
        return f"{self.redactions or ''}{marks}"


def row_from(document: Mapping[str, Any]) -> Row:
    """The row of an exchange as the control API gives it, its texts made fit to be shown before."""
    types = types if isinstance(types := document.get("types"), Mapping) else {}
    model, served = text(document, "model"), text(document, "served")
    made = {
        name: text(document, name)
        for name in ("agent", "workspace", "task", "endpoint", "session", "error", "rule", "branch", "repository")
    }
    id, state, group = text(document, "exchange"), text(document, "state"), text(document, "endpoint_class")
    words = (*made.values(), id, model, served, *STATES.get(state, ("", state)), state, group, *map(str, types))
    return Row(
        id=id,
        time=clock(text(document, "time")),
        state=state,
        endpoint_class=group,
        model=model or served,
        types=tuple(map(str, types)),
        redactions=number(document, "replaced"),
        restored=number(document, "restored"),
        withheld=number(document, "withheld"),
        exposed=number(document, "exposed"),
        tokens=tokens(document.get("usage")),
        cost=money(document.get("cost_usd")),
        spent=decimal(document.get("cost_usd")) or Decimal(0),
        latency=duration(document.get("total_ms")),
        total_ms=number(document, "total_ms"),
        identity=text(document, "identity"),
        paused=document.get("paused") is True,
        haystack="\n".join(word for word in words if word).casefold(),
        **made,
    )
