"""pystray's way: an X11 tray that knows no StatusNotifier shows the icon, and its menu switches the real guard.

It needs GTK's bindings for this very Python, which Debian has for its own version only; elsewhere these tests are skipped.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient
from localguard.tray.situation import Sign
from tests.e2e.guard import Guard, policy
from tests.provider.server import Provider
from tests.tray.desktop import SESSION, Desktop, lacking, until
from tests.tray.test_on_a_desktop import shows

DEBIAN = Path("/usr/lib/python3/dist-packages/gi")


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    if missing := lacking(*SESSION, "Xvfb", "trayer", "xdotool"):
        pytest.skip(f"no {missing} here; see packaging/debian.sh")
    with Desktop(tmp_path / "desktop") as made:
        bindings = made.home / "bindings"
        bindings.mkdir()
        (bindings / "gi").symlink_to(DEBIAN)
        made.environment["PYTHONPATH"] = str(bindings)
        made.display()
        if "works" not in made.run(sys.executable, "-c", "import gi; gi.require_version('Gtk', '3.0'); print('works')"):
            pytest.skip("no GTK bindings for this Python; see packaging/debian.sh")
        made.start("trayer", "--edge", "top", "--align", "left", "--widthtype", "request", "--height", "32")
        yield made


def test_the_menu_of_an_older_tray_switches_the_real_guard(
    desktop: Desktop, running_provider: Provider, tmp_path: Path
) -> None:
    with Guard(tmp_path / "home", policy(running_provider.port)) as guard:
        look = "import os; from localguard.tray.backends import look; print(look(os.environ).said)"
        until(lambda: "pystray with GTK" in desktop.run(sys.executable, "-c", look), "the tray is there", seconds=30)
        tray = desktop.tray(guard.home, guard.port, stdout=subprocess.PIPE)
        assert tray.stdout is not None
        assert tray.stdout.readline() == b"The icon is in the panel: pystray with GTK, in an X11 system tray.\n"
        shows(desktop, Sign.GUARDING)
        desktop.run("xdotool", "mousemove", "14", "14", "click", "3")
        until(desktop.menus, "the menu opens")
        desktop.press("Down", "Right", "Down", "Return")
        client = ControlClient(Home(guard.home), guard.port, timeout=10)
        until(lambda: client.call("GET", "/routes")["mode"] == "local", "only local endpoints are on")
        shows(desktop, Sign.LOCAL_ONLY)
        desktop.run("xdotool", "mousemove", "14", "14", "click", "3")
        until(desktop.menus, "the menu opens again")
        desktop.press("Up", "Return")
        assert tray.wait(15) == 0
