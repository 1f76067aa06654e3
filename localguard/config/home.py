"""The one directory that holds everything of a guard: policy, rules, state and logs.

Directories that are made here are readable by their owner only; private files are replaced atomically, mode 0600.
"""

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from localguard.errors import LocalguardError


class HomeUnsafe(LocalguardError):
    """The home directory belongs to somebody else, can be written by others, or is no directory."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one home directory. Making one touches no disk; `create` does."""

    root: Path
    policy_override: Path | None = None

    @classmethod
    def locate(
        cls, env: Mapping[str, str], override: str | Path | None = None, policy: str | Path | None = None
    ) -> "Home":
        """Return the home named by `override`, else by `$LOCALGUARD_HOME`, else the user's data directory.

        `policy` replaces `policy.toml` (the `--policy` option). Paths become absolute; nothing need exist yet.
        """
        named = str(override or "") or env.get("LOCALGUARD_HOME", "")
        if named:
            root = Path(named).expanduser()
        else:
            import platformdirs  # only needed without an explicit home

            root = platformdirs.user_data_path("localguard", appauthor=False)
        chosen = Path(policy).expanduser().absolute() if policy else None
        return cls(root.absolute(), chosen)

    @property
    def policy_file(self) -> Path:
        """The user's policy file."""
        return self.policy_override or self.root / "policy.toml"

    @property
    def organisation_file(self) -> Path:
        """The organisation's signed policy, where there is one."""
        return self.root / "organisation.toml"

    @property
    def rules_dir(self) -> Path:
        """The user's detection rules."""
        return self.root / "rules"

    @property
    def state_dir(self) -> Path:
        """Everything that the guard itself writes and nobody edits; mode 0700."""
        return self.root / "state"

    @property
    def audit_db(self) -> Path:
        """The audit log."""
        return self.state_dir / "audit.db"

    @property
    def control_token(self) -> Path:
        """The token of the control API; mode 0600."""
        return self.state_dir / "control.token"

    @property
    def port_file(self) -> Path:
        """The port on which this home's guard serves; there while it runs."""
        return self.state_dir / "port"

    def recorded_port(self) -> int | None:
        """Return the port on which a guard of this home says it serves, or None.

        After a kill it may be an old one: who listens there still has to prove that it knows the control token.
        """
        try:
            told = self.port_file.read_bytes()[:8]
        except OSError:
            return None
        return int(told) if told.isdigit() and 0 < int(told) < 65_536 else None

    @property
    def log_dir(self) -> Path:
        """Diagnostic logs, without raw values."""
        return self.root / "log"

    def create(self) -> None:
        """Make the directories, mode 0700. Raises HomeUnsafe where another user could read or replace what is in them."""
        for directory in (self.root, self.rules_dir, self.state_dir, self.log_dir):
            try:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                found = directory.stat()
            except FileExistsError:
                raise HomeUnsafe(f"{directory} is not a directory. Move it away or choose another home.") from None
            except OSError as error:
                raise HomeUnsafe(f"{directory} cannot be made or read ({error.strerror}).") from None
            if sys.platform != "win32":
                if found.st_uid != os.geteuid():
                    raise HomeUnsafe(f"{directory} belongs to another user. Choose another home with --home.")
                if found.st_mode & stat.S_IWOTH:
                    raise HomeUnsafe(f"{directory} can be written by everybody. Run: chmod o-w {directory}")
        if sys.platform != "win32":
            self.state_dir.chmod(0o700)
            self.log_dir.chmod(0o700)


def write_private(path: Path, data: bytes) -> None:
    """Replace a file atomically and durably, mode 0600; a symbolic link is kept and its target replaced.

    After a failure (OSError) the old content is in place and no temporary file is left.
    """
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".new")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sys.platform != "win32":
        directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def without_waiting(path: str, flags: int) -> int:
    """Open a file for `open(…, opener=…)` so that a pipe in its place cannot hold the caller up."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))


@contextlib.contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Hold an advisory lock on `path` (made if missing, mode 0600) against other processes and threads; waits for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
