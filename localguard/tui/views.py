"""Sessions and endpoints: tables of what the guard says when they are looked at, and what belongs to the chosen line."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import DataTable

from localguard.tui.boards import session_lines
from localguard.tui.connection import CallFailed
from localguard.tui.figures import clock, day_and_clock, duration, money, number, short, text
from localguard.tui.lines import Line
from localguard.tui.palette import Styles
from localguard.tui.panes import Ask, Lines
from localguard.tui.rows import CLASSES

Document = Mapping[str, Any]

_MOST_SESSIONS = 100
_PAUSE_SECONDS = 0.15

HEALTH = {
    "ok": ("✓", "ok"),
    "unsteady": ("~", "unsteady"),
    "failing": ("!", "FAILING"),
    "unused": ("-", "not used yet"),
}
"""The mark and the word of an endpoint's health."""


class Table(DataTable[Text]):
    """A table of plain text: no cell is read as markup. Keys name lines and stay chosen when the lines change."""

    def fill(self, titles: Sequence[str], lines: Mapping[str, Line]) -> None:
        """Show these lines, by key."""
        chosen = self.chosen
        self.clear(columns=not self.columns)
        if not self.columns:
            self.add_columns(*(Text(title) for title in titles))
        for key, cells in lines.items():
            self.add_row(*(Text(told, self._styles()[style], no_wrap=True) for style, told in cells), key=key)
        if chosen in lines:
            self.move_cursor(row=list(lines).index(chosen))

    def __init__(self, styles: Callable[[], Styles], *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False)
        self._styles = styles

    @property
    def chosen(self) -> str:
        """Key of the line under the cursor; empty where there is none."""
        if not self.row_count:
            return ""
        return str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)


class Sessions(Horizontal):
    """The latest sessions, and what the chosen one did."""

    TITLES = ("ended", "agent", "workspace", "branch", "model", "exch.", "refused", "USD", "session")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "only", "Its exchanges")]

    class Only(Message):
        """Somebody wants to see the exchanges of a session."""

        def __init__(self, session: str) -> None:
            super().__init__()
            self.session = session

    def __init__(self, styles: Callable[[], Styles], ask: Ask, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ask = ask
        self.table = Table(styles, id="session-table")
        self.detail = Lines(styles, id="session-detail")

    def compose(self) -> ComposeResult:
        """The table, and the detail beside or below it."""
        yield self.table
        yield self.detail

    async def load(self) -> None:
        """Show the sessions, newest first. Raises CallFailed."""
        rows = (await self._ask("GET", f"/sessions?limit={_MOST_SESSIONS}"))["sessions"]
        self.table.fill(self.TITLES, {text(one, "session"): session_cells(one) for one in rows})
        if not rows:
            self.detail.show([(("", "The log has no session yet."),)])

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Show what the session under the cursor did."""
        event.stop()
        if event.row_key.value:
            self.run_worker(self._look(event.row_key.value), exclusive=True, exit_on_error=False)

    async def _look(self, session: str) -> None:
        await asyncio.sleep(_PAUSE_SECONDS)  # whoever runs down the list wants only where they stop
        try:
            lines = session_lines(await self._ask("GET", f"/sessions/{quote(session, safe='')}"))
        except CallFailed as failed:
            lines = [(("warning", f"! {failed}"),)]
        self.detail.show(lines, from_top=True)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter shows its exchanges."""
        event.stop()
        self.action_only()

    def action_only(self) -> None:
        """Show the exchanges of the chosen session only."""
        if self.table.chosen:
            self.post_message(self.Only(self.table.chosen))


class Endpoints(Horizontal):
    """The endpoints: class, whether they are on, how they do."""

    TITLES = ("", "endpoint", "class", "health", "exch.", "failed", "first byte", "last", "identity", "address")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "switch", "On/off"),
        Binding("l", "mode", "Local only"),
    ]

    def __init__(self, styles: Callable[[], Styles], ask: Ask, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ask = ask
        self.table = Table(styles, id="endpoint-table")
        self._known: dict[str, Document] = {}
        self._mode = "policy"

    def compose(self) -> ComposeResult:
        """The table."""
        yield self.table

    async def load(self) -> None:
        """Show the endpoints. Raises CallFailed."""
        document = await self._ask("GET", "/endpoints")
        self._mode = text(document, "mode")
        self._known = {text(one, "name"): one for one in document.get("endpoints") or []}
        self.table.fill(self.TITLES, {name: endpoint_cells(one) for name, one in self._known.items()})

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter switches, as space does."""
        event.stop()
        self.action_switch()

    def action_switch(self) -> None:
        """Switch the chosen endpoint."""
        name = self.table.chosen
        if name in self._known:
            self._switch(f"/routes/{quote(name, safe='')}", on=self._known[name].get("on") is not True)

    def action_mode(self) -> None:
        """Use local endpoints only, or what policy allows again."""
        self._switch("/routes", mode="policy" if self._mode == "local" else "local")

    def _switch(self, path: str, **given: object) -> None:
        self.run_worker(self._switched(path, **given), exit_on_error=False)

    async def _switched(self, path: str, **given: object) -> None:
        try:
            await self._ask("POST", path, **given)
            await self.load()
        except CallFailed as failed:
            self.notify(str(failed), title="Not switched", severity="error", markup=False, timeout=10)


def session_cells(one: Document) -> Line:
    """The cells of a session, as `Sessions.TITLES` names them."""
    refused = number(one, "refused")
    return (
        ("label", day_and_clock(text(one, "ended"))),
        ("", text(one, "agent")),
        ("", text(one, "workspace")),
        ("", text(one, "branch")),
        ("", text(one, "model")),
        ("", short(number(one, "exchanges"))),
        ("state-refused" if refused else "label", str(refused or "")),
        ("", money(one.get("cost_usd"))),
        ("label", text(one, "session")),
    )


def endpoint_cells(one: Document) -> Line:
    """The cells of an endpoint, as `Endpoints.TITLES` names them."""
    group, health = text(one, "class"), one.get("health") or {}
    state = text(health, "state")
    mark, word = HEALTH.get(state, ("?", state))
    said = f"{mark} {word}" + (f" ({text(health, 'last_error')})" if state == "failing" else "")
    return (
        ("effect-allow", "on ") if one.get("on") else ("effect-deny", "OFF"),
        ("title", text(one, "name")),
        (f"class-{group}", " ".join(CLASSES.get(group, ("?", group)))),
        (f"health-{state}", said),
        ("", short(number(health, "exchanges"))),
        ("warning" if number(health, "failed") else "label", str(number(health, "failed") or "")),
        ("", duration(health.get("first_byte_ms"))),
        ("label", clock(text(health, "last"))),
        ("", text(one, "identity")),
        ("label", text(one, "base_url")),
    )
