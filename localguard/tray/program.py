"""The tray's process: one for each home, put together from the backend that this desktop offers."""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from localguard.audit.lock import AlreadyRunning, GuardLock
from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient
from localguard.tray.backends import Backend, TrayRuns, TrayUnavailable, has_session, look, missing_extra
from localguard.tray.core import Bubbles, Core
from localguard.tray.menu import Action, Quit

if TYPE_CHECKING:
    from localguard.tray.session_bus import SessionBus

_CALL_SECONDS = 5.0


def run(home: Home, port: int, *, wait: float, told: Callable[[str], None]) -> None:
    """Show the icon until the user quits it.

    `wait` is how many seconds a panel may take to appear (at login the tray may be faster); `told` is given a line for people once
    the icon is there. Raises TrayUnavailable, TrayRuns, HomeUnsafe.
    """
    if missing_extra():
        raise TrayUnavailable(look(os.environ).said)
    home.create()
    try:
        lock = GuardLock(home.state_dir / "tray.lock")
    except AlreadyRunning as error:
        who = f" (process {error.pid})" if error.pid else ""
        raise TrayRuns(f"A tray already shows the guard of this home{who}. Look for its shield in the panel.") from None
    try:
        _run(home, port, wait=wait, told=told)
    finally:
        lock.release()


def _run(home: Home, port: int, *, wait: float, told: Callable[[str], None]) -> None:
    from localguard.tray.desktop import UserDesktop

    desktop = UserDesktop(home, port)
    client = ControlClient(home, port, timeout=_CALL_SECONDS)
    core: Core

    def click(action: Action, asked_by: int | None) -> None:
        core.click(action, asked_by)

    bus = _session_bus(os.environ)
    if bus is not None:
        from localguard.tray.status_notifier import StatusNotifier

        item = StatusNotifier(bus, click)
        item.start()
        if item.wait_for_host(wait):
            core = Core(client, item, _bubbles(bus, click), desktop)
            bus.on_closed = lambda: click(Quit(), None)  # the session has ended
            told(f"The icon is in the panel: {Backend.STATUS_NOTIFIER}.")
            core.run()
            return
        item.stop()
    found = look(os.environ)
    if found.backend not in (Backend.GTK, Backend.NATIVE):
        raise TrayUnavailable(f"No tray icon can be shown. {found.said}")
    if found.backend is Backend.GTK:
        os.environ["PYSTRAY_BACKEND"] = "gtk"
    from localguard.tray.pystray_icon import PystrayBubbles, PystrayIcon

    shown = PystrayIcon(click)
    core = Core(client, shown, _bubbles(bus, click) if bus is not None else PystrayBubbles(shown), desktop)
    told(f"The icon is in the panel: {found.said}.")
    shown.run(lambda: threading.Thread(target=core.run, name="core", daemon=True).start())


def _session_bus(environment: Mapping[str, str]) -> "SessionBus | None":
    """The desktop's D-Bus session, opened; None where there is none."""
    if sys.platform != "linux" or not has_session(environment):
        return None
    from localguard.tray.session_bus import BusUnavailable, SessionBus

    bus = SessionBus()
    try:
        bus.open()
    except BusUnavailable:
        return None
    return bus


def _bubbles(bus: "SessionBus", click: Callable[[Action, int | None], None]) -> Bubbles:
    from localguard.tray.bubbles import DesktopBubbles

    bubbles = DesktopBubbles(bus, click)
    bubbles.start()
    return bubbles
