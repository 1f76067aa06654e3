"""The tray icon of Linux desktops: a StatusNotifierItem with a `com.canonical.dbusmenu` menu, on X11 and Wayland alike.

Sources: the StatusNotifierItem specification (freedesktop.org), and the interface description of libdbusmenu. A click carries the
process that sent it, by the bus: an agent on the bus can call this menu, and must not be taken for a person by it.
"""

import asyncio
import html
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from localguard.tray.icon import SIZES, argb, icon
from localguard.tray.menu import Action, Entry, View
from localguard.tray.session_bus import BUS, Answer, BusRefused, BusUnavailable, NoSuchThing, SessionBus
from localguard.tray.situation import Sign

WATCHER: Final = "org.kde.StatusNotifierWatcher"
_WATCHER_PATH: Final = "/StatusNotifierWatcher"
_ITEM: Final = "org.kde.StatusNotifierItem"
_ITEM_PATH: Final = "/StatusNotifierItem"
_MENU: Final = "com.canonical.dbusmenu"
_MENU_PATH: Final = "/MenuBar"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_PEER: Final = "org.freedesktop.DBus.Peer"
_INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"
_URGENT: Final = (Sign.ASKING, Sign.REFUSED, Sign.DOWN)
_DEEPEST: Final = 8

_Variant = tuple[str, Any]
_Node = tuple[int, dict[str, _Variant], list[_Variant]]


class MenuIds:
    """Numbers for the entries of one menu after another. A number never stands for two things that do something else.

    Thus a click on a menu that has changed meanwhile does what the person read, or nothing.
    """

    def __init__(self) -> None:
        self._next = 1
        self._ids: dict[tuple[int, int, str, Action | None], int] = {}
        self._entries: dict[int, Entry] = {0: Entry()}
        self._children: dict[int, tuple[int, ...]] = {}

    def take(self, menu: tuple[Entry, ...]) -> None:
        """Number the entries of a new menu."""
        before, self._ids = self._ids, {}
        self._entries, self._children = {0: Entry(entries=menu)}, {}
        self._number(0, menu, before)

    def _number(self, parent: int, entries: tuple[Entry, ...], before: Mapping[Any, int]) -> None:
        numbers = []
        seen: dict[tuple[str, Action | None], int] = {}
        for entry in entries:
            same = seen[entry.label, entry.action] = seen.get((entry.label, entry.action), 0) + 1
            key = (parent, same, entry.label, entry.action)
            number = before.get(key)
            if number is None:
                number, self._next = self._next, self._next + 1
            self._ids[key] = number
            self._entries[number] = entry
            numbers.append(number)
            self._number(number, entry.entries, before)
        self._children[parent] = tuple(numbers)

    def entry(self, id: int) -> Entry:
        """The entry with this number. Raises NoSuchThing: it is gone, or never was."""
        if id not in self._entries:
            raise NoSuchThing(f"{id}")
        return self._entries[id]

    def layout(self, id: int, depth: int) -> _Node:
        """The entry and what is in it, `depth` levels down (-1: all), as `(ia{sv}av)`."""
        inner = () if depth == 0 else self._children.get(id, ())
        nodes = [("(ia{sv}av)", self.layout(one, depth - 1 if depth > 0 else -1)) for one in inner]
        return id, properties(self.entry(id)), nodes

    def all(self) -> Iterator[int]:
        """Every number of the menu."""
        yield from self._entries


def properties(entry: Entry) -> dict[str, _Variant]:
    """An entry as dbusmenu spells it; what is left out has its default. An underscore would mark a key to press."""
    if not entry.label and not entry.entries:
        return {"type": ("s", "separator")}
    spelled: dict[str, _Variant] = {"label": ("s", entry.label.replace("_", "__"))}
    if not entry.enabled:
        spelled["enabled"] = ("b", False)
    if entry.entries:
        spelled["children-display"] = ("s", "submenu")
    if entry.checked is not None:
        spelled["toggle-type"] = ("s", "radio" if entry.radio else "checkmark")
        spelled["toggle-state"] = ("i", int(entry.checked))
    return spelled


class StatusNotifier:
    """The icon and its menu on a session bus. `click` gets the action and the process that it came from."""

    def __init__(self, bus: SessionBus, click: Callable[[Action, int | None], None]) -> None:
        self._bus = bus
        self._click = click
        self._service = f"org.kde.StatusNotifierItem-{os.getpid()}-1"
        self._ids = MenuIds()
        self._revision = 1
        self._view = View(Sign.DOWN, "localguard", ())
        self._pixmaps: dict[Sign, list[tuple[int, int, bytes]]] = {}
        self._appeared = asyncio.Event()
        bus.on_signal(self._heard)
        for (path, interface), methods in self._methods().items():
            for member, method in methods.items():
                bus.offer(path, interface, member, method)

    def start(self) -> None:
        """Offer the item to the host, now and whenever there is a new one. Raises BusUnavailable."""
        self._bus.soon(self._start()).result()

    def wait_for_host(self, seconds: float) -> bool:
        """Whether there is a host that shows icons, or comes within this time."""
        return bool(self._bus.soon(self._wait(seconds)).result())

    def show(self, shown: View) -> None:
        """Show this from now on. From any thread."""
        self._bus.soon(self._show(shown))

    def stop(self) -> None:
        """Take the icon away: hosts do so when its name goes."""
        with suppress(BusRefused, BusUnavailable):
            self._bus.soon(self._bus.ask_bus("ReleaseName", "s", self._service)).result()

    async def _start(self) -> None:
        await self._bus.follow(WATCHER, sender=BUS, interface=BUS, member="NameOwnerChanged")
        await self._bus.follow(sender=WATCHER, interface=WATCHER, member="StatusNotifierHostRegistered")
        await self._bus.ask_bus("RequestName", "su", self._service, 4)
        await self._register()

    async def _register(self) -> None:
        try:
            await self._bus.call(WATCHER, _WATCHER_PATH, WATCHER, "RegisterStatusNotifierItem", "s", self._service)
        except (BusRefused, BusUnavailable):
            return
        if await host_of(self._bus):
            self._appeared.set()

    async def _wait(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._appeared.wait()
        except TimeoutError:
            return self._appeared.is_set()
        return True

    def _heard(self, sender: str, interface: str, member: str, values: tuple[Any, ...]) -> None:
        changed = sender == BUS and member == "NameOwnerChanged" and values[:1] == (WATCHER,) and values[2:] != ("",)
        if changed or (interface == WATCHER and member == "StatusNotifierHostRegistered"):
            self._bus.soon(self._register())

    async def _show(self, shown: View) -> None:
        before, self._view = self._view, shown
        if shown.menu != before.menu:
            self._ids.take(shown.menu)
            self._revision += 1
            await self._bus.tell(_MENU_PATH, _MENU, "LayoutUpdated", "ui", self._revision, 0)
        if shown.sign is not before.sign:
            for member in ("NewIcon", "NewAttentionIcon"):
                await self._bus.tell(_ITEM_PATH, _ITEM, member)
            await self._bus.tell(_ITEM_PATH, _ITEM, "NewStatus", "s", self._status())
        if shown.title != before.title:
            await self._bus.tell(_ITEM_PATH, _ITEM, "NewToolTip")

    def _status(self) -> str:
        return "NeedsAttention" if self._view.sign in _URGENT else "Active"

    def _pixmap(self) -> list[tuple[int, int, bytes]]:
        sign = self._view.sign
        if sign not in self._pixmaps:
            self._pixmaps[sign] = [(size, size, argb(icon(sign, size))) for size in SIZES]
        return self._pixmaps[sign]

    def _item(self) -> dict[str, _Variant]:
        """The item's properties."""
        title = self._view.title
        picture = ("a(iiay)", self._pixmap())
        return {
            "Category": ("s", "SystemServices"),
            "Id": ("s", "localguard"),
            "Title": ("s", "localguard"),
            "Status": ("s", self._status()),
            "WindowId": ("i", 0),
            "IconName": ("s", ""),
            "IconPixmap": picture,
            "IconAccessibleDesc": ("s", title),
            "OverlayIconName": ("s", ""),
            "OverlayIconPixmap": ("a(iiay)", []),
            "AttentionIconName": ("s", ""),
            "AttentionIconPixmap": picture,
            "AttentionAccessibleDesc": ("s", title),
            "AttentionMovieName": ("s", ""),
            "IconThemePath": ("s", ""),
            "ToolTip": ("(sa(iiay)ss)", ("", [], "localguard", html.escape(title.removeprefix("localguard: ")))),
            "ItemIsMenu": ("b", True),
            "Menu": ("o", _MENU_PATH),
        }

    def _menu(self) -> dict[str, _Variant]:
        """The menu's own properties."""
        return {
            "Version": ("u", 3),
            "TextDirection": ("s", "ltr"),
            "Status": ("s", "notice" if self._view.sign in _URGENT else "normal"),
            "IconThemePath": ("as", []),
        }

    def _methods(self) -> dict[tuple[str, str], dict[str, Callable[[str, tuple[Any, ...]], Any]]]:
        ignored = lambda _, __: ("", ())  # noqa: E731 - the host shows the menu, which is all that a click does
        table: dict[tuple[str, str], dict[str, Callable[[str, tuple[Any, ...]], Any]]] = {
            (_ITEM_PATH, _ITEM): dict.fromkeys(("Activate", "SecondaryActivate", "ContextMenu", "Scroll"), ignored),
            (_MENU_PATH, _MENU): {
                "GetLayout": self._get_layout,
                "GetGroupProperties": self._get_group,
                "GetProperty": lambda _, given: ("v", (properties(self._ids.entry(given[0]))[given[1]],)),
                "Event": self._event,
                "EventGroup": self._event_group,
                "AboutToShow": lambda _, __: ("b", (False,)),
                "AboutToShowGroup": lambda _, __: ("aiai", ([], [])),
            },
        }
        for path, own, description in (
            (_ITEM_PATH, self._item, _ITEM_DESCRIPTION),
            (_MENU_PATH, self._menu, _MENU_DESCRIPTION),
        ):
            table[path, _PROPERTIES] = {"GetAll": partial(_get_all, own), "Get": partial(_get, own)}
            table[path, _INTROSPECTABLE] = {"Introspect": partial(_introspect, description)}
            table[path, _PEER] = {"Ping": ignored}
        return table

    def _get_layout(self, _: str, given: tuple[Any, ...]) -> Answer:
        parent, depth = int(given[0]), min(int(given[1]), _DEEPEST)
        return "u(ia{sv}av)", (self._revision, self._ids.layout(parent, depth))

    def _get_group(self, _: str, given: tuple[Any, ...]) -> Answer:
        wanted = given[0] or list(self._ids.all())
        found = []
        for id in wanted:
            try:
                found.append((id, properties(self._ids.entry(id))))
            except NoSuchThing:  # it is left out
                continue
        return "a(ia{sv})", (found,)

    async def _event(self, sender: str, given: tuple[Any, ...]) -> Answer:
        await self._clicked(sender, int(given[0]), str(given[1]))
        return "", ()

    async def _event_group(self, sender: str, given: tuple[Any, ...]) -> Answer:
        unknown = []
        for id, kind, *_ in given[0]:
            try:
                await self._clicked(sender, int(id), str(kind))
            except NoSuchThing:
                unknown.append(id)
        return "ai", (unknown,)

    async def _clicked(self, sender: str, id: int, kind: str) -> None:
        action = self._ids.entry(id).action
        if kind != "clicked" or action is None:
            return
        process = await self._bus.process_of(sender)
        if process is not None:  # who has gone by now was no tray host
            self._click(action, process)


async def host_of(bus: SessionBus) -> bool:
    """Whether somebody on the bus shows icons."""
    try:
        _, (value,) = await bus.call(
            WATCHER, _WATCHER_PATH, _PROPERTIES, "Get", "ss", WATCHER, "IsStatusNotifierHostRegistered"
        )
    except (BusRefused, BusUnavailable):
        return False
    return bool(value[1])


def _get_all(own: Callable[[], dict[str, _Variant]], _: str, __: tuple[Any, ...]) -> Answer:
    return "a{sv}", (own(),)


def _get(own: Callable[[], dict[str, _Variant]], _: str, given: tuple[Any, ...]) -> Answer:
    return "v", (own()[given[1]],)


def _introspect(description: str, _: str, __: tuple[Any, ...]) -> Answer:
    return "s", (description,)


def _described(interface: str, own: Mapping[str, str], methods: str, signals: str) -> str:
    properties = "".join(f'<property name="{name}" type="{type_}" access="read"/>' for name, type_ in own.items())
    return f'<node><interface name="{interface}">{properties}{methods}{signals}</interface></node>'


def _method(name: str, takes: str = "", gives: str = "") -> str:
    arguments = [f'<arg type="{one}" direction="in"/>' for one in takes.split()]
    arguments += [f'<arg type="{one}" direction="out"/>' for one in gives.split()]
    return f'<method name="{name}">{"".join(arguments)}</method>'


def _signal(name: str, carries: str = "") -> str:
    return f'<signal name="{name}">{"".join(f"""<arg type="{one}"/>""" for one in carries.split())}</signal>'


_ITEM_DESCRIPTION: Final = _described(
    _ITEM,
    {
        "Category": "s",
        "Id": "s",
        "Title": "s",
        "Status": "s",
        "WindowId": "i",
        "IconName": "s",
        "IconPixmap": "a(iiay)",
        "OverlayIconName": "s",
        "OverlayIconPixmap": "a(iiay)",
        "AttentionIconName": "s",
        "AttentionIconPixmap": "a(iiay)",
        "AttentionMovieName": "s",
        "IconThemePath": "s",
        "ToolTip": "(sa(iiay)ss)",
        "ItemIsMenu": "b",
        "Menu": "o",
    },
    "".join(_method(name, "i i") for name in ("Activate", "SecondaryActivate", "ContextMenu"))
    + _method("Scroll", "i s"),
    "".join(map(_signal, ("NewIcon", "NewAttentionIcon", "NewToolTip", "NewTitle"))) + _signal("NewStatus", "s"),
)
_MENU_DESCRIPTION: Final = _described(
    _MENU,
    {"Version": "u", "TextDirection": "s", "Status": "s", "IconThemePath": "as"},
    _method("GetLayout", "i i as", "u (ia{sv}av)")
    + _method("GetGroupProperties", "ai as", "a(ia{sv})")
    + _method("GetProperty", "i s", "v")
    + _method("Event", "i s v u")
    + _method("EventGroup", "a(isvu)", "ai")
    + _method("AboutToShow", "i", "b")
    + _method("AboutToShowGroup", "ai", "ai ai"),
    _signal("LayoutUpdated", "u i") + _signal("ItemsPropertiesUpdated", "a(ia{sv}) a(ias)"),
)
