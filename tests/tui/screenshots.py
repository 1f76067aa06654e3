"""`python -m tests.tui.screenshots FOLDER`: draw the README's pictures of the terminal UI, the same at every run.

The guard in them is made up. The pictures load nothing: they name fonts of the machine that shows them.
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from localguard.tui import dialogs
from localguard.tui.app import GuardApp
from localguard.tui.connection import Connection
from localguard.tui.panes import Lines
from tests.tui.guard import QUESTION, MadeUpGuard

_FACES = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
_NAMED = re.compile(r"terminal-\d+-")
_FONT = "ui-monospace, 'Cascadia Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace"


async def drawn() -> dict[str, str]:
    """All pictures as SVG, by name."""
    pictures: dict[str, str] = {}
    os.environ["TZ"] = "UTC"
    time.tzset()
    dialogs._SETTLING = 0.0
    for name, size, scene in (
        ("exchanges", (138, 54), _exchanges),
        ("question", (138, 30), _question),
        ("endpoints", (138, 14), _endpoints),
        ("budgets", (100, 24), _budgets),
        ("small", (80, 24), _small),
    ):
        guard = MadeUpGuard(120)
        app = GuardApp(lambda on_news, guard=guard: Connection(guard, on_news))  # type: ignore[misc]
        async with app.run_test(size=size) as pilot:
            await _until(pilot, lambda app=app: app.first_paint is not None)  # type: ignore[misc]
            await scene(pilot, app, guard)
            await pilot.pause(0.8)
            pictures[name] = _plain(app.export_screenshot(title="localguard tui"), name)
    return pictures


async def _exchanges(pilot: Pilot[Any], app: GuardApp, _: MadeUpGuard) -> None:
    rows = [app.exchanges.row(at) for at in range(len(app.exchanges.shown))]
    telling = [
        at for at, row in enumerate(rows) if row and len(row.types) == 2 and row.restored and row.state == "completed"
    ]
    app.exchanges.choose(telling[-2])
    app._table.changed()
    app._table._into_sight()
    await _until(pilot, lambda: "Usage" in app.query_one("#detail", Lines).said)


async def _question(pilot: Pilot[Any], app: GuardApp, guard: MadeUpGuard) -> None:
    guard.approvals = [QUESTION]
    guard.publish("question", QUESTION)
    await _until(pilot, lambda: bool(app.questions))
    await pilot.press("a")


async def _endpoints(pilot: Pilot[Any], app: GuardApp, guard: MadeUpGuard) -> None:
    guard.on["trial"] = False
    await pilot.press("3")


async def _budgets(pilot: Pilot[Any], app: GuardApp, _: MadeUpGuard) -> None:
    await pilot.press("4")


async def _small(pilot: Pilot[Any], app: GuardApp, _: MadeUpGuard) -> None:
    await pilot.press("t")


async def _until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    for _ in range(400):
        if condition():
            return
        await pilot.pause(0.03)
    raise TimeoutError("the scene did not come about")


def _plain(svg: str, name: str) -> str:
    return _NAMED.sub(f"tui-{name}-", _FACES.sub("", svg)).replace("Fira Code", _FONT)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    for title, picture in asyncio.run(drawn()).items():
        (place / f"{title}.svg").write_text(picture, "utf-8")
