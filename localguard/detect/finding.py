"""What detection says: findings as byte spans, and the windows in which they are looked for."""

from dataclasses import dataclass
from enum import StrEnum


class DataClass(StrEnum):
    """What kind of harm a disclosed value does; policy obligations are named after these."""

    SECRET = "secret"  # noqa: S105 - the name of a class, not a credential
    PII = "pii"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sensitive value in one text.

    `start` and `end` are byte offsets into the UTF-8 text, half open, and hold the value alone: not its key, not its
    quotes. `type` matches `[A-Z][A-Z0-9_]{0,27}` and becomes part of the placeholder. `rule` names what found it
    (`github/pat`, `detect-secrets/aws`, `presidio/iban`). `distinctive` says that the value may be swept everywhere:
    an issuer's pattern or checksum matched, or it is long and mixed enough and no common word.
    """

    start: int
    end: int
    type: str
    data_class: DataClass
    rule: str
    distinctive: bool


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a text that holds at least one gate match.

    `start` and `end` are byte offsets into the whole text and `text` is the bytes between them. `gates` names the
    detectors whose gate matched inside. `cut_left` and `cut_right` say that the window ends inside a line (very long
    lines are cut around the match): what touches such an edge is not trusted.
    """

    start: int
    end: int
    text: bytes
    gates: tuple[str, ...]
    cut_left: bool = False
    cut_right: bool = False
