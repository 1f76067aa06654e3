"""How the body of a reply is cut, as far as its first bytes tell."""

import re
from enum import Enum

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


class Framing(Enum):
    """How a reply's body is cut."""

    UNDECIDED = "undecided"
    SSE = "sse"
    NDJSON = "ndjson"
    JSON = "json"
    TEXT = "text"
    VERBATIM = "verbatim"


def of_file(head: bytes | bytearray) -> Framing:
    """How the content of a file is cut, by its first bytes: JSON lines (a batch's results), text, or nothing that is read."""
    if head[:1] == b"{" and head[1:2] not in (b"\n", b"\r"):
        return Framing.NDJSON
    return Framing.VERBATIM if _CONTROL.search(head) else Framing.TEXT
