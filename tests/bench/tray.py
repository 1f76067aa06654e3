"""The tray at rest: a process of its own, in a real panel, beside a real guard."""

import subprocess
import time
from pathlib import Path

import psutil

from tests.e2e.guard import Guard, free_port, policy
from tests.tray.desktop import Desktop

_REST_SECONDS = 20.0


def at_rest(place: Path) -> dict[str, tuple[float, float]]:
    """Percent of a core, and megabytes, of a tray in a real panel: beside a guard at rest, and without one."""
    with Desktop(place / "desktop") as desktop, Guard(place / "home", policy(free_port())) as guard:
        desktop.display()
        desktop.session()
        desktop.panel()
        tray = desktop.tray(guard.home, guard.port, "--wait", "30", stdout=subprocess.PIPE)
        assert tray.stdout is not None
        assert tray.stdout.readline().startswith(b"The icon is in the panel")
        time.sleep(3)
        found = {"beside a guard at rest": _rest(tray.pid)}
        guard.stop()
        time.sleep(5)
        return found | {"without a guard": _rest(tray.pid)}


def _rest(pid: int) -> tuple[float, float]:
    process = psutil.Process(pid)
    before, began = process.cpu_times(), time.perf_counter()
    time.sleep(_REST_SECONDS)
    after, passed = process.cpu_times(), time.perf_counter() - began
    used = after.user + after.system - before.user - before.system
    return 100 * used / passed, process.memory_info().rss / 2**20
