"""Colours: two themes of the guard's own, and the styles by name that lines are painted in.

Whatever a colour says, a word or a mark says, too: with NO_COLOR, or to whoever sees no colours, nothing is missing.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from rich.style import Style
from rich.text import Text
from textual.theme import Theme

from localguard.tui.lines import Line

DARK: Final = Theme(
    name="localguard-dark",
    primary="#7aa2f7",
    secondary="#7dcfff",
    accent="#bb9af7",
    foreground="#c8d0e8",
    background="#12141c",
    surface="#181b26",
    panel="#212636",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    dark=True,
    variables={"block-cursor-text-style": "none"},
)
LIGHT: Final = Theme(
    name="localguard-light",
    primary="#2e5cc9",
    secondary="#0f6b8f",
    accent="#7a3fb5",
    foreground="#23283a",
    background="#fbfbfd",
    surface="#f1f3f8",
    panel="#e3e7f1",
    success="#2f7a1f",
    warning="#8a5a00",
    error="#b3203c",
    dark=False,
    variables={"block-cursor-text-style": "none"},
)

_PALETTE: Final[Mapping[str, tuple[str, bool]]] = {
    "": ("foreground", False),
    "title": ("primary", True),
    "heading": ("secondary", True),
    "label": ("muted", False),
    "code": ("foreground", False),
    "warning": ("warning", True),
    "state-running": ("secondary", False),
    "state-completed": ("success", False),
    "state-refused": ("error", True),
    "state-failed": ("error", False),
    "state-cut": ("warning", False),
    "state-cancelled": ("muted", False),
    "state-unknown": ("warning", False),
    "class-local": ("success", False),
    "class-enterprise": ("primary", False),
    "class-hosted": ("warning", False),
    "class-experimental": ("accent", True),
    "effect-allow": ("success", True),
    "effect-ask": ("warning", True),
    "effect-deny": ("error", True),
    "data-secret": ("error", False),
    "data-pii": ("warning", False),
    "data-custom": ("accent", False),
    "time-guard": ("accent", False),
    "time-provider": ("primary", False),
    "time-reply": ("success", False),
    "budget": ("success", False),
    "budget-near": ("warning", True),
    "budget-over": ("error", True),
    "health-ok": ("success", False),
    "health-unsteady": ("warning", True),
    "health-failing": ("error", True),
    "health-unused": ("muted", False),
    "redactions": ("accent", False),
    "header": ("muted", True),
}
"""Style to a colour of the theme, and whether it is bold."""


class Styles:
    """The styles of one theme, by name."""

    def __init__(self, theme: Theme) -> None:
        colours = {
            "foreground": theme.foreground or "#c0c0c0",
            "primary": theme.primary,
            "secondary": theme.secondary or theme.primary,
            "accent": theme.accent or theme.primary,
            "success": theme.success or "#00aa00",
            "warning": theme.warning or "#aa8800",
            "error": theme.error or "#cc0000",
            "muted": _between(theme.foreground or "#c0c0c0", theme.background or "#000000"),
        }
        self._styles = {
            name: Style(color=_plain(colours[colour]), bold=bold) for name, (colour, bold) in _PALETTE.items()
        }
        self.cursor = Style(bgcolor=_plain(theme.panel or "#333333"), bold=True)
        self.cursor_away = Style(bgcolor=_plain(theme.surface or "#222222"))
        self.background = Style(bgcolor=_plain(theme.background or "#000000"))
        self.head = Style(bgcolor=_plain(theme.surface or "#222222"))

    def __getitem__(self, name: str) -> Style:
        """The style of a name; plain text for one that there is not."""
        return self._styles.get(name, self._styles[""])

    def text(self, lines: Iterable[Line]) -> Text:
        """Lines as one text to be painted, without any markup being looked for in them."""
        made = Text()
        for number, line in enumerate(lines):
            if number:
                made.append("\n")
            for style, text in line:
                made.append(text, self[style])
        return made


def _plain(colour: str) -> str | None:
    """A colour as it is written; None (the terminal's own) for names of the ANSI palette, which Rich calls otherwise."""
    return colour if colour.startswith("#") else None


def _between(one: str, other: str) -> str:
    """The colour a third of the way from one to another."""
    if not (one.startswith("#") and other.startswith("#") and len(one) == len(other) == 7):
        return one
    mixed = ((2 * int(one[at : at + 2], 16) + int(other[at : at + 2], 16)) // 3 for at in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in mixed)
