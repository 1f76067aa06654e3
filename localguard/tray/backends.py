"""Which way to a tray icon this desktop offers, and what is missing where it offers none. Looks, and changes nothing.

On Linux that is a StatusNotifier host on the D-Bus session (KDE, Xfce, GNOME with its AppIndicator extension, waybar; X11 and
Wayland), else an X11 system tray by pystray and GTK. pystray's own X11 backend has no menu, so it is not used.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from localguard.errors import LocalguardError


class Backend(StrEnum):
    """A way to an icon with a menu."""

    STATUS_NOTIFIER = "StatusNotifierItem over D-Bus"
    GTK = "pystray with GTK, in an X11 system tray"
    NATIVE = "pystray, by the system's own tray"


class TrayUnavailable(LocalguardError):
    """No icon can be shown here; the message says what is missing."""


class TrayRuns(LocalguardError):
    """Another tray shows the guard of this home already."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is: a backend, or what is missing for one."""

    backend: Backend | None
    missing: tuple[str, ...] = ()
    """In words, each with what to do."""

    @property
    def said(self) -> str:
        """One line for people."""
        return str(self.backend) if self.backend is not None else " ".join(self.missing)


INSTALL: Final = "Install the extra: pip install 'localguard[tray]'."
_NO_SESSION: Final = (
    "There is no D-Bus session ($DBUS_SESSION_BUS_ADDRESS leads to none): start this from within the desktop."
)
_NO_HOST: Final = "No panel shows StatusNotifier icons: on GNOME install and enable the AppIndicator extension, elsewhere add the tray to the panel."
_NO_DISPLAY: Final = "There is no X11 display ($DISPLAY is not set) for the older kind of tray."
_NO_GTK: Final = (
    "The older kind of tray needs GTK for this Python: on Debian the packages python3-gi and gir1.2-gtk-3.0, and a virtual "
    "environment made with --system-site-packages."
)
_NO_XTRAY: Final = "No program on the X11 display shows tray icons of the older kind either."


def missing_extra(*, platform: str = sys.platform) -> tuple[str, ...]:
    """The packages of the extra that are not installed."""
    needed = ("PIL", "pystray", *(("jeepney",) if platform == "linux" else ()))
    return tuple(name for name in needed if importlib.util.find_spec(name) is None)


def look(environment: Mapping[str, str]) -> Found:
    """What this desktop offers now. Takes some tenths of a second where it has to try GTK."""
    if missing_extra():
        return Found(None, (f"{', '.join(missing_extra())} is not installed. {INSTALL}",))
    if sys.platform != "linux":
        return Found(Backend.NATIVE)
    host = _has_host() if has_session(environment) else None
    if host:
        return Found(Backend.STATUS_NOTIFIER)
    missing = [_NO_SESSION if host is None else _NO_HOST]
    if not environment.get("DISPLAY"):
        missing.append(_NO_DISPLAY)
    elif not _has_x_tray():
        missing.append(_NO_XTRAY)
    elif not _gtk_works():
        missing.append(_NO_GTK)
    else:
        return Found(Backend.GTK)
    return Found(None, tuple(missing))


def has_session(environment: Mapping[str, str]) -> bool:
    """Whether there is a D-Bus session to try."""
    return bool(environment.get("DBUS_SESSION_BUS_ADDRESS"))


def _has_host() -> bool | None:
    """Whether a program on the session bus shows icons; None where there is no session."""
    from localguard.tray.session_bus import BusUnavailable, SessionBus
    from localguard.tray.status_notifier import host_of

    bus = SessionBus()
    try:
        bus.open()
        return bool(bus.soon(host_of(bus)).result())
    except BusUnavailable:
        return None
    finally:
        bus.close()


def _has_x_tray() -> bool:
    """Whether a program holds the system tray of the first screen (System Tray Protocol 0.3)."""
    try:
        from Xlib.display import Display
        from Xlib.error import DisplayError, XauthError

        display = Display()
    except (DisplayError, XauthError, OSError, ImportError):
        return False
    try:
        return bool(display.get_selection_owner(display.intern_atom("_NET_SYSTEM_TRAY_S0")))
    finally:
        display.close()


def _gtk_works() -> bool:
    """Whether pystray's GTK backend can be used; tried in a process of its own, since importing it may end one."""
    if importlib.util.find_spec("gi") is None:
        return False
    tried = subprocess.run(
        [sys.executable, "-c", "import pystray"],
        env={**os.environ, "PYSTRAY_BACKEND": "gtk"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=20,
        check=False,
    )
    return tried.returncode == 0
