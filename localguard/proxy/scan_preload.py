"""Imported once by the fork server, so that a worker that is forked in place of a dead one, or beside the first, is soon there.

Nothing else imports this: it takes a third of a second, while the daemon makes its own scanner.
"""

import gc

from localguard.proxy.scan_worker import prepare

prepare()
gc.collect()
gc.freeze()  # keeps these pages shared with the forked workers
