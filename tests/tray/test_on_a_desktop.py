"""The whole tray on a real X display: a real panel shows the icon, its menu is clicked, and the real guard does it."""

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

import pytest

from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient
from localguard.tray.icon import COLOURS
from localguard.tray.situation import Sign
from tests.e2e import test_asked_values as asked_values
from tests.e2e.guard import ROOT, Guard, policy
from tests.e2e.test_asking import ASK, said, send
from tests.e2e.test_budgets import ASKING
from tests.provider.server import Provider
from tests.tray.desktop import PANEL_PROGRAMS, SESSION, Desktop, lacking, until

PAUSE = "\n[pause]\nmax_minutes = 10\n"
SPENT = """
[[prices]]
models = ["cent"]
input = 0
output = 0
per_request = 0.01

[[budgets]]
models = ["cent"]
limit_usd = 0
period = "month"
on_exceed = "ask"
"""


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    if (missing := lacking(*SESSION, *PANEL_PROGRAMS)) and not os.environ.get("CI"):
        pytest.skip(f"no {missing} here; see packaging/debian.sh")
    with Desktop(tmp_path_factory.mktemp("desktop") / "home") as made:
        made.display()
        made.session()
        made.environment |= {"BROWSER": made.opener("browser"), "TERMINAL": made.opener("terminal")}
        made.panel()
        yield made


@pytest.fixture(scope="module")
def guard(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    home: Path = tmp_path_factory.mktemp("guard") / "home"
    tables = (ASK, asked_values.ASK, SPENT, PAUSE)
    with Guard(home, policy(running_provider.port, *tables), LOCALGUARD_ASK_SECONDS="30") as started:
        yield started


@pytest.fixture(scope="module")
def tray(desktop: Desktop, guard: Guard) -> "subprocess.Popen[bytes]":
    process = desktop.tray(guard.home, guard.port, "--wait", "30", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"The icon is in the panel: StatusNotifierItem over D-Bus.\n"
    shows(desktop, Sign.GUARDING)
    return process


def near(found: tuple[int, int, int] | None, wanted: tuple[int, int, int]) -> bool:
    return found is not None and all(abs(one - other) <= 12 for one, other in zip(found, wanted, strict=True))


def shows(desktop: Desktop, sign: Sign) -> None:
    """The panel's icon is that of this sign (by its colour; test_icon tells the shapes apart)."""
    if sign is Sign.DOWN:
        until(lambda: desktop.colour() is None, f"the icon shows {sign}", seconds=20)
    else:
        until(lambda: near(desktop.colour(), COLOURS[sign]), f"the icon shows {sign}", seconds=20)


def choose(desktop: Desktop, *keys: str) -> None:
    """Click the icon, and go through its menu by keys."""
    until(lambda: not desktop.menus(), "no menu is open")
    desktop.run("xdotool", "mousemove", "16", "16", "click", "1")
    until(desktop.menus, "the menu opens")
    desktop.press(*keys)


def routes(guard: Guard) -> dict[str, Any]:
    return ControlClient(Home(guard.home), guard.port, timeout=10).call("GET", "/routes")


pytestmark = pytest.mark.usefixtures("tray")


def test_the_menu_switches_the_routes_of_the_real_guard_and_the_icon_follows(desktop: Desktop, guard: Guard) -> None:
    choose(desktop, "Down", "Right", "Down", "Return")
    until(lambda: routes(guard)["mode"] == "local", "only local endpoints are on")
    shows(desktop, Sign.LOCAL_ONLY)
    choose(desktop, "Down", "Right", "Return")
    until(lambda: routes(guard)["mode"] == "policy", "policy decides again")
    shows(desktop, Sign.GUARDING)


def test_what_is_done_elsewhere_shows_at_once(desktop: Desktop, guard: Guard) -> None:
    client = ControlClient(Home(guard.home), guard.port, timeout=10)
    client.call("POST", "/pause", minutes=1, reason="to see it in the tray")
    shows(desktop, Sign.PAUSED)
    client.call("POST", "/resume")
    shows(desktop, Sign.GUARDING)


def test_a_waiting_request_is_allowed_by_a_button_of_the_notification(
    desktop: Desktop, guard: Guard, running_provider: Provider
) -> None:
    running_provider.reset()
    agent = send(guard, "please", session="tray-1")
    shows(desktop, Sign.ASKING)

    def allowed() -> bool:
        desktop.press_button("Allow this request")
        return not ControlClient(Home(guard.home), guard.port, timeout=10).call("GET", "/approvals")["approvals"]

    until(allowed, "the button's answer arrives")
    assert said(agent) == "200"
    assert len(running_provider.content) == 1
    shows(desktop, Sign.GUARDING)


def allowed_in_the_tray(guard: Guard) -> bool:
    """Whether the log's last control record says that this user allowed something in the tray."""
    answer = guard.records("control")[-1]
    metadata, local = answer.metadata or {}, answer.local or {}
    said = (metadata["event"], local.get("by"), metadata.get("reason"))
    return said == ("approve", getpass.getuser(), "answered in the tray")


def test_a_command_gets_its_value_by_a_button_of_the_notification(
    desktop: Desktop, guard: Guard, running_provider: Provider
) -> None:
    running_provider.reset()
    running_provider.brain = asked_values.brain
    agent = asked_values.begin(guard, "true tray; ")
    shows(desktop, Sign.ASKING)

    def allowed() -> bool:
        desktop.press_button("Allow this request")
        return not ControlClient(Home(guard.home), guard.port, timeout=10).call("GET", "/approvals")["approvals"]

    until(allowed, "the button's answer arrives")
    assert asked_values.TOKEN in said(agent)
    until(lambda: allowed_in_the_tray(guard), "the log says who answered, and by what")
    running_provider.reset()
    shows(desktop, Sign.GUARDING)


def test_more_money_than_a_budget_has_is_allowed_in_the_menu(
    desktop: Desktop, guard: Guard, running_provider: Provider
) -> None:
    running_provider.reset()
    agent = subprocess.Popen([sys.executable, "-c", ASKING, guard.url], stdout=subprocess.PIPE, text=True)
    shows(desktop, Sign.ASKING)
    (asked,) = ControlClient(Home(guard.home), guard.port, timeout=10).call("GET", "/approvals")["approvals"]
    assert "budget models cent of 0.00 USD a month is used up" in asked["reason"]
    assert running_provider.content == []
    choose(desktop, "Down", "Right", "Right", "Return")
    assert said(agent) == "200"
    until(lambda: allowed_in_the_tray(guard), "the log says who answered, and by what")
    shows(desktop, Sign.GUARDING)


def test_a_refusal_shows_until_somebody_has_looked_at_it(desktop: Desktop, guard: Guard) -> None:
    guard.run("route", "set", "azure", "off", "--port", str(guard.port))
    assert said(send(guard, "hello", endpoint="azure/openai")).startswith("403")
    shows(desktop, Sign.REFUSED)
    # from below: quit, report, terminal UI, the last refusals; and of these the last line
    choose(desktop, "Up", "Up", "Up", "Up", "Right", "Up", "Return")
    shows(desktop, Sign.GUARDING)
    terminal = desktop.opened("terminal")
    choose(desktop, "Up", "Up", "Up", "Up", "Right", "Return")
    (refusal,) = guard.records("refusal")
    opened = until(terminal, "the refusal is explained in a terminal")
    assert f"explain {refusal.exchange} --home {guard.home}" in opened


def test_the_terminal_ui_opens_in_the_terminal_of_the_users_choice(desktop: Desktop, guard: Guard) -> None:
    terminal = desktop.opened("terminal")
    choose(desktop, "Up", "Up", "Up", "Return")
    opened = until(terminal, "the terminal is started")
    assert f"tui --port {guard.port} --home {guard.home} ||" in opened


def test_the_report_opens_in_the_browser_behind_a_link_of_its_own(desktop: Desktop, guard: Guard) -> None:
    browser = desktop.opened("browser")
    choose(desktop, "Up", "Up", "Return")
    address = until(browser, "the browser is started").strip()
    assert address.startswith(f"{guard.url}/-/report")
    browser_like = build_opener(ProxyHandler({}), HTTPCookieProcessor())
    assert b"<html" in browser_like.open(address, timeout=30).read()


def test_the_icon_follows_a_guard_that_stops_and_starts_with_another_token(desktop: Desktop, guard: Guard) -> None:
    token = Home(guard.home).control_token.read_bytes()
    guard.stop()
    shows(desktop, Sign.DOWN)
    guard.start()
    assert Home(guard.home).control_token.read_bytes() != token
    shows(desktop, Sign.GUARDING)


def test_a_second_tray_says_that_there_is_one(desktop: Desktop, guard: Guard, tray: "subprocess.Popen[bytes]") -> None:
    command = (
        sys.executable,
        "-m",
        "localguard.cli.main",
        "tray",
        "--home",
        str(guard.home),
        "--port",
        str(guard.port),
    )
    done = subprocess.run(
        command, env=desktop.environment, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert f"A tray already shows the guard of this home (process {tray.pid})" in done.stderr


def test_an_idle_tray_wakes_up_at_most_now_and_then(tray: "subprocess.Popen[bytes]") -> None:
    import psutil

    process = psutil.Process(tray.pid)
    before, switches = process.cpu_times(), process.num_ctx_switches().voluntary
    try:
        tray.wait(3)
    except subprocess.TimeoutExpired:
        after = process.cpu_times()
        assert (after.user + after.system) - (before.user + before.system) <= 0.02
        assert process.num_ctx_switches().voluntary - switches < 30


def test_quitting_ends_the_tray_and_leaves_the_guard(
    desktop: Desktop, guard: Guard, tray: "subprocess.Popen[bytes]"
) -> None:
    choose(desktop, "Up", "Return")
    assert tray.wait(15) == 0
    shows(desktop, Sign.DOWN)
    assert json.loads(guard.get("/-/healthz")) == {"status": "ok"}
