"""A desktop of its own: a D-Bus session, and where wanted an X display with a real panel and a real notification daemon."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.e2e.guard import ROOT

PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="size" type="uint" value="32"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray"><property name="square-icons" type="bool" value="true"/></property>
  </property>
</channel>
"""
"""A panel at the top left that holds nothing but the tray, whose icons are 32 pixels wide."""
SESSION = ("dbus-daemon",)
PANEL_PROGRAMS = ("Xvfb", "xfce4-panel", "xdotool", "dunst", "dbus-send")


def lacking(*programs: str) -> str:
    """The programs that this machine lacks; empty: none."""
    return ", ".join(name for name in programs if shutil.which(name) is None)


class Desktop:
    """Programs of one desktop session, which end with it. `environment` is what programs in it get."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self._button = home / "button"
        self._running: list[subprocess.Popen[bytes]] = []
        unwanted = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "LOCALGUARD_HOME")
        kept = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.environment = kept | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "LOCALGUARD_KEYRING": "off",
            "NO_AT_BRIDGE": "1",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in reversed(self._running):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, *command: str, **more: Any) -> "subprocess.Popen[bytes]":
        """A program of the session."""
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        process: subprocess.Popen[bytes] = subprocess.Popen(command, env=self.environment, cwd=ROOT, **(quiet | more))
        self._running.append(process)
        return process

    def display(self) -> None:
        """Start an X display."""
        reading, writing = os.pipe()
        self.start(
            "Xvfb", "-displayfd", str(writing), "-screen", "0", "640x400x24", "-nolisten", "tcp", pass_fds=(writing,)
        )
        os.close(writing)
        with os.fdopen(reading) as pipe:
            self.environment["DISPLAY"] = f":{pipe.readline().strip()}"

    def session(self) -> str:
        """Start a D-Bus session, and return its address."""
        bus = self.start(
            "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", stdout=subprocess.PIPE
        )
        assert bus.stdout is not None
        address = bus.stdout.readline().decode().strip()
        bus.stdout.close()
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = address
        return address

    def panel(self) -> None:
        """Start a panel that shows tray icons, at the top left of the display."""
        settings = self.home / ".config" / "xfce4" / "xfconf" / "xfce-perchannel-xml"
        settings.mkdir(parents=True)
        (settings / "xfce4-panel.xml").write_text(PANEL, "utf-8")
        buttons = self.home / ".config" / "dunst" / "dunstrc"
        buttons.parent.mkdir()
        buttons.write_text(f'[global]\n    dmenu = "grep -m 1 -F -f {self._button}"\n', "utf-8")  # asked which button
        self.start("xfce4-panel", "--disable-wm-check")

    def press_button(self, label: str) -> None:
        """Press the button of the notification that is shown whose label begins like this."""
        self._button.write_text(f"#{label}\n", "utf-8")
        name = "org.freedesktop.Notifications"
        call = ("--session", "--print-reply", f"--dest={name}", f"/{name.replace('.', '/')}")
        self.run("dbus-send", *call, "org.dunstproject.cmd0.NotificationAction", "uint32:0")

    def tray(self, home: Path, port: int, *arguments: str, **more: Any) -> "subprocess.Popen[bytes]":
        """`localguard tray` in this session."""
        command = (sys.executable, "-m", "localguard.cli.main", "tray", "--port", str(port), "--home", str(home))
        return self.start(*command, *arguments, **more)

    def opener(self, name: str) -> str:
        """A program that writes down what it was given to open; `opened` reads it."""
        program, file = self.home / name, self.home / f"{name}.told"
        program.write_text(f'#!/bin/sh\necho "$@" >"{file}.new" && mv "{file}.new" "{file}"\n', "utf-8")
        program.chmod(0o755)
        return str(program)

    def opened(self, name: str) -> Callable[[], str]:
        """What answers what the program was given last, once it was."""
        file = self.home / f"{name}.told"
        file.unlink(missing_ok=True)
        return lambda: file.read_text("utf-8") if file.exists() else ""

    def run(self, *command: str) -> str:
        """The output of a program in this session."""
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    def colour(self) -> tuple[int, int, int] | None:
        """The most frequent colour in the first tray icon that is neither grey, white nor black; None where there is none."""
        from PIL import Image
        from Xlib.display import Display
        from Xlib.X import ZPixmap

        screen = Display(self.environment["DISPLAY"])
        try:
            grabbed = screen.screen().root.get_image(0, 0, 32, 32, ZPixmap, 0xFFFFFFFF)
        finally:
            screen.close()
        pixels = Image.frombytes("RGB", (32, 32), grabbed.data, "raw", "BGRX").getcolors(1024) or []
        coloured = [
            (count, colour) for count, colour in pixels if isinstance(colour, tuple) and max(colour) - min(colour) > 40
        ]
        return max(coloured)[1] if coloured else None  # type: ignore[return-value]

    def menus(self) -> int:
        """How many menus are open; tooltips and notifications are windows of the same kind, but of another type."""
        from Xlib.display import Display
        from Xlib.error import BadWindow
        from Xlib.Xatom import ATOM

        screen = Display(self.environment["DISPLAY"])
        kind = screen.intern_atom("_NET_WM_WINDOW_TYPE")
        count = 0
        try:
            for window in screen.screen().root.query_tree().children:
                types = window.get_full_property(kind, ATOM)
                shown = window.get_attributes().map_state == 2
                count += shown and types is not None and "MENU" in screen.get_atom_name(types.value[0])
        except BadWindow:  # one that was closed meanwhile
            return 0
        finally:
            screen.close()
        return count

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        self.run("xdotool", "key", "--delay", "60", *keys)


def until(holds: Callable[[], Any], what: str, *, seconds: float = 15.0) -> Any:
    """What `holds` gives once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def without(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    """An environment without some variables."""
    return {name: value for name, value in environment.items() if name not in names}
