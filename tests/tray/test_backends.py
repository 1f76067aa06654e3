"""Where no icon can be shown, the command says what is missing, with an exit code."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from localguard.config.home import Home
from localguard.tray import program
from localguard.tray.backends import Backend, TrayUnavailable, look
from tests.e2e.guard import ROOT
from tests.tray.desktop import Desktop, without

DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")


def test_without_session_and_display_both_are_named_and_the_exit_code_is_one(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "localguard.cli.main", "tray", "--home", str(tmp_path))
    done = subprocess.run(
        command, env=without(os.environ, *DESKTOP), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "no D-Bus session" in done.stderr
    assert "no X11 display" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_session_without_a_panel_is_told_what_shows_icons(session: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.environment["DBUS_SESSION_BUS_ADDRESS"])
    found = look(
        {"DBUS_SESSION_BUS_ADDRESS": session.environment["DBUS_SESSION_BUS_ADDRESS"], "WAYLAND_DISPLAY": "wayland-0"}
    )
    assert found.backend is None
    assert "AppIndicator extension" in found.said


def test_a_session_address_that_leads_nowhere_is_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    assert "There is no D-Bus session" in look({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/bus"}).said


def test_a_display_that_is_not_there_is_no_tray() -> None:
    assert "tray icons of the older kind" in look({"DISPLAY": ":99987"}).said


def test_without_the_extra_the_command_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("PIL", "jeepney") else True)
    with pytest.raises(TrayUnavailable, match=r"PIL, jeepney is not installed. .*pip install 'localguard\[tray\]'"):
        program.run(Home(tmp_path), 4141, wait=0, told=print)


def test_the_command_needs_nothing_of_the_extra_before_it_runs() -> None:
    script = "import sys, localguard.cli.main, localguard.tray.backends; print([n for n in ('PIL', 'pystray', 'jeepney') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("platform", "backend"), [("darwin", Backend.NATIVE), ("win32", Backend.NATIVE)])
def test_other_systems_have_a_tray_of_their_own(
    platform: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert look({}).backend is backend
