"""Values that may leave although a detector finds them: kept as keyed fingerprints, with reason, author and expiry.

No entry holds a value. A fingerprint is made with its workspace's own key, so an entry allows one value in one workspace.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from localguard.config.home import Home, exclusively, write_private
from localguard.errors import LocalguardError

_VERSION: Final = 1
_MAX_BYTES: Final = 16 * 1024 * 1024


class AllowListDamaged(LocalguardError):
    """`state/allow.json` cannot be read or written; then nothing is allowed."""


class NotAllowed(LocalguardError):
    """No entry of the allow list begins with this fingerprint, or several do."""


@dataclass(frozen=True, slots=True)
class AllowEntry:
    """One value that may leave. Times are UTC, ISO 8601; `expires` is None for an entry that holds until it is removed."""

    fingerprint: str
    type: str
    workspace: str
    reason: str
    author: str
    added: str
    expires: str | None

    def is_current(self, now: datetime) -> bool:
        """Whether the entry holds at `now` (with a time zone); one whose expiry cannot be read does not."""
        if self.expires is None:
            return True
        try:
            expires = datetime.fromisoformat(self.expires)
        except ValueError:
            return False
        return expires.tzinfo is not None and now < expires


class AllowList:
    """The allow list of one home. Blocking; every change is atomic and exclusive between processes."""

    def __init__(self, home: Home) -> None:
        self._file = home.state_dir / "allow.json"
        self._lock_file = home.state_dir / "allow.lock"

    @property
    def file(self) -> Path:
        """Where the list stands."""
        return self._file

    def entries(self) -> list[AllowEntry]:
        """All entries, expired ones included, in the order in which they were added. Raises AllowListDamaged."""
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise AllowListDamaged(f"{self._file} cannot be read ({error.strerror}).") from None
        try:
            document = json.loads(data[:_MAX_BYTES])
            if document["version"] != _VERSION:
                raise ValueError
            return [AllowEntry(**entry) for entry in document["entries"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise AllowListDamaged(
                f"{self._file} is no allow list of this version. Nothing is allowed until it is moved away."
            ) from None

    def add(self, entries: Iterable[AllowEntry]) -> None:
        """Add entries durably; one of the same fingerprint is replaced. Raises AllowListDamaged."""
        with exclusively(self._lock_file):
            added = {entry.fingerprint: entry for entry in entries}
            kept = [entry for entry in self.entries() if entry.fingerprint not in added]
            self._write([*kept, *added.values()])

    def remove(self, beginning: str) -> AllowEntry:
        """Remove the one entry whose fingerprint begins so. Raises NotAllowed, AllowListDamaged."""
        with exclusively(self._lock_file):
            entries = self.entries()
            found = [entry for entry in entries if beginning and entry.fingerprint.startswith(beginning.lower())]
            if len(found) != 1:
                raise NotAllowed(
                    "Several entries begin so; give more of the fingerprint."
                    if found
                    else "No entry begins so. `localguard allow list` shows them."
                )
            self._write([entry for entry in entries if entry is not found[0]])
            return found[0]

    def _write(self, entries: list[AllowEntry]) -> None:
        document = {"version": _VERSION, "entries": [asdict(entry) for entry in entries]}
        try:
            write_private(self._file, json.dumps(document, indent=1).encode())
        except OSError as error:
            raise AllowListDamaged(f"{self._file} cannot be written ({error.strerror}).") from None


class AllowWatch:
    """What is allowed now, for a daemon that asks before every request: one `stat` a second, a read after a change."""

    def __init__(self, allow_list: AllowList) -> None:
        self._list = allow_list
        self._entries: list[AllowEntry] = []
        self._signature: tuple[int, int, int] | None = None
        self._next_look = 0.0
        self._current: frozenset[str] = frozenset()
        self.version = 0
        """Grows with every change of the file, and when an entry expires."""
        self.error: str | None = None
        """Why the newest list is not in force; then nothing is allowed."""

    def current(self) -> frozenset[str]:
        """The fingerprints that are allowed now."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + 1.0
            self._look()
        return self._current

    def _look(self) -> None:
        try:
            found = self._list.file.stat()
            signature = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            signature = None
        if signature != self._signature:
            self._signature = signature
            self.version += 1
            try:
                self._entries, self.error = self._list.entries(), None
            except AllowListDamaged as damaged:
                self._entries, self.error = [], str(damaged)
        moment = datetime.now(UTC)
        allowed = frozenset(entry.fingerprint for entry in self._entries if entry.is_current(moment))
        if allowed != self._current:
            self._current = allowed
            self.version += 1
