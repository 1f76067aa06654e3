"""Commands measured as a person waits for them: a process from start to end."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def waited(home: Path, arguments: Sequence[str], times: int = 9) -> tuple[float, float]:
    """Seconds by the clock and of the processor, each the least of several runs: what a busy machine adds is not the command's."""
    clocks, cpus = [], []
    for _ in range(times):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "localguard.cli.main", *arguments],
            env=os.environ | {"LOCALGUARD_HOME": str(home), "LOCALGUARD_KEYRING": "off"},
            capture_output=True,
            check=False,
        )
        clocks.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(clocks), min(cpus)
