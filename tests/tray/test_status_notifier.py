"""The icon and its menu as a tray host sees them over D-Bus; and what a click of an agent's is worth."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient, GuardAnswered
from localguard.tray.menu import Action, ControlCall, Entry, view
from localguard.tray.session_bus import BusRefused, NoSuchThing, SessionBus
from localguard.tray.situation import Situation
from localguard.tray.status_notifier import WATCHER, MenuIds, StatusNotifier, properties
from tests.e2e.guard import ROOT, Guard, policy
from tests.provider.server import Provider
from tests.tray.desktop import Desktop, until
from tests.tray.situations import HOSTILE, question, situation

ITEM = ("/StatusNotifierItem", "org.kde.StatusNotifierItem")
MENU = ("/MenuBar", "com.canonical.dbusmenu")


def shown(of: Situation) -> Any:
    return view(of, 100.0, 1_800_000_000.0)


def walk(node: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and properties of every entry of a layout."""
    id, given, children = node
    yield id, {name: value for name, (_, value) in given.items()}
    for _, child in children:
        yield from walk(child)


class Host:
    """A tray host: takes items, reads their menus, clicks."""

    def __init__(self) -> None:
        self.bus = SessionBus()
        self.items: list[str] = []
        self.signals: list[str] = []
        self.bus.offer("/StatusNotifierWatcher", WATCHER, "RegisterStatusNotifierItem", self._register)
        self.bus.offer(
            "/StatusNotifierWatcher", "org.freedesktop.DBus.Properties", "Get", lambda _, __: ("v", (("b", True),))
        )
        self.bus.on_signal(lambda _, __, member, ___: self.signals.append(member))
        self.bus.open()
        until(  # who had it before may still be going
            lambda: self.bus.soon(self.bus.ask_bus("RequestName", "su", WATCHER, 4)).result() == (1,),
            "the name is ours",
        )
        for path, interface in (ITEM, MENU):
            self.bus.soon(self.bus.follow(path=path, interface=interface)).result()

    def _register(self, _: str, given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        self.items.append(given[0])
        return "", ()

    def call(self, place: tuple[str, str], member: str, signature: str = "", *values: object) -> tuple[Any, ...]:
        answer: Any = self.bus.soon(self.bus.call(self.items[-1], *place, member, signature, *values)).result()
        return tuple(answer[1])

    def item(self) -> dict[str, Any]:
        (found,) = self.call((ITEM[0], "org.freedesktop.DBus.Properties"), "GetAll", "s", ITEM[1])
        return {name: value for name, (_, value) in found.items()}

    def menu(self) -> dict[str, int]:
        _, root = self.call(MENU, "GetLayout", "iias", 0, -1, [])
        return {given["label"]: id for id, given in walk(root) if "label" in given}

    def click(self, id: int) -> None:
        self.call(MENU, "Event", "isvu", id, "clicked", ("s", ""), 0)


class Tray:
    """The tray's side, with what was clicked."""

    def __init__(self) -> None:
        self.bus = SessionBus()
        self.bus.open()
        self.clicked: list[tuple[Action, int | None]] = []
        self.item = StatusNotifier(self.bus, lambda action, process: self.clicked.append((action, process)))
        self.item.start()


@pytest.fixture
def host(session: Desktop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.environment["DBUS_SESSION_BUS_ADDRESS"])
    made = Host()
    yield made
    made.bus.close()


@pytest.fixture
def tray(host: Host) -> Iterator[Tray]:
    made = Tray()
    made.item.show(shown(situation()))
    until(lambda: host.items, "the item is offered")
    until(lambda: "LayoutUpdated" in host.signals, "the menu is there")
    yield made
    made.item.stop()
    made.bus.close()


def test_a_host_is_shown_the_state_in_pixels_and_words(host: Host, tray: Tray) -> None:
    item = host.item()
    assert item["Status"] == "NeedsAttention"
    assert item["Menu"] == MENU[0]
    assert item["ToolTip"][3].startswith("waiting for your answer")
    assert {(width, len(pixels)) for width, _, pixels in item["IconPixmap"]} >= {(16, 16 * 16 * 4), (64, 64 * 64 * 4)}
    before = item["IconPixmap"][0][2]
    host.signals.clear()
    tray.item.show(shown(situation(approvals=[])))
    until(lambda: {"NewIcon", "NewStatus", "NewToolTip"} <= set(host.signals), "the host is told")
    assert host.item()["Status"] == "Active"
    assert host.item()["IconPixmap"][0][2] != before


def test_a_click_does_what_the_entry_says_and_carries_the_process_that_sent_it(host: Host, tray: Tray) -> None:
    host.click(host.menu()["Local endpoints only"])
    (action, process), *_ = tray.clicked
    assert isinstance(action, ControlCall)
    assert action.command == ("route", "set", "local")
    assert process == os.getpid()


def test_a_click_on_a_menu_that_has_changed_meanwhile_does_what_was_read_or_nothing(host: Host, tray: Tray) -> None:
    before = host.menu()
    allow = before["Allow this request"]
    tray.item.show(shown(situation(approvals=[question("q7"), question("q8")])))
    until(lambda: "Waiting for your answer (2)" in host.menu(), "the menu has changed")
    with pytest.raises(BusRefused):
        host.click(allow)
    assert tray.clicked == []


def test_an_entry_that_stays_keeps_its_number_and_no_number_is_used_twice() -> None:
    ids = MenuIds()
    used: dict[int, Entry] = {}
    stay = Entry("stays", ControlCall("POST", "/resume", (), ()))
    numbers = set()
    for turn in range(20):
        ids.take((stay, Entry("group", entries=(Entry(f"turn {turn % 3}", ControlCall("POST", f"/{turn}", (), ())),))))
        for number in list(ids.all())[1:]:
            entry = ids.entry(number)
            assert used.setdefault(number, entry).action == entry.action
        numbers.add(ids.layout(0, 1)[2][0][1][0])
    assert len(numbers) == 1
    with pytest.raises(NoSuchThing):
        ids.entry(10_000)


def test_labels_of_others_are_shown_as_they_are_spelled() -> None:
    assert properties(Entry("a_b & <c>"))["label"] == ("s", "a__b & <c>")


def test_a_host_gets_nothing_of_others_that_it_could_take_for_markup_or_control(host: Host, tray: Tray) -> None:
    tray.item.show(shown(situation(approvals=[question(HOSTILE, reason=HOSTILE, workspace=HOSTILE)]).down(HOSTILE)))
    until(lambda: host.item()["ToolTip"][3].startswith("guard down"), "the state is shown")
    assert all(label.isprintable() for label in host.menu())


@pytest.mark.parametrize(
    ("place", "member", "signature", "values"),
    [
        (MENU, "GetLayout", "iias", (99999, -1, [])),
        (MENU, "GetLayout", "s", ("x",)),
        (MENU, "Event", "isvu", (99999, "clicked", ("s", ""), 0)),
        (MENU, "Event", "s", ("clicked",)),
        (MENU, "GetProperty", "is", (0, "no-such")),
        (MENU, "NoSuchMethod", "", ()),
        (ITEM, "Explode", "", ()),
    ],
)
def test_a_call_that_makes_no_sense_is_an_error_and_the_icon_stays(
    place: tuple[str, str], member: str, signature: str, values: tuple[object, ...], host: Host, tray: Tray
) -> None:
    with pytest.raises(BusRefused):
        host.call(place, member, signature, *values)
    assert host.item()["Id"] == "localguard"
    assert tray.clicked == []


def test_the_icon_comes_back_to_a_panel_that_was_started_anew(host: Host, tray: Tray) -> None:
    host.bus.soon(host.bus.ask_bus("ReleaseName", "s", WATCHER)).result()
    host.items.clear()
    host.bus.soon(host.bus.ask_bus("RequestName", "su", WATCHER, 4)).result()
    until(lambda: host.items, "the item is offered to the new host")


def test_without_a_host_the_wait_ends_in_no_and_with_one_that_comes_late_in_yes(
    session: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.environment["DBUS_SESSION_BUS_ADDRESS"])
    lonely = Tray()
    assert lonely.item.wait_for_host(0) is False
    late = Host()
    assert lonely.item.wait_for_host(10) is True
    for bus in (late.bus, lonely.bus):
        bus.close()


# what a click is worth, by the real guard

AGENT = """
import subprocess, sys, time, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(urllib.request.Request(sys.argv[1], b'{"model": "m-1", "messages": []}', {"Content-Type": "application/json"}))
child = subprocess.Popen(["sleep", "30"])
print(child.pid, flush=True)
sys.stdin.read()
child.kill()
"""


@pytest.fixture(scope="module")
def guard(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    with Guard(tmp_path_factory.mktemp("guard") / "home", policy(running_provider.port)) as started:
        yield started


@pytest.fixture
def agent(guard: Guard) -> Iterator[int]:
    """The process of a program that an agent started."""
    command = [sys.executable, "-c", AGENT, f"{guard.url}/openai/v1/chat/completions"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=guard.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.communicate(b"")


ON = ("POST", "/routes/openai", {"on": True})


def test_what_an_agents_program_has_the_tray_ask_for_is_refused_as_its_own(guard: Guard, agent: int) -> None:
    client = ControlClient(Home(guard.home), guard.port)
    with pytest.raises(GuardAnswered, match="An agent cannot switch endpoints on"):
        client.call_for(agent, *ON)
    assert client.call_for(os.getpid(), *ON)["endpoints"]
    assert client.call_for(None, *ON)["endpoints"]


def test_whoever_has_gone_before_the_guard_looked_is_refused(guard: Guard) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(GuardAnswered, match="has gone"):
        ControlClient(Home(guard.home), guard.port).call_for(gone.pid, *ON)


@pytest.mark.parametrize("given", ["", "-1", "1.5", "0x10", "9" * 40])
def test_what_is_no_process_is_refused(given: str, guard: Guard) -> None:
    with pytest.raises(GuardAnswered) as refused:
        ControlClient(Home(guard.home), guard.port).call_for(given, *ON)  # type: ignore[arg-type]
    assert refused.value.status == 400


def test_tasks_and_workspaces_that_policy_names_are_told(running_provider: Provider, guard: Guard) -> None:
    more = """
[[workspaces]]
name = "payments"
match = { paths = ["/nowhere"] }
tasks = { "incident/*" = "incident" }

[[rules]]
id = "docs"
effect = "allow"
when = { tasks = ["docs", "any-*"] }
"""
    client = ControlClient(Home(guard.home), guard.port)
    guard.write_policy(policy(running_provider.port, more))
    until(lambda: client.call("GET", "/tasks")["workspaces"] == ["payments"], "the policy is read")
    assert client.call("GET", "/tasks")["known"] == ["docs", "incident"]
    switched = client.call("POST", "/routes/openai", on=False)["endpoints"]
    assert json.loads(json.dumps(switched))[0] == {"name": "openai", "class": "hosted", "on": False, "switched": False}
    client.call("POST", "/routes", mode="local")
    assert {one["name"]: (one["on"], one["switched"]) for one in client.call("GET", "/routes")["endpoints"]}[
        "azure"
    ] == (False, True)
