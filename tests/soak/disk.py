"""A disk that loses what was not synced, fails on command, and forgets what it was told: under the log's own writer.

SQLite's writes go through a VFS of apsw's that keeps, beside the real files, what of each file a power cut would leave: the content at
its last `xSync`, and every write and truncation since. An image of the disk after a cut is the synced content with any of the later
writes, each whole, in part (sectors of 512 bytes, in any order) or not at all; files and deletions that were not synced may be undone.

The writer is the log's (`audit.store`), over a connection of apsw's SQLite instead of the standard library's. One thing differs: apsw
hands out no shared memory, so the WAL's index is kept in the process (`locking_mode = EXCLUSIVE`).
"""

import random
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import apsw

SECTOR = 512


@dataclass(slots=True)
class _File:
    """What is known of one file: its content as synced (None: not there), and what came since."""

    synced: bytes | None = None
    since: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes (offset, data) and truncations (size, None), in order."""

    def sync(self) -> None:
        self.synced = _applied(self.synced or b"", self.since)
        self.since.clear()

    def after_cut(self, chance: random.Random) -> bytes | None:
        """What may be left of it: a mood of the disk first, as a half of all changes is rarely the worst."""
        mood = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        if self.synced is None and (not self.since or chance.random() > mood):
            return None
        kept: list[tuple[int, bytes | None]] = []
        for place, data in self.since:
            if data is None:
                kept += [(place, None)] if chance.random() < mood else []
                continue
            for start, end in _sectors(place, len(data)):
                if chance.random() < mood:
                    kept.append((place + start, data[start:end]))
        return _applied(self.synced or b"", kept)


def _sectors(place: int, length: int) -> Iterator[tuple[int, int]]:
    """The parts of a write that lie in one sector each, as offsets in the written data."""
    start = 0
    while start < length:
        end = min(length, start + SECTOR - (place + start) % SECTOR)
        yield start, end
        start = end


def _applied(content: bytes, changes: Iterable[tuple[int, bytes | None]]) -> bytes:
    made = bytearray(content)
    for place, data in changes:
        if data is None:
            del made[place:]
            made.extend(bytes(place - len(made)))
        else:
            if place > len(made):
                made.extend(bytes(place - len(made)))
            made[place : place + len(data)] = data
    return bytes(made)


class Disk:
    """The files below one directory. `before` is called before each write and sync, with its kind and the file's path; it may raise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.before: Callable[[str, str], None] = lambda kind, path: None
        self.writes = self.syncs = 0
        self._files: dict[str, _File] = {}
        self._lock = threading.RLock()
        self._vfs = _Vfs(self)

    def adopt(self, path: Path) -> None:
        """Take a file that is there as one that was synced."""
        self._files[str(path)] = _File(path.read_bytes())

    def cut(self, target: Path, chance: random.Random) -> None:
        """Write to `target` what a power cut now may leave of every file."""
        with self._lock:
            for path, one in self._files.items():
                content = one.after_cut(chance)
                if content is not None:
                    (target / Path(path).name).write_bytes(content)

    def forget(self, path: str, chance: random.Random) -> None:
        """A sync of a file fails, and the system drops some of what it could not write, as Linux does: the file itself is changed."""
        with self._lock:
            one = self._files[path]
            content = one.after_cut(chance)
            one.synced, one.since = content or b"", []
            Path(path).write_bytes(one.synced)

    def written(self, path: str, place: int, data: bytes | None) -> None:
        """Note a write, or a truncation."""
        with self._lock:
            self.writes += 1
            self._files.setdefault(path, _File()).since.append((place, data))

    def synced(self, path: str) -> None:
        """Note that a file is on the disk as it is."""
        with self._lock:
            self.syncs += 1
            self._files.setdefault(path, _File()).sync()

    def deleted(self, path: str, durable: bool) -> None:
        """Note that a file was deleted, for good or not yet."""
        with self._lock:
            if durable:
                self._files.pop(path, None)

    @contextmanager
    def under_the_log(self, *, synchronous: bool = True) -> Iterator[None]:
        """Have the log's writer use this disk. Without `synchronous` it syncs nothing: what a campaign must be able to see."""

        def connect(address: str, **options: Any) -> _Connection:
            return _Connection(address, self.name, float(options.get("timeout", 0)), synchronous)

        with mock.patch("localguard.audit.schema.sqlite3.connect", connect):
            yield


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__(disk.name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> "_OpenFile":
        return _OpenFile(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._disk.deleted(filename, syncdir)


class _OpenFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.before("write", self._path)
        super().xWrite(data, offset)
        self._disk.written(self._path, offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:
        self._disk.before("write", self._path)
        super().xTruncate(newsize)
        self._disk.written(self._path, newsize, None)

    def xSync(self, flags: int) -> None:
        self._disk.before("sync", self._path)
        super().xSync(flags)
        self._disk.synced(self._path)


class _Connection:
    """A connection of apsw's with those methods of `sqlite3.Connection` that the log's writer uses, and its errors."""

    def __init__(self, uri: str, vfs: str, busy_seconds: float, synchronous: bool) -> None:
        self._synchronous = synchronous
        with _errors():
            self._connection = apsw.Connection(uri, vfs=vfs, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI)
            self._connection.set_busy_timeout(int(busy_seconds * 1000))
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        if statement == "PRAGMA synchronous = FULL" and not self._synchronous:
            statement = "PRAGMA synchronous = OFF"
        with _errors():
            return _Cursor(list(self._connection.execute(statement, values)))

    def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        with _errors():
            self._connection.executemany(statement, values)

    def close(self) -> None:
        with suppress(apsw.Error):  # the standard library's tells of no failed checkpoint either
            self._connection.close(True)


class _Cursor(list[Any]):
    def fetchone(self) -> Any:
        return self[0] if self else None

    def fetchall(self) -> list[Any]:
        return list(self)


@contextmanager
def _errors() -> Iterator[None]:
    """apsw's errors as those of the standard library's module."""
    try:
        yield
    except apsw.Error as error:
        made = sqlite3.OperationalError(str(error))
        made.sqlite_errorname = str(apsw.mapping_result_codes[getattr(error, "result", apsw.SQLITE_ERROR) & 255])
        raise made from error
