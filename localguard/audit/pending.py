"""A record on its way to the disk, and how whoever waits for it is told: once, when the commit it went with is over."""

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

from localguard.audit.record import Section
from localguard.audit.schema import LogUnavailable


class Receipt(NamedTuple):
    """Proof that a record is durable. ``seq`` counts from 1 without gaps; ``time`` is RFC 3339; ``leaf_hash`` has 32 bytes."""

    seq: int
    time: str
    leaf_hash: bytes


Waiter = Future[Receipt] | asyncio.Future[Receipt] | None
"""Who waits: a thread, a task of an event loop, or nobody."""


@dataclass(slots=True)
class Pending:
    """A sealed record that waits for its commit."""

    kind: str
    time: str
    exchange: str | None
    session: str | None
    sections: tuple[Section, Section, Section]
    size: int
    """Bytes of the sections."""
    waiter: Waiter = None


def thread_waiter() -> Future[Receipt]:
    """A future for threads that cannot be cancelled: the record is written whether or not the caller still waits."""
    waiter: Future[Receipt] = Future()
    waiter.set_running_or_notify_cancel()
    return waiter


def tell(batch: Sequence[Pending], result: Sequence[Receipt] | LogUnavailable) -> None:
    """Give everyone who waits for a record of `batch` its receipt, or all the same failure.

    An event loop is woken once, however many of its tasks wait; what is cancelled or closed meanwhile is not told.
    """
    told: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Receipt], Receipt | LogUnavailable]]] = {}
    for index, pending in enumerate(batch):
        # each its own failure: an exception that is raised in several threads grows their tracebacks
        one = type(result)(str(result)) if isinstance(result, LogUnavailable) else result[index]
        waiter = pending.waiter
        if isinstance(waiter, Future):
            _settle_thread(waiter, one)
        elif waiter is not None:
            told.setdefault(waiter.get_loop(), []).append((waiter, one))
    for loop, waiters in told.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_settle_tasks, waiters)


def _settle_thread(waiter: Future[Receipt], result: Receipt | LogUnavailable) -> None:
    if isinstance(result, LogUnavailable):
        waiter.set_exception(result)
    else:
        waiter.set_result(result)


def _settle_tasks(waiters: Sequence[tuple[asyncio.Future[Receipt], Receipt | LogUnavailable]]) -> None:
    for waiter, result in waiters:
        if waiter.done():
            continue
        if isinstance(result, LogUnavailable):
            waiter.set_exception(result)
        else:
            waiter.set_result(result)
