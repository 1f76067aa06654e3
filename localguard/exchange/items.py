"""What is known of one history item of a body, and of what was replaced in it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from localguard.detect.finding import Finding
from localguard.exchange.claims import Claims


class Replaced(NamedTuple):
    """Values of one kind that were replaced at one place: for the log, without the value.

    `fingerprint` is keyed; `sweep` says that the value was known from elsewhere and not found here.
    """

    type: str
    data_class: str
    rule: str
    location: str
    fingerprint: str
    sweep: bool


@dataclass(frozen=True, slots=True)
class Output:
    """A history item as it goes upstream under one set of actions."""

    generation: int
    """Of the vault: every distinctive value that it knew then was looked for."""
    redacted: bytes | None
    """None: the item's own bytes, unchanged."""
    replaced: tuple[Replaced, ...]


@dataclass(slots=True)
class Item:
    """What is known of one history item (or other member) of a body, by the digest of its bytes."""

    findings: tuple[tuple[int, tuple[Finding, ...]], ...]
    """Index of a boundary text within the item, and what was found in it. Texts without findings are left out."""
    types: frozenset[str]
    """Types and classes found: policy decides on them."""
    plain: bool
    """Every value in the decoded texts stands with the same letters and digits in the raw bytes."""
    leaves: int
    opaque: int
    attached_bytes: int
    """Of attachments, as they stand there in base64."""
    tools: tuple[str, ...]
    attachments: frozenset[str]
    unread: frozenset[str]
    """Kinds of those attachments that nobody looked through, or in which something was found."""
    instructions: tuple[tuple[str, str], ...]
    held: frozenset[str]
    """Classes of what was found at places that cannot be rewritten."""
    opening: tuple[str, str] | None
    """Where the system or the user speaks: who, and the keyed fingerprint of what is said."""
    references: tuple[str, ...]
    """Ids of items held by the provider that it names."""
    claims: Claims
    """What it says about the place of the work."""
    outputs: dict[tuple[str, ...], Output] = field(default_factory=dict)
    sent: bool = False
