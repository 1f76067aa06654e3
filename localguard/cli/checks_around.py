"""Checks of `localguard doctor` of what is around the guard: agents' settings, endpoints, clock and disk. None changes anything."""

import os
import shutil
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from localguard.config.home import Home

if TYPE_CHECKING:
    from localguard.policy.model import Endpoint

_FULL_BYTES = 200_000_000
"""Below this the log may soon not be written, and requests are refused."""
_LOW_BYTES = 2_000_000_000
_CONNECT_SECONDS = 3.0
_EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""This version did not exist before."""
_AHEAD = timedelta(minutes=5)


def pointed(home: Home, port: int) -> tuple[str, str, str]:
    """How the settings of installed agents point."""
    from localguard.cli.agents import seen_agents

    seen = [one for one in seen_agents(home, port, os.environ, Path.home()) if one.program]
    broken = [problem for one in seen for problem in one.problems]
    if broken:
        return (
            "warn",
            f"an agent's settings cannot be read: {broken[0]}",
            "Mend the file; the agent may go by its default.",
        )
    loose = [one.name for one in seen if one.pointed != "guard"]
    if loose:
        step = f"`localguard agents connect {' '.join(loose)}`, or start them with `localguard run`."
        return "warn", f"installed and not pointed at the guard: {', '.join(loose)}", step
    if not seen:
        return "ok", "no agent is found on the PATH", ""
    return "ok", f"pointed at the guard: {', '.join(one.name for one in seen)}", ""


def reachable(home: Home, port: int) -> tuple[str, str, str]:
    """Whether the endpoints that were used lately, or that the user's policy adds, can be connected to; nothing is sent."""
    wanted = endpoints_in_use(home)
    if not wanted:
        return "ok", "no endpoint was used yet", ""
    with ThreadPoolExecutor(len(wanted)) as pool:
        problems = dict(zip(wanted, pool.map(_unreachable, wanted), strict=True))
    wrong = {endpoint.name: problem for endpoint, problem in problems.items() if problem}
    if wrong:
        name, problem = next(iter(wrong.items()))
        others = f"; also {', '.join(list(wrong)[1:])}" if len(wrong) > 1 else ""
        step = (
            "Start it, or switch it off: `localguard route set NAME off`."
            if "refused" in problem
            else "Look at network, name and proxy."
        )
        return "warn", f"{name} cannot be reached: {problem}{others}", step
    return "ok", f"can be connected to: {', '.join(endpoint.name for endpoint in wanted)}", ""


def endpoints_in_use(home: Home) -> "Sequence[Endpoint]":
    """The endpoints that the log's latest records name or that a policy file defines."""
    from localguard.audit.queries import Log
    from localguard.audit.schema import LogUnavailable
    from localguard.config.builtin import SOLO
    from localguard.config.policy_files import load_layers
    from localguard.policy.layers import effective_endpoints

    try:
        with Log(home.audit_db) as log:
            used = {str((one.metadata or {}).get("endpoint")) for one in log.tail(200, kind="intent")}
    except LogUnavailable:
        used = set()
    every = effective_endpoints(load_layers(home)).values()
    return [endpoint for endpoint in every if endpoint.name in used or endpoint.file != SOLO][:32]


def _unreachable(endpoint: "Endpoint") -> str:
    """Why no connection comes about; empty where one does."""
    parts = urlsplit(endpoint.base_url)
    secure = parts.scheme == "https"
    try:
        with socket.create_connection(
            (parts.hostname or "", parts.port or (443 if secure else 80)), _CONNECT_SECONDS
        ) as raw:
            if secure:
                ssl.create_default_context().wrap_socket(raw, server_hostname=parts.hostname).close()
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not accepted ({error.verify_message})"
    except TimeoutError:
        return "it does not answer"
    except socket.gaierror:
        return "its name is not known here"
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()
    return ""


def clock(home: Home, port: int) -> tuple[str, str, str]:
    """Whether the clock can be right: not before this version, and not before the log's last record."""
    from localguard.audit.queries import Log
    from localguard.audit.schema import LogUnavailable

    now = datetime.fromtimestamp(time.time(), UTC)
    said = f"{now.isoformat(timespec='seconds')}"
    if now < _EARLIEST:
        return "fail", f"{said} cannot be", "Set the clock: certificates and budgets go by it."
    try:
        with Log(home.audit_db) as log:
            last = [datetime.fromisoformat(one.time) for one in log.tail(1)]
    except LogUnavailable:
        last = []
    if last and last[0] > now + _AHEAD:
        step = "Set the clock. If it is right now, say so: `localguard budget trust-clock`."
        return "warn", f"{said} is before the last record of the log ({last[0].isoformat(timespec='seconds')})", step
    return "ok", said, ""


def disk(home: Home, port: int) -> tuple[str, str, str]:
    """Whether there is room for the log, without which requests are refused."""
    place = next(one for one in (home.state_dir, *home.state_dir.parents) if one.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / 1e9:.1f} GB free for the log"
    if free < _LOW_BYTES:
        step = "Free some space; `localguard audit prune --older-than 90d` drops the content of old records."
        return ("fail" if free < _FULL_BYTES else "warn"), said, step
    return "ok", said, ""
