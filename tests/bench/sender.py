"""`sender.py PORT FILE…`: sends requests that lie in files, one after the other, and wants a 200 for each.

A process of its own, so that writing large bodies does not hold up whoever times the streams beside them.
"""

import asyncio
import sys
from pathlib import Path

from tests.bench.client import Connection


async def send(port: int, paths: list[Path]) -> None:
    """Send them all over one connection, half a second after the streams began."""
    await asyncio.sleep(0.5)
    connection = await Connection.open(port)
    for path in paths:
        await connection.timed(path.read_bytes())
    connection.close()


if __name__ == "__main__":
    asyncio.run(send(int(sys.argv[1]), [Path(path) for path in sys.argv[2:]]))
