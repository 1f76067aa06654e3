"""Does a batch go on from what is known of its device? Pure: what is known goes in, a verdict comes out.

duplicate   it ends where a checkpoint was cosigned already, with the same root: it is acknowledged once more
accepted    its history contains the known one; records that are known already are left out
gap         it begins behind the next record
rollback    its log is shorter than what was cosigned: an older copy was put back, or the end was cut off
fork        its log is another one than what was cosigned: records were rewritten
clone       one of the last two, and another installation sends it than before: the key is in use twice
"""

from dataclasses import dataclass

from localguard.audit.merkle import Frontier
from localguard.errors import LocalguardError
from localguard.sync.batch import Opened


@dataclass(frozen=True, slots=True)
class Known:
    """The end of a device's history as it was cosigned. `start`: records before it never came, as nobody agreed to it."""

    start: int
    size: int
    root: bytes
    instance: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """What to store: the lines behind the first `skip`."""

    skip: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Everything of it is here already."""


class Discontinuous(LocalguardError):
    """A batch does not go on from what is known. `code` is gap, rollback, fork or clone."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def judge(known: Known | None, opened: Opened, cosigned: bytes | None) -> Accepted | Duplicate:
    """Raises Discontinuous.

    `cosigned`: the root that was cosigned for exactly as many records as the batch ends at, if one was.
    """
    head = opened.head
    if known is None:
        return Accepted(0)
    if head.last < known.size:
        if cosigned is not None and cosigned != opened.checkpoint.root:
            raise _broken("fork", known, opened)
        if cosigned is None or not opened.lines:  # a sign of life says how long the log is now
            raise _broken("rollback", known, opened)
        return Duplicate()
    if head.first - 1 > known.size:
        raise Discontinuous("gap", f"The next record is {known.size + 1}, the batch begins with {head.first}.")
    skip = known.size - (head.first - 1)
    tree = Frontier(head.first - 1, head.frontier)
    for line in opened.lines[:skip]:
        tree.append(line.leaf_hash)
    if tree.root() != known.root:
        raise _broken("fork", known, opened)
    if head.last == known.size and skip:
        return Duplicate()
    return Accepted(skip)


_MESSAGES = {
    "fork": "The log was rewritten: its first {} records are not those that were cosigned.",
    "rollback": "The log has {} records and {} were cosigned: an older copy was put back, or its end was cut off.",
    "clone": "Two installations use the same key, with different logs. Revoke the device and enrol both anew.",
}


def _broken(code: str, known: Known, opened: Opened) -> Discontinuous:
    if opened.head.instance != known.instance:
        return Discontinuous("clone", _MESSAGES["clone"])
    if code == "fork":
        return Discontinuous(code, _MESSAGES[code].format(known.size))
    return Discontinuous(code, _MESSAGES[code].format(opened.head.last, known.size))
