"""`python -m tests.soak CAMPAIGN [--count N]`: break the guard or its log at random, and say what was lost. Exit code 1 if anything was.

guard-kills   kill -9 of the whole guard under load (200)
store-kills   kill -9 of a process that writes the log (1,000)
power-cuts    a disk that loses what was not synced (1,000)
faults        disk full, write and sync errors, a jumping clock (500 phases)
locks         another process holds the database (500 phases)
fleet         scaled days of devices in front of two collectors, a burst and an outage among them (200 devices)
store-faults  collectors killed, PostgreSQL crashed, connections cut, while ten logs are written and sent (60 faults)
damage        changes of the log's file, against an anchor (2,000)
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.soak.damage import damage
from tests.soak.faults import faults, locks
from tests.soak.fleet import fleet, store_faults
from tests.soak.kills import campaign
from tests.soak.power_cuts import power_cuts
from tests.soak.store_kills import store_kills

BACK_SECONDS = 2.0
"""How soon a guard must serve again."""

OF_THE_LOG: dict[str, tuple[Callable[..., Any], int]] = {
    "store-kills": (store_kills, 1_000),
    "power-cuts": (power_cuts, 1_000),
    "faults": (faults, 500),
    "locks": (locks, 500),
    "damage": (damage, 2_000),
    "fleet": (fleet, 200),
    "store-faults": (store_faults, 60),
}


def main() -> int:
    """Run the campaign that was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("campaign", nargs="?", choices=["guard-kills", *OF_THE_LOG], default="guard-kills")
    parser.add_argument("--count", "--kills", type=int, dest="count")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--shortest", type=float, default=0.02, help="guard-kills: seconds of load before one, at least"
    )
    parser.add_argument("--longest", type=float, default=3.0, help="guard-kills: seconds of load before one, at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="localguard-soak-", ignore_cleanup_errors=True) as folder:
        if options.campaign in OF_THE_LOG:
            run, usual = OF_THE_LOG[options.campaign]
            result = run(Path(folder), options.count or usual, seed=options.seed)
            print(f"{options.campaign}, seed {options.seed}: {result}")
            return int(bool(result.problems))
        killed = asyncio.run(
            campaign(
                Path(folder),
                options.count or 200,
                seed=options.seed,
                shortest=options.shortest,
                longest=options.longest,
            )
        )
    print(f"seed {options.seed}: {killed}")
    return int(bool(killed.problems) or max(killed.back) >= BACK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
