"""The parts of the screen that show lines: what is on top, what asks for attention, and panes of text that can be scrolled."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from localguard.tui.connection import CallFailed
from localguard.tui.detail import detail_lines
from localguard.tui.lines import Line, plain, wrapped
from localguard.tui.palette import Styles
from localguard.tui.rows import Row

Document = Mapping[str, Any]
Ask = Callable[..., Awaitable[Document]]
"""Makes a call of the control API: method, path and what is given by name. Raises CallFailed."""

_MARGIN = 3
_PAUSE_SECONDS = 0.4
_SETTLED_SECONDS = 1.2  # an outcome is in the log within a second


class Lines(VerticalScroll, can_focus=True):
    """Lines that can be scrolled. What they say is given as lines with named styles, never as markup."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
    ]
    DEFAULT_CSS = """
    Lines { padding: 0 1; scrollbar-size-vertical: 1; }
    Lines > Static { height: auto; }
    """

    def __init__(self, styles: Callable[[], Styles], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._styles = styles
        self._lines: tuple[Line, ...] = ()
        self._text = Static(markup=False)

    @property
    def said(self) -> str:
        """The text that is shown."""
        return plain(self._lines)

    def compose(self) -> ComposeResult:
        """One text that is as long as it needs."""
        yield self._text

    def show(self, lines: Iterable[Line], *, from_top: bool = False) -> None:
        """Show other lines; with `from_top` beginning with the first."""
        self._lines = tuple(lines)
        width = self.size.width - _MARGIN
        self._text.update(self._styles().text(part for line in self._lines for part in wrapped(line, width)))
        if from_top:
            self.scroll_home(animate=False)

    def repaint(self) -> None:
        """Paint anew: the colours or the width are others."""
        self.show(self._lines)

    def on_resize(self, _: events.Resize) -> None:
        """Wrap anew."""
        self.repaint()


class Board(Lines):
    """Lines made of what a call of the control API answers, as often as it is asked for."""

    def __init__(
        self,
        styles: Callable[[], Styles],
        ask: Ask,
        path: str,
        made: Callable[[Document, int], Iterable[Line]],
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(styles, id=id)
        self._ask = ask
        self._path = path
        self._made = made

    async def load(self) -> None:
        """Ask, and show the answer. Raises CallFailed."""
        self.show(self._made(await self._ask("GET", self._path), self.size.width))


class ExchangePane(Lines):
    """Everything of the exchange that is chosen, a moment after it was chosen: whoever runs down the table reads none."""

    def __init__(self, styles: Callable[[], Styles], ask: Ask, *, id: str | None = None) -> None:
        super().__init__(styles, id=id)
        self._ask = ask
        self._loaded: tuple[str, str] | None = None
        self._at = 0.0
        self._loading = False
        self._shown = ""

    def look(self, row: Row | None, now: float) -> None:
        """Show this exchange, unless it is shown or was asked for just now. `now` is monotonic."""
        if row is None or self._loading or now - self._at < _PAUSE_SECONDS or not self.display:
            return
        if (row.id, row.state) != self._loaded:
            self._loaded, self._at, self._loading = (row.id, row.state), now, True
            self.run_worker(self._load(row), exit_on_error=False)

    async def _load(self, row: Row) -> None:
        try:
            document = await self._ask("GET", f"/exchanges/{quote(row.id, safe='')}")
            if row.state not in ("running", "refused") and all(one["kind"] != "outcome" for one in document["records"]):
                self.set_timer(_SETTLED_SECONDS, self._again)
            self.show(detail_lines(document, self.size.width), from_top=self._shown != row.id)
        except CallFailed as failed:
            self.show([(("warning", f"! {failed}"),)])
            self.set_timer(_SETTLED_SECONDS, self._again)
        finally:
            self._shown, self._loading = row.id, False

    def _again(self) -> None:
        self._loaded = None


class Strap(Static):
    """One line across the screen."""

    DEFAULT_CSS = "Strap { height: 1; width: 100%; }"

    def __init__(self, styles: Callable[[], Styles], *, id: str | None = None) -> None:
        super().__init__(markup=False, id=id)
        self._styles = styles
        self._line: Line = ()

    @property
    def said(self) -> str:
        """The text that is shown."""
        return plain([self._line])

    def show(self, line: Line) -> None:
        """Show another line, if it is another."""
        if line != self._line:
            self._line = line
            text = self._styles().text([line])
            text.no_wrap = True
            text.overflow = "ellipsis"
            self.update(text)

    def repaint(self) -> None:
        """Paint anew: the colours are others."""
        line, self._line = self._line, ()
        self.show(line)


class Tab(Static):
    """The name of a view, which a click opens."""

    DEFAULT_CSS = """
    Tab { width: auto; height: 1; padding: 0 1; color: $text-muted; }
    Tab.-open { text-style: bold underline; color: $primary; }
    Tab:hover { text-style: underline; }
    """

    class Wanted(Message):
        """Somebody wants to see this view."""

        def __init__(self, view: str) -> None:
            super().__init__()
            self.view = view

    def __init__(self, key: str, view: str) -> None:
        super().__init__(Text(f"{key} {view}"), id=f"tab-{view}", markup=False)
        self._view = view

    def on_click(self, _: events.Click) -> None:
        """Ask for the view."""
        self.post_message(self.Wanted(self._view))
