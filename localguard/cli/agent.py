"""`localguard run`: an agent as a child process whose requests go through the guard."""

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, PolicyOption, PortOption, located

if TYPE_CHECKING:
    from localguard.config.home import Home
    from localguard.policy.model import Endpoint

_SET_CHILD_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of `linux/prctl.h`."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "run",
        epilog="Example: localguard run -- codex exec 'explain this repository'",
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )(run_agent)


def run_agent(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND…", help="The agent and its arguments, after --.")],
    task: Annotated[str | None, typer.Option("--task", help="Task category of this work, e.g. incident.")] = None,
    workspace: Annotated[
        str | None,
        typer.Option("--workspace", help="Configured workspace. [default: that of the current directory]"),
    ] = None,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    policy: PolicyOption = None,
) -> None:
    """Run an agent through the guard.

    Its base URLs are set for that process only. Starts a guard in the background if none runs. Ends with the agent's exit code. The agent gets a workspace token in its
    base URLs, which is forgotten when the agent ends.
    """
    from localguard.cli import background

    place = located(home, policy)
    program = shutil.which(command[0])
    if program is None:
        raise WrongUse(f"There is no program {command[0]!r} on the PATH.")
    endpoints = _endpoints(place, workspace)
    _check_task(task)
    place.create()
    with _Token(place, workspace) as token:
        environment, arguments = prepared(command, os.environ, endpoints, port=port, token=token, task=task)
        background.ensure_running(place, port, policy)
        raise typer.Exit(_supervise([program, *arguments[1:]], environment))


def prepared(
    command: Sequence[str],
    given: Mapping[str, str],
    endpoints: "Sequence[Endpoint]",
    *,
    port: int,
    token: str | None,
    task: str | None,
) -> tuple[dict[str, str], list[str]]:
    """Return the whole environment and the arguments for an agent; reads the agent's own configuration, writes nothing.

    Raises WrongUse where the agent is configured for a provider that no endpoint stands for.
    """
    from localguard.cli import agent_environment as rules

    prefix = rules.prefix_for(port, token, task)
    environment = dict(given) | rules.agent_environment(given, endpoints, prefix=prefix, port=port)
    arguments = list(command)
    name = rules.agent_name(command[0])
    if name == "codex":
        overrides = rules.codex_overrides(_codex_configuration(given), endpoints, prefix=prefix, port=port)
        arguments[1:1] = [part for override in overrides for part in ("-c", override)]
    elif name == "opencode":
        if _opencode_has_addresses(given):
            typer.echo("localguard: opencode's own configuration names base URLs; they are left as they are.", err=True)
        else:
            inline = given.get("OPENCODE_CONFIG_CONTENT", "")
            environment["OPENCODE_CONFIG_CONTENT"] = rules.opencode_configuration(inline, endpoints, prefix=prefix)
    return environment, arguments


def _endpoints(home: "Home", workspace: str | None) -> "Sequence[Endpoint]":
    from localguard.config.policy_files import load_layers
    from localguard.config.policy_problems import nearest
    from localguard.policy.layers import effective_endpoints

    layers = load_layers(home)
    names = [rule.name for layer in layers for rule in layer.workspaces]
    if workspace is not None and workspace not in names:
        hint = nearest(workspace, names) if names else " The policy configures none."
        raise WrongUse(f"No configured workspace has this name.{hint}")
    return tuple(effective_endpoints(layers).values())


def _check_task(task: str | None) -> None:
    if task is not None and not (
        task[:1].isalnum() and all(c.isalnum() or c in "._:-" for c in task) and task.isascii() and len(task) <= 64
    ):
        raise WrongUse(
            "A task category holds letters, digits and . _ : - only, and starts with a letter or digit; 64 at most."
        )


class _Token:
    """A workspace token for as long as the agent runs."""

    def __init__(self, home: "Home", workspace: str | None) -> None:
        self._home = home
        self._workspace = workspace
        self._token = ""

    def __enter__(self) -> str:
        from localguard.cli.clock import now
        from localguard.config.workspace_tokens import Tokens

        directory = None if self._workspace else Path.cwd()
        self._token = Tokens(self._home).create(workspace=self._workspace, directory=directory, now=now())
        return self._token

    def __exit__(self, *_: object) -> None:
        from localguard.config.workspace_tokens import Tokens

        tokens = Tokens(self._home)
        binding = tokens.lookup(self._token)
        if binding is not None:
            tokens.revoke(binding.token_id)


def _supervise(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the agent, pass signals on, and return its exit code; 128 + n where signal n ended it."""
    from localguard.config.lineage import RUN_MARK

    _adopt()
    child = subprocess.Popen(arguments, env={**environment, RUN_MARK: str(os.getpid())})

    def pass_on(number: int, frame: FrameType | None) -> None:
        if child.poll() is None:
            child.send_signal(number)

    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, lambda *_: _reap(besides=child.pid))
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), pass_on)
    for name in ("SIGINT", "SIGQUIT"):  # a terminal sends these to the agent itself as well
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _ignored if _in_foreground() else pass_on)
    code = child.wait()
    return 128 - code if code < 0 else code


def _adopt() -> None:
    """Become the parent of what the agent leaves behind, so that it stays known as the agent's (Linux: `prctl(2)`)."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap(*, besides: int) -> None:
    """Take note of the ends of those that were adopted; that of the agent is for `Popen` to see."""
    with suppress(OSError):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for child in map(int, children):
            if child != besides:
                os.waitpid(child, os.WNOHANG)


def _ignored(number: int, frame: FrameType | None) -> None:
    """Leave a signal to the agent. A handler rather than SIG_IGN, which the agent would inherit."""


def _in_foreground() -> bool:
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _codex_configuration(given: Mapping[str, str]) -> dict[str, Any]:
    folder = Path(given["CODEX_HOME"]) if given.get("CODEX_HOME") else Path.home() / ".codex"
    try:
        return tomllib.loads((folder / "config.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # Codex reports a broken file itself


def _opencode_has_addresses(given: Mapping[str, str]) -> bool:
    """Whether some configuration file of opencode names a base URL, which an inline one would overrule."""
    folder = Path(given["XDG_CONFIG_HOME"]) if given.get("XDG_CONFIG_HOME") else Path.home() / ".config"
    places = [folder / "opencode", *(parent for parent in (Path.cwd(), *Path.cwd().parents))]
    files = [place / name for place in places for name in ("opencode.json", "opencode.jsonc", "config.json")]
    if given.get("OPENCODE_CONFIG"):
        files.append(Path(given["OPENCODE_CONFIG"]))
    for file in files:
        try:
            if "baseURL" in file.read_text("utf-8"):
                return True
        except (OSError, ValueError):
            continue
    return False
