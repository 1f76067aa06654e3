"""Changes of the log's file, at random: no record that an anchor covers reads otherwise without `verify` saying so.

Bits and runs of bytes, pages in another order, a file cut off, cells of the database set to something else, rows swapped and deleted,
and records rewritten with every hash and signature made anew by whoever has the device's key.
"""

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from localguard.audit import record
from localguard.audit.queries import Log
from localguard.audit.schema import LogUnavailable
from localguard.audit.verify import verify
from tests.audit.test_tamper import anchor_of, append, forge

_PAGE = 8192
_FILL = 60
"""Exchanges before the anchor and after it."""

Dump = list[tuple[object, ...]]


@dataclass(slots=True)
class Result:
    """What a campaign saw; `problems` is empty where everything was found that an anchor covers."""

    found: Counter[str] = field(default_factory=Counter)
    """With the anchor, by kind of change."""
    alone: Counter[str] = field(default_factory=Counter)
    """Of those, how many are found without it."""
    harmless: Counter[str] = field(default_factory=Counter)
    """No record below the anchor reads otherwise (an unused byte, a record above it, the same value again)."""
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for a person a kind, then the problems."""
        lines = [
            f"{kind}: {self.found[kind]} found ({self.alone[kind]} without the anchor), {self.harmless[kind]} changed no record below it"
            for kind in sorted({*self.found, *self.harmless})
        ]
        total = self.found.total() + self.harmless.total()
        return "\n".join([*lines, f"{total} changes, {len(self.problems)} problems", *self.problems[:20]])


def damage(folder: Path, changes: int, *, seed: int) -> Result:
    """Make so many changes, each of a fresh copy of a log below `folder`, and look whether they are found."""
    chance = random.Random(seed)
    result = Result()
    original = folder / "original.db"
    append(original, _FILL)
    older = folder / "older.db"
    shutil.copy(original, older)
    append(original, _FILL)
    anchor = anchor_of(original)
    with Log(original) as log:
        covered = log.tail(1)[0].seq - 1
    append(original, _FILL)
    before = _dump(original, covered)
    path = folder / "audit.db"
    kinds = list(CHANGES)
    for number in range(changes):
        kind = kinds[number % len(kinds)]
        shutil.copy(original, path)
        if kind == "rolled back":
            shutil.copy(older, path)
            if chance.random() < 0.5:
                append(path, chance.randint(1, 2 * _FILL), model="gpt-4")
        else:
            CHANGES[kind](path, chance)
        changed = _reads_otherwise(before, _dump(path, covered))
        if _is_consistent(path, [anchor]):
            result.harmless[kind] += 1
            if changed:
                result.problems.append(f"change {number} ({kind}): a record reads otherwise, and verify says nothing")
        else:
            result.found[kind] += 1
            result.alone[kind] += not _is_consistent(path, [])
        for name in ("audit.db", "audit.db-wal", "audit.db-shm", "guard.lock"):
            path.with_name(name).unlink(missing_ok=True)
    return result


def _reads_otherwise(before: Dump | None, after: Dump | None) -> bool:
    """Whether a record says something else than it did. A section that is gone says nothing: pruning does that, and is counted."""
    if before is None or after is None or len(before) != len(after):
        return before != after
    sections = slice(5, 8)
    for old, new in zip(before, after, strict=True):
        kept = tuple(one if two is not None else None for one, two in zip(old[sections], new[sections], strict=True))
        if (*old[:5], *kept, *old[8:]) != new:
            return True
    return False


def _is_consistent(path: Path, anchors: list[bytes]) -> bool:
    try:
        return verify(path, anchors=anchors).consistent
    except LogUnavailable:
        return False


def _dump(path: Path, covered: int) -> Dump | None:
    """Everything that the records say that the anchor covers; None where they cannot be read."""
    connection = sqlite3.connect(path)
    try:
        columns = "seq, kind, time, exchange, session, metadata, findings, local, leaf_hash"
        return connection.execute(f"SELECT {columns} FROM records WHERE seq <= ? ORDER BY seq", (covered,)).fetchall()
    except sqlite3.Error:
        return None
    finally:
        connection.close()


def _bits(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 1, 8))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _run(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    start = chance.randrange(len(content))
    length = chance.choice((4, 64, 512, _PAGE))
    content[start : start + length] = chance.choice((bytes, chance.randbytes))(len(content[start : start + length]))
    path.write_bytes(content)


def _pages(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    pages = [content[at : at + _PAGE] for at in range(0, len(content), _PAGE)]
    one, other = chance.sample(range(len(pages)), 2)
    pages[one], pages[other] = pages[other], pages[one]
    path.write_bytes(b"".join(pages))


def _cut(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def _cell(path: Path, chance: random.Random) -> None:
    connection = sqlite3.connect(path)
    (last,) = connection.execute("SELECT max(seq) FROM records").fetchone()
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(records)")]
    name, seq, other = chance.choice(columns), chance.randint(1, last), chance.randint(1, last)
    values: list[object] = ["", "{}", "[]", b"", bytes(32), "x1", -1, chance.randint(1, 10**6), None]
    values.append(connection.execute(f"SELECT {name} FROM records WHERE seq = ?", (other,)).fetchone()[0])
    try:
        connection.execute(f"UPDATE OR REPLACE records SET {name} = ? WHERE seq = ?", (chance.choice(values), seq))
        connection.commit()
    except sqlite3.Error:
        connection.rollback()  # a type or a null that the schema does not take
    connection.close()


def _rows(path: Path, chance: random.Random) -> None:
    connection = sqlite3.connect(path)
    (last,) = connection.execute("SELECT max(seq) FROM records").fetchone()
    one, other = chance.sample(range(1, last + 1), 2)
    if chance.random() < 0.5:
        connection.execute("DELETE FROM records WHERE seq = ?", (one,))
    else:
        connection.execute("UPDATE records SET seq = -? WHERE seq = ?", (one, one))
        connection.execute("UPDATE records SET seq = ? WHERE seq = ?", (one, other))
        connection.execute("UPDATE records SET seq = ? WHERE seq = -?", (other, one))
    connection.commit()
    connection.close()


def _forged(path: Path, chance: random.Random) -> None:
    def change(connection: sqlite3.Connection) -> None:
        where = "kind IN ('intent', 'outcome')"
        seqs = [seq for (seq,) in connection.execute(f"SELECT seq FROM records WHERE {where}")]
        seq = chance.choice(seqs)
        if chance.random() < 0.3:
            connection.execute("UPDATE records SET time = '2025' || substr(time, 5) WHERE seq = ?", (seq,))
            return
        name = chance.choice(("metadata", "local"))
        text, salt = connection.execute(f"SELECT {name}, {name}_salt FROM records WHERE seq = ?", (seq,)).fetchone()
        forged = text[:-1] + (',"z":1}' if text != "{}" else '"z":1}')
        made = record.section_hash(salt, forged.encode())
        connection.execute(f"UPDATE records SET {name} = ?, {name}_hash = ? WHERE seq = ?", (forged, made, seq))

    forge(path, 0, change)


CHANGES: dict[str, Callable[[Path, random.Random], None]] = {
    "bits": _bits,
    "a run of bytes": _run,
    "two pages swapped": _pages,
    "the file cut off": _cut,
    "a cell": _cell,
    "rows deleted or swapped": _rows,
    "forged and re-signed": _forged,
    "rolled back": lambda path, chance: None,
}
