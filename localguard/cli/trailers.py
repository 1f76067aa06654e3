"""What the git hook runs: print the trailers for a commit in a work tree, from the log, in a blink, or nothing.

No guard need run. Whatever goes wrong is silence and exit code 0, and after two seconds the process ends: a commit is never held
up. Nothing heavy is imported, as this runs at every commit: `python -P -m localguard.cli.trailers AUDIT_DB WORK_TREE`.
"""

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from localguard.audit.commit_work import trailers, work_in
from localguard.audit.queries import Log
from localguard.errors import LocalguardError

_SECONDS = 2.0


def run(arguments: Sequence[str], now: datetime) -> list[str]:
    """The trailers; none where the log cannot be read."""
    if len(arguments) != 2:
        return []
    with suppress(LocalguardError, OSError), Log(Path(arguments[0])) as log:
        return trailers(work_in(log, Path(arguments[1]), now))
    return []


def main() -> None:
    """Print them and end."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    for line in run(sys.argv[1:], datetime.now(UTC)):
        print(line)  # typer would take longer to load than all of this


if __name__ == "__main__":
    main()
