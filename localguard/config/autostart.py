"""Starting the guard and its tray at login: what is written where for each kind of system, and its exact undo.

Only files of this user are written, none of which was there before, and each is remembered with its digest: what somebody has
changed since is left alone. Nothing is started, and no program of the system is called.
"""

import contextlib
import hashlib
import json
import plistlib
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from localguard.config.home import Home, write_private
from localguard.errors import LocalguardError

_RUN_KEY: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"


class AutostartRefused(LocalguardError):
    """Nothing was changed; the message says what stands in the way."""


class Kind(StrEnum):
    """How an entry is kept."""

    FILE = "file"
    LINK = "link"
    RUN_KEY = "Run key"


class State(StrEnum):
    """What has become of an entry that was written."""

    THERE = "installed"
    CHANGED = "changed since"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is written: a file with its text, a symbolic link with its target, or a value of the registry's Run key."""

    starts: str
    """guard or tray."""
    kind: Kind
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """An entry as it was written: the digest of its text, and the directories that were made for it, the innermost first."""

    starts: str
    kind: Kind
    place: str
    digest: str
    made: tuple[str, ...] = ()


def entries(
    guard: Sequence[str] | None,
    tray: Sequence[str] | None,
    *,
    platform: str,
    user_home: Path,
    environment: Mapping[str, str],
    has_systemd: bool,
) -> tuple[Entry, ...]:
    """What starts these commands at login; None: not that one. Raises AutostartRefused for a command that cannot be written down."""
    for word in (*(guard or ()), *(tray or ())):
        if any(ord(character) < 32 for character in word):
            raise AutostartRefused("A path of the command holds a control character.")
    wanted = [(starts, command) for starts, command in (("guard", guard), ("tray", tray)) if command is not None]
    if platform == "win32":
        return tuple(
            Entry(starts, Kind.RUN_KEY, _name(starts), subprocess.list2cmdline(command)) for starts, command in wanted
        )
    if platform == "darwin":
        agents = user_home / "Library" / "LaunchAgents"
        return tuple(
            Entry(starts, Kind.FILE, str(agents / f"{_name(starts)}.plist"), launchd(starts, command))
            for starts, command in wanted
        )
    settings = Path(environment.get("XDG_CONFIG_HOME") or user_home / ".config")
    found: list[Entry] = []
    for starts, command in wanted:
        if starts == "guard" and has_systemd:
            units = settings / "systemd" / "user"
            unit = units / "localguard.service"
            found.append(Entry(starts, Kind.FILE, str(unit), systemd(command)))
            found.append(Entry(starts, Kind.LINK, str(units / "default.target.wants" / unit.name), str(unit)))
        else:
            place = settings / "autostart" / f"{_name(starts)}.desktop"
            found.append(Entry(starts, Kind.FILE, str(place), desktop_entry(starts, command)))
    return tuple(found)


def systemd(command: Sequence[str]) -> str:
    """A user unit of systemd that runs a command (systemd.service(5), systemd.syntax(7))."""
    line = " ".join(_quoted(word, '\\"').replace("%", "%%").replace("$", "$$") for word in command)
    return f"""[Unit]
Description=localguard, a privacy guard between coding agents and model providers

[Service]
ExecStart={line}
Restart=on-failure
RestartSec=1
LimitCORE=0
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""


def desktop_entry(starts: str, command: Sequence[str]) -> str:
    """An autostart entry of the desktop (Desktop Entry Specification 1.5; Desktop Application Autostart Specification)."""
    line = " ".join(_quoted(word, '\\"`$').replace("%", "%%") for word in command).replace("\\", "\\\\")
    return f"""[Desktop Entry]
Type=Application
Name=localguard {starts}
Comment=A privacy guard between coding agents and model providers
Exec={line}
Terminal=false
"""


def launchd(starts: str, command: Sequence[str]) -> str:
    """A launchd agent that runs a command (launchd.plist(5))."""
    agent = {
        "Label": _name(starts),
        "ProgramArguments": list(command),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "HardResourceLimits": {"Core": 0},
    }
    return plistlib.dumps(agent, sort_keys=False).decode()


class Autostart:
    """The entries of one home: `install`, `remove`, and what has become of them."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._record = home.state_dir / "autostart.json"

    def written(self) -> tuple[tuple[Written, State], ...]:
        """What was written and has not been removed, and what has become of it."""
        try:
            told = json.loads(self._record.read_text("utf-8"))
            found = [
                Written(one["starts"], Kind(one["kind"]), one["place"], one["digest"], tuple(one["made"]))
                for one in told
            ]
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError):
            raise AutostartRefused(f"{self._record} cannot be read, so it is not known what was written.") from None
        return tuple((one, _state(one)) for one in found)

    def install(self, wanted: Iterable[Entry]) -> None:
        """Write entries. Raises AutostartRefused, with nothing written, where a place is taken by something that is not ours."""
        wanted = tuple(wanted)
        before = self.written()
        ours = {(one.kind, one.place) for one, state in before if state is State.THERE}
        for entry in wanted:
            if (entry.kind, entry.place) not in ours and _read(entry.kind, entry.place) is not None:
                raise AutostartRefused(
                    f"{entry.place} is there already and was not written by this. Move it away first."
                )
        kept = {(one.kind, one.place): one for one, _ in before}
        self._home.create()
        for entry in wanted:
            old = kept.get((entry.kind, entry.place))
            made = tuple(map(str, _missing_above(Path(entry.place)))) if entry.kind is not Kind.RUN_KEY else ()
            one = Written(entry.starts, entry.kind, entry.place, _digest(entry.text), made or (old.made if old else ()))
            kept[entry.kind, entry.place] = one
            self._remember(kept.values())  # before it is written: what a crash leaves behind can be undone
            try:
                _write(entry)
            except OSError as error:
                raise AutostartRefused(f"{entry.place} cannot be written ({error.strerror}).") from None

    def remove(self) -> tuple[Written, ...]:
        """Take away everything that was written and is still as it was; return what somebody has changed, which stays."""
        left = []
        made: set[str] = set()
        for one, state in self.written():
            if state is State.CHANGED:
                left.append(one)
                continue
            if state is State.THERE:
                _unlink(one)
            made.update(one.made)
        for directory in sorted(made, key=len, reverse=True):  # the innermost first
            with contextlib.suppress(OSError):  # not empty: somebody else uses it too
                Path(directory).rmdir()
        self._remember(left)
        return tuple(left)

    def _remember(self, written: Iterable[Written]) -> None:
        told = [asdict(one) for one in written]
        if told:
            write_private(self._record, json.dumps(told, indent=1).encode())
        else:
            self._record.unlink(missing_ok=True)


def _name(starts: str) -> str:
    return "localguard" if starts == "guard" else f"localguard-{starts}"


def _quoted(word: str, special: str) -> str:
    """A word in double quotes, with a backslash before each `special` character."""
    return '"' + "".join(f"\\{character}" if character in special else character for character in word) + '"'


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _state(one: Written) -> State:
    text = _read(one.kind, one.place)
    if text is None:
        return State.GONE
    return State.THERE if _digest(text) == one.digest else State.CHANGED


def _missing_above(place: Path) -> list[Path]:
    """The directories above a file that are not there, the innermost first."""
    return [directory for directory in place.parents if not directory.exists()]


def _read(kind: Kind, place: str) -> str | None:
    """What stands at a place; None: nothing."""
    if kind is Kind.RUN_KEY:
        return _run_value(place)
    path = Path(place)
    if path.is_symlink():
        return str(path.readlink()) if kind is Kind.LINK else "a link"
    if not path.exists():
        return None
    try:
        return path.read_text("utf-8") if kind is Kind.FILE else "no link"
    except (OSError, UnicodeDecodeError):
        return "unreadable"


def _write(entry: Entry) -> None:
    if entry.kind is Kind.RUN_KEY:
        _set_run_value(entry.place, entry.text)
        return
    path = Path(entry.place)
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.kind is Kind.LINK:
        path.unlink(missing_ok=True)
        path.symlink_to(entry.text)
    else:
        write_private(path, entry.text.encode())


def _unlink(one: Written) -> None:
    if one.kind is Kind.RUN_KEY:
        _delete_run_value(one.place)
    else:
        Path(one.place).unlink(missing_ok=True)


if sys.platform == "win32":
    import winreg

    def _run_value(name: str) -> str | None:
        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN_KEY) as key:
                return str(winreg.QueryValueEx(key, name)[0])
        except OSError:
            return None

    def _set_run_value(name: str, text: str) -> None:
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, _RUN_KEY) as key:
            winreg.SetValueEx(key, name, 0, winreg.REG_SZ, text)

    def _delete_run_value(name: str) -> None:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN_KEY, 0, winreg.KEY_SET_VALUE) as key:
            winreg.DeleteValue(key, name)
else:

    def _run_value(name: str) -> str | None:
        raise AutostartRefused(f"{name}: there is no registry here.")

    def _set_run_value(name: str, text: str) -> None:
        raise AutostartRefused(f"{name}: there is no registry here.")

    def _delete_run_value(name: str) -> None:
        raise AutostartRefused(f"{name}: there is no registry here.")
