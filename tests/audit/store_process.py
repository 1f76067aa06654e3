"""What the store tests run in a process of its own: `store_process.py COMMAND DATABASE`."""

import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from localguard.audit.lock import AlreadyRunning
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Limits, Store


def now() -> datetime:
    return datetime.now(UTC)


def open_once(path: Path) -> None:
    try:
        Store.open(path, clock=now).close()
        print("opened")
    except AlreadyRunning as error:
        print("AlreadyRunning", error.pid)


def fork(path: Path) -> None:
    store = Store.open(path, clock=now)
    store.append("control", metadata={"event": "start"}).result()
    worker = os.fork()
    if worker:
        print(worker, flush=True)
    time.sleep(60)


def imports(path: Path) -> None:
    Store.open(path, clock=now).close()
    print("sqlite_utils" in sys.modules)


def intents_until_refused(store: Store) -> LogUnavailable:
    for number in range(2_000):
        error = store.append("intent", exchange=f"x{number}", metadata={"agent": "a" * 2_000}).exception()
        if isinstance(error, LogUnavailable):
            return error
    raise SystemExit("never refused")


def report(store: Store, error: LogUnavailable, make_room: object) -> None:
    print("refused", type(error).__name__, error)
    assert callable(make_room)
    make_room()
    store.append("intent", exchange="after", metadata={}).result()
    print("recovered")
    store.close()


def file_size_limit(path: Path) -> None:
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = Store.open(path, clock=now)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    error = intents_until_refused(store)
    report(store, error, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)))


def fill(path: Path) -> None:
    ballast = path.with_name("ballast")
    ballast.write_bytes(bytes(200_000))
    store = Store.open(path, clock=now)
    error = intents_until_refused(store)
    report(store, error, ballast.unlink)


def read_only(path: Path) -> None:
    """As a user who may not write: root may write everywhere, so it becomes nobody."""
    path.chmod(0o444)
    path.with_name("guard.lock").chmod(0o666)
    path.parent.chmod(0o555)
    if os.geteuid() == 0:
        for parent in path.parents[1:]:
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        Store.open(path, clock=now)
        print("opened")
    except LogUnavailable as error:
        print(error)


def load(path: Path) -> None:
    """Append from eight threads until killed; each receipt goes out as one line: seq, exchange, kind."""
    store = Store.open(path, clock=now, limits=Limits(outcome_delay=0.01))

    def write(name: str) -> None:
        number = 0
        while True:
            exchange = f"{name}-{number}"
            for kind, metadata in (("intent", {"agent": "load"}), ("outcome", {"state": "completed"})):
                receipt = store.append(kind, exchange=exchange, session=name, metadata=metadata).result()
                os.write(1, f"{receipt.seq} {exchange} {kind}\n".encode())
            number += 1

    for number in range(8):
        threading.Thread(target=write, args=(f"{os.getpid()}-{number}",), daemon=True).start()
    time.sleep(600)


COMMANDS = {
    "open": open_once,
    "fork": fork,
    "imports": imports,
    "file-size-limit": file_size_limit,
    "fill": fill,
    "read-only": read_only,
    "load": load,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](Path(sys.argv[2]))
