"""`localguard exec`: a command with placeholders, run with their values after a person's approval."""

import os
import shutil
import subprocess
import sys
from typing import Annotated

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, PortOption, located

_PATIENCE = 70.0
"""Seconds; the guard waits a minute at most."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "exec",
        epilog='Example: localguard exec -- curl -H "Authorization: Bearer LG_GITHUB_TOKEN_0123456789ABCDEF" …',
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )(execute)


def execute(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND…", help="The command and its arguments, after --.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask in this terminal.")] = False,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
) -> None:
    """Run a command with values in its placeholders.

    Asks in this terminal, else waits for `localguard approve`; an agent cannot answer for itself. The values stand in the arguments of the process,
    where programs of the same user can read them. Ends with the command's exit code.
    """
    from localguard.proxy.control_client import ControlClient

    if shutil.which(command[0]) is None:
        raise WrongUse("There is no such program on the PATH.")
    client = ControlClient(located(home), port, timeout=_PATIENCE)
    asked = client.call("POST", "/commands", argv=command)
    values = ", ".join(sorted(asked["types"]))
    if yes or sys.stdin.isatty():
        if not yes and not typer.confirm(f"Run {command[0]} with {values}?", err=True):
            client.call("POST", f"/approvals/{asked['id']}", allow=False)
            raise typer.Exit(1)
        client.call("POST", f"/approvals/{asked['id']}", allow=True, why="answered where it was asked")
    else:
        typer.echo(
            f"localguard: {values} are asked for. In another terminal: localguard approve {asked['id']}", err=True
        )
    argv = client.call("POST", f"/commands/{asked['id']}", wait=True)["argv"]
    if os.name == "posix":
        os.execvp(argv[0], argv)  # noqa: S606 - the command that the person gave
    raise typer.Exit(subprocess.run(argv, check=False).returncode)
