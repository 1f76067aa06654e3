"""A local directory as a sink: for air gaps, and to look at. One compressed file a batch, named by what it holds.

    <directory>/device=<id>/<first>-<last>.jsonl.zst        numbers of twelve digits, so that names sort

A file appears whole, by renaming. `check` verifies what a directory holds.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from localguard.audit.checkpoint import PublicKey
from localguard.sync.batch import MAX_BYTES, Batch, BatchInvalid, Opened, open_batch
from localguard.sync.sink import Receipt, SinkUnavailable
from localguard.wire.coding import CodingError, decode_body

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_NAME = re.compile(r"(\d{12})-(\d{12})\.jsonl\.zst")


def file_name(first: int, last: int) -> str:
    """The name of a batch's file."""
    return f"{first:012}-{last:012}.jsonl.zst"


def span_of(name: str) -> tuple[int, int] | None:
    """First and last record of a batch's file, None for other names."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def compressed(data: bytes) -> bytes:
    """A batch as it is stored and sent."""
    return bytes(zstd.compress(data, 3))


def decompressed(data: bytes) -> bytes:
    """A batch from what `compressed` made. Raises BatchInvalid for anything else, and beyond the bound of a batch."""
    try:
        return decode_body(data, "zstd", MAX_BYTES)
    except CodingError:
        raise BatchInvalid("form", "the batch is damaged, or larger than a batch may be") from None


class DirectorySink:
    """Writes batches of `device` below `root`, which is made where it is missing."""

    signs_of_life = False
    pause = 0.0

    def __init__(self, root: Path, device: str) -> None:
        self._place = root / f"device={device}"

    def resume(self) -> Receipt | None:
        """The last record of the last file."""
        try:
            names = [path.name for path in self._place.iterdir()] if self._place.is_dir() else []
        except OSError as error:
            raise SinkUnavailable(f"The directory {self._place} cannot be read ({error.strerror}).") from None
        ends = [span[1] for name in names if (span := span_of(name)) is not None]
        return Receipt(max(ends)) if ends else None

    def write(self, batch: Batch) -> Receipt:
        """One more file, durable before this returns."""
        target = self._place / file_name(batch.head.first, batch.head.last)
        temporary: str | None = None
        try:
            self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self._place, prefix=".", suffix=".new")
            with os.fdopen(descriptor, "wb") as file:
                file.write(compressed(batch.data))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
            temporary = None
            if os.name == "posix":  # the new name itself has to survive a power cut
                directory = os.open(self._place, os.O_RDONLY)
                try:
                    os.fsync(directory)
                finally:
                    os.close(directory)
        except OSError as error:
            raise SinkUnavailable(f"The directory {self._place} cannot be written ({error.strerror}).") from None
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
        return Receipt(batch.head.last)

    def close(self) -> None:
        """Nothing is open."""


def check(place: Path, key: PublicKey | None = None) -> Iterator[Opened]:
    """The batches of one device's directory in order, each checked, and each going on exactly where the one before ended.

    Raises BatchInvalid (gap, fork, and what `open_batch` raises), OSError.
    """
    end, root = None, b""
    for path in sorted(place.iterdir()):
        if span_of(path.name) is None:
            continue
        opened = open_batch(decompressed(path.read_bytes()), key)
        if end is not None and opened.head.first != end + 1:
            raise BatchInvalid("gap", f"{path.name} does not go on where the file before it ends")
        if end is not None and opened.before != root:
            raise BatchInvalid("fork", f"{path.name} goes on from another history than the file before it")
        end, root = opened.head.last, opened.checkpoint.root
        yield opened
