"""What the tray opens on the desktop: a terminal of the user's with a command of localguard in it."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from localguard.config.home import Home
from localguard.errors import LocalguardError
from localguard.tray.menu import InTerminal

TERMINALS: Final = (
    ("x-terminal-emulator", ("-e",)),
    ("xdg-terminal-exec", ()),
    ("gnome-terminal", ("--",)),
    ("kgx", ("--",)),
    ("konsole", ("-e",)),
    ("xfce4-terminal", ("-x",)),
    ("mate-terminal", ("-x",)),
    ("lxterminal", ("-e",)),
    ("alacritty", ("-e",)),
    ("kitty", ()),
    ("foot", ()),
    ("wezterm", ("start", "--")),
    ("xterm", ("-e",)),
)
"""Programs that show a terminal, and what stands before the command that they run; the first that is there is used."""


class NothingOpens(LocalguardError):
    """Nothing on this machine opens what was asked for; the message says what would."""


def own_command() -> tuple[str, ...]:
    """How this installation's `localguard` is started."""
    script = Path(sys.executable).with_name("localguard.exe" if sys.platform == "win32" else "localguard")
    return (str(script),) if script.exists() else (sys.executable, "-m", "localguard.cli.main")


def terminal_command(
    command: tuple[str, ...], environment: Mapping[str, str], *, platform: str = sys.platform, search: str | None = None
) -> list[str]:
    """The command that runs `command` in a terminal: `$TERMINAL`, else the first of TERMINALS. Raises NothingOpens.

    `search` is a list of directories as `$PATH` has them, in place of that.
    """
    if platform == "darwin":
        script = shlex.join(command).replace("\\", "\\\\").replace('"', '\\"')
        return [
            "osascript",
            "-e",
            f'tell application "Terminal" to do script "{script}"',
            "-e",
            'activate application "Terminal"',
        ]
    if platform == "win32":
        return ["cmd", "/c", "start", "localguard", "cmd", "/k", subprocess.list2cmdline(command)]
    before = dict(TERMINALS)
    own = environment.get("TERMINAL", "")
    for name in (own, *before):
        found = shutil.which(name, path=search) if name else None
        if found is not None:
            return [found, *before.get(Path(name).name, ("-e",)), *command]
    raise NothingOpens(f"There is no terminal program to open. Set $TERMINAL, or run: {shlex.join(command)}")


class UserDesktop:
    """Opens things as this user, about the guard of `home` on `port`."""

    def __init__(self, home: Home, port: int) -> None:
        self._home = ("--home", str(home.root))
        self._port = ("--port", str(port))

    def run_in_terminal(self, action: InTerminal) -> None:
        """Run a command of localguard where the user can see it. Raises NothingOpens."""
        whole = (*own_command(), *action.command, *(self._port if action.asks else ()), *self._home)
        if sys.platform not in ("win32", "darwin"):
            whole = ("sh", "-c", f'{shlex.join(whole)}; printf "\\nEnter closes this. "; read -r _')
        _start(terminal_command(whole, os.environ))


def _start(command: list[str]) -> None:
    try:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        raise NothingOpens(f"{command[0]} cannot be started ({error.strerror}).") from None
