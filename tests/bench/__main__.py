"""`python -m tests.bench [--only NAME …] [--rounds N]`: measure the guard against the floor and print a table.

Exit code 1 if a target is missed. Close other programs first: the ratios stand a shared machine, the times do not.
"""

import argparse
import asyncio
import sys
import time

from tests.bench.measures import MEASURES, Row


def main() -> int:
    """Run the measurements that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASURES, help="run this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of each measurement; the median counts")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.only or MEASURES:
        began = time.monotonic()
        rows += asyncio.run(MEASURES[name](options.rounds))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(table(rows))
    return int(any(row.verdict == "MISSED" for row in rows))


def table(rows: list[Row]) -> str:
    """The rows under a head, one a line."""
    lines = [f"{'what':<64} {'measured':>10} {'target':>10}  verdict  note"]
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        target = "" if row.target is None else f"{sign} {row.target:g} {row.unit}"
        lines.append(f"{row.name:<64} {row.measured:>7.2f} {row.unit:<2} {target:>10}  {row.verdict:<7}  {row.note}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
