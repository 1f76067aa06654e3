"""A PostgreSQL of its own, from Debian's binaries, on a socket in a temporary directory."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

_START_SECONDS = 30.0
_FAST = (
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=60",
    "shared_buffers=64MB",
    "log_min_messages=fatal",
)


def binaries() -> Path | None:
    """Where `initdb` and `postgres` are, None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    named = shutil.which("postgres")
    return Path(named).parent if named else None


class Postgres:
    """One cluster. `initdb` refuses root, so root runs it as another user."""

    def __init__(self, bin: Path) -> None:
        self._bin = bin
        self.place = Path(tempfile.mkdtemp(prefix="lg-pg-", dir="/tmp"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.place, "postgres", "postgres")
        self._data = self.place / "data"
        self._process: subprocess.Popen[bytes] | None = None
        made = subprocess.run(
            [bin / "initdb", "-D", self._data, "-U", "owner", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"],
            capture_output=True,
            cwd=self.place,
            timeout=120,
            check=False,
            **self._as,
        )
        if made.returncode:
            raise RuntimeError(made.stderr.decode())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.place, ignore_errors=True)

    def url(self, database: str = "postgres", user: str = "owner") -> str:
        """The address of a database for a role."""
        return f"postgresql://{user}@/{database}?host={self.place}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = [part for setting in _FAST for part in ("-c", setting)]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, "-k", str(self.place), *options],
            cwd=self.place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as,
        )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            ready = subprocess.run([self._bin / "pg_isready", "-q", "-h", self.place], check=False)
            if ready.returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts connections, SIGQUIT ends at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def restart(self) -> None:
        """As a crash and a restart."""
        self.stop(signal.SIGQUIT)
        self.start()
