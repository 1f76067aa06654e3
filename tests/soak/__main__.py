"""`python -m tests.soak [--kills 200]`: kill the guard under load, and say what was lost. Exit code 1 if anything was."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.kills import campaign

BACK_SECONDS = 2.0
"""How soon a guard must serve again."""


def main() -> int:
    """Run the campaign that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--shortest", type=float, default=0.02, help="seconds of load before a kill, at least")
    parser.add_argument("--longest", type=float, default=3.0, help="seconds of load before a kill, at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="localguard-soak-", ignore_cleanup_errors=True) as folder:
        result = asyncio.run(
            campaign(Path(folder), options.kills, seed=options.seed, shortest=options.shortest, longest=options.longest)
        )
    print(f"seed {options.seed}: {result}")
    return int(bool(result.problems) or max(result.back) >= BACK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
