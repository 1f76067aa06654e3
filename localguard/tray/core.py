"""What happens in the tray, one thing after the other in one thread: events and clicks in, views, notifications and calls out.

Nothing here waits for time to pass but for the moment at which something is due; an idle tray sleeps.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from localguard.display import one_line
from localguard.errors import LocalguardError
from localguard.proxy.control_client import ControlClient, Event, GuardAnswered
from localguard.tray.menu import Action, Aside, ControlCall, InTerminal, Looked, Quit, View, view
from localguard.tray.notices import Notice, Notices, failed, question_key
from localguard.tray.situation import Situation, Told

log = logging.getLogger(__name__)

REDRAW_SECONDS = 1.0
"""Between two changes of what is shown, however much happens."""
_RETRY_SECONDS = (0.5, 1.0, 2.0, 3.0)
"""Between attempts to reach a guard that is not there; the last is repeated."""


_EXCHANGES = 100
"""That are looked through for refusals which were missed."""


class Icon(Protocol):
    """What shows views. Its methods may be called from any thread and return at once."""

    def show(self, shown: View) -> None:
        """Show this from now on."""

    def stop(self) -> None:
        """Take the icon away and end."""


class Bubbles(Protocol):
    """What shows notifications; as `Icon`."""

    def show(self, notice: Notice) -> None:
        """Show it, in place of one with the same key."""

    def withdraw(self, key: str) -> None:
        """Take it away if it is still there."""


class Desktop(Protocol):
    """What the tray opens."""

    def run_aside(self, action: Aside, failed: Callable[[str], None]) -> None:
        """Run a command that shows something itself, and do not wait; `failed` is told, in any thread, why it did not."""

    def run_in_terminal(self, action: InTerminal) -> None:
        """Run a command of localguard where the user can see it. Raises LocalguardError."""


@dataclass(frozen=True, slots=True)
class _Lost:
    why: str


@dataclass(frozen=True, slots=True)
class _Click:
    action: Action
    asked_by: int | None


class Core:
    """Keeps the situation and acts. `run` is its thread; `click` may be called from any other."""

    def __init__(
        self,
        client: ControlClient,
        icon: Icon,
        bubbles: Bubbles,
        desktop: Desktop,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._icon = icon
        self._bubbles = bubbles
        self._desktop = desktop
        self._clock = clock
        self._wall = wall
        self._inbox: queue.SimpleQueue[Event | _Lost | _Click] = queue.SimpleQueue()
        self._situation = Situation(why_down="it is being looked for")
        self._notices = Notices()
        self._shown: View | None = None
        self._redraw_at = 0.0
        self._stale = False
        self._behind = True

    def click(self, action: Action, asked_by: int | None = None) -> None:
        """Do what a person chose; `asked_by` is the process that passed the choice on, where it is known."""
        self._inbox.put(_Click(action, asked_by))

    def listen(self) -> None:
        """Pass the guard's events on, from whichever guard of the home there is, for ever: a thread of its own."""
        failures = 0
        last_event: str | None = None
        while True:
            try:
                stream = self._client.events(last_event)
                while True:
                    for event in stream.batch():
                        last_event, failures = event.id, 0
                        self._inbox.put(event)
            except LocalguardError as error:
                self._inbox.put(_Lost(f"{error}"))
            time.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1

    def run(self) -> None:
        """Work until somebody quits."""
        threading.Thread(target=self.listen, name="events", daemon=True).start()
        self._draw()
        while True:
            try:
                happened = self._inbox.get(timeout=self._patience())
            except queue.Empty:
                happened = None
            if isinstance(happened, _Click) and isinstance(happened.action, Quit):
                self._icon.stop()
                return
            if happened is not None:
                self._take(happened)
            self._pass_time()

    def _take(self, happened: "Event | _Lost | _Click") -> None:
        if isinstance(happened, _Lost):
            self._situation = self._situation.down(happened.why)
        elif isinstance(happened, Event):
            self._hear(happened)
        else:
            self._act(happened)

    def _hear(self, event: Event) -> None:
        notice = self._notices.of_event(event.name, event.data, self._clock())
        if notice is not None:
            self._bubbles.show(notice)
        if event.name in ("answer", "question-over"):
            self._bubbles.withdraw(question_key(one_line(event.data.get("id"), 48)))
        if event.name == "exchange" and not self._situation.why_down:
            self._situation = self._situation.after_exchange(event.data)
        else:
            self._stale = True
            self._behind |= event.name == "ready" and not event.data.get("resumed")

    def _act(self, click: _Click) -> None:
        action = click.action
        try:
            if isinstance(action, ControlCall):
                self._stale = True
                self._client.call_for(click.asked_by, action.method, action.path, dict(action.given))
            elif isinstance(action, InTerminal):
                self._desktop.run_in_terminal(action)
                if action.command[0] in ("explain", "tui"):
                    self._situation = self._situation.looked_at()
            elif isinstance(action, Aside):
                self._desktop.run_aside(action, self._failed)
                self._situation = self._situation.looked_at()
            elif isinstance(action, Looked):
                self._situation = self._situation.looked_at()
        except LocalguardError as error:
            self._failed(f"{error}")

    def _failed(self, why: str) -> None:
        self._bubbles.show(failed(one_line(why, 300)))

    def _pass_time(self) -> None:
        """Do what is due: ask the guard anew, tell what was held back, show what changed."""
        now = self._clock()
        for notice in self._notices.late(now):
            self._bubbles.show(notice)
        if self._situation.paused_until is not None and now >= self._situation.paused_until:
            self._situation = replace(self._situation, paused_until=None)
            self._stale = True
        if now < self._redraw_at or not self._inbox.empty():
            return
        if self._stale:
            self._ask()
        self._draw()

    def _ask(self) -> None:
        self._stale = False
        client = self._client
        try:
            told = Told(
                status=client.status(),
                routes=client.call("GET", "/routes"),
                pause=client.call("GET", "/pause"),
                tasks=client.call("GET", "/tasks"),
                approvals=client.call("GET", "/approvals")["approvals"],
                exchanges=client.exchanges(_EXCHANGES) if self._behind else None,
            )
            self._behind = False
        except GuardAnswered as error:
            log.warning("%s", error)
        except LocalguardError as error:
            self._situation = self._situation.down(f"{error}")
        else:
            self._situation = told.situation(self._situation, self._clock())

    def _draw(self) -> None:
        shown = view(self._situation, self._clock(), self._wall())
        if shown != self._shown:
            self._shown = shown
            self._redraw_at = self._clock() + REDRAW_SECONDS
            self._icon.show(shown)

    def _patience(self) -> float | None:
        """Seconds until something is due without anything happening; None: for ever."""
        now = self._clock()
        due = [time for time in (self._notices.due, self._situation.paused_until) if time is not None]
        if self._stale or self._shown is None or view(self._situation, now, self._wall()) != self._shown:
            due.append(self._redraw_at)
        return max(0.0, min(due) - now) if due else None
