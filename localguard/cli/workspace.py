"""`localguard workspace`: the work that policy tells apart, and tokens that name it."""

from pathlib import Path
from typing import Annotated

import typer

from localguard.cli.clock import now
from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PolicyOption, PortOption, located
from localguard.cli.output import print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="List workspaces and make tokens for them.",
        epilog="Example: localguard workspace list",
        no_args_is_help=True,
    )
    group.command("list", epilog="Example: localguard workspace list --json")(list_workspaces)
    group.command("token", epilog="Example: localguard workspace token --workspace payments")(token)
    app.add_typer(group, name="workspace")


def list_workspaces(home: HomeOption = None, policy: PolicyOption = None, as_json: JsonOption = False) -> None:
    """List the configured workspaces, and which one the current directory is."""
    from localguard.config.policy_files import load_layers
    from localguard.config.workspaces import Workspaces

    layers = load_layers(located(home, policy))
    here = Workspaces(layers).of_directory(Path.cwd())
    workspaces = [workspace for layer in layers for workspace in layer.workspaces]
    name = here.name if here else None
    if as_json:
        configured = [
            {
                "name": w.name,
                "sensitivity": str(w.sensitivity),
                "remotes": list(w.remotes),
                "paths": list(w.paths),
                "markers": list(w.markers),
            }
            for w in workspaces
        ]
        print_json({"here": name, "workspaces": configured})
        return
    rows = [(w.name, str(w.sensitivity), ", ".join((*w.remotes, *w.paths, *w.markers))) for w in workspaces]
    print_table(rows, ("name", "sensitivity", "remotes, paths and markers"))
    where = f"{name} (sensitivity {here.sensitivity})" if here else "no workspace: work here is unattributed"
    typer.echo(f"\nThe current directory is {where}.")


def token(
    workspace: Annotated[
        str | None,
        typer.Option("--workspace", help="Configured workspace. [default: the current directory's repository]"),
    ] = None,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it this once.

    For agents that serve many workspaces or run in a container.
    """
    from localguard.config.policy_files import load_layers
    from localguard.config.policy_problems import nearest
    from localguard.config.workspace_tokens import Tokens

    place = located(home, policy)
    if workspace is not None:
        names = [rule.name for layer in load_layers(place) for rule in layer.workspaces]
        if workspace not in names:
            hint = nearest(workspace, names) if names else " The policy configures none."
            raise WrongUse(f"No configured workspace has this name.{hint}")
    place.create()
    directory = None if workspace else Path.cwd()
    made = Tokens(place).create(workspace=workspace, directory=directory, now=now())
    address = f"http://127.0.0.1:{port}/w/{made}"
    if as_json:
        print_json({"token": made, "address": address, "workspace": workspace, "directory": directory})
        return
    typer.echo(made)
    typer.echo(f"Base URL: {address}/<endpoint>/… ; or send the token where the provider's key would go.", err=True)
