"""`localguard task`: what the developer works on, for policies that care."""

from pathlib import Path
from typing import Annotated

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, print_table, printable


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Say what you work on, for policies that care.",
        epilog="Example: localguard task set docs",
        no_args_is_help=True,
    )
    group.command("set", epilog="Example: localguard task set incident --workspace payments")(set_task)
    group.command("show", epilog="Example: localguard task show --json")(show)
    app.add_typer(group, name="task")


def set_task(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Task category, e.g. docs.")] = None,
    none: Annotated[bool, typer.Option("--none", help="End the task: the branch decides again.")] = False,
    workspace: Annotated[
        str | None, typer.Option("--workspace", help="Configured workspace. [default: that of the current directory]")
    ] = None,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the task category of a workspace's work.

    Counts from the next request on, until it is changed or the guard ends. A task that the agent was started with
    (`run --task`) goes before it, and it goes before what the branch says.
    """
    from localguard.proxy.control_client import ControlClient

    if (task is None) is not none:
        raise WrongUse("Say which task, or --none.")
    place = {"workspace": workspace} if workspace is not None else {"directory": str(Path.cwd())}
    said = ControlClient(located(home), port).call("POST", "/tasks", task=task or "", **place)
    if as_json:
        print_json(said)
    elif said["task"]:
        typer.echo(f"Work in {printable(said['workspace'])} is {printable(said['task'])} now.")
    else:
        by_branch = f"; its branch says {said['by_branch']}" if said["by_branch"] else ""
        typer.echo(printable(f"No task is set for {said['workspace']}{by_branch}."))


def show(port: PortOption = DEFAULT_PORT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the tasks that were set."""
    from localguard.proxy.control_client import ControlClient

    said = ControlClient(located(home), port).call("GET", "/tasks")
    if as_json:
        print_json(said)
        return
    print_table([(one["workspace"], one["task"]) for one in said["tasks"]], ("workspace", "task"))
