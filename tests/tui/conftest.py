"""The terminal UI without a terminal, in front of a guard that is made up."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from localguard.tui import dialogs
from localguard.tui.app import GuardApp
from localguard.tui.connection import Connection
from tests.tui.guard import MadeUpGuard

Opened = Callable[..., AbstractAsyncContextManager[Pilot[Any]]]


@pytest.fixture
def guard() -> MadeUpGuard:
    return MadeUpGuard()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question takes an answer as soon as it is asked."""
    monkeypatch.setattr(dialogs, "_SETTLING", 0.0)


@pytest.fixture
def opened(guard: MadeUpGuard) -> Opened:
    """Opens the terminal UI at a size, with the first exchanges on the screen if there are any."""

    @asynccontextmanager
    async def open_at(width: int = 140, height: int = 36, **given: Any) -> AsyncIterator[Pilot[Any]]:
        app = GuardApp(lambda on_news: Connection(guard, on_news), **given)
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            if guard.there:
                await until(pilot, lambda: app.first_paint is not None)
            yield pilot

    return open_at


async def until(pilot: Pilot[Any], condition: Callable[[], object], within: float = 8.0) -> None:
    """Let the app work until something is so."""
    waited = 0.0
    while not condition():
        assert waited < within, "it did not come about in time"
        await pilot.pause(0.03)
        waited += 0.03


def screen_text(app: GuardApp) -> str:
    """What stands on the screen, a line each."""
    width, height = app.size
    del width
    return "\n".join(app.screen._compositor.render_strips()[line].text for line in range(height))
