"""Notifications over a real D-Bus session, shown by a daemon that writes down what it gets."""

from collections.abc import Iterator
from typing import Any

import pytest

from localguard.tray.bubbles import NOTIFICATIONS, DesktopBubbles
from localguard.tray.menu import Action, ControlCall
from localguard.tray.notices import Notice
from localguard.tray.session_bus import SessionBus
from tests.tray.desktop import Desktop, until

PATH = "/org/freedesktop/Notifications"
YES = ControlCall("POST", "/approvals/q1", (("allow", True),), ("approve", "q1"))


class Daemon:
    """What shows notifications."""

    def __init__(self, capabilities: list[str]) -> None:
        self.bus = SessionBus()
        self.shown: list[tuple[Any, ...]] = []
        self.closed: list[int] = []
        self.bus.offer(PATH, NOTIFICATIONS, "GetCapabilities", lambda _, __: ("as", (capabilities,)))
        self.bus.offer(PATH, NOTIFICATIONS, "Notify", self._notify)
        self.bus.offer(PATH, NOTIFICATIONS, "CloseNotification", self._close)
        self.bus.open()
        until(  # who had it before may still be going
            lambda: self.bus.soon(self.bus.ask_bus("RequestName", "su", NOTIFICATIONS, 4)).result() == (1,),
            "the name is ours",
        )

    def _notify(self, _: str, given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        self.shown.append(given)
        return "u", (given[1] or len(self.shown),)

    def _close(self, _: str, given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        self.closed.append(given[0])
        return "", ()


def press(bus: SessionBus, to: str, id: int, button: str) -> None:
    """Have `bus` say, to one connection alone, that a button was pressed."""
    from jeepney import DBusAddress, HeaderFields, new_signal

    signal = new_signal(DBusAddress(PATH, interface=NOTIFICATIONS), "ActionInvoked", "us", (id, button))
    signal.header.fields[HeaderFields.destination] = to
    bus.soon(bus._send(signal)).result()


class Shower:
    """The tray's side, with what was clicked."""

    def __init__(self) -> None:
        self.bus = SessionBus()
        self.clicked: list[tuple[Action, int | None]] = []
        self.bus.open()
        self.bubbles = DesktopBubbles(self.bus, lambda action, process: self.clicked.append((action, process)))
        self.bubbles.start()


@pytest.fixture
def shower(session: Desktop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shower]:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.environment["DBUS_SESSION_BUS_ADDRESS"])
    made = Shower()
    yield made
    made.bus.close()


@pytest.fixture
def daemon(shower: Shower) -> Iterator[Daemon]:
    made = Daemon(["body", "actions", "body-markup"])
    yield made
    made.bus.close()


def show(shower: Shower, daemon: Daemon, notice: Notice) -> tuple[Any, ...]:
    before = len(daemon.shown)
    shower.bubbles.show(notice)
    until(lambda: len(daemon.shown) > before, "the notification is shown")
    until(lambda: shower.bubbles._id_of(notice.key), "its id is known")
    return daemon.shown[-1]


def test_markup_of_others_reaches_a_desktop_that_renders_markup_as_text(shower: Shower, daemon: Daemon) -> None:
    hostile = '<a href="file:///x">click</a> & <img src=x>'
    *_, title, body, _, _, _ = show(shower, daemon, Notice("refusal", "Request refused", hostile))
    assert title == "Request refused"
    assert body == '&lt;a href="file:///x"&gt;click&lt;/a&gt; &amp; &lt;img src=x&gt;'


def test_a_desktop_without_markup_and_buttons_gets_nothing_that_could_be_either(shower: Shower) -> None:
    plain = Daemon(["body"])
    shown = show(shower, plain, Notice("question q1", "May it?", "<b>a</b> & b", actions=(("Allow", YES),)))
    assert shown[4] == "‹b›a‹/b› ＆ b"
    assert shown[5] == []
    plain.bus.close()


def test_a_later_notification_of_the_same_kind_takes_the_place_of_the_first(shower: Shower, daemon: Daemon) -> None:
    show(shower, daemon, Notice("refusal", "one", ""))
    assert show(shower, daemon, Notice("refusal", "two", ""))[1] == 1


def test_a_button_does_what_it_says_for_the_process_that_showed_it(shower: Shower, daemon: Daemon) -> None:
    import os

    shown = show(shower, daemon, Notice("question q1", "May it?", "", urgent=True, actions=(("Allow", YES),)))
    assert shown[5] == ["action-0", "Allow"]
    press(daemon.bus, shower.bus.name, 1, "action-0")
    until(lambda: shower.clicked, "the button counts")
    assert shower.clicked == [(YES, os.getpid())]


@pytest.mark.parametrize(("id", "button"), [(1, "action-0"), (1, "default"), (2, "action-0")])
def test_a_button_pressed_by_anybody_else_on_the_bus_counts_for_nothing(
    id: int, button: str, shower: Shower, daemon: Daemon
) -> None:
    show(shower, daemon, Notice("question q1", "May it?", "", urgent=True, actions=(("Allow", YES),)))
    other = SessionBus()
    other.open()
    press(other, shower.bus.name, id, button)
    press(daemon.bus, shower.bus.name, 1, "no such")
    press(daemon.bus, shower.bus.name, 1, "action-0")  # the bus keeps the order: this comes last
    until(lambda: shower.clicked, "the daemon's own button counts")
    assert len(shower.clicked) == 1
    other.close()


def test_a_click_on_an_urgent_notification_itself_allows_nothing(shower: Shower, daemon: Daemon) -> None:
    shown = show(shower, daemon, Notice("question q1", "May it?", "", urgent=True, actions=(("Allow", YES),)))
    assert "default" not in shown[5]


def test_a_question_that_is_over_is_taken_away(shower: Shower, daemon: Daemon) -> None:
    show(shower, daemon, Notice("question q1", "May it?", ""))
    shower.bubbles.withdraw("question q1")
    until(lambda: daemon.closed == [1], "it is closed")


def test_where_nobody_shows_notifications_nothing_breaks(shower: Shower, daemon: Daemon) -> None:
    daemon.bus.soon(daemon.bus.ask_bus("ReleaseName", "s", NOTIFICATIONS)).result()
    shower.bubbles.show(Notice("refusal", "one", ""))
    daemon.bus.soon(daemon.bus.ask_bus("RequestName", "su", NOTIFICATIONS, 4)).result()
    show(shower, daemon, Notice("refusal", "two", ""))
