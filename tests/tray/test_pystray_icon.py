"""What pystray is given, by its own backend that shows nothing: the same menu and the same actions."""

from typing import Any

import pytest

from localguard.tray.menu import Action, Entry, view
from localguard.tray.notices import Notice
from localguard.tray.pystray_icon import PystrayBubbles, PystrayIcon
from tests.tray.situations import HOSTILE, question, situation


@pytest.fixture
def clicked() -> list[Action]:
    return []


@pytest.fixture
def icon(clicked: list[Action], monkeypatch: pytest.MonkeyPatch) -> PystrayIcon:
    monkeypatch.setenv("PYSTRAY_BACKEND", "dummy")
    made = PystrayIcon(lambda action, _: clicked.append(action))
    for change in ("_update_menu", "_update_title", "_update_icon"):  # what a backend does on a screen
        monkeypatch.setattr(type(made._icon), change, lambda _: None)
    return made


def compare(icon: Any, entries: tuple[Entry, ...], items: tuple[Any, ...], clicked: list[Action]) -> int:
    """Check that items are entries, all the way down, and that each does its action; how many there were."""
    count = 0
    assert len(items) == len(entries)
    for entry, item in zip(entries, items, strict=True):
        count += 1
        if not entry.label:
            assert item is icon._pystray.Menu.SEPARATOR
            continue
        assert (item.text, item.enabled, item.checked) == (entry.label, entry.enabled, entry.checked)
        if entry.entries:
            count += compare(icon, entry.entries, item.submenu.items, clicked)
        elif entry.action is not None:
            assert item.radio == entry.radio
            item(None)
            assert clicked.pop() == entry.action
    return count


@pytest.mark.parametrize("of", [situation(), situation().down("gone"), situation(approvals=[question(HOSTILE)])])
def test_pystray_shows_the_menu_that_every_host_shows(of: Any, icon: PystrayIcon, clicked: list[Action]) -> None:
    shown = view(of, 100.0, 1_800_000_000.0)
    icon.show(shown)
    assert compare(icon, shown.menu, icon._icon.menu.items, clicked) > 5
    assert icon._icon.title == shown.title[:120]


def test_a_notification_is_no_longer_than_windows_takes_and_one_that_fails_is_left_out(
    icon: PystrayIcon, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, str]] = []

    def notify(message: str, title: str) -> None:
        given.append((message, title))
        raise ValueError("string too long")

    monkeypatch.setattr(type(icon._icon), "HAS_NOTIFICATION", True)
    monkeypatch.setattr(icon._icon, "notify", notify)
    PystrayBubbles(icon).show(Notice("refusal", "T" * 500, "b" * 5000))
    ((body, title),) = given
    assert len(body) < 256
    assert len(title) < 64
