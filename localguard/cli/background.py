"""Starting the guard as a process of its own, and waiting until it serves."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from localguard.cli.exit_codes import NotReachable

if TYPE_CHECKING:
    from localguard.config.home import Home

_START_SECONDS = 20.0
"""A cold disk takes seconds to load the guard; one that takes longer has failed."""
_POLL_SECONDS = 0.05


def ensure_running(home: "Home", port: int, policy: Path | None) -> None:
    """Return once a guard of this home serves on the port, starting one in the background if none does.

    Raises NotReachable, with the guard's own last words, where it does not come up.
    """
    from localguard.proxy.control_client import ControlClient

    client = ControlClient(home, port)
    if client.is_running():
        return
    home.create()
    log = home.log_dir / "serve.log"
    began = log.stat().st_size if log.exists() else 0
    wait_until_running(home, port, start(home, port, policy, log), since=began)


def wait_until_running(home: "Home", port: int, process: "subprocess.Popen[bytes]", *, since: int = 0) -> None:
    """Return once the guard that `process` is serves. `since` is the length of its log before it started.

    Raises NotReachable where it ends, or does not serve in time and is ended.
    """
    from localguard.proxy.control_client import ControlClient

    client = ControlClient(home, port)
    log = home.log_dir / "serve.log"
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if client.is_running():
            return
        if process.poll() is not None:
            raise NotReachable(f"The guard could not start: {_last_words(log, since)}")
        time.sleep(_POLL_SECONDS)
    process.terminate()
    raise NotReachable(f"The guard did not serve on port {port} within {_START_SECONDS:.0f} s. See {log}.")


def start(
    home: "Home", port: int, policy: Path | None, log: Path, *, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start `localguard serve` detached from this terminal; its output is added to `log` (mode 0600).

    `environment` replaces this process's whole environment.
    """
    command = [sys.executable, "-m", "localguard.cli.main", "serve", "--port", str(port), "--home", str(home.root)]
    if policy is not None:
        command += ["--policy", str(policy.absolute())]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    detached = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=home.root,
            env=environment,
            start_new_session=sys.platform != "win32",
            creationflags=detached,
        )
    finally:
        os.close(descriptor)


def _last_words(log: Path, began: int) -> str:
    with log.open("rb") as file:
        file.seek(began)
        lines = file.read(65_536).decode("utf-8", "replace").strip().splitlines()
    said = [line.removeprefix("localguard: ") for line in lines if line.startswith("localguard: ")]
    return said[-1] if said else f"it said nothing; see {log}"
