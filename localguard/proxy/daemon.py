"""The daemon: binds the port, opens the log, loads policy, starts the scanner, serves until it is told to stop.

Order matters: the port first (it is exclusive, and a second guard must not touch anything), then the log and its lock,
then serving; the scanner is built and its engines load while requests wait for them.
"""

import asyncio
import contextlib
import gc
import logging
import logging.handlers
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from localguard import __version__
from localguard.audit.store import Store
from localguard.config.allow_list import AllowList, AllowWatch
from localguard.config.home import Home
from localguard.config.keys import Keys
from localguard.config.policy_files import PolicyWatcher
from localguard.config.policy_problems import PolicyInvalid
from localguard.config.workspaces import Tokens
from localguard.errors import LocalguardError
from localguard.policy.model import Layer
from localguard.proxy.admission import Admission
from localguard.proxy.callers import Callers, PolicyState
from localguard.proxy.connection import Limits
from localguard.proxy.control import Control
from localguard.proxy.handler import Guard
from localguard.proxy.live import Memories
from localguard.proxy.recorder import Recorder
from localguard.proxy.scan_pool import ScanPool
from localguard.proxy.scrub import Scrubber
from localguard.proxy.server import GuardServer
from localguard.proxy.upstream import Upstream

log = logging.getLogger(__name__)

_MOST_BODY_MB = 1024

_SWITCH_INTERVAL = 0.0001
"""Seconds. A thread that reads a large body gives the event loop its turn this often (Python's default is 0.005)."""

_COLLECTOR = (10_000, 20, 20)
"""Thresholds of the three generations (Python's default is 700, 10, 10)."""


class SettingInvalid(LocalguardError):
    """A setting in the environment cannot be used."""


def run(home: Home, *, port: int = 4141, policy: Path | None = None, limits: Limits | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Raises PortInUse, AlreadyRunning, LogUnavailable, HomeUnsafe before serving."""
    forbid_core_dumps()
    home.create()
    if policy is not None:
        home = replace(home, policy_override=policy.absolute())
    _log_to(home.log_dir / "localguard.log")
    sys.setswitchinterval(_SWITCH_INTERVAL)
    spare_the_collector()
    asyncio.run(serve(home, port=port, limits=limits or limits_of(os.environ)))


def spare_the_collector() -> None:
    """Have the garbage collector leave alone what was imported, and look at the rest a tenth as often.

    A request leaves hardly a cycle behind, and the collector's default pace cost 7% of a small one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR)


def limits_of(env: Mapping[str, str]) -> Limits:
    """The limits with `LOCALGUARD_BODY_LIMIT_MB` applied: the largest request body, decoded, in MiB (default 64)."""
    given = env.get("LOCALGUARD_BODY_LIMIT_MB", "")
    if not given:
        return Limits()
    if not given.isdigit() or not 1 <= int(given) <= _MOST_BODY_MB:
        raise SettingInvalid(f"LOCALGUARD_BODY_LIMIT_MB must be a whole number from 1 to {_MOST_BODY_MB}")
    return replace(Limits(), body_bytes=int(given) * 1024 * 1024)


async def serve(
    home: Home,
    *,
    port: int,
    limits: Limits,
    ready: Callable[[int], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run the guard in this event loop until `stop` is set or a signal comes. `ready` is called with the port."""
    stop = stop or asyncio.Event()
    started = time.time()
    async with contextlib.AsyncExitStack() as stack:
        handle: list[Guard] = []
        recorders: list[Recorder] = []
        scrubber = (
            Scrubber()
        )  # what is recorded before it is armed (outcomes that a former run left open, the start) holds ids and digests
        server = GuardServer(lambda request: handle[0].handle(request), port=port, limits=limits)
        server.bind()
        store = Store.open(home.audit_db, clock=lambda: datetime.now(UTC), scrub=scrubber)
        stack.callback(store.close)
        keys = Keys(home, env=os.environ)
        upstream = Upstream(own_ports=[server.port])
        stack.push_async_callback(upstream.close)
        watcher = PolicyWatcher(
            home, lambda layer: _change(handle[0], store, layer), lambda error: _broken(handle[0], error)
        )
        watcher.load()
        pool = ScanPool(rules_dirs=[home.rules_dir], names=watcher.layer.names)
        await pool.start(workers=False)
        stack.push_async_callback(pool.close)
        state = PolicyState.of(watcher.layer, str(watcher.error) if watcher.error else None)
        control = Control(
            home,
            stop=stop.set,
            status=lambda: _status(handle[0], recorders[0], server, started),
            exchanges=lambda: recorders[0].recent,
        )
        memories = Memories(
            keys,
            (control.token,),
            lambda why: _key_replaced(store, why),
            allowed=AllowWatch(AllowList(home)),
            on_allowed=lambda count, error: _allowed(store, count, error),
        )
        recorder = Recorder(store, control)
        recorders.append(recorder)
        handle.append(
            Guard(
                recorder=recorder,
                scan_pool=pool,
                upstream=upstream,
                callers=Callers(Tokens(home)),
                keys=keys,
                memories=memories,
                admission=Admission(server.port),
                control=control,
                limits=limits,
                policy=state,
            )
        )
        store.append("control", metadata={"event": "start", "detail": {"version": __version__, "policy": state.digest}})
        await watcher.start()
        stack.push_async_callback(watcher.close)
        await server.start()
        # The imports and rules take seconds of a core: not before the port answers. Requests wait for the scanner.
        pool.start_workers(lambda scanner: scrubber.arm(scanner, memories.vaults))
        stack.push_async_callback(server.close)
        for name in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                asyncio.get_running_loop().add_signal_handler(name, stop.set)
        log.info("serving on port %d", server.port)
        if ready is not None:
            ready(server.port)
        await stop.wait()
        store.append("control", metadata={"event": "stop"})


def _key_replaced(store: Store, why: str) -> None:
    """The root key was lost and made anew: placeholders of earlier turns are strangers now."""
    store.append("control", metadata={"event": "key", "reason": why})
    log.warning("%s", why)


def _allowed(store: Store, count: int, error: str | None) -> None:
    """What the allow list lets through is another set of values now."""
    store.append("control", metadata={"event": "allow-list", "reason": error, "detail": {"values": count}})
    if error is not None:
        log.warning("%s", error)


def _change(guard: Guard, store: Store, layer: Layer) -> None:
    """A new policy file is in force; requests under way keep the one they began with."""
    guard.policy = PolicyState.of(layer)
    store.append("control", metadata={"event": "policy-change", "detail": {"policy": layer.digest}})
    log.info("policy changed")


def _broken(guard: Guard, error: PolicyInvalid) -> None:
    """The newest policy file is broken; the last good one stays in force."""
    current = guard.policy
    guard.policy = PolicyState(current.layers, current.endpoints, current.workspaces, current.digest, str(error))
    log.warning("policy file not loaded: %s", error)


def _status(guard: Guard, recorder: Recorder, server: GuardServer, started: float) -> dict[str, object]:
    counters, policy = recorder.counters, guard.policy
    return {
        "version": __version__,
        "pid": os.getpid(),
        "port": server.port,
        "uptime_seconds": int(time.time() - started),
        "running": server.running,
        "policy": {"digest": policy.digest, "error": policy.error},
        "log": {"writable": recorder.log_writable},
        "endpoints": [
            {
                "name": endpoint.name,
                "kind": endpoint.kind,
                "class": str(endpoint.endpoint_class),
                "base_url": endpoint.base_url,
                "credential": endpoint.credential,
            }
            for endpoint in policy.endpoints.values()
        ],
        "counters": {
            "exchanges": counters.exchanges,
            "refused": counters.refused,
            "failed": counters.failed,
            "replaced": counters.replaced,
            "restored": counters.restored,
            "withheld": counters.withheld,
        },
    }


def forbid_core_dumps() -> None:
    """P10: a crash must not write memory, which holds values, to disk."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _log_to(path: Path) -> None:
    """Write the daemon's own log: places and kinds, never request content. Kept to two files of a megabyte."""
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=1_000_000, backupCount=1, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # its messages quote what failed
