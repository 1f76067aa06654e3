"""What the tray opens on the desktop: a terminal of the user's with a command of localguard in it."""

import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from localguard.config.home import Home
from localguard.config.own_command import own_command
from localguard.errors import LocalguardError
from localguard.tray.menu import Aside, InTerminal

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

_ASIDE_SECONDS: Final = 120.0
_LEFT_BY_HAND: Final = ("tui",)
"""Commands that end when the user has them end. The terminal of any other stays open until Enter is pressed."""


class NothingOpens(LocalguardError):
    """Nothing on this machine opens what was asked for; the message says what would."""


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
            then = "||" if action.command[0] in _LEFT_BY_HAND else ";"
            whole = ("sh", "-c", f'{shlex.join(whole)} {then} {{ printf "\\nEnter closes this. "; read -r _; }}')
        _start(terminal_command(whole, os.environ))

    def run_aside(self, action: Aside, failed: Callable[[str], None]) -> None:
        """Run a command that shows something itself, and do not wait; `failed` is told why it did not."""
        whole = (*own_command(), *action.command, *(self._port if action.asks else ()), *self._home)

        def wait() -> None:
            try:
                done = subprocess.run(
                    whole, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASIDE_SECONDS, check=False
                )
            except (OSError, subprocess.TimeoutExpired):
                failed(f"localguard {shlex.join(action.command)} did not end.")
            else:
                if done.returncode != 0:
                    failed(done.stderr.strip() or f"localguard {shlex.join(action.command)} failed.")

        threading.Thread(target=wait, name="aside", daemon=True).start()


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
