"""The daemon: binds the port, opens the log, loads policy, starts the scanner, serves until it is told to stop.

Order matters: the port first (it is exclusive, and a second guard must not touch anything), then the log and its lock,
then the user's policy and rules, then serving. What the guard is made of is imported after that, then its scanner is built
and its engines load; requests wait for each of them. So modules named here import nothing heavy.
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
from typing import TYPE_CHECKING

from aiohttp import web

from localguard import __version__
from localguard.audit.store import Store
from localguard.config.home import Home, write_private
from localguard.config.keys import Keys
from localguard.config.policy_files import PolicyWatcher
from localguard.errors import LocalguardError
from localguard.proxy.admission import Admission, ControlCall
from localguard.proxy.connection import Limits, head_of
from localguard.proxy.control import Control
from localguard.proxy.early_refusals import EarlyRefusals
from localguard.proxy.scrub import Scrubber
from localguard.proxy.server import GuardServer

if TYPE_CHECKING:
    from localguard.proxy.assembly import Assembly

log = logging.getLogger(__name__)

_MOST_BODY_MB = 1024
_MOST_ASK_SECONDS = 60.0

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
    environment = os.environ
    asyncio.run(serve(home, port=port, limits=limits or limits_of(environment), ask_seconds=wait_of(environment)))


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


def wait_of(env: Mapping[str, str]) -> float:
    """The seconds for which a request waits for an approval: `LOCALGUARD_ASK_SECONDS`, 0 (nobody is there) to 60, the default."""
    given = env.get("LOCALGUARD_ASK_SECONDS", "")
    if not given:
        return _MOST_ASK_SECONDS
    if not given.isascii() or not given.isdigit() or int(given) > _MOST_ASK_SECONDS:
        raise SettingInvalid(f"LOCALGUARD_ASK_SECONDS must be a whole number from 0 to {_MOST_ASK_SECONDS:.0f}")
    return float(given)


async def serve(
    home: Home,
    *,
    port: int,
    limits: Limits,
    ask_seconds: float = 60.0,
    ready: Callable[[int], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run the guard in this event loop until `stop` is set or a signal comes. `ready` is called with the port."""
    stop = stop or asyncio.Event()
    started = time.time()
    async with contextlib.AsyncExitStack() as stack:
        # What is recorded before it is armed (outcomes that a former run left open, the start) holds ids and digests.
        scrubber = Scrubber()
        assembled: asyncio.Future[Assembly] = asyncio.get_running_loop().create_future()
        front = _Front(assembled)
        server = GuardServer(front.handle, port=port, limits=limits)
        server.bind()
        store = Store.open(home.audit_db, clock=lambda: datetime.now(UTC), scrub=scrubber)
        stack.callback(store.close)
        early = server.early = EarlyRefusals(store)
        stack.callback(early.close)
        keys = Keys(home, env=os.environ)
        watcher = PolicyWatcher(
            home,
            lambda layers: assembled.result().change_policy(layers),
            lambda error: assembled.result().keep_policy(error),
        )
        watcher.load()
        _check_rules(home.rules_dir)
        control = Control(
            home,
            stop=stop.set,
            status=lambda: assembled.result().status(server, started),
        )
        front.open(Admission(server.port), control)
        detail: dict[str, object] = {"version": __version__, "policy": watcher.layer.digest}
        for layer in watcher.layers:
            if layer.organisation is not None:
                detail |= {"organisation": layer.organisation, "revision": layer.revision}
        store.append("control", metadata={"event": "start", "detail": detail})
        parts = await stack.enter_async_context(contextlib.AsyncExitStack())  # closed after the server
        await server.start()
        stack.push_async_callback(server.close)
        write_private(home.port_file, str(server.port).encode("ascii"))
        stack.callback(home.port_file.unlink, missing_ok=True)
        for name in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                asyncio.get_running_loop().add_signal_handler(name, stop.set)
        log.info("serving on port %d", server.port)
        stack.callback(assembled.cancel)  # where it could not be made: requests do not wait any longer
        made = await (await asyncio.to_thread(_assembly)).of(
            parts,
            home,
            store=store,
            keys=keys,
            watcher=watcher,
            control=control,
            server=server,
            early=early,
            scrubber=scrubber,
            ask_seconds=ask_seconds,
        )
        assembled.set_result(made)
        await watcher.start()
        parts.push_async_callback(watcher.close)
        await made.source.start()
        parts.push_async_callback(made.source.close)
        spare_the_collector()
        if ready is not None:
            ready(server.port)
        await stop.wait()
        store.append("control", metadata={"event": "stop"})


class _Front:
    """Answers `/-/healthz` from the first moment, and holds everything else until the guard is put together."""

    def __init__(self, assembled: "asyncio.Future[Assembly]") -> None:
        self._assembled = assembled
        self._doors: tuple[Admission, Control] | None = None

    def open(self, admission: Admission, control: Control) -> None:
        """Who may ask, and who answers. To be called before the first request."""
        self._doors = admission, control

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Raises AdmissionRefused for one that is not let in."""
        if not self._assembled.done():
            assert self._doors is not None
            admission, control = self._doors
            admitted = admission.admit(head_of(request))
            if isinstance(admitted, ControlCall) and admitted.path == "/healthz":
                return await control.answer(request, admitted)
            await asyncio.wait([self._assembled])
        return await self._assembled.result().guard.handle(request)


def _assembly() -> "type[Assembly]":
    """What the guard is put together by. Takes half a second of a core the first time."""
    from localguard.proxy.assembly import Assembly

    return Assembly


def _check_rules(directory: Path) -> None:
    """Raise RuleInvalid if a rule file of the user's is broken. Most have none, and reading rules takes imports."""
    if any(directory.glob("*.toml")):
        from localguard.config.rule_files import check_rules

        check_rules([directory])


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
