"""Scanning off the event loop: candidates here, detectors in worker processes that can be killed.

The daemon holds the prefilter only; detect-secrets and Presidio are imported in workers. A worker gets windows, answers
findings, and does nothing else. Workers are forked from a fork server that has the engines loaded where the platform
has one (so that a killed worker is back at once), else spawned.

What this does not protect against: a detector that reads outside its window would see the worker's memory, which may
hold windows of other requests.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Final

from localguard.config.rule_files import check_rules, read_rules
from localguard.detect.calls import CallEngine
from localguard.detect.commands import CommandEngine
from localguard.detect.documents import DocumentText
from localguard.detect.finding import Finding, Window
from localguard.detect.names_engine import NamesEngine
from localguard.detect.normalise import NormaliseEngine
from localguard.detect.presidio_engine import PresidioEngine
from localguard.detect.prose import ProseEngine
from localguard.detect.scanner import Engine, Scanner
from localguard.detect.secrets_engine import SecretsEngine
from localguard.detect.structured import StructuredEngine
from localguard.errors import LocalguardError
from localguard.policy.model import NamesModel
from localguard.proxy.document_reader import DocumentReader

log = logging.getLogger(__name__)

INLINE_BYTES: Final = 32_768  # texts up to this together are prefiltered on the loop: a thread costs more than the pass
INLINE_TEXTS: Final = 200
_GROUP_BYTES: Final = 512 * 1024
_GROUP_TEXTS: Final = 1_000
_PREFILTERS: Final = 2  # of one request at once
_START_SECONDS: Final = 60.0  # how long a worker may take to load its engines
_PR_SET_PDEATHSIG: Final = 1
_PRELOAD: Final = ["localguard.detect.preload", "localguard.proxy.scan_pool"]


_Given = tuple[tuple[Path, ...], NamesModel | None]
"""What a scanner is built from: directories of rules, and the language model for names."""


class ScanTimeout(LocalguardError):
    """A scan took longer than its deadline. Its worker was killed and replaced; the text counts as not scanned."""


class ScannerFailed(LocalguardError):
    """A scanner worker died or could not start. It is replaced; the text counts as not scanned."""


def build_scanner(rules_dirs: Iterable[Path] = (), names: NamesModel | None = None) -> Scanner:
    """A scanner with all rules and engines, for use in one process. Engines load at the first `examine`."""
    rules = read_rules(rules_dirs)
    engines: list[Engine] = [
        NormaliseEngine(rules),
        CommandEngine(),
        CallEngine(),
        ProseEngine(),
        StructuredEngine(),
        SecretsEngine(),
        PresidioEngine(),
    ]
    if names is not None:
        engines.append(NamesEngine(names.path, names.language, names.entities))
    return Scanner(rules, engines)


class ScanPool:
    """Scans texts under a deadline. Create, `start`, `scan` from one event loop, `close`."""

    def __init__(
        self,
        *,
        workers: int = 1,
        rules_dirs: Sequence[Path] = (),
        names: NamesModel | None = None,
        deadline: float = 10.0,
    ) -> None:
        self._given = (tuple(rules_dirs), names)
        self._deadline = deadline
        self._context = _context()
        self._documents = DocumentReader(self._context)
        self._workers = [_Worker(self._context, self._given) for _ in range(max(1, workers))]
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._scanner: Scanner | None = None
        self._building: asyncio.Task[None] | None = None
        self._starting: list[asyncio.Task[None]] = []
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="prefilter")
        self._closed = False

    async def start(self, *, workers: bool = True) -> None:
        """Checks the rules of `rules_dirs` (`RuleInvalid`) and returns; the scanner and the workers come in the background.

        Without `workers` they are only started by `start_workers`, and scans wait.
        """
        await asyncio.get_running_loop().run_in_executor(self._threads, check_rules, self._given[0])
        if workers:
            self.start_workers()

    def start_workers(self, built: Callable[[Scanner], None] = lambda _: None) -> None:
        """Build the scanner and start the workers. `built` is called with the scanner before anybody else gets it.

        To be called from a thread that lives as long as the workers shall: they end with it.
        """
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # then each worker tries for itself
                forkserver.ensure_running()
        self._building = asyncio.create_task(self._build(built))
        self._starting = [asyncio.create_task(self._bring_up(worker)) for worker in self._workers]

    async def _build(self, built: Callable[[Scanner], None]) -> None:
        try:
            scanner = await asyncio.get_running_loop().run_in_executor(self._threads, build_scanner, *self._given)
        except Exception as error:
            told = f": {error}" if isinstance(error, LocalguardError) else f" ({type(error).__name__})"
            log.error("nothing can be sent, because the scanner could not be built%s", told)
            raise
        built(scanner)
        self._scanner = scanner

    async def built(self) -> Scanner:
        """The daemon's own scanner as soon as there is one. Raises ScannerFailed if there will be none."""
        if self._scanner is None:
            if self._building is None or self._closed:
                raise ScannerFailed("the scanner is not running")
            await asyncio.wait([self._building])
            if not self._building.cancelled() and self._building.exception() is not None:
                raise ScannerFailed("the scanner could not be built; the log says why")
        return self.scanner

    @property
    def scanner(self) -> Scanner:
        """What `built` answered: for candidates and rules; its engines stay unloaded. Raises ScannerFailed before that."""
        if self._scanner is None:
            raise ScannerFailed("the scanner is not running")
        return self._scanner

    @property
    def ready(self) -> bool:
        """Whether some worker has its engines loaded. Scans before that wait."""
        return any(worker.alive for worker in self._workers)

    async def read_documents(self, documents: Sequence[bytes]) -> list[DocumentText | None]:
        """The text of each document, None for those that cannot be read."""
        return await self._documents.read(documents)

    async def scan(self, texts: Sequence[bytes]) -> list[tuple[Finding, ...]]:
        """The findings of each text, sorted by start and free of overlaps; offsets are bytes of that text.

        `ScanTimeout` if the detectors take longer than the deadline over all the texts together, `ScannerFailed` if
        the worker dies. After either the pool goes on with a new worker, and nothing is known about these texts.
        """
        scanner = await self.built()
        if self._closed:
            raise ScannerFailed("the scanner is not running")
        if sum(map(len, texts)) <= INLINE_BYTES and len(texts) <= INLINE_TEXTS:
            return await self._findings([scanner.candidates(text) for text in texts], _Budget(self._deadline))
        return await self._scan_in_groups(scanner, texts)

    async def _scan_in_groups(self, scanner: Scanner, texts: Sequence[bytes]) -> list[tuple[Finding, ...]]:
        """Texts in groups, some prefiltered in threads while the worker looks at windows of earlier ones.

        Another request's groups get their turn in between, and an event loop wakes once a group, not once a text.
        """
        loop = asyncio.get_running_loop()
        budget = _Budget(self._deadline)
        turn = asyncio.Semaphore(_PREFILTERS)

        def candidates(group: Sequence[bytes]) -> list[list[Window]]:
            return [scanner.candidates(text) for text in group]

        async def scan_group(group: Sequence[bytes]) -> list[tuple[Finding, ...]]:
            async with turn:
                windows = await loop.run_in_executor(self._threads, candidates, group)
            return await self._findings(windows, budget)

        tasks = [asyncio.create_task(scan_group(group)) for group in _groups(texts)]
        try:
            return [found for results in await asyncio.gather(*tasks) for found in results]
        finally:
            for task in tasks:
                task.cancel()

    async def _findings(self, windows: Sequence[list[Window]], budget: "_Budget") -> list[tuple[Finding, ...]]:
        """The findings of each text, given its windows: most have none."""
        answers = iter(await self._examine(found, budget) if (found := [one for one in windows if one]) else ())
        return [next(answers) if one else () for one in windows]

    async def close(self) -> None:
        """Kills the workers. Scans under way fail with `ScannerFailed`."""
        self._closed = True
        self._documents.close()
        tasks = [*self._starting, *([self._building] if self._building is not None else [])]
        for task in tasks:
            task.cancel()
        for worker in self._workers:
            worker.kill()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _examine(self, batches: list[list[Window]], budget: "_Budget") -> list[tuple[Finding, ...]]:
        worker = await self._idle.get()
        if self._closed:
            self._idle.put_nowait(worker)
            raise ScannerFailed("the scanner was closed")
        job = asyncio.ensure_future(worker.examine(batches, budget))
        # The worker is idle again when its answer is in, even if whoever asked has gone.
        job.add_done_callback(lambda _: self._give_back(worker))
        return await asyncio.shield(job)

    def _give_back(self, worker: "_Worker") -> None:
        if worker.alive or self._closed:
            self._idle.put_nowait(worker)
        else:
            self._starting = [task for task in self._starting if not task.done()]
            self._starting.append(asyncio.create_task(self._bring_up(worker)))

    async def _bring_up(self, worker: "_Worker") -> None:
        try:
            await worker.start()
        finally:
            self._idle.put_nowait(worker)  # a worker that did not start answers with ScannerFailed, then tries again


class _Budget:
    """Seconds that the detectors may still take for one request; waiting for a worker does not count."""

    def __init__(self, whole: float) -> None:
        self.whole = whole
        self.left = whole


def _groups(texts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The texts in order, cut where a group has _GROUP_BYTES or _GROUP_TEXTS."""
    start = size = 0
    for index, text in enumerate(texts):
        size += len(text)
        if size >= _GROUP_BYTES or index - start >= _GROUP_TEXTS:
            yield texts[start : index + 1]
            start, size = index + 1, 0
    if start < len(texts):
        yield texts[start:]


class _Worker:
    """One scanner process and the thread that talks to it."""

    def __init__(self, context: BaseContext, given: "_Given") -> None:
        self._context = context
        self._given = given
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scan-worker")
        self._process: Any = None
        self._connection: Connection | None = None
        self.alive = False

    async def start(self) -> None:
        """Starts the process and waits until its engines are loaded. Leaves `alive` False if that fails."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._start)

    async def examine(self, batches: list[list[Window]], budget: "_Budget") -> list[tuple[Finding, ...]]:
        """One answer per batch. `ScanTimeout`, `ScannerFailed`; after either the process is gone.

        A process that died since its last answer, or did not start, is replaced first: nobody's text was in it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, batches, budget)

    def kill(self) -> None:
        """Ends the process at once. Callable from any thread."""
        self.alive = False
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError, ValueError):
                process.kill()

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

    def _ask(self, batches: list[list[Window]], budget: "_Budget") -> list[tuple[Finding, ...]]:
        if not self.alive or not self._process.is_alive():
            self._bury()
            self._start()
        connection = self._connection
        if not self.alive or connection is None:
            raise ScannerFailed("the scanner process is not running")
        began = time.monotonic()
        deadline = budget.left
        if not deadline:
            raise ScanTimeout(f"scanning took longer than {budget.whole:g} s; the request was not sent")
        watchdog = threading.Timer(deadline, self.kill)  # also ends a send to a worker that does not read
        watchdog.daemon = True
        watchdog.start()
        try:
            connection.send(batches)
            answer = connection.recv() if connection.poll(deadline) else None
        except (OSError, EOFError):
            answer = None
            timed_out = not watchdog.is_alive()
        else:
            timed_out = answer is None
        finally:
            watchdog.cancel()
            budget.left = max(0.0, budget.left - (time.monotonic() - began))
        if isinstance(answer, list) and len(answer) == len(batches):
            return answer
        self._bury()
        if timed_out:
            raise ScanTimeout(f"scanning took longer than {budget.whole:g} s; the request was not sent")
        raise ScannerFailed(answer if isinstance(answer, str) else "the scanner process died; the request was not sent")

    def _bury(self) -> None:
        self.kill()
        if self._connection is not None:
            self._connection.close()
        if self._process is not None and self._process.pid is not None:
            self._process.join(5.0)


def serve(connection: Connection, given: "_Given", parent: int) -> None:
    """The worker's main function: loads the engines, says `"ready"`, then answers batches of windows until the pipe ends.

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
    scanner = build_scanner(*given)
    scanner.load()
    connection.send("ready")
    while True:
        try:
            batches: list[list[Window]] = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: object = [tuple(scanner.examine(windows)) for windows in batches]
        except Exception as error:  # the text of a detector's error may quote what it looked at: only its kind is told
            answer = f"a detector failed with {type(error).__name__}; the request was not sent"
        connection.send(answer)


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


def _context() -> BaseContext:
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_PRELOAD))
        return context
    return multiprocessing.get_context("spawn")
