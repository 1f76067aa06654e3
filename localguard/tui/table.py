"""The table of exchanges: only the lines that are seen are painted, whatever number there are."""

from collections.abc import Callable
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from localguard.tui.columns import GAP, Column, fit
from localguard.tui.exchanges import Exchanges
from localguard.tui.palette import Styles
from localguard.tui.rows import Row

_HEADER = 1
_GUTTER = 1
_CACHED = 400
_WHEEL = 3


class ExchangeTable(ScrollView, can_focus=True):
    """The exchanges of an `Exchanges`, a line each, the newest below. `changed` is to be called when those have changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "Oldest", show=False),
        Binding("end,G", "last", "Newest", show=False),
        Binding("enter", "open", "Details"),
    ]

    DEFAULT_CSS = """
    ExchangeTable { height: 1fr; scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; }
    """

    painted: reactive[int] = reactive(0, repaint=False)
    """How many lines with exchanges were painted since the start."""

    class Opened(Message):
        """Somebody wants to see the chosen exchange in full."""

    def __init__(self, exchanges: Exchanges, styles: Callable[[], Styles], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._exchanges = exchanges
        self._styles = styles
        self._strips: dict[tuple[str, str, int, int], Strip] = {}

    def repaint(self) -> None:
        """Paint everything anew: the colours are others."""
        self._strips.clear()
        self.refresh()

    def changed(self, dropped: int = 0) -> None:
        """The exchanges are others now; `dropped` of those shown before, at the beginning, are gone."""
        shown = len(self._exchanges.shown)
        self.virtual_size = Size(self.size.width, shown + _HEADER)
        if self._exchanges.follows:
            self._scroll(shown)
        elif dropped:
            self._scroll(max(0, self.scroll_offset.y - dropped))
        self.refresh()

    def on_resize(self, _: events.Resize) -> None:
        """Other columns may fit, and the cursor stays in sight."""
        self._strips.clear()
        self.changed()
        self._into_sight()

    def render_line(self, y: int) -> Strip:
        """One line: the header, an exchange, or nothing."""
        width = self.scrollable_content_region.width or self.size.width
        styles = self._styles()
        if y < _HEADER:
            return self._header(width, styles)
        index = self.scroll_offset.y + y - _HEADER
        row = self._exchanges.row(index)
        if row is None:
            return self._nothing(y, width, styles)
        self.painted += 1
        chosen = self._exchanges.chosen
        cursor = 0 if chosen is None or chosen.id != row.id else 2 if self.has_focus else 1
        key = (row.id, row.state, width, cursor)
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) > _CACHED:
                self._strips.clear()
            strip = self._strips[key] = _painted(row, width, styles, cursor)
        return strip

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._choose(self._exchanges.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by what is seen at once."""
        self._choose(self._exchanges.cursor + by * max(1, self.size.height - _HEADER - 1))

    def action_first(self) -> None:
        """Go to the oldest."""
        self._choose(0)

    def action_last(self) -> None:
        """Go to the newest, and stay there."""
        self._choose(len(self._exchanges.shown))

    def action_open(self) -> None:
        """Show the chosen one in full."""
        if self._exchanges.chosen is not None:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        """Choose by mouse; a second click opens."""
        index = self.scroll_offset.y + event.y - _HEADER
        if event.y < _HEADER or self._exchanges.row(index) is None:
            return
        again = index == self._exchanges.cursor
        self._choose(index)
        if again or event.chain > 1:
            self.action_open()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Leave the newest and go back in time."""
        event.stop()
        self._choose(self._exchanges.cursor - _WHEEL)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go on in time."""
        event.stop()
        self._choose(self._exchanges.cursor + _WHEEL)

    def on_focus(self) -> None:
        """The cursor looks otherwise."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor looks otherwise."""
        self.refresh()

    def _choose(self, index: int) -> None:
        self._exchanges.choose(index)
        self._into_sight()
        self.refresh()

    def _into_sight(self) -> None:
        cursor = self._exchanges.cursor
        seen = max(1, self.size.height - _HEADER)
        if cursor < 0:
            return
        if cursor < self.scroll_offset.y:
            self._scroll(cursor)
        elif cursor >= self.scroll_offset.y + seen:
            self._scroll(cursor - seen + 1)

    def _scroll(self, y: int) -> None:
        self.scroll_to(y=max(0, min(y, len(self._exchanges.shown) + _HEADER - self.size.height)), animate=False)

    def _header(self, width: int, styles: Styles) -> Strip:
        cells = [_cell(column.title, column, size) for column, size in fit(width - _GUTTER)]
        text = set_cell_size(" " * _GUTTER + (" " * GAP).join(cells), width)
        return Strip([Segment(text, styles["header"] + styles.head)], width)

    def _nothing(self, y: int, width: int, styles: Styles) -> Strip:
        text = ""
        if y == _HEADER + 1 and not self._exchanges.shown:
            text = (
                f"  No exchange passes the filter {self._exchanges.filter.text!r}. Escape shows all again."
                if self._exchanges.filter and len(self._exchanges)
                else "  No exchange yet. Point an agent at the guard: localguard run -- COMMAND"
            )
        return Strip([Segment(set_cell_size(text, width), styles["label"] + styles.background)], width)


def _painted(row: Row, width: int, styles: Styles, cursor: int) -> Strip:
    under = (styles.background, styles.cursor_away, styles.cursor)[cursor]
    segments = [Segment(">" if cursor else " ", styles["title"] + under)]
    for column, size in fit(width - _GUTTER):
        cell = _cell(row.cell(column.name), column, size)
        segments.append(Segment(cell, _style(row, column, styles) + under))
        segments.append(Segment(" " * GAP, under))
    return Strip(segments).adjust_cell_length(width, under)


def _style(row: Row, column: Column, styles: Styles) -> Style:
    match column.name:
        case "state":
            return styles[f"state-{row.state}"]
        case "endpoint":
            return styles[f"class-{row.endpoint_class}"]
        case "redactions":
            return styles["warning" if row.withheld or row.exposed or row.paused else "redactions"]
        case "time" | "latency" | "tokens":
            return styles["label"]
        case _:
            return styles["class-experimental"] if row.experimental else styles[""]


def _cell(text: str, column: Column, size: int) -> str:
    """A text in a cell of `size` columns: what does not fit ends in `…`."""
    long = cell_len(text)
    if long > size:
        return set_cell_size(set_cell_size(text, size - 1) + "…", size)
    return " " * (size - long) + text if column.right else text + " " * (size - long)
