"""One guard per home: a lock file that the operating system frees when its holder dies, however it dies."""

import os
import sys
from pathlib import Path
from typing import ClassVar

from localguard.errors import LocalguardError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class AlreadyRunning(LocalguardError):
    """Another guard holds this home. ``pid`` is its process id, or None where the file does not say."""

    def __init__(self, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"A guard already runs for this home ({who}). Use it, stop it, or start this one with another --home."
        )
        self.pid = pid


class GuardLock:
    """An exclusive lock on a file that holds the holder's process id.

    POSIX record locks, not flock: a lock of flock lives on in forked scanner workers after the guard was killed, and would
    keep the next guard out. Record locks belong to the process, which is why the process has to remember its own.
    """

    _held: ClassVar[set[Path]] = set()

    def __init__(self, path: Path) -> None:
        """Take the lock, creating the file (mode 0600) where there is none. Raises `AlreadyRunning`; `OSError` as `os.open`."""
        self._path = path.resolve()
        if self._path in self._held:  # opening and closing the file again would drop the lock we hold
            raise AlreadyRunning(os.getpid())
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            if not _try_lock(self._descriptor):
                raise AlreadyRunning(_read_pid(self._descriptor))
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()}\n".encode())
        except BaseException:
            os.close(self._descriptor)
            raise
        self._held.add(self._path)

    def release(self) -> None:
        """Free the lock; the file stays. Twice is fine."""
        if self._path in self._held:
            self._held.discard(self._path)
            os.close(self._descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _WINDOWS_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# Windows locks are mandatory: a byte far behind the process id is locked, so that others can read the id.
_WINDOWS_OFFSET = 1 << 20


def _read_pid(descriptor: int) -> int | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, 32).strip()
    return int(text) if text.isdigit() else None
