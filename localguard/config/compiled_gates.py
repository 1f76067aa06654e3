"""The compiled form of a scanner's gates, kept in the state directory because making it takes seconds.

It is used only if it is a private file of this user, holds what its checksum says, and was made from these very gates
by this engine for this platform; else it counts as missing, and the scanner does without. What this does not protect
against: somebody who can write this user's private files can also replace the program.
"""

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import Final

from localguard.config.home import without_waiting, write_private
from localguard.detect.multipattern import Matcher, Unusable, compiled, digest
from localguard.detect.scanner import Scanner

_NAME: Final = "gates-"
_MOST: Final = 256 * 1024 * 1024


def use(scanner: Scanner, directory: Path) -> bool:
    """Have the scanner use what is kept for its gates in `directory`. False where nothing usable is there: it scans as before."""
    try:
        form = _read(_place(scanner, directory))
        if form is None:
            return False
        scanner.accelerate(Matcher(scanner.patterns, form))
    except (OSError, Unusable):
        return False
    return True


def make(scanner: Scanner, directory: Path) -> None:
    """Compile the scanner's gates, try the form, and keep it in `directory` in place of older ones.

    Takes seconds and a hundred megabytes. OSError where it cannot be written, Unusable where there is no engine.
    """
    form = compiled(scanner.patterns)
    Matcher(scanner.patterns, form).ends(b"key = value\n" * 64)
    place = _place(scanner, directory)
    write_private(place, form)
    for old in directory.glob(_NAME + "*"):
        if old != place:
            with contextlib.suppress(OSError):
                old.unlink()


def _place(scanner: Scanner, directory: Path) -> Path:
    return directory / f"{_NAME}{digest(scanner.patterns)[:32]}"


def _read(path: Path) -> bytes | None:
    """The bytes of a regular file that nobody else can write; None where there is no such file."""
    try:
        with open(path, "rb", opener=without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST:
                return None
            if sys.platform != "win32" and (found.st_uid != os.geteuid() or found.st_mode & 0o077):
                return None
            return file.read()
    except FileNotFoundError:
        return None
