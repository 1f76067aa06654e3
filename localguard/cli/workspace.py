"""`localguard workspace`: the work that policy tells apart, and tokens that name it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from localguard.cli.clock import expiry, now
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
    group.command("tokens", epilog="Example: localguard workspace tokens --revoke 0123456789")(tokens)
    group.command("token", epilog="Example: localguard workspace token --workspace payments")(token)
    app.add_typer(group, name="workspace")


def tokens(
    revoke: Annotated[str | None, typer.Option("--revoke", metavar="ID", help="Forget the token with this id.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tokens by id, with what they are good for and until when, or revoke one.

    A revoked token counts no longer than a second after.
    """
    from localguard.config.workspace_tokens import Tokens

    kept = Tokens(located(home))
    if revoke is not None:
        if not kept.revoke(revoke):
            raise WrongUse("No token has this id. See `localguard workspace tokens`.")
        typer.echo(f"The token {revoke} is revoked.")
        return
    found = kept.list()
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        (
            one.token_id,
            one.workspace or one.directory or "",
            ", ".join(one.endpoints) if one.endpoints is not None else "all",
            one.expires or "never",
            one.created,
        )
        for one in found
    ]
    print_table(rows, ("id", "workspace or directory", "endpoints", "expires", "made"))


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
    endpoint: Annotated[
        list[str] | None,
        typer.Option("--endpoint", help="Endpoint that it is good for; may be repeated. [default: all]"),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="When it ends: 12h, 30d, 8w. [default: never]")
    ] = None,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it this once.

    For agents that serve many workspaces or run in a container. Only its keyed hash is kept.
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
    for name in endpoint or ():
        known = [one.name for layer in load_layers(place) for one in layer.endpoints]
        if name not in known:
            raise WrongUse(f"No endpoint is called {name!r}.{nearest(name, known)}")
    place.create()
    ends = expiry(expires)
    directory = None if workspace else Path.cwd()
    made = Tokens(place).create(
        workspace=workspace,
        directory=directory,
        now=now(),
        endpoints=tuple(endpoint) if endpoint else None,
        expires=ends,
    )
    address = f"http://127.0.0.1:{port}/w/{made}"
    if as_json:
        print_json({"token": made, "address": address, "workspace": workspace, "directory": directory, "expires": ends})
        return
    typer.echo(made)
    typer.echo(f"Base URL: {address}/<endpoint>/… ; or send the token where the provider's key would go.", err=True)
