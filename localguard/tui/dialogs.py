"""What is asked on top of everything else: a person's answer to a question, and work that policy is asked about."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from localguard.tui.boards import question_lines
from localguard.tui.lines import Line
from localguard.tui.palette import Styles
from localguard.tui.panes import Lines

_SETTLING = 0.4
"""Seconds for which a new question takes no answer: a key that was meant for something else may answer nothing."""

SCOPES = {"y": "once", "s": "session", "h": "hour", "t": "task"}
"""Key to how far the yes reaches."""

_BOX = """
{name} {{ align: center middle; background: $background 60%; }}
{name} > Vertical {{
    width: 90%; max-width: 100; height: auto; max-height: 90%; padding: 1 2; background: $surface; border: round $primary;
}}
{name} Lines {{ height: auto; max-height: 30; }}
{name} #keys {{ margin-top: 1; color: $text-muted; }}
"""


class QuestionDialog(ModalScreen[tuple[str, bool, str] | None]):
    """One question, answered with one key: the id, yes or no, and the scope; None for later."""

    DEFAULT_CSS = _BOX.format(name="QuestionDialog")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "later", "Later")]

    def __init__(self, question: Mapping[str, Any], styles: Callable[[], Styles], more: int) -> None:
        super().__init__()
        self._question = question
        whole = not str(question.get("reason", "")).endswith("…")  # else nobody can say yes to the rest of it here
        self._scopes = (question.get("scopes") or ["once"]) if whole else []
        self._lines = Lines(styles)
        self._more = more
        self._opened = time.monotonic()

    @property
    def question(self) -> str:
        """Id of what is asked about."""
        return str(self._question.get("id"))

    def compose(self) -> ComposeResult:
        """The question and its keys."""
        with Vertical():
            yield self._lines
            keys = [f"{key} yes, {_REACH[scope]}" for key, scope in SCOPES.items() if scope in self._scopes]
            later = f"Escape later{f' ({self._more} more wait)' if self._more else ''}"
            yield Static("   ".join([*keys, "n no", later]), id="keys", markup=False)

    def on_mount(self) -> None:
        """Show it."""
        self._lines.show(question_lines(self._question))
        self._lines.focus()

    def on_key(self, event: events.Key) -> None:
        """Take the answer."""
        if event.key == "escape":
            return
        event.stop()
        if time.monotonic() - self._opened < _SETTLING:
            return
        scope = SCOPES.get(event.key, "")
        if event.key == "n":
            self.dismiss((self.question, False, "once"))
        elif scope in self._scopes:
            self.dismiss((self.question, True, scope))

    def action_later(self) -> None:
        """Leave it unanswered."""
        self.dismiss(None)


_REACH = {"once": "this once", "session": "for its session", "hour": "for an hour", "task": "for its task"}


class ExplainDialog(ModalScreen[None]):
    """Asks policy about some work. `ask` gives the answer's lines for what was typed (`endpoint=openai model=gpt-5`)."""

    DEFAULT_CSS = _BOX.format(name="ExplainDialog")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Close")]

    def __init__(self, ask: Callable[[str], Iterable[Line]], styles: Callable[[], Styles], typed: str = "") -> None:
        super().__init__()
        self._ask = ask
        self._typed = typed
        self._lines = Lines(styles)

    @property
    def said(self) -> str:
        """The answer that is shown."""
        return self._lines.said

    def compose(self) -> ComposeResult:
        """A line to type into, and the answer below."""
        with Vertical():
            yield Static("What does policy say of this work?", markup=False)
            yield Input(
                self._typed, placeholder="endpoint=openai model=gpt-5 workspace=payments task=docs", max_length=500
            )
            yield self._lines
            yield Static("Enter asks   Escape closes", id="keys", markup=False)

    def on_mount(self) -> None:
        """Ask at once where something was given."""
        self.query_one(Input).focus()
        if self._typed:
            self._say(self._typed)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Ask."""
        event.stop()
        self._say(event.value)

    def action_close(self) -> None:
        """Close it."""
        self.dismiss(None)

    def _say(self, typed: str) -> None:
        self.run_worker(lambda: self._answer(typed), thread=True, exclusive=True)

    def _answer(self, typed: str) -> None:
        lines = list(self._ask(typed))
        self.app.call_from_thread(self._lines.show, lines, from_top=True)
