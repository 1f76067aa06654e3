"""The tray icon by pystray: macOS, Windows, and X11 panels that know no StatusNotifier. Renders views, and nothing else."""

import sys
from collections.abc import Callable
from contextlib import suppress
from subprocess import SubprocessError
from typing import Any

from localguard.tray.icon import icon
from localguard.tray.menu import Action, Entry, View
from localguard.tray.notices import Notice
from localguard.tray.situation import Sign

_PIXELS = 64
_MOST_TOOLTIP, _MOST_TITLE, _MOST_BODY = 120, 60, 250
"""Characters; Windows takes 127, 63 and 255, and pystray raises where there are more."""


class PystrayIcon:
    """An icon of pystray's. `run` belongs in the main thread (macOS demands it); the rest may be called from any."""

    def __init__(self, click: Callable[[Action, int | None], None]) -> None:
        import pystray  # where there is no display, importing it raises

        self._pystray = pystray
        self._click = click
        self._sign: Sign | None = None
        self._icon: Any = pystray.Icon("localguard", icon(Sign.DOWN, _PIXELS), "localguard", pystray.Menu())

    def run(self, ready: Callable[[], None]) -> None:
        """Show the icon until it is stopped; `ready` is called in a thread of its own once it may be changed."""

        def set_up(shown: Any) -> None:
            shown.visible = True
            ready()

        self._icon.run(setup=set_up)

    def show(self, shown: View) -> None:
        """Show this from now on."""
        if shown.sign is not self._sign:
            self._sign = shown.sign
            self._icon.icon = icon(shown.sign, _PIXELS)
        self._icon.title = shown.title[:_MOST_TOOLTIP]
        self._icon.menu = self._menu(shown.menu)

    def stop(self) -> None:
        """Take the icon away; `run` returns."""
        self._icon.stop()

    def notify(self, notice: Notice) -> None:
        """Show a notification by the system's own means, without buttons. One that cannot be shown is left out."""
        if self._icon.HAS_NOTIFICATION:
            with suppress(OSError, ValueError, SubprocessError):
                self._icon.notify(notice.body[:_MOST_BODY], notice.title[:_MOST_TITLE])

    def _menu(self, entries: tuple[Entry, ...]) -> Any:
        return self._pystray.Menu(*map(self._item, entries))

    def _item(self, entry: Entry) -> Any:
        if not entry.label and not entry.entries:
            return self._pystray.Menu.SEPARATOR
        label = entry.label.replace("&", "&&") if sys.platform == "win32" else entry.label
        if entry.entries:
            return self._pystray.MenuItem(label, self._menu(entry.entries))
        checked = entry.checked
        return self._pystray.MenuItem(
            label,
            self._chosen(entry.action),
            checked=None if checked is None else lambda _: checked,
            radio=entry.radio,
            enabled=entry.enabled,
        )

    def _chosen(self, action: Action | None) -> Callable[[], None]:
        def chosen() -> None:
            if action is not None:
                self._click(action, None)

        return chosen


class PystrayBubbles:
    """Notifications by pystray's icon."""

    def __init__(self, shown: PystrayIcon) -> None:
        self._icon = shown

    def show(self, notice: Notice) -> None:
        """Show it."""
        self._icon.notify(notice)

    def withdraw(self, key: str) -> None:
        """Nothing: the system takes them away by itself."""
