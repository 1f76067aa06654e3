"""Carries an agreement out: batch after batch, from what the sink holds on, one step at a time. Blocking; knows no event loop.

Exactly once, whatever is cut off where: a step begins at what the *sink* says it holds, and a sink holds a batch once however
often it comes. What this machine remembers of it is only told to people.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from localguard.audit.schema import LogUnavailable
from localguard.errors import LocalguardError
from localguard.sync.agreement import Agreement, Agreements, Progress
from localguard.sync.backoff import CEILING, delay
from localguard.sync.log_reader import LogReader
from localguard.sync.sink import Receipt, Sink, SinkRefused, SinkUnavailable


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between steps."""

    quiet: float = 5.0
    """Where everything was sent: so long until the next look."""
    life: float = 900.0
    """After so long without a record the sink is told that the machine is there."""
    between: float = 0.02
    """Between two batches of a backlog: the machine's agents go first."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: records that were acknowledged, and seconds until the next step."""

    sent: int
    wait: float
    problem: LocalguardError | None = None


class Sender:
    """Sends the records of one home to one sink. For one thread at a time; `close` from any."""

    def __init__(
        self,
        reader: LogReader,
        sink: Sink,
        agreement: Agreement,
        agreements: Agreements,
        *,
        now: Callable[[], str],
        pace: Pace | None = None,
        share: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._sink = sink
        self._agreement = agreement
        self._agreements = agreements
        self._now = now
        self._pace = pace or Pace()
        self._share = share
        self._monotonic = monotonic
        self._size: int | None = None
        """Records that the sink holds; None where it has to be asked."""
        self._told = monotonic() - self._pace.life
        self._progress = agreements.progress()
        self._closed = False

    def step(self) -> Step:
        """Send one batch at most. Never raises for what a sink or the log does: it says when to try again."""
        try:
            sent, wait = self._step()
        except SinkRefused as refused:
            self._size = None
            if self._closed:
                return Step(0, CEILING)
            failures = self._progress.failures + 1
            # what is wrong may be put right over there; a gap is only a place to go on from
            wait = delay(failures, self._share()) if refused.code == "gap" else CEILING * (0.5 + self._share() / 2)
            self._note(replace(self._progress, problem=str(refused), code=refused.code, failures=failures))
            return Step(0, wait, refused)
        except (SinkUnavailable, LogUnavailable) as error:
            self._size = None  # an acknowledgement may have been lost
            if self._closed:
                return Step(0, CEILING)
            failures = self._progress.failures + 1
            self._note(replace(self._progress, problem=str(error), code=None, failures=failures))
            return Step(0, delay(failures, self._share(), getattr(error, "after", 0.0)), error)
        return Step(sent, wait)

    def close(self) -> None:
        """End the step that runs, and all others. What was acknowledged by then counts."""
        self._closed = True
        self._sink.close()

    def _step(self) -> tuple[int, float]:
        if self._size is None:
            held = self._sink.resume()
            self._size = held.size if held is not None else self._agreement.since
            if held is not None and held.note is not None:
                self._note(replace(self._progress, size=held.size), held.note)
        if self._closed:
            return 0, CEILING
        batch = self._reader.batch(self._size, self._agreement.disclosure)
        records = batch.head.last - batch.head.first + 1
        if batch.head.last < self._size and not self._sink.signs_of_life:
            raise SinkRefused(
                "rollback",
                f"The log has {batch.head.last} records and the sink holds {self._size}: an older copy was put back.",
            )
        due = self._monotonic() - self._told >= self._pace.life or batch.head.last < self._size
        if not records and not (due and self._sink.signs_of_life):
            if self._progress.size != self._size or self._progress.problem is not None:
                self._note(replace(self._progress, size=self._size, problem=None, code=None, failures=0))
            return 0, self._pace.quiet
        receipt = self._acknowledged(self._sink.write(batch), batch.head.last)
        self._size = receipt.size
        self._told = self._monotonic()
        self._note(Progress(size=receipt.size, sent=self._now()), receipt.note)
        if records and batch.head.last < self._reader.size():
            return records, self._pace.between
        return records, max(self._pace.quiet, self._sink.pause)

    @staticmethod
    def _acknowledged(receipt: Receipt, expected: int) -> Receipt:
        if receipt.size < expected:
            raise SinkUnavailable("The sink acknowledged less than it was sent.")
        return receipt

    def _note(self, progress: Progress, anchor: bytes | None = None) -> None:
        self._progress = progress
        if self._closed:
            return
        try:
            self._agreements.note(progress, anchor)
        except OSError:
            return  # it is told to people only
