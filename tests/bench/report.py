"""The report measured as a person gets it: a process that reads a long log and writes a page."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from localguard.config.home import Home
from tests.report.made_log import told, write


def logged(place: Path, exchanges: int) -> Home:
    """A home with a log of so many exchanges of four weeks."""
    home = Home(place)
    home.create()
    write(home.audit_db, told(exchanges))
    return home


def made(home: Home, form: str) -> tuple[float, float, int, int]:
    """Seconds by the clock and of the processor, megabytes of memory, and bytes of the report. AssertionError if it fails."""
    file = home.root / f"report.{form}"
    command = [sys.executable, "-m", "localguard.cli.main", "report", "--from", "2026-01-01", "--format", form]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--home", str(home.root), "--output", str(file)],
        env=os.environ | {"LOCALGUARD_KEYRING": "off"},
        capture_output=True,
        check=False,
    )
    clock = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return clock, cpu, after.ru_maxrss // 1024, file.stat().st_size
