"""What the tray does with events and clicks: in order, few times, and whatever the guard answers."""

import itertools
import queue
import threading
from typing import Any

import pytest

from localguard.proxy.control_client import Event, GuardAnswered, GuardNotReachable
from localguard.tray.core import REDRAW_SECONDS, Core
from localguard.tray.menu import Aside, ControlCall, InTerminal, Looked, Quit, View
from localguard.tray.notices import Notice
from localguard.tray.situation import Sign
from tests.tray.desktop import until
from tests.tray.situations import HOSTILE, question, refused, told

RESUME = ControlCall("POST", "/resume", (), ("resume",))


class Guard:
    """A guard that answers as it is told, and sends the events that it is given. None ends a stream."""

    def __init__(self) -> None:
        self.answers = told(approvals=[])
        self.asked: list[str] = []
        self.called: list[tuple[int | None, str, str]] = []
        self.sent: queue.Queue[list[Event] | None] = queue.Queue()
        self.resumed_from: list[str | None] = []
        self.refuses: Exception | None = None
        self._numbers = itertools.count(1)

    def tell(self, name: str, **data: Any) -> None:
        self.sent.put([Event(f"e-{next(self._numbers)}", name, data)])

    def end(self) -> None:
        self.sent.put(None)

    # as the control client

    def events(self, last: str | None = None) -> "Guard":
        self.resumed_from.append(last)
        if self.refuses is not None:
            raise self.refuses
        return self

    def batch(self) -> list[Event]:
        given = self.sent.get()
        if given is None:
            raise GuardNotReachable("the guard no longer sends events")
        return given

    def status(self) -> Any:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append("/status")
        return self.answers.status

    def exchanges(self, _: int) -> Any:
        self.asked.append("/exchanges")
        return self.answers.exchanges

    def call(self, _: str, path: str) -> Any:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append(path)
        named = {"/routes": self.answers.routes, "/pause": self.answers.pause, "/tasks": self.answers.tasks}
        return named.get(path, {"approvals": self.answers.approvals})

    def call_for(self, pid: int | None, method: str, path: str, _: Any) -> Any:
        self.called.append((pid, method, path))
        if self.refuses is not None:
            raise self.refuses
        return {}


class Screen:
    """Icon, notifications and desktop, which write down what they show."""

    def __init__(self) -> None:
        self.views: list[View] = []
        self.notices: list[Notice] = []
        self.withdrawn: list[str] = []
        self.opened: list[tuple[str, ...]] = []
        self.stopped = False

    def show(self, shown: Any) -> None:
        (self.views if isinstance(shown, View) else self.notices).append(shown)

    def withdraw(self, key: str) -> None:
        self.withdrawn.append(key)

    def stop(self) -> None:
        self.stopped = True

    def run_in_terminal(self, action: InTerminal) -> None:
        self.opened.append(action.command)

    def run_aside(self, action: Aside, failed: Any) -> None:
        self.opened.append(action.command)
        failed("it could not be opened")


class Running:
    """A core at work on a guard and a screen of its own."""

    def __init__(self) -> None:
        self.guard, self.screen = Guard(), Screen()
        self.core = Core(self.guard, self.screen, self.screen, self.screen)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self.core.run, daemon=True)
        self._thread.start()

    def connected(self) -> "Running":
        self.guard.tell("ready", resumed=False)
        self.shows(Sign.GUARDING)
        return self

    def shows(self, sign: Sign) -> None:
        until(lambda: self.screen.views and self.screen.views[-1].sign is sign, f"{sign} is shown")

    def quit(self) -> None:
        self.core.click(Quit())
        self._thread.join(5)
        assert not self._thread.is_alive()


@pytest.fixture
def running() -> Any:
    made = Running()
    yield made
    made.quit()
    assert made.screen.stopped


def test_before_there_is_a_guard_the_icon_says_so(running: Running) -> None:
    running.shows(Sign.DOWN)
    running.connected()


def test_a_guard_that_goes_and_comes_is_followed_from_the_last_event_that_was_had(running: Running) -> None:
    running.connected()
    running.guard.tell("routes")
    running.guard.refuses = GuardNotReachable("nothing listens on port 4141")
    running.guard.end()
    running.shows(Sign.DOWN)
    running.guard.refuses = None
    running.guard.tell("ready", resumed=True)
    running.shows(Sign.GUARDING)
    assert running.guard.resumed_from[0] is None
    assert set(running.guard.resumed_from[1:]) == {"e-2"}
    assert running.guard.asked.count("/exchanges") == 1


def test_a_thousand_exchanges_a_second_change_what_is_shown_once_a_second(running: Running) -> None:
    running.connected()
    before = len(running.screen.views)
    for number in range(1000):
        running.guard.tell("exchange", **refused(f"x{number:04}"))
    until(lambda: running.screen.views[-1].title.endswith("not looked at)"), "they are counted")
    until(
        lambda: ", 1,000 not" in running.screen.views[-1].title or " 1000 not" in running.screen.views[-1].title, "all"
    )
    assert len(running.screen.views) - before <= 4
    assert len(running.screen.notices) == 1
    assert running.guard.asked.count("/status") <= 3


def test_a_click_is_passed_on_with_the_process_that_it_came_from(running: Running) -> None:
    running.connected()
    running.core.click(RESUME, 4242)
    until(lambda: running.guard.called, "the guard is called")
    assert running.guard.called == [(4242, "POST", "/resume")]
    until(lambda: running.guard.asked.count("/status") == 2, "what came of it is asked for", seconds=3 * REDRAW_SECONDS)


@pytest.mark.parametrize(
    "error",
    [GuardAnswered(403, f"An agent cannot do it. {HOSTILE}"), GuardNotReachable("nothing listens on port 4141")],
)
def test_what_was_not_done_is_said_and_why(error: Exception, running: Running) -> None:
    running.connected()
    running.guard.refuses = error
    running.core.click(RESUME)
    until(lambda: running.screen.notices, "it is said")
    (notice,) = running.screen.notices
    assert notice.title == "Not done"
    assert notice.body.startswith(str(error)[:20])
    assert notice.body.isprintable()
    assert len(notice.body) <= 300


def test_a_question_that_was_answered_elsewhere_is_taken_away(running: Running) -> None:
    running.connected()
    running.guard.answers = told(approvals=[question("q1")])
    running.guard.tell("question", **question("q1"))
    running.shows(Sign.ASKING)
    assert [one.key for one in running.screen.notices] == ["question q1"]
    running.guard.answers = told(approvals=[])
    running.guard.tell("answer", id="q1", allow=True)
    running.shows(Sign.GUARDING)
    assert running.screen.withdrawn == ["question q1"]


@pytest.mark.parametrize(
    "action", [InTerminal(("explain", "x9")), InTerminal(("tui",)), Aside(("report", "--open")), Looked()]
)
def test_whoever_looks_at_the_refusals_has_seen_them(action: Any, running: Running) -> None:
    running.connected()
    running.guard.tell("exchange", **refused("x9"))
    running.shows(Sign.REFUSED)
    running.core.click(action)
    running.shows(Sign.GUARDING)
    assert isinstance(action, Looked) or running.screen.opened == [action.command]


def test_a_pause_ends_by_itself_when_its_time_is_over(running: Running) -> None:
    running.connected()
    running.guard.answers = told(approvals=[], pause={"paused": True, "seconds_left": 1, "most_minutes": 10})
    running.guard.tell("pause")
    running.shows(Sign.PAUSED)
    running.guard.answers = told(approvals=[])
    running.shows(Sign.GUARDING)
