"""What a report says, as values: no markup, no advice in colours, nothing that a reader could not check in the log.

Texts are fit to be shown (`display.one_line`); money is USD; times are those of records (RFC 3339, UTC).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from localguard.audit.outcomes import Line

OTHERS = "(others)"
"""Stands for all names beyond those that are kept apart."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What was asked for: from `start` up to, not with, `end`; one workspace or one session only, where named."""

    start: str
    end: str
    workspace: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The period in single numbers. Values are counted as often as they were replaced; agents send their history again and again."""

    records: int = 0
    exchanges: int = 0
    refused: int = 0
    sessions: int = 0
    more_sessions: bool = False
    """There were more sessions than are counted."""
    replaced: int = 0
    distinct: int = 0
    """Different values among the replaced ones, by workspace."""
    more_distinct: bool = False
    exposed: int = 0
    """Different values that had gone out before they were known."""
    restored: int = 0
    withheld: int = 0
    pruned: int = 0
    """Records of which only hashes are left."""
    unended: int = 0
    """Without an outcome yet."""


@dataclass(frozen=True, slots=True)
class Row:
    """One name's count over time: `counts` has one number for each slot of the timeline. `exchanges` had at least one."""

    name: str
    total: int
    exchanges: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Redactions:
    """What was replaced, over time and four ways of looking at it."""

    step: str
    """`hour`, `day`, `week` or `month`."""
    slots: tuple[str, ...]
    """Where each slot begins."""
    exchanges: tuple[int, ...]
    by_type: tuple[Row, ...]
    by_workspace: tuple[Row, ...]
    by_agent: tuple[Row, ...]
    by_class: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class RefusedFor:
    """Requests that were refused for the same thing. `exchange` is the newest of them that has an id."""

    code: str
    origin: str
    rule: str
    reason: str
    next_step: str
    count: int
    last: str
    exchange: str | None


@dataclass(frozen=True, slots=True)
class Flow:
    """What left from a repository (else its workspace) to an endpoint."""

    source: str
    endpoint_class: str
    target: str
    """The endpoint, with its kind where the name does not say it."""
    exchanges: int
    bytes: int
    replaced: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was looked at, by wire format."""

    wire: str
    exchanges: int
    leaves: int
    opaque: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at, and what was not."""

    by_wire: tuple[Coverage, ...] = ()
    attachments: Mapping[str, int] = field(default_factory=dict)
    """Kind to exchanges that had one."""
    paused: int = 0
    """Exchanges that a person let go out as they were."""
    unlisted: int = 0
    """Exchanges whose findings policy keeps out of the log."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value that was found, known by its keyed fingerprint only."""

    fingerprint: str
    type: str
    data_class: str
    rule: str
    count: int
    exchanges: int
    first: str
    last: str
    workspace: str
    exposed: bool
    exchange: str
    """The newest exchange that held it."""
    finding: int
    """Which of that exchange's values it is, as `allow add --finding` counts; 0 where there is no other."""
    advice: "tuple[Advice, ...]" = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a value, and the command to type (empty where there is none)."""

    what: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """Whose key paid and answered for what."""

    credential: str
    identity: str
    endpoint: str
    workspace: str
    sensitivity: str
    exchanges: int
    last: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What a bucket, a model or a task cost."""

    name: str
    exchanges: int
    cost_usd: Decimal
    guessed_usd: Decimal
    """Of the cost, what was priced by the high price of models that nobody priced."""
    tokens: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Verification:
    """What is known of the log itself, by how much of it was looked at."""

    looked_at: Literal["records", "checkpoint", "nothing"]
    """Every record was hashed anew; or the newest checkpoint and the tree that it is about; or there is none."""
    good: bool
    said: str
    steps: tuple[tuple[bool, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """All that a report shows."""

    version: str
    made: str
    scope: Scope
    first: str
    last: str
    """Times of the first and the last record in it, empty where there is none."""
    totals: Totals
    redactions: Redactions
    refusals: tuple[RefusedFor, ...]
    flows: tuple[Flow, ...]
    looked: Looked
    values: tuple[Value, ...]
    keys: tuple[KeyUse, ...]
    by_bucket: tuple[Spent, ...]
    by_model: tuple[Spent, ...]
    by_task: tuple[Spent, ...]
    failures: Mapping[str, int]
    """Where failures came from."""
    outcomes: Mapping[str, tuple[Line, ...]]
    """By axis: workflow, model, endpoint."""
    verification: Verification
