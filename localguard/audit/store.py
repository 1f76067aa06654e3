"""The durable log: `Store.append` answers once the record is on disk, and never before.

One writer thread owns the one connection that writes. Records that wait while a commit is under way go into the next one
together (group commit), so durability costs one fsync for many records and nothing is delayed on purpose. Outcomes may wait
a moment for company; intents, refusals and control records wake the writer at once.

After a failed write the connection is closed, everyone in that batch is told, and the next record tries afresh: the guard
recovers by itself when the disk has room again. What this does not protect against: whoever may write the file may change
it. The tree and the checkpoints over the leaf hashes make that visible.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from localguard.audit import record
from localguard.audit.bell import NEVER, Bell
from localguard.audit.checkpoint import DeviceKey
from localguard.audit.entropy import RandomBytes
from localguard.audit.limits import Limits
from localguard.audit.lock import GuardLock
from localguard.audit.log_end import LogEnd
from localguard.audit.merkle import Frontier
from localguard.audit.metadata_calls import MetadataCallKind, MetadataCalls, metadata_of
from localguard.audit.pending import Pending, Receipt, tell, thread_waiter
from localguard.audit.record import KINDS, RecordInvalid, Scrub
from localguard.audit.recovery import unknown_outcomes
from localguard.audit.retention import Retention, empty_wal
from localguard.audit.schema import (
    MOVED,
    LogUnavailable,
    connect_writer,
    identity,
    keep_derived,
    migrate,
    unavailable,
)

T = TypeVar("T")

__all__ = ["Clock", "Limits", "Receipt", "Store"]

Clock = Callable[[], datetime]
"""Wall time with a time zone."""


class Store:
    """The log of one home, open for writing. Every method may be called from any thread."""

    def __init__(self, path: Path, *, clock: Clock, scrub: Scrub | None = None, limits: Limits | None = None) -> None:
        """Open the log at ``path`` (created with mode 0600), take the home's lock, close what the last run left open.

        ``scrub`` sees every text before it is recorded. Intents that have no outcome get one with the state ``unknown``.
        Raises `AlreadyRunning`, `LogUnavailable` (`LogCorrupted`); nothing stays open or locked then.
        """
        self._path = path
        self._clock = clock
        self._scrub = scrub
        self._limits = limits or Limits()
        self._salts = RandomBytes()
        self._queue: deque[Pending] = deque()
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._bell = Bell(company=self._limits.company_delay, look=self._limits.outcome_delay)
        self._over = threading.Condition(self._lock)
        self._taken = self._settled = 0
        """Records that were queued, and those of them that are durable or have failed."""
        self._closing = False
        self._outcomes_due = NEVER
        self._calls = MetadataCalls(
            every=self._limits.metadata_calls_every, most_kinds=self._limits.metadata_call_kinds
        )
        self._failure: LogUnavailable | None = None
        self._connection: sqlite3.Connection | None = None
        self._files: tuple[int, ...] = ()
        self._end = LogEnd()
        self._signer: DeviceKey | None = None
        self._jobs: deque[tuple[Callable[[sqlite3.Connection], Any], Future[Any], bool]] = deque()
        """What is to be done on the writer's connection, its answer, and whether a checkpoint goes before it."""
        self.recovered = 0
        """Intents that the last run left without outcome."""
        try:
            self._home = GuardLock(path.with_name("guard.lock"))
        except OSError as error:
            raise unavailable(error, path) from error
        try:
            self._connect(create=True)
            self._close_open_exchanges()
        except BaseException as error:
            self._disconnect()
            self._home.release()
            if isinstance(error, sqlite3.Error | OSError):
                raise unavailable(error, path) from error
            raise
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path, *, clock: Clock, scrub: Scrub | None = None, limits: Limits | None = None) -> Self:
        """The same as the constructor; use it with ``with``, or call `close`."""
        return cls(path, clock=clock, scrub=scrub, limits=limits)

    def as_recorded(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Texts by name as a record would have them: without raw values. Raises RecordInvalid."""
        return record.as_recorded(texts, self._scrub)

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def failure(self) -> LogUnavailable | None:
        """Why the last commit failed, or None where it succeeded: for health and status."""
        return self._failure

    def append(
        self,
        kind: str,
        *,
        exchange: str | None = None,
        session: str | None = None,
        metadata: Mapping[str, object],
        findings: Sequence[object] = (),
        local: Mapping[str, object] | None = None,
    ) -> "Future[Receipt]":
        """Queue a record; the future resolves when it is durable, and fails with `LogUnavailable` if it cannot be written.

        ``exchange`` and ``session`` become part of ``metadata``; intents, outcomes and refusals need an exchange. The content
        is copied before this returns. The future cannot be cancelled. Raises `RecordInvalid` at once, with nothing queued.
        """
        pending = self._seal(kind, exchange, session, metadata, findings, local or {}, self._scrub)
        pending.waiter = waiter = thread_waiter()
        self._queue_up(pending)
        self._bell.ring()
        return waiter

    async def durable(
        self,
        kind: str,
        *,
        crowded: bool = False,
        exchange: str | None = None,
        session: str | None = None,
        metadata: Mapping[str, object],
        findings: Sequence[object] = (),
        local: Mapping[str, object] | None = None,
    ) -> Receipt:
        """`append` for a task of an event loop: returns once the record is durable.

        The records of one turn of the loop go into one commit, and all tasks that wait for it are woken together; one that
        is `crowded` by others about to come waits two milliseconds for them at most. Cancelling gives up waiting; the
        record is written.
        """
        pending = self._seal(kind, exchange, session, metadata, findings, local or {}, self._scrub)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Receipt] = loop.create_future()
        pending.waiter = waiter
        self._queue_up(pending)
        self._bell.ring_after_turn(crowded=crowded)
        return await waiter

    def note(
        self,
        kind: str,
        *,
        exchange: str | None = None,
        session: str | None = None,
        metadata: Mapping[str, object],
        findings: Sequence[object] = (),
        local: Mapping[str, object] | None = None,
    ) -> None:
        """`append` for who does not wait: `failure` says whether the last commit succeeded."""
        self._queue_up(self._seal(kind, exchange, session, metadata, findings, local or {}, self._scrub))
        if kind != "outcome":
            self._bell.ring()

    def count_metadata_call(
        self, endpoint: str, method: str, path_template: str, status: int, workspace: str | None
    ) -> None:
        """Count a bodiless, queryless call; all of one interval (10 s) become one `control` record, ``metadata-calls``.

        Returns at once. The counts are kept while the log cannot be written; those of the last seconds before a kill are lost.
        """
        call = MetadataCallKind(endpoint, method, path_template, status, workspace)
        with self._lock:
            if self._calls.count(call, record.timestamp(self._clock())):
                self._bell.nudge()

    def sign_with(self, key: DeviceKey) -> None:
        """Sign a checkpoint every `Limits.checkpoint_every` records and at the end, from now on."""
        self._signer = key

    @property
    def signs(self) -> bool:
        """Whether it has a key to sign checkpoints with."""
        return self._signer is not None

    def checkpoint(self) -> None:
        """Write a checkpoint of what is durable, and wait for it; nothing where the last record is one, or without a key."""
        self._on_writer(lambda _: None, checkpoint=True)

    def prune(self, retention: Retention, before: str) -> int:
        """Drop the sections that `retention` names from records before a time; returns how many records lost some.

        Hashes stay, so that the tree and every proof hold. In bounded steps, between which records are written. Blocks. A copy stays in the
        WAL while a reader is in the middle of it, at the latest until the log is closed.
        Raises LogUnavailable; what was dropped by then stays dropped.
        """
        pruned = 0
        while step := self._on_writer(lambda connection: retention.step(connection, before)):
            pruned += step
        if pruned:
            self._on_writer(empty_wal)
        return pruned

    def _on_writer(self, job: "Callable[[sqlite3.Connection], T]", *, checkpoint: bool = False) -> "T":
        """What `job` answers, run by the writer after everything that was appended before it is durable. Blocks."""
        done: Future[T] = Future()
        with self._lock:
            if self._closing:
                raise LogUnavailable("The audit log is closed: the guard is stopping.")
            self._jobs.append((job, done, checkpoint))
            self._bell.ring()
        return done.result()

    def flush(self) -> None:
        """Wait until everything that was appended before is durable or has failed."""
        with self._lock:
            queued = self._taken
            self._bell.ring()
            self._over.wait_for(lambda: self._settled >= queued)

    def close(self) -> None:
        """Write what waits, check the WAL into the database, free the lock. Twice is fine.

        What cannot be written any more has failed futures. Appends after this fail.
        """
        with self._lock:
            self._closing = True
            self._bell.ring()
        self._thread.join()
        self._home.release()

    # -- in the caller's thread -------------------------------------------------------------------------------------

    def _seal(
        self,
        kind: str,
        exchange: str | None,
        session: str | None,
        metadata: Mapping[str, object],
        findings: Sequence[object],
        local: Mapping[str, object],
        scrub: Scrub | None,
    ) -> Pending:
        if kind not in KINDS:
            raise RecordInvalid(f"kind: {kind!r} is none of {', '.join(KINDS)}")
        if exchange is None and kind in ("intent", "outcome", "refusal"):
            raise RecordInvalid(f"exchange: an {kind} needs one")
        ids = {"exchange": exchange, "session": session}
        sealed = record.seal_record(metadata, findings, local, ids, self._salts.take(3 * record.SALT_BYTES), scrub)
        size = sum(len(section.text) for section in sealed.sections)
        return Pending(kind, record.timestamp(self._clock()), sealed.exchange, sealed.session, sealed.sections, size)

    def _queue_up(self, pending: Pending) -> None:
        with self._lock:
            if self._closing:
                refused = LogUnavailable("The audit log is closed: the guard is stopping.")
            elif (
                len(self._queue) >= self._limits.queued or self._queued_bytes + pending.size > self._limits.queued_bytes
            ):
                refused = LogUnavailable("The audit log cannot keep up: too many records wait. Try again.")
            else:
                self._queue.append(pending)
                self._queued_bytes += pending.size
                self._taken += 1
                if pending.kind == "outcome" and self._outcomes_due == NEVER:
                    self._outcomes_due = time.monotonic() + self._limits.outcome_delay
                    self._bell.nudge_if_resting()
                return
        tell([pending], refused)

    # -- in the writer thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._bell.wait(lambda: min(self._outcomes_due, self._calls.due))
            with self._lock:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._limits.batch))]
                queued = len(batch)
                self._queued_bytes -= sum(pending.size for pending in batch)
                last = self._closing and not self._queue
                self._bell.urgent = bool(self._queue) or self._closing
                jobs = [] if self._queue else [self._jobs.popleft() for _ in range(len(self._jobs))]
                due = last or any(checkpoint for _, _, checkpoint in jobs)
                self._outcomes_due = NEVER
                calls, since = self._calls.take(last=last)
            if calls:
                batch += self._metadata_calls(calls, since)
            if (batch or self._to_sign(0, due)) and not self._commit(batch, due) and calls:
                with self._lock:
                    self._calls.give_back(calls, since)
            with self._lock:
                self._settled += queued
                self._over.notify_all()
            for job, done, _ in jobs:
                self._do(job, done)
            if last:
                self._disconnect()
                return

    def _do(self, job: Callable[[sqlite3.Connection], Any], done: "Future[Any]") -> None:
        try:
            if self._connection is None:
                self._connect(create=False)
            assert self._connection is not None
            done.set_result(job(self._connection))
        except sqlite3.Error as error:
            self._disconnect()
            done.set_exception(unavailable(error, self._path))
        except Exception as error:
            done.set_exception(error)

    def _to_sign(self, more: int, due: bool) -> bool:
        """Whether a checkpoint follows, after `more` records that are not durable yet."""
        if self._signer is None:
            return False
        unsigned = self._end.tree.size + more - self._end.signed
        return unsigned >= self._limits.checkpoint_every or (due and unsigned > 0)

    def _commit(self, batch: list[Pending], checkpoint_due: bool) -> bool:
        """All or nothing: one transaction for the batch, then the receipts, or the same error for everyone."""
        try:
            if self._connection is None:
                self._connect(create=False)
            receipts = self._write(batch, checkpoint_due)
            if self._files != identity(self._path):
                raise LogUnavailable(MOVED)
        except Exception as error:
            failure = error if isinstance(error, LogUnavailable) else unavailable(error, self._path)
            self._failure = failure
            self._disconnect()
            tell(batch, failure)
            return False
        self._failure = None
        tell(batch, receipts)
        return True

    def _write(self, batch: Sequence[Pending], checkpoint_due: bool = False) -> list[Receipt]:
        """Make the batch durable, and a checkpoint behind it if one is due. Returns the batch's receipts."""
        if self._connection is None:
            raise LogUnavailable("The audit log is not open.")
        signing = self._signed_checkpoint if self._to_sign(len(batch), checkpoint_due) else None
        return self._end.write(self._connection, batch, checkpoint=signing)

    def _signed_checkpoint(self, tree: Frontier) -> Pending:
        assert self._signer is not None
        metadata = self._signer.checkpoint(tree.size, tree.root(), record.timestamp(self._clock()))
        return self._seal("checkpoint", None, None, metadata, (), {}, None)

    def _connect(self, *, create: bool) -> None:
        self._connection = connect_writer(self._path, create=create, busy_seconds=self._limits.busy)
        migrate(self._connection)
        keep_derived(self._connection)
        self._end = LogEnd.of(self._connection)
        self._files = identity(self._path)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # what cannot be checked in now stands in the WAL
                connection.close()

    def _close_open_exchanges(self) -> None:
        """Every intent that the last run left open gets its outcome, all in one transaction."""
        assert self._connection is not None
        batch = [
            self._seal("outcome", exchange, session, metadata, (), {}, None)
            for exchange, session, metadata in unknown_outcomes(self._connection)
        ]
        if batch:
            self._write(batch)
        self.recovered = len(batch)

    def _metadata_calls(self, calls: "Counter[MetadataCallKind]", since: str) -> list[Pending]:
        try:
            return [self._seal("control", None, None, metadata_of(calls, since), (), {}, self._scrub)]
        except RecordInvalid as error:  # the scrub failed: the writer lives on, and unscrubbed text is not written
            self._failure = LogUnavailable(f"Metadata calls could not be recorded: {error}")
            return []
