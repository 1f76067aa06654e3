"""Desktop notifications of Linux desktops, by `org.freedesktop.Notifications` (Desktop Notifications Specification 1.2).

Whatever the body holds, it is text: where the desktop says that it takes markup, `&`, `<` and `>` are escaped. Where it says that it
does not, they become signs that look alike, for dunst 1.9 says so where `markup` is not set, and renders markup all the same. A click
on a button counts only if it comes from the program that showed the notification, and carries that program's process.
"""

import html
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from localguard.tray.menu import Action
from localguard.tray.notices import Notice
from localguard.tray.session_bus import BusRefused, BusUnavailable, SessionBus

NOTIFICATIONS: Final = "org.freedesktop.Notifications"
_PATH: Final = "/org/freedesktop/Notifications"
_ALIKE: Final = str.maketrans("<>&", "‹›＆")
_MOST_SHOWN: Final = 50
_NORMAL, _CRITICAL = 1, 2
_SECONDS: Final = 10
_URGENT_SECONDS: Final = 60
"""A question waits for a minute."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A notification that is, or was, on the screen."""

    key: str
    by: str
    """The unique name of the program that shows it."""
    actions: dict[str, Action]


class DesktopBubbles:
    """Shows notifications through a session bus. `click` gets what a button stands for and the process that showed it."""

    def __init__(self, bus: SessionBus, click: Callable[[Action, int | None], None]) -> None:
        self._bus = bus
        self._click = click
        self._shown: OrderedDict[int, _Shown] = OrderedDict()
        bus.on_signal(self._heard)

    def start(self) -> None:
        """Hear what becomes of notifications. Raises BusUnavailable.

        The program that shows them is started now, if the desktop starts it when it is called: one that is older than every agent
        counts as a person's.
        """
        self._bus.soon(self._bus.follow(sender=NOTIFICATIONS, interface=NOTIFICATIONS)).result()
        self._bus.soon(self._wake())

    def show(self, notice: Notice) -> None:
        """Show it, in place of one with the same key. From any thread."""
        self._bus.soon(self._show(notice))

    def withdraw(self, key: str) -> None:
        """Take it away if it is still there. From any thread."""
        self._bus.soon(self._withdraw(key))

    async def _wake(self) -> None:
        with suppress(BusRefused, BusUnavailable):
            await self._bus.call(NOTIFICATIONS, _PATH, NOTIFICATIONS, "GetCapabilities")

    async def _show(self, notice: Notice) -> None:
        try:
            _, (capabilities,) = await self._bus.call(NOTIFICATIONS, _PATH, NOTIFICATIONS, "GetCapabilities")
            takes_markup = "body-markup" in capabilities
            body = html.escape(notice.body, quote=False) if takes_markup else notice.body.translate(_ALIKE)
            actions = {f"action-{number}": action for number, (_, action) in enumerate(notice.actions)}
            offered = [
                text
                for (name, _), (label, _) in zip(actions.items(), notice.actions, strict=True)
                for text in (name, label)
            ]
            if actions and not notice.urgent:
                actions["default"] = notice.actions[0][1]
                offered += ["default", notice.actions[0][0]]
            by, (id,) = await self._bus.call(
                NOTIFICATIONS,
                _PATH,
                NOTIFICATIONS,
                "Notify",
                "susssasa{sv}i",
                "localguard",
                self._id_of(notice.key),
                "",
                notice.title,
                body,
                offered if "actions" in capabilities else [],
                {"urgency": ("y", _CRITICAL if notice.urgent else _NORMAL), "desktop-entry": ("s", "localguard-tray")},
                1000 * (_URGENT_SECONDS if notice.urgent else _SECONDS),
            )
        except (BusRefused, BusUnavailable):  # nobody shows notifications here: the icon and its menu say the same
            return
        self._shown[id] = _Shown(notice.key, by, actions)
        while len(self._shown) > _MOST_SHOWN:
            self._shown.popitem(last=False)

    async def _withdraw(self, key: str) -> None:
        if id := self._id_of(key):
            with suppress(BusRefused, BusUnavailable):
                await self._bus.call(NOTIFICATIONS, _PATH, NOTIFICATIONS, "CloseNotification", "u", id)

    def _id_of(self, key: str) -> int:
        return next((id for id, shown in self._shown.items() if shown.key == key), 0)

    def _heard(self, sender: str, interface: str, member: str, values: tuple[Any, ...]) -> None:
        if interface != NOTIFICATIONS or len(values) < 2 or not isinstance(values[0], int):
            return
        shown = self._shown.get(values[0])
        if shown is None or shown.by != sender:
            return
        if member == "NotificationClosed":
            del self._shown[values[0]]
        elif member == "ActionInvoked" and (action := shown.actions.get(str(values[1]))) is not None:
            self._bus.soon(self._chosen(sender, action))

    async def _chosen(self, sender: str, action: Action) -> None:
        process = await self._bus.process_of(sender)
        if process is not None:
            self._click(action, process)
