"""How the log's writer paces itself, and what may wait for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How the writer paces itself. Seconds and counts."""

    queued: int = 10_000
    """Records that may wait; the next one is refused with `LogUnavailable`."""
    queued_bytes: int = 64 * 1024 * 1024
    """Bytes of sections that may wait."""
    batch: int = 1_000
    checkpoint_every: int = 1_000
    """Records between two checkpoints."""
    company_delay: float = 0.002
    """How long an intent may wait for company that is known to come."""
    outcome_delay: float = 0.2
    """How long an outcome may wait for company."""
    metadata_calls_every: float = 10.0
    metadata_call_kinds: int = 1_000
    """Kinds of metadata calls counted apart in one interval; further ones are counted together."""
    busy: float = 2.0
    """How long a commit waits for another process that holds the database."""
