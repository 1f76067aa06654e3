"""Another program's settings file on disk: read whole, replaced whole, with its mode, its owner's symbolic link and its bytes kept."""

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

from localguard.errors import LocalguardError

_LARGEST = 4 * 1024 * 1024
_MOST_COPIES = 20


class SettingsUnusable(LocalguardError):
    """A settings file cannot be read or written; the message names the file and what to do."""


def read(path: Path) -> bytes | None:
    """What the file holds; None where there is none. Raises SettingsUnusable."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise SettingsUnusable(f"{path} is no file. Move it away first.")
        if found.st_size > _LARGEST:
            raise SettingsUnusable(f"{path} is larger than {_LARGEST // 1024**2} MiB: this cannot be a settings file.")
        return path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise SettingsUnusable(f"{path} is a link that leads nowhere. Mend or remove it first.") from None
        return None
    except OSError as error:
        raise SettingsUnusable(f"{path} cannot be read ({error.strerror}).") from None


def text_of(path: Path, data: bytes) -> str:
    """The bytes as text, line breaks as they are. Raises SettingsUnusable where they are no UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise SettingsUnusable(f"{path} is not UTF-8 text. Save it as that first.") from None


def digest(data: bytes | None) -> str:
    """By which a file is known again."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def replace(path: Path, data: bytes, *, expected: bytes | None) -> list[Path]:
    """Put `data` in place of `expected` (None: no file), at once and durably; returns the directories that were made for it.

    A symbolic link stays, and its target is replaced; mode and, where this user may, owner stay. Raises SettingsUnusable where the file
    is not as expected any more, or cannot be written; it is as it was then.
    """
    made: list[Path] = []
    try:
        made = _with_parents(path.parent)
        target = path.resolve()
        if read(path) != expected:
            raise SettingsUnusable(f"{path} was changed by another program in this moment. Try again.")
        old = target.stat() if expected is not None else None
        if old is not None and not (old.st_mode & stat.S_IWUSR and os.access(target, os.W_OK)):
            raise SettingsUnusable(f"{path} is read-only. Make it writable first: chmod u+w {path}")
        _write(target, data, old)
    except OSError as error:
        _remove_empty(made)
        raise SettingsUnusable(f"{path} cannot be written ({error.strerror}).") from None
    except SettingsUnusable:
        _remove_empty(made)
        raise
    return made


def remove(path: Path, made: list[Path]) -> None:
    """Remove a file that was made, and those directories that were made for it and are empty. Raises SettingsUnusable."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsUnusable(f"{path} cannot be removed ({error.strerror}).") from None
    _remove_empty(made)


def back_up(path: Path, data: bytes) -> Path:
    """Keep the bytes beside the file, for its owner only, and return where; an older copy stays. Raises SettingsUnusable."""
    target = path.resolve()
    names = (f"{target.name}.before-localguard{number or ''}" for number in range(_MOST_COPIES))
    try:
        copy = next(place for name in names if not os.path.lexists(place := target.with_name(name)))
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        copy.chmod(0o600)
    except StopIteration:
        raise SettingsUnusable(f"There are {_MOST_COPIES} older copies beside {path}. Remove some first.") from None
    except OSError as error:
        raise SettingsUnusable(f"No copy of {path} can be kept beside it ({error.strerror}).") from None
    return copy


def _write(target: Path, data: bytes, old: os.stat_result | None) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".new")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if old is not None and sys.platform != "win32":
                with contextlib.suppress(OSError):
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _with_parents(directory: Path) -> list[Path]:
    """Make a directory and what is missing above it, mode 0700; returns those that were made, the uppermost first."""
    missing = []
    while not directory.exists() and directory != directory.parent:
        missing.append(directory)
        directory = directory.parent
    for one in reversed(missing):
        one.mkdir(mode=0o700)
    return missing[::-1]


def _remove_empty(made: list[Path]) -> None:
    for directory in reversed(made):
        with contextlib.suppress(OSError):
            directory.rmdir()
