"""The instruction files of a work tree: where agents look for them, and what they say now."""

import os
from collections.abc import Iterator
from pathlib import Path

from localguard.config.home import without_waiting

_MAX_BYTES = 262_144
_MAX_DEPTH = 16
_FOLDERS = (".github", ".claude")


def instruction_files(root: Path, directory: Path | None, name: str) -> dict[Path, str]:
    """The texts of the files of this name at the top of a work tree and on the way down to `directory`, by their absolute paths.

    What is missing, unreadable, not regular, no UTF-8 or longer than 256 KiB is left out. Never raises.
    """
    found: dict[Path, str] = {}
    for path in _places(root, directory, name):
        try:
            with open(path, "rb", opener=without_waiting) as file:
                data = file.read(_MAX_BYTES + 1)
            if len(data) <= _MAX_BYTES:
                found[path] = data.decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return found


def _places(root: Path, directory: Path | None, name: str) -> Iterator[Path]:
    yield root / name
    yield from (root / folder / name for folder in _FOLDERS)
    if directory is not None and directory.is_relative_to(root):
        below = Path(root)
        for part in directory.relative_to(root).parts[:_MAX_DEPTH]:
            if part == os.pardir:
                return
            below /= part
            yield below / name
