"""Where a process and those that it started work: their working directories, and the directories that they hold open.

For a process that serves many workspaces at once. Bounded: of a very large tree the first processes count. Directories of
other users' processes, of containers and of what is gone are left out.
"""

import os
import stat
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from localguard.config.peer import Peer, owner_of, program_name, program_of, working_directory

_MAX_PROCESSES: Final = 300
_MAX_OPEN: Final = 256
"""Open files of one process that are looked at."""
_MAX_PLACES: Final = 64


def root_of(peer: Peer) -> int | None:
    """The process at the top of `peer`'s program: an editor's windows are children of its first process."""
    top = peer.pid
    for ancestor in peer.ancestors:
        if ancestor.name != peer.name:
            break
        top = ancestor.pid
    return top


def working_places(pid: int, besides: str | None = None) -> tuple[Path, ...]:
    """Where `pid` and its descendants work, each directory once, nearest processes first. Never raises.

    Processes of the program `besides` are passed over: an editor's own say where it was started.
    """
    places = _places_by_proc(pid, besides) if sys.platform == "linux" else _places_by_psutil(pid, besides)
    found: dict[Path, None] = {}
    for place in places:
        found[place] = None
        if len(found) >= _MAX_PLACES:
            break
    return tuple(found)


def _places_by_proc(pid: int, besides: str | None) -> Iterator[Path]:
    euid = os.geteuid()
    waiting = deque([pid])
    seen = {pid}
    while waiting:
        one = waiting.popleft()
        if owner_of(one) != euid:
            continue
        if besides is None or program_of(one) != besides:
            if (place := working_directory(one)) is not None:
                yield place
            yield from _open_directories(one)
        for child in _children(one):
            if child not in seen and len(seen) < _MAX_PROCESSES:
                seen.add(child)
                waiting.append(child)


def _children(pid: int) -> Iterator[int]:
    """The processes that any thread of `pid` started; none where the kernel does not say (`CONFIG_PROC_CHILDREN`)."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - a Path doubles the cost
    except OSError:
        return
    for thread in threads:
        try:
            named = Path(f"/proc/{pid}/task/{thread}/children").read_bytes()
        except OSError:
            continue
        yield from map(int, named.split())


def _open_directories(pid: int) -> Iterator[Path]:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)[:_MAX_OPEN]  # noqa: PTH208 - as above
    except OSError:
        return
    for name in names:
        try:
            there = os.stat(f"{folder}/{name}")  # noqa: PTH116 - as above
            if not stat.S_ISDIR(there.st_mode):
                continue
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - as above
            here = os.stat(target)  # noqa: PTH116 - as above
        except OSError:
            continue
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            yield Path(target)


def _places_by_psutil(pid: int, besides: str | None) -> Iterator[Path]:
    import psutil

    try:
        top = psutil.Process(pid)
        own = top.username()
        tree = [top, *top.children(recursive=True)][:_MAX_PROCESSES]
    except (psutil.Error, OSError):
        return
    for process in tree:
        try:
            named = besides is not None and program_name(process.exe(), process.name()) == besides
            if not named and process.username() == own and (place := process.cwd()):
                yield Path(place)
        except (psutil.Error, OSError):
            continue
