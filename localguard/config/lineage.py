"""Whether an agent may have started a process: by descent, by what its environment says, and by when it was started.

A command that forks twice and begins a session of its own has no parent any more that tells whose it is. What it cannot change
is when it was started: a process that is older than an agent is none of that agent's. So somebody counts as a person whose
process, or one above it, is older than every agent, or is a terminal, a login or a desktop. Below `localguard run` nothing gets
lost (it adopts what its agent leaves behind, on Linux), and everything there is the agent's.

What this does not stop: a program of the same user that means to deceive. It can clear its environment and open a terminal
program, hand its work to a service (`systemd-run`, `at`, a running tmux, `ssh` to this machine), or type into a person's terminal.
On macOS what an agent leaves behind is not adopted, and only descent, environment and age tell.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localguard.config.peer import SHARED_HOSTS, parent_of, program_name, program_of, started_at

RUN_MARK = "LOCALGUARD_RUN"
"""Variable that `localguard run` sets for its agent."""
_MARKS = frozenset({RUN_MARK, "CLAUDECODE", "OPENCODE", "GEMINI_CLI", "QWEN_CODE", "CURSOR_AGENT", "CODEX_SANDBOX"})
"""Variables by which agents tell the commands that they run whose they are (their sources, November 2026)."""
_REAPERS = frozenset({"systemd", "init", "launchd", "tini", "dumb-init", "docker-init", "catatonit"})
"""Programs that adopt what others leave behind: being below them says nothing."""
_LOGINS = frozenset({"sshd", "sshd-session", "login", "mosh-server", "dropbear", "su", "sudo"})
TERMINALS = (
    (SHARED_HOSTS - _REAPERS)
    | _LOGINS
    | frozenset(
        [
            "xterm",
            "uxterm",
            "urxvt",
            "st",
            "foot",
            "ghostty",
            "tilix",
            "terminator",
            "xfce4-terminal",
            "lxterminal",
            "mate-terminal",
            "qterminal",
            "guake",
            "yakuake",
            "ptyxis",
            "kgx",
            "ptyxis-agent",
            "warp",
            "hyper",
            "tabby",
            "rio",
            "contour",
            "conhost",
            "openconsole",
            "gnome-session-",
            "gnome-session-binary",
        ]
    )
)
"""Programs that persons begin their work in."""
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Forebear:
    """A process, or one above it."""

    pid: int
    started: float | None
    """On one clock for all processes of this machine; None where it is not known."""
    name: str
    """Of its program; see `peer.program_name`."""
    marked: bool = False
    """Its environment says that an agent runs it."""
    supervises: bool = False
    """It is a `localguard run`: what is below it is its agent's."""
    entered: bool = False
    """It came from outside of this container."""
    started_at_login: bool = False
    """The desktop, or the user's service manager, started it as a part of localguard."""

    @property
    def adopts(self) -> bool:
        """Whether being below it says nothing."""
        return self.pid == 1 or self.name in _REAPERS


def agent_behind(line: Sequence[Forebear], agents: Mapping[int, float | None]) -> str | None:
    """Why the process `line[0]`, with those above it, may be an agent's, in words; None where it is a person's.

    `agents` are processes that sent model traffic, and when they were started.
    """
    for one in line:
        if one.pid in agents and (one.started is None or one.started == agents[one.pid] or agents[one.pid] is None):
            return "an agent started it"
    if any(one.supervises for one in line[1:]):
        return "it runs below `localguard run`"
    if any(one.marked for one in line):
        return "its environment is an agent's"
    own = [one for one in line if not one.adopts]
    if any(one.entered or one.started_at_login or one.name in TERMINALS for one in own):
        return None
    begun = [started for started in agents.values() if started is not None]
    known = [one.started for one in own if one.started is not None]
    if begun and known and min(known) >= min(begun):
        return "it was started after an agent, and nothing shows by whom"
    return None


def lineage(pid: int) -> tuple[Forebear, ...]:
    """A process and all those above it, the nearest first. Never raises: what cannot be read is left out or not known."""
    return tuple(_by_proc(pid) if sys.platform == "linux" else _by_psutil(pid))


def _by_proc(pid: int) -> Iterator[Forebear]:
    for _ in range(_MAX_DEPTH):
        if pid < 1:
            return
        parent = parent_of(pid)
        arguments = [one.decode("utf-8", "replace") for one in _strings(f"/proc/{pid}/cmdline")]
        yield Forebear(
            pid,
            started_at(pid),
            program_of(pid),
            marked=_is_marked(_strings(f"/proc/{pid}/environ")),
            supervises=_runs(arguments, "run"),
            entered=parent == 0 and pid != 1,
            # what a terminal that the tray opened runs stays in the tray's control group
            started_at_login=_runs(arguments, "tray") and _is_unit_of_ours(_strings(f"/proc/{pid}/cgroup")),
        )
        pid = parent


def _strings(file: str) -> list[bytes]:
    try:
        return Path(file).read_bytes().split(b"\0")
    except OSError:
        return []


def _is_marked(environment: Sequence[bytes]) -> bool:
    return any(one.partition(b"=")[0].decode("ascii", "replace") in _MARKS for one in environment)


def _runs(arguments: Sequence[str], command: str) -> bool:
    """Whether a command line is that of a command of localguard."""
    names = [argument.replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe") for argument in arguments]
    ours = next((at for at, name in enumerate(names[:8]) if name in ("localguard", "localguard.cli.main")), None)
    return ours is not None and command in arguments[ours + 1 : ours + 2]


def _is_unit_of_ours(groups: Sequence[bytes]) -> bool:
    """Whether a process is in a service unit of ours (systemd names the control group after it)."""
    leaf = groups[0].strip().rpartition(b"/")[2] if groups else b""
    return leaf.endswith(b".service") and b"localguard" in leaf


def _by_psutil(pid: int) -> Iterator[Forebear]:
    import psutil

    try:
        own = psutil.Process(pid)
        line = [own, *own.parents()][:_MAX_DEPTH]
    except (psutil.Error, OSError):
        yield Forebear(pid, None, "")
        return
    for process in line:
        try:
            name, started = process.name(), process.create_time()
        except (psutil.Error, OSError):
            continue
        try:
            environment = [os.fsencode(name) for name in process.environ()]
            arguments = process.cmdline()
        except (psutil.Error, OSError):
            environment, arguments = [], []
        yield Forebear(
            process.pid,
            started,
            program_name(None, name),
            marked=_is_marked(environment),
            supervises=_runs(arguments, "run"),
        )
