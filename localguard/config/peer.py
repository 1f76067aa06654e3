"""Who is at the other end of a loopback connection: the process that holds the peer's socket.

Linux: one exact NETLINK_SOCK_DIAG question gives the socket's inode and owner (`linux/inet_diag.h`), then the inode is looked
for among the open files of this user's processes. Elsewhere, and where netlink is closed, psutil and `/proc/net/tcp`.

What this does not protect against: a process of the same user may connect through another one's socket or change its working
directory; attribution names work, it is no authentication between programs of one user.
"""

import os
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from localguard.config.endpoint_address import literal_address
from localguard.config.sockets import Address, inode_by_netlink, inode_by_table

if TYPE_CHECKING:
    import psutil

T = TypeVar("T")

_REMEMBERED = 16
"""Processes looked at first: agents open one connection after another."""
_MAX_ANCESTORS = 6


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


RELAYS = _names(
    """
    docker-proxy dockerd com.docker.backend vpnkit vpnkit-bridge rootlesskit rootlessport slirp4netns pasta passt
    passt.avx2 conmon podman gvproxy limactl colima sshd sshd-session sshd-auth ssh autossh dropbear mosh-server
    socat nc ncat nc.openbsd nc.traditional netcat wslrelay wslhost wslservice nginx haproxy caddy envoy traefik
    squid tinyproxy privoxy stunnel stunnel4 mitmproxy mitmdump mitmweb ngrok cloudflared tailscaled kubectl
    chisel frpc frps gost redsocks sslh qemu-system-x86_64 qemu-system-aarch64 portproxy iphlpsvc svchost
    telepresence localguard
    """
)
"""Programs that pass on other processes' connections: their own working directory says nothing about the work."""

EDITORS = _names(
    """
    code code-insiders code-tunnel codium vscodium cursor windsurf zed zed-editor electron idea idea64 pycharm
    pycharm64 webstorm webstorm64 goland goland64 clion rider rustrover phpstorm rubymine studio studio64 fleet
    sublime_text emacs jupyter-lab jupyter-notebook
    """
)
"""Programs that serve many workspaces at once: where they were started says nothing about the window in use."""

SHARED_HOSTS = EDITORS | _names(
    """
    tmux screen zellij systemd init launchd login gnome-terminal- gnome-shell plasmashell kitty alacritty
    wezterm-gui konsole explorer terminal iterm2 windowsterminal
    """
)
"""Editors, and what starts the programs of a whole session: nothing may be concluded from where they were started."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A parent process of the same user."""

    pid: int
    name: str
    cwd: Path | None

    @property
    def stops_attribution(self) -> bool:
        """Whether nothing may be concluded from this process or those above it: a relay, or a host of many workspaces."""
        return self.name in RELAYS or self.name in SHARED_HOSTS


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end. Where only the socket's owner is known, `pid`, `exe` and `cwd` are None."""

    pid: int | None
    uid: int | None
    """None where the platform has no numeric users."""
    same_user: bool
    exe: str | None
    cwd: Path | None
    name: str
    """Name of the program, lower case, without `.exe`."""
    title: str = ""
    """The short name that the process gave itself (`comm`), lower case: `claude`, `sshd-session`."""
    script: str | None = None
    """What an interpreter (node, python) runs: the first argument that is no option. Other arguments are not kept."""
    ancestors: tuple[Ancestor, ...] = ()
    """Parents of the same user, nearest first, at most six."""
    started: float | None = None
    """When it was started; see `lineage.Forebear`."""

    @property
    def is_relay(self) -> bool:
        """Whether this process passes on connections of others and must not attribute them."""
        return self.name in RELAYS or self.title in RELAYS


class PeerFinder:
    """Looks peers up and remembers which processes connected lately. Not for concurrent use; one per event loop or lock."""

    def __init__(self) -> None:
        self._recent: OrderedDict[int, None] = OrderedDict()

    def peer_of(self, local: Address, peer: Address) -> Peer | None:
        """Return who holds the socket whose own address is `peer` and whose other end is `local`.

        `local` is the guard's side (`getsockname`), `peer` the client's (`getpeername`). None when there is no such
        socket on this machine. Never raises for what cannot be read.
        """
        if sys.platform != "linux":
            return _by_psutil(local, peer)
        found = inode_by_netlink(local, peer) or inode_by_table(local, peer)
        if found is None:
            return None
        inode, uid = found
        if uid != os.geteuid():
            return Peer(None, uid, False, None, None, "")
        pid = self._holder(inode)
        if pid is None:
            return Peer(None, uid, True, None, None, "")
        self._recent[pid] = None
        self._recent.move_to_end(pid)
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        return _describe(pid, uid)

    def _holder(self, inode: int) -> int | None:
        wanted = f"socket:[{inode}]"
        recent = list(reversed(self._recent))
        for pid in recent:
            if _holds(pid, wanted):
                return pid
        own = os.getpid()
        euid = os.geteuid()
        pids = sorted((int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()), reverse=True)
        for pid in pids:
            if pid != own and pid not in self._recent and owner_of(pid) == euid and _holds(pid, wanted):
                return pid
        return own if _holds(own, wanted) else None


def peer_of(local: Address, peer: Address) -> Peer | None:
    """Return who holds the client's socket; see `PeerFinder.peer_of`, which is faster for a server."""
    return PeerFinder().peer_of(local, peer)


def descent(pid: int) -> tuple[int, ...]:
    """Return a process and all those above it, whoever's they are, the nearest first. Never raises."""
    if sys.platform != "linux":
        import psutil

        try:
            return (pid, *(parent.pid for parent in psutil.Process(pid).parents()))
        except (psutil.Error, OSError):
            return (pid,)
    found: dict[int, None] = {}
    while pid > 1 and pid not in found:
        found[pid] = None
        pid = parent_of(pid)
    return tuple(found)


def owner_of(pid: int) -> int | None:
    """Return the user of a process (Linux), None where it is gone."""
    try:
        return os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - a Path here doubles the cost of the scan
    except OSError:
        return None


def _holds(pid: int, wanted: str) -> bool:
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - as above
            try:
                if os.readlink(f"/proc/{pid}/fd/{name}") == wanted:  # noqa: PTH115 - as above
                    return True
            except OSError:
                continue
    except OSError:
        return False
    return False


def _describe(pid: int, uid: int) -> Peer:
    exe = _readlink(f"/proc/{pid}/exe")
    arguments = _arguments(pid)
    ancestors: list[Ancestor] = []
    parent = parent_of(pid)
    while parent > 1 and len(ancestors) < _MAX_ANCESTORS and owner_of(parent) == uid:
        ancestors.append(Ancestor(parent, program_of(parent), working_directory(parent)))
        parent = parent_of(parent)
    title = short_name(pid)
    return Peer(
        pid=pid,
        uid=uid,
        same_user=True,
        exe=exe,
        cwd=working_directory(pid),
        name=program_name(exe, title),
        title=title.lower(),
        script=script_of(arguments),
        ancestors=tuple(ancestors),
        started=started_at(pid),
    )


def program_of(pid: int) -> str:
    """Return the name of a process's program (Linux); see `program_name`."""
    return program_name(_readlink(f"/proc/{pid}/exe"), short_name(pid))


def program_name(exe: str | None, comm: str) -> str:
    """Return a program's name: the file's, lower case, without `.exe`; the process's own short name where that is all."""
    path = (exe or "").removesuffix(" (deleted)")
    name = path.replace("\\", "/").rsplit("/", 1)[-1] or comm
    return name.lower().removesuffix(".exe")


def script_of(arguments: tuple[str, ...]) -> str | None:
    """Return what an interpreter runs (a path, or `-m`'s module), None for other programs."""
    if not arguments:
        return None
    program = arguments[0].replace("\\", "/").rsplit("/", 1)[-1].lower().removesuffix(".exe")
    if not program.startswith(("node", "python", "bun", "deno", "ruby", "java")):
        return None
    for position, argument in enumerate(arguments[1:], start=1):
        if argument == "-m" and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument in ("-c", "-e", "--eval", "-p"):
            return None
        if not argument.startswith("-"):
            return argument
    return None


def _arguments(pid: int) -> tuple[str, ...]:
    try:
        with Path(f"/proc/{pid}/cmdline").open("rb") as file:
            raw = file.read(4096)
    except OSError:
        return ()
    return tuple(part.decode("utf-8", "replace") for part in raw.split(b"\0")[:8])


def short_name(pid: int) -> str:
    """Return the name that a process gave itself (Linux), empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    """Return the process that `pid` is a child of (Linux), 0 where there is none or it cannot be told."""
    try:
        return int(_stat(pid)[1])
    except (OSError, ValueError, IndexError):
        return 0


def started_at(pid: int) -> float | None:
    """Return when a process was started (Linux), in clock ticks of this boot; None where it is gone."""
    try:
        return float(_stat(pid)[19])
    except (OSError, ValueError, IndexError):
        return None


def _stat(pid: int) -> list[bytes]:
    """The fields of `/proc/PID/stat` from the third on (proc(5)): the second is a name that may hold anything."""
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    return stat[stat.rindex(b")") + 2 :].split()


def _readlink(path: str) -> str | None:
    try:
        return str(Path(path).readlink())
    except OSError:
        return None


def working_directory(pid: int) -> Path | None:
    """Return the working directory of a process (Linux), None where it is gone or means another place in this mount namespace (containers)."""
    link = f"/proc/{pid}/cwd"
    named = _readlink(link)
    if named is None or named.endswith(" (deleted)"):
        return None
    try:
        there, here = Path(link).stat(), Path(named).stat()
    except OSError:
        return None
    return Path(named) if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) else None


def _by_psutil(local: Address, peer: Address) -> Peer | None:
    """Find the peer among this user's own processes, newest first; others' sockets are not visible without privileges."""
    import psutil

    client, server = literal_address(peer[0]), literal_address(local[0])
    own_user = psutil.Process().username()
    for process in sorted(psutil.process_iter(), key=lambda process: process.pid, reverse=True):
        try:
            if process.username() != own_user:
                continue
            for connection in process.net_connections(kind="tcp"):
                ends = connection.laddr, connection.raddr
                if len(ends[0]) == 2 and len(ends[1]) == 2:
                    here, there = (literal_address(ends[0][0]), ends[0][1]), (literal_address(ends[1][0]), ends[1][1])
                    if here == (client, peer[1]) and there == (server, local[1]):
                        return _describe_by_psutil(process, own_user)
        except (psutil.Error, OSError):
            continue
    return None


def _describe_by_psutil(process: "psutil.Process", own_user: str) -> Peer:
    import psutil

    def attempt(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except (psutil.Error, OSError):
            return otherwise

    none: list[str] = []
    no_parents: list[psutil.Process] = []
    ancestors = []
    for parent in attempt(process.parents, no_parents)[:_MAX_ANCESTORS]:
        if parent.pid <= 1 or attempt(parent.username, "") != own_user:
            break
        place = attempt(parent.cwd, "")
        ancestors.append(
            Ancestor(
                parent.pid,
                program_name(attempt(parent.exe, ""), attempt(parent.name, "")),
                Path(place) if place else None,
            )
        )
    exe, place = attempt(process.exe, ""), attempt(process.cwd, "")
    return Peer(
        pid=process.pid,
        uid=os.geteuid() if sys.platform != "win32" else None,
        same_user=True,
        exe=exe or None,
        cwd=Path(place) if place else None,
        name=program_name(exe, attempt(process.name, "")),
        title=program_name(None, attempt(process.name, "")),
        script=script_of(tuple(attempt(process.cmdline, none)[:8])),
        ancestors=tuple(ancestors),
        started=attempt(process.create_time, None),
    )
