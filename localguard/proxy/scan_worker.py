"""One scanner process and the thread that talks to it.

Workers hold the engines: detect-secrets and Presidio are imported there and nowhere else. A worker gets texts, or windows
of texts, answers findings, and does nothing else. Workers are forked from a fork server that has the engines loaded where
the platform has one (so that a killed worker is back at once), else spawned.

What this does not protect against: a detector that reads outside its window would see the worker's memory, which may
hold windows of other requests.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Final

from localguard.config import compiled_gates
from localguard.config.rule_files import read_rules
from localguard.detect.calls import CallEngine
from localguard.detect.commands import CommandEngine
from localguard.detect.finding import Finding, Window
from localguard.detect.multipattern import Unusable
from localguard.detect.names_engine import NamesEngine
from localguard.detect.normalise import NormaliseEngine
from localguard.detect.prefilter import learn
from localguard.detect.presidio_engine import PresidioEngine
from localguard.detect.prose import ProseEngine
from localguard.detect.rule_engine import gate_of
from localguard.detect.rules import Rule
from localguard.detect.scanner import Engine, Scanner
from localguard.detect.secrets_engine import SecretsEngine
from localguard.detect.structured import StructuredEngine
from localguard.errors import LocalguardError
from localguard.policy.model import NamesModel

_START_SECONDS: Final = 60.0  # how long a worker may take to load its engines
_PR_SET_PDEATHSIG: Final = 1
_PRELOAD: Final = ["localguard.detect.preload", "localguard.proxy.scan_preload"]
_LOWER: Final = 5  # priority of what nobody waits for


@dataclass(frozen=True, slots=True)
class Given:
    """What a scanner is built from."""

    rules_dirs: tuple[Path, ...] = ()
    names: NamesModel | None = None
    """The language model for names."""
    compiled: Path | None = None
    """Where the compiled form of the gates is kept, if it is kept."""


class ScanTimeout(LocalguardError):
    """A scan took longer than its deadline. Its worker was killed and replaced; the text counts as not scanned."""


class ScannerFailed(LocalguardError):
    """A scanner worker died or could not start. It is replaced; the text counts as not scanned."""


def build_scanner(
    rules_dirs: Iterable[Path] = (), names: NamesModel | None = None, compiled: Path | None = None
) -> Scanner:
    """A scanner with all rules and engines, for use in one process. Engines load at the first `examine`.

    Where `compiled` holds the compiled form of its gates, it is used.
    """
    rules = read_rules(rules_dirs)
    engines = _engines(rules)
    if names is not None:
        engines.append(NamesEngine(names.path, names.language, names.entities))
    scanner = Scanner(rules, engines)
    if compiled is not None:
        compiled_gates.use(scanner, compiled)
    return scanner


def _engines(rules: Sequence[Rule]) -> list[Engine]:
    return [
        NormaliseEngine(rules),
        CommandEngine(),
        CallEngine(),
        ProseEngine(),
        StructuredEngine(),
        SecretsEngine(),
        PresidioEngine(),
    ]


def prepare() -> None:
    """Learn of the built-in gates what is a good part of a scanner's making, for all that this process and its forks make."""
    rules = read_rules(())
    learn([*map(gate_of, rules), *(gate for engine in _engines(rules) for gate in engine.gates)])


class Budget:
    """Seconds that the detectors may still take for one request; waiting for a worker does not count."""

    def __init__(self, whole: float) -> None:
        self.whole = whole
        self.left = whole


class Worker:
    """One scanner process and the thread that talks to it."""

    def __init__(self, context: BaseContext, given: "Given") -> None:
        self._context = context
        self._given = given
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scan-worker")
        self._process: Any = None
        self._connection: Connection | None = None
        self._overdue = False
        self.alive = False

    async def start(self) -> None:
        """Starts the process and waits until its engines are loaded. Leaves `alive` False if that fails."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._start)

    async def examine(self, batches: list[list[Window]], budget: "Budget") -> list[tuple[Finding, ...]]:
        """The findings of each batch of windows. `ScanTimeout`, `ScannerFailed`; after either the process is gone.

        A process that died since its last answer, or did not start, is replaced first: nobody's text was in it.
        """
        return await self._answer("windows", batches, budget)

    async def scan(self, texts: Sequence[bytes], budget: "Budget") -> list[tuple[Finding, ...]]:
        """The findings of each text, else like `examine`."""
        return await self._answer("texts", texts, budget)

    async def use_compiled(self) -> None:
        """Have the process use the compiled form of its gates that is there by now, if it lives."""
        if self.alive:
            with contextlib.suppress(ScannerFailed, ScanTimeout):
                await self._answer("compiled", (), Budget(_START_SECONDS))

    async def _answer(self, kind: str, given: Sequence[Any], budget: "Budget") -> list[tuple[Finding, ...]]:
        loop = asyncio.get_running_loop()
        if not self.alive or not self._process.is_alive():
            await loop.run_in_executor(self._thread, self._start_again)
        if not budget.left:
            raise ScanTimeout(f"scanning took longer than {budget.whole:g} s; the request was not sent")
        self._overdue = False
        watchdog = loop.call_later(budget.left, self._give_up)  # also ends a send to a worker that does not read
        try:
            return await loop.run_in_executor(self._thread, self._ask, kind, given, budget)
        finally:
            watchdog.cancel()

    def _give_up(self) -> None:
        self._overdue = True
        self.kill()

    def kill(self) -> None:
        """Ends the process at once. Callable from any thread."""
        self.alive = False
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError, ValueError):
                process.kill()

    def end(self) -> None:
        """Ends the process for good."""
        self.kill()
        self._thread.submit(self._bury)
        self._thread.shutdown(wait=False)

    def _start(self) -> None:
        ours, theirs = self._context.Pipe(duplex=True)
        process = self._context.Process(  # type: ignore[attr-defined]
            target=serve, args=(theirs, self._given, os.getpid()), name="localguard-scanner", daemon=True
        )
        try:
            process.start()
            theirs.close()
            self._process, self._connection = process, ours
            self.alive = bool(ours.poll(_START_SECONDS) and ours.recv() == "ready")
        except (OSError, EOFError):
            self.alive = False
        if not self.alive:
            self._bury()

    def _start_again(self) -> None:
        self._bury()
        self._start()

    def _ask(self, kind: str, given: Sequence[Any], budget: "Budget") -> list[tuple[Finding, ...]]:
        connection = self._connection
        if not self.alive or connection is None:
            raise ScannerFailed("the scanner process is not running")
        began = time.monotonic()
        try:
            connection.send((kind, given))
            answer = connection.recv()
        except (OSError, EOFError):
            answer = None
        finally:
            budget.left = max(0.0, budget.left - (time.monotonic() - began))
        if isinstance(answer, list) and len(answer) == len(given):
            return answer
        self._bury()
        if self._overdue:
            raise ScanTimeout(f"scanning took longer than {budget.whole:g} s; the request was not sent")
        raise ScannerFailed(answer if isinstance(answer, str) else "the scanner process died; the request was not sent")

    def _bury(self) -> None:
        self.kill()
        if self._connection is not None:
            self._connection.close()
        if self._process is not None and self._process.pid is not None:
            self._process.join(5.0)


def serve(connection: Connection, given: "Given", parent: int) -> None:
    """The worker's main function: loads the engines, says `"ready"`, then answers windows or texts until the pipe ends.

    Ends with its parent, also when the parent is killed. Writes nothing to standard output.
    """
    _end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is for the daemon, which ends its workers
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.close(null)
    sys.stdout = sys.stderr
    scanner = build_scanner(given.rules_dirs, given.names, given.compiled)
    scanner.load()
    connection.send("ready")
    while True:
        try:
            kind, asked = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: object = []
            if kind == "compiled" and given.compiled is not None:
                compiled_gates.use(scanner, given.compiled)
            else:
                find = scanner.scan if kind == "texts" else scanner.examine
                answer = [tuple(find(one)) for one in asked]
        except Exception as error:  # the text of a detector's error may quote what it looked at: only its kind is told
            answer = f"a detector failed with {type(error).__name__}; the request was not sent"
        connection.send(answer)


def compile_gates(given: "Given", parent: int) -> None:
    """The main function of a process that compiles the gates, in nobody's way. Leaves the form in `given.compiled`, or nothing."""
    _end_with_parent(parent)
    if sys.platform != "win32":
        os.nice(_LOWER)
    if given.compiled is not None:
        with contextlib.suppress(OSError, Unusable):
            compiled_gates.make(build_scanner(given.rules_dirs, given.names), given.compiled)


def _end_with_parent(daemon: int) -> None:
    """Linux: the kernel kills this process with its parent. Elsewhere a thread watches for the daemon's end."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if sys.platform != "win32":
        threading.Thread(target=_watch, args=(daemon, os.getppid()), name="parent-watch", daemon=True).start()


def _watch(daemon: int, parent: int) -> None:
    while os.getppid() == parent:
        try:
            os.kill(daemon, 0)
        except ProcessLookupError:
            break
        except OSError:
            pass
        threading.Event().wait(1.0)
    os._exit(0)


def scanner_context() -> BaseContext:
    """How scanner processes begin here: forked from a server with the engines where there is one, else from nothing."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_PRELOAD))
        return context
    return multiprocessing.get_context("spawn")
