"""Imported once by the fork server, so that every worker that it forks has the engines' modules already.

Nothing else imports this: it costs seconds and a hundred megabytes, and it changes multiprocessing for its process.
"""

import gc
from multiprocessing import spawn

from localguard.detect import presidio_engine, secrets_engine

# A worker must not run the daemon's main script again, as multiprocessing's child processes do: that costs memory and
# time, and a script without an `if __name__` guard would start another daemon. Only this process and its forks change.
for _name in ("_fixup_main_from_path", "_fixup_main_from_name"):
    if hasattr(spawn, _name):
        setattr(spawn, _name, lambda _: None)

secrets_engine.SecretsEngine().load()
presidio_engine.PresidioEngine().load()
gc.collect()
gc.freeze()  # keeps these pages shared with the forked workers
