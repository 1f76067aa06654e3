"""Where batches go: one small interface. The rule of every sink: a batch is acknowledged once it is durable there, not before."""

from dataclasses import dataclass
from typing import Protocol

from localguard.errors import LocalguardError
from localguard.sync.batch import Batch


class SinkUnavailable(LocalguardError):
    """The sink could not take the batch now: try again later, nothing is lost. `after`: seconds that it asks to wait."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class SinkRefused(LocalguardError):
    """The sink will not take the batch however often it is sent.

    `code` says why in a word: rollback, fork, clone, gap, revoked, …
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a sink holds of this device: the first `size` records from where sync began. `note`: a checkpoint that it cosigned."""

    size: int
    note: bytes | None = None


class Sink(Protocol):
    """Takes batches of one device, in order. Blocking; `close` may be called from another thread to end a call that runs."""

    signs_of_life: bool
    """Whether a batch without records is of use to it."""
    pause: float
    """Seconds between two batches that it wants at least, unless there is a backlog."""

    def resume(self) -> Receipt | None:
        """What it holds; None where it holds nothing yet, or cannot tell. Raises SinkUnavailable, SinkRefused."""

    def write(self, batch: Batch) -> Receipt:
        """Make a batch durable there. The same batch twice is held once. Raises SinkUnavailable, SinkRefused."""

    def close(self) -> None:
        """Give connections back. Twice is fine."""
