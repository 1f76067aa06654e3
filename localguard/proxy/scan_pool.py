"""Scanning off the event loop: texts go to worker processes that can be killed.

Short texts are looked through for windows here, since most have none; long ones only in workers, of which there is a
second one while long texts come. Gates are compiled for Hyperscan in a process of their own, once for a home.
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Final

from localguard.config import compiled_gates
from localguard.config.rule_files import check_rules
from localguard.detect import multipattern
from localguard.detect.documents import DocumentText
from localguard.detect.finding import Finding
from localguard.detect.scanner import Scanner
from localguard.errors import LocalguardError
from localguard.policy.model import NamesModel
from localguard.proxy.document_reader import DocumentReader
from localguard.proxy.scan_worker import (
    Budget,
    Given,
    ScannerFailed,
    ScanTimeout,
    Worker,
    build_scanner,
    compile_gates,
    scanner_context,
)

__all__ = ["INLINE_BYTES", "INLINE_TEXTS", "ScanPool", "ScanTimeout", "ScannerFailed", "build_scanner"]

log = logging.getLogger(__name__)

INLINE_BYTES: Final = (
    32_768  # texts up to this together are looked through on the loop: a message costs more than the pass
)
INLINE_TEXTS: Final = 200
_GROUP_BYTES: Final = 512 * 1024
_GROUP_TEXTS: Final = 1_000
_AT_ONCE: Final = 2  # groups of one request
_SLOWEST: Final = 250_000  # bytes a second that the slowest text on a busy machine takes: they lengthen the deadline
_LONG: Final = 2_000_000  # bytes of one request for which a second worker is worth its start
_IDLE_SECONDS: Final = 60.0  # how long the second worker stays without them
_COMPILE_BYTES: Final = 256 * 1024  # how much is scanned before the gates are compiled
_COMPILE_SECONDS: Final = 10.0  # or how long the guard runs: a short life is not worth it
_COMPILE_MOST: Final = 600.0

_Question = Callable[[Worker], Coroutine[Any, Any, list[tuple[Finding, ...]]]]


class ScanPool:
    """Scans texts under a deadline. Create, `start`, `scan` from one event loop, `close`."""

    def __init__(
        self,
        *,
        workers: int = 1,
        rules_dirs: Sequence[Path] = (),
        names: NamesModel | None = None,
        compiled: Path | None = None,
        deadline: float = 10.0,
    ) -> None:
        self._given = Given(tuple(rules_dirs), names, compiled)
        self._deadline = deadline
        self._context = scanner_context()
        self._documents = DocumentReader(self._context)
        self._workers = [Worker(self._context, self._given) for _ in range(max(1, workers))]
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._busy: set[Worker] = set()
        self._spare: Worker | None = None
        self._spare_until = 0.0  # of the loop's clock
        self._scanned = 0
        self._enough_scanned = asyncio.Event()
        self._compiling: asyncio.Task[None] | None = None
        self._scanner: Scanner | None = None
        self._building: asyncio.Task[None] | None = None
        self._starting: list[asyncio.Task[None]] = []
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="scanner")
        self._closed = False

    async def start(self, *, workers: bool = True) -> None:
        """Checks the rules of `rules_dirs` (`RuleInvalid`) and returns; the scanner and the workers come in the background.

        Without `workers` they are only started by `start_workers`, and scans wait.
        """
        await asyncio.get_running_loop().run_in_executor(self._threads, check_rules, self._given.rules_dirs)
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
        self._compiling = asyncio.create_task(self._compile())

    async def _build(self, built: Callable[[Scanner], None]) -> None:
        try:
            given = self._given.rules_dirs, self._given.names, self._given.compiled
            scanner = await asyncio.get_running_loop().run_in_executor(self._threads, build_scanner, *given)
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
        size = sum(map(len, texts))
        self._scanned += size
        if self._scanned >= _COMPILE_BYTES:
            self._enough_scanned.set()
        if size <= INLINE_BYTES and len(texts) <= INLINE_TEXTS:
            windows = [scanner.candidates(text) for text in texts]
            given = [one for one in windows if one]
            budget = Budget(self._deadline)
            answers = iter(await self._ask(lambda worker: worker.examine(given, budget)) if given else ())
            return [next(answers) if one else () for one in windows]
        self.expect(size)
        return await self._scan_in_groups(texts, Budget(self._deadline + size / _SLOWEST))

    def expect(self, size: int) -> None:
        """Have a second worker ready where about so many bytes of new texts will be scanned soon and that is worth its start."""
        if size >= _LONG and not self._closed:
            self._hire()

    async def _scan_in_groups(self, texts: Sequence[bytes], budget: Budget) -> list[tuple[Finding, ...]]:
        """Texts in groups, so that another request's groups get their turn in between, and both workers their share.

        The event loop wakes once a group, not once a text.
        """
        turn = asyncio.Semaphore(_AT_ONCE)

        async def scan_group(group: Sequence[bytes]) -> list[tuple[Finding, ...]]:
            async with turn:
                return await self._ask(lambda worker: worker.scan(group, budget))

        tasks = [asyncio.create_task(scan_group(group)) for group in _groups(texts)]
        try:
            return [found for results in await asyncio.gather(*tasks) for found in results]
        finally:
            for task in tasks:
                task.cancel()

    async def close(self) -> None:
        """Kills the workers. Scans under way fail with `ScannerFailed`."""
        self._closed = True
        self._documents.close()
        tasks = [task for task in (*self._starting, self._building, self._compiling) if task is not None]
        for task in tasks:
            task.cancel()
        for worker in (*self._workers, *([self._spare] if self._spare is not None else [])):
            worker.kill()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, question: _Question) -> list[tuple[Finding, ...]]:
        worker = await self._idle.get()
        while worker is not self._spare and worker not in self._workers:  # it was dismissed
            worker = await self._idle.get()
        if self._closed:
            self._idle.put_nowait(worker)
            raise ScannerFailed("the scanner was closed")
        self._busy.add(worker)
        job = asyncio.ensure_future(question(worker))
        # The worker is idle again when its answer is in, even if whoever asked has gone.
        job.add_done_callback(lambda _: self._give_back(worker))
        return await asyncio.shield(job)

    def _give_back(self, worker: Worker) -> None:
        self._busy.discard(worker)
        if worker.alive or self._closed:
            self._idle.put_nowait(worker)
        else:
            self._starting = [task for task in self._starting if not task.done()]
            self._starting.append(asyncio.create_task(self._bring_up(worker)))

    async def _bring_up(self, worker: Worker) -> None:
        try:
            await worker.start()
        finally:
            self._idle.put_nowait(worker)  # a worker that did not start answers with ScannerFailed, then tries again

    def _hire(self) -> None:
        """A second worker for a while, where there is a core for it."""
        loop = asyncio.get_running_loop()
        self._spare_until = loop.time() + _IDLE_SECONDS
        if self._spare is None and (os.cpu_count() or 1) > 1:
            self._spare = Worker(self._context, self._given)
            self._starting = [task for task in self._starting if not task.done()]
            self._starting.append(asyncio.create_task(self._bring_up(self._spare)))
            loop.call_later(_IDLE_SECONDS, self._dismiss)

    def _dismiss(self) -> None:
        """End the second worker if no long text came for a while."""
        loop = asyncio.get_running_loop()
        if self._closed or self._spare is None:
            return
        if loop.time() < self._spare_until or self._spare in self._busy:
            loop.call_at(max(self._spare_until, loop.time() + 1.0), self._dismiss)
            return
        self._spare.end()
        self._spare = None

    async def _compile(self) -> None:
        """Compile the gates once something was scanned, unless a form of them was there, and have everybody use it."""
        scanner = await self.built()
        directory = self._given.compiled
        if directory is None or scanner.accelerated or not multipattern.available():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._enough_scanned.wait(), _COMPILE_SECONDS)
        process: Any = self._context.Process(  # type: ignore[attr-defined]
            target=compile_gates, args=(self._given, os.getpid()), name="localguard-compiler", daemon=True
        )
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, process.start)
            await loop.run_in_executor(self._threads, process.join, _COMPILE_MOST)
        except OSError as error:
            log.warning("the gates could not be compiled (%s); scanning is slower without", error.strerror)
            return
        finally:
            if process.pid is not None:
                process.kill()
        if await loop.run_in_executor(self._threads, compiled_gates.use, scanner, directory):
            await asyncio.gather(*(worker.use_compiled() for worker in self._workers))
        else:
            log.warning("the gates could not be compiled; scanning is slower without")


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
