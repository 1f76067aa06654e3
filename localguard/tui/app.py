"""The terminal UI: what comes from the guard is taken in some times a second, however much it is, and shown at once."""

import asyncio
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Footer, Input, Static

from localguard.tui.boards import budget_lines, explained_lines, policy_lines
from localguard.tui.connection import CallFailed, Connection, News
from localguard.tui.dialogs import ExplainDialog, QuestionDialog
from localguard.tui.exchanges import MOST_ROWS, Exchanges
from localguard.tui.filters import filter_from
from localguard.tui.lines import Line
from localguard.tui.palette import DARK, LIGHT, Styles
from localguard.tui.panes import Board, ExchangePane, Lines, Strap, Tab
from localguard.tui.rows import Row, row_from
from localguard.tui.status import banner, masthead, questions_after
from localguard.tui.table import ExchangeTable
from localguard.tui.views import Endpoints, Sessions

Document = Mapping[str, Any]

FRAMES = 8
"""A second: so often is taken in what came, and no oftener painted."""
VIEWS = ("exchanges", "sessions", "endpoints", "budgets", "policy")
_SUMS_SECONDS = 0.5
_EXAMPLES = "/ words, -without, agent:codex, state:refused, cost>0.1, ms>1000"
_VIEW_SECONDS = 4.0


class GuardApp(App[None]):
    """Shows the guard that `connection` leads to."""

    TITLE = "localguard"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (50, "-narrow"), (120, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (10, "-tall")]  # noqa: RUF012
    CSS = """
    #masthead { background: $surface; }
    #banner { background: $panel; display: none; }
    #banner.-said { display: block; }
    #tabs { height: 1; background: $surface; }
    #filter { width: 1fr; height: 1; border: none; padding: 0 1; margin: 0 1; background: $panel; }
    #views { height: 1fr; }
    #exchanges, #sessions, #endpoints { height: 1fr; }
    #table, #session-table { width: 1fr; }
    #detail, #session-detail { width: 40%; border-left: vkey $panel; }
    Table { background: $background; scrollbar-size: 1 1; }
    .-narrow #detail { display: none; }
    .-narrow.-detail #detail { display: block; width: 1fr; border-left: none; }
    .-narrow.-detail #table { display: none; }
    .-narrow #sessions { layout: vertical; }
    .-narrow #session-detail { width: 100%; height: 40%; border-left: none; border-top: hkey $panel; }
    .-wide.-folded #detail { display: none; }
    #tiny { display: none; width: 100%; height: 100%; padding: 0 1; }
    .-tiny #everything, .-flat #everything { display: none; }
    .-tiny #tiny, .-flat #tiny { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(at), f"view('{view}')", view.capitalize(), show=False) for at, view in enumerate(VIEWS, 1)),
        Binding("slash", "filter", "Filter", priority=True),  # what is typed behind it, in one go, is for the filter
        Binding("f", "follow", "Follow"),
        Binding("p", "pause", "Pause"),
        Binding("a", "answer", "Answer"),
        Binding("e", "explain", "Explain"),
        Binding("d", "fold", "Detail", show=False),
        Binding("r", "retry", "Reconnect", show=False),
        Binding("t", "theme", "Theme", show=False),
        Binding("escape", "close", "Close", show=False),
        Binding("question_mark", "help", "Keys"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(
        self, connect: Callable[[Callable[[], None]], Connection], *, typed: str = "", most_rows: int = MOST_ROWS
    ) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        self._connection = connect(self._from_thread)
        self.exchanges = Exchanges(most_rows)
        self.questions: list[Document] = []
        self.status: dict[str, Any] = {}
        self.first_paint: float | None = None
        """Seconds from the connection to the first table that was painted."""
        self._styles_of: tuple[str, Styles] = (DARK.name, Styles(DARK))
        self._held: dict[str, Row] | None = None
        self._seen = 0
        self._rates: list[tuple[float, int]] = []
        self._summed = 0.0
        self._link = self._connection.link
        self._viewed = 0.0
        self._typed = typed
        styles, ask = self.styles_now, self._call
        self._masthead = Strap(styles, id="masthead")
        self._banner = Strap(styles, id="banner")
        self._tabs = {view: Tab(str(at), view) for at, view in enumerate(VIEWS, 1)}
        self._typing = Input(placeholder=_EXAMPLES, id="filter", max_length=500)
        self._table = ExchangeTable(self.exchanges, styles, id="table")
        self._pane = ExchangePane(styles, ask, id="detail")
        self._boards: dict[str, Sessions | Endpoints | Board] = {
            "sessions": Sessions(styles, ask, id="sessions"),
            "endpoints": Endpoints(styles, ask, id="endpoints"),
            "budgets": Board(styles, ask, "/budgets", budget_lines, id="budgets"),
            "policy": Board(styles, ask, "/policy", policy_lines, id="policy"),
        }
        self._switcher = ContentSwitcher(id="views", initial="exchanges")

    # what is on the screen

    def compose(self) -> ComposeResult:
        """Top, views, footer; and what is said where there is no room for them."""
        yield Static("The terminal is too small for this: 50 columns and 10 lines are needed.", id="tiny", markup=False)
        with Vertical(id="everything"):
            yield self._masthead
            yield self._banner
            with Horizontal(id="tabs"):
                yield from self._tabs.values()
                yield self._typing
            with self._switcher:
                with Horizontal(id="exchanges"):
                    yield self._table
                    yield self._pane
                yield from self._boards.values()
            yield Footer(show_command_palette=False)  # its place is for the keys; `?` lists it

    def on_mount(self) -> None:
        """Connect, and take in what comes."""
        self._tabs["exchanges"].add_class("-open")
        self._focus(self._table)
        if self._typed:
            self._typing.value = self._typed
        self._pane.show([(("label", "No exchange is chosen."),)])
        self.set_interval(1 / FRAMES, self.frame)
        self._connection.start()

    def on_unmount(self) -> None:
        """Let go of the guard."""
        self._connection.stop()

    def _fatal_error(self) -> None:
        """End after a fault: said by type and place, as Textual would print what variables held."""
        error = sys.exc_info()[1]
        places = [
            f"{Path(one.filename).name}:{one.lineno} in {one.name}"
            for one in traceback.extract_tb(error.__traceback__ if error is not None else None)
        ]
        self._exit_renderables.append(
            Text(
                "\n  ".join(
                    [f"localguard: internal error ({type(error).__name__}). Please report where it happened:", *places]
                )
            )
        )
        self._close_messages_no_wait()

    def styles_now(self) -> Styles:
        """The styles of the theme in force."""
        theme = self.current_theme
        if self._styles_of[0] != theme.name:
            self._styles_of = theme.name, Styles(theme)
        return self._styles_of[1]

    # what comes

    def _from_thread(self) -> None:
        """Something came that is not to wait for the next frame: the state as read, or that the line is up or down."""
        if self.is_running:
            self.call_later(self.frame)

    def frame(self) -> None:
        """Take in what came since the last frame, and show it."""
        news = self._connection.take()
        rows = self._take_in(news)
        if news.snapshot is not None:
            self.exchanges.replace(rows)
            self._table.changed()
            if self.first_paint is None:
                connected = news.snapshot.connected
                self._table.call_after_refresh(self._painted, connected)
        elif rows and self._held is not None:
            self._held.update({row.id: row for row in rows})
            while len(self._held) > MOST_ROWS:
                del self._held[next(iter(self._held))]
        elif rows:
            self._table.changed(self.exchanges.put(rows))
        now = time.monotonic()
        self._show_sums(now, at_once=news.snapshot is not None or self._connection.link is not self._link)
        self._pane.look(self.exchanges.chosen, now)
        self._show_view(now)

    def _take_in(self, news: News) -> list[Row]:
        rows: list[Row] = []
        if news.snapshot is not None:
            self.status = dict(news.snapshot.status)
            self.questions = list(news.snapshot.approvals)
            rows += map(row_from, news.snapshot.exchanges)
            self._viewed = 0.0
        for name, data in news.events:
            if name == "exchange":
                rows.append(row_from(data))
                self._seen += data.get("state") != "running"
            elif name == "listed":  # older ones, read behind the first
                rows.append(row_from(data))
            elif name in ("question", "question-over", "answer"):
                self.questions = questions_after(self.questions, name, data)
            elif name == "pause":
                self.status["paused"] = data.get("paused") is True
            elif name == "routes":
                self.status["mode"] = data.get("mode")
                self._viewed = 0.0
            elif name == "budget-warning":
                told = f"{data.get('budget')}: {data.get('percent')} % of {data.get('limit_usd')} USD a {data.get('period')} spent"
                self.notify(told, title="Budget", severity="warning", markup=False)
        return rows

    def _painted(self, connected: float) -> None:
        self.first_paint = time.monotonic() - connected

    def _show_sums(self, now: float, *, at_once: bool) -> None:
        self._link = link = self._connection.link
        if not at_once and now - self._summed < _SUMS_SECONDS and link.up:
            return
        self._summed = now
        self._rates = [*self._rates[-10:], (now, self._seen)]
        (first, before), (last, after) = self._rates[0], self._rates[-1]
        line = masthead(
            link,
            self.status,
            self.exchanges.totals(),
            held=len(self.exchanges),
            shown=len(self.exchanges.shown),
            rate=(after - before) / (last - first) if last > first else 0.0,
            waiting=None if self._held is None else len(self._held),
        )
        self._masthead.show(line)
        policy = self.status.get("policy")
        error = policy.get("error") if isinstance(policy, Mapping) else None
        said = banner(link, self.questions, error, now)
        self._banner.show(said)
        self._banner.set_class(bool(said), "-said")

    def _show_view(self, now: float) -> None:
        """Have the view that is open, if it is not the exchanges, ask anew from time to time."""
        view = self._boards.get(self.view)
        if view is None or now - self._viewed < _VIEW_SECONDS or not self._connection.link.up:
            return
        self._viewed = now
        self.run_worker(self._load(view), group="view", exclusive=True, exit_on_error=False)

    async def _load(self, view: Sessions | Endpoints | Board) -> None:
        try:
            await view.load()
        except CallFailed as failed:
            self.notify(str(failed), severity="warning", markup=False)

    async def _call(self, method: str, path: str, **given: object) -> Document:
        return await asyncio.to_thread(partial(self._connection.call, method, path, **given))

    # what a person does

    @property
    def view(self) -> str:
        """The view that is open."""
        return self._switcher.current or VIEWS[0]

    def action_view(self, view: str) -> None:
        """Open a view."""
        self._switcher.current = view
        for name, tab in self._tabs.items():
            tab.set_class(name == view, "-open")
        board = self._boards.get(view, self._table)
        self._focus(board.table if isinstance(board, Sessions | Endpoints) else board)
        self._viewed = 0.0

    def _focus(self, widget: Widget) -> None:
        """Have a widget take the keys from the very next one on; `Widget.focus` lets some go by."""
        self.screen.set_focus(widget)

    def on_tab_wanted(self, event: Tab.Wanted) -> None:
        """A name was clicked."""
        self.action_view(event.view)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action can be done now: a `/` that is typed into a box is no command."""
        return not (action == "filter" and isinstance(self.focused, Input))

    def action_filter(self) -> None:
        """Type what is to be seen."""
        self.action_view("exchanges")
        self._focus(self._typing)

    @on(Input.Changed, "#filter")
    def filter_typed(self, event: Input.Changed) -> None:
        """Filter as one types."""
        self.exchanges.show(filter_from(event.value))
        self._table.changed()
        self._summed = 0.0

    @on(Input.Submitted, "#filter")
    def filter_kept(self, _: Input.Submitted) -> None:
        """Keep the filter, and go back to the table."""
        self._focus(self._table)

    def action_close(self) -> None:
        """Close what is open: the detail, then the filter."""
        if self.screen.has_class("-detail"):
            self.screen.remove_class("-detail")
            self._focus(self._table)
            return
        self._typing.value = ""
        self._focus(self._table)

    def action_follow(self) -> None:
        """Stay with the newest exchange, or with the chosen one."""
        self.exchanges.follow(not self.exchanges.follows)
        self._table.changed()
        self.notify("Following the newest." if self.exchanges.follows else "Staying here.", markup=False, timeout=2)

    def action_pause(self) -> None:
        """Let the table stand still, or take in what came meanwhile. The guard goes on."""
        if self._held is None:
            self._held = {}
        else:
            held, self._held = self._held, None
            self._table.changed(self.exchanges.put(held.values()))
        self._summed = 0.0

    def on_exchange_table_opened(self, _: ExchangeTable.Opened) -> None:
        """Show the chosen exchange in full."""
        self.screen.add_class("-detail")
        self.screen.remove_class("-folded")
        self._focus(self._pane)

    def action_fold(self) -> None:
        """Show the detail, or only the table."""
        self.screen.toggle_class("-folded")
        self.screen.toggle_class("-detail")

    def action_retry(self) -> None:
        """Connect now."""
        self._connection.retry()

    def action_theme(self) -> None:
        """Dark or light."""
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name

    def _watch_theme(self, theme_name: str) -> None:
        super()._watch_theme(theme_name)
        if self.is_running and self._is_mounted:
            self._table.repaint()
            for pane in self.query("Lines, Strap").results():
                if isinstance(pane, Lines | Strap):
                    pane.repaint()
            self._viewed = 0.0

    def action_help(self) -> None:
        """Show the keys, or hide them."""
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def action_answer(self) -> None:
        """Answer what waits longest."""
        if not self.questions:
            self.notify("Nobody waits for an answer.", markup=False, timeout=2)
            return
        dialog = QuestionDialog(self.questions[0], self.styles_now, len(self.questions) - 1)
        self.push_screen(dialog, self._answered)

    def _answered(self, answer: tuple[str, bool, str] | None) -> None:
        if answer is not None:
            self.run_worker(self._send_answer(*answer), exit_on_error=False)

    async def _send_answer(self, id: str, allow: bool, scope: str) -> None:
        given = {"allow": allow, "scope": scope, "why": "answered in the terminal UI"}
        try:
            said = await self._call("POST", f"/approvals/{quote(id, safe='')}", **given)
        except CallFailed as failed:
            self.notify(str(failed), title="Not answered", severity="error", markup=False, timeout=10)
            return
        went = "the request goes on" if said.get("waiting") else "have the agent send it again"
        self.notify(f"Allowed: {went}." if allow else "Refused.", markup=False)

    def action_explain(self) -> None:
        """Ask policy about the chosen exchange, or about work that is typed."""
        chosen = self.exchanges.chosen if self.view == "exchanges" else None
        self.push_screen(ExplainDialog(self._explained, self.styles_now, f"exchange={chosen.id}" if chosen else ""))

    def _explained(self, typed: str) -> Iterable[Line]:
        given: dict[str, object] = dict(word.partition("=")[::2] for word in typed.split() if "=" in word)
        for name in ("tools", "findings", "attachments"):
            if name in given:
                given[name] = str(given[name]).split(",")
        try:
            return explained_lines(self._connection.call("POST", "/policy/explain", **given))
        except CallFailed as failed:
            return [(("warning", f"! {failed}"),)]

    def on_sessions_only(self, event: Sessions.Only) -> None:
        """Show its exchanges."""
        self.action_view("exchanges")
        self._typing.value = f"session:{event.session}"

    def _local_only(self) -> None:
        endpoints = self._boards["endpoints"]
        assert isinstance(endpoints, Endpoints)
        endpoints.action_mode()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the command palette offers besides Textual's own."""
        yield from super().get_system_commands(screen)
        for view in VIEWS:
            yield SystemCommand(f"View: {view}", f"Open the view of {view}", partial(self.action_view, view))
        for title, told, action in (
            ("Filter", "Show some exchanges only", self.action_filter),
            ("Follow", "Stay with the newest exchange", self.action_follow),
            ("Pause", "Let the table stand still", self.action_pause),
            ("Answer", "Answer a request that waits", self.action_answer),
            ("Explain", "Ask what policy says, and why", self.action_explain),
            (
                "Local only",
                "Use local endpoints only, or what policy allows again",
                self.query_one(Endpoints).action_mode,
            ),
            ("Reconnect", "Connect to the guard now", self.action_retry),
        ):
            yield SystemCommand(title, told, action)
