"""Imported once by the fork server, so that every worker that it forks has the engines' modules already.

Nothing else imports this: it costs seconds and a hundred megabytes, and it changes multiprocessing for its process.
"""

import contextlib
import gc
import os
import signal
import sys
from multiprocessing import spawn

_PR_SET_PDEATHSIG = 1


def _end_with_daemon() -> None:
    """Linux: the kernel kills the fork server with the daemon, which is not noticed otherwise before the imports end."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(0)  # it ended before that


_end_with_daemon()

from localguard.detect import presidio_engine, secrets_engine  # noqa: E402  the imports that take seconds

# A worker must not run the daemon's main script again, as multiprocessing's child processes do: that costs memory and
# time, and a script without an `if __name__` guard would start another daemon. Only this process and its forks change.
for _name in ("_fixup_main_from_path", "_fixup_main_from_name"):
    if hasattr(spawn, _name):
        setattr(spawn, _name, lambda _: None)

secrets_engine.SecretsEngine().load()
presidio_engine.PresidioEngine().load()
gc.collect()
gc.freeze()  # keeps these pages shared with the forked workers
