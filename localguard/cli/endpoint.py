"""`localguard endpoint`: the upstreams that policy knows."""

from dataclasses import asdict
from typing import Annotated

import typer

from localguard.cli.options import HomeOption, JsonOption, PolicyOption, located
from localguard.cli.output import print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="List, add and remove endpoints.", epilog="Example: localguard endpoint list", no_args_is_help=True
    )
    group.command("list", epilog="Example: localguard endpoint list --json")(list_endpoints)
    group.command(
        "add",
        epilog="Example: localguard endpoint add work --kind azure-openai --base-url https://NAME.openai.azure.com",
    )(add)
    group.command("remove", epilog="Example: localguard endpoint remove work")(remove)
    app.add_typer(group, name="endpoint")


def list_endpoints(home: HomeOption = None, policy: PolicyOption = None, as_json: JsonOption = False) -> None:
    """List the endpoints in force, built-in ones included."""
    from localguard.config.policy_files import load_layers
    from localguard.policy.layers import effective_endpoints

    endpoints = effective_endpoints(load_layers(located(home, policy))).values()
    if as_json:
        print_json([{"class": str(e.endpoint_class), **asdict(e)} for e in endpoints])
        return
    rows = [(e.name, e.kind, str(e.endpoint_class), e.credential_alias, e.base_url) for e in endpoints]
    print_table(rows, ("name", "kind", "class", "credential", "base url"))


def add(
    name: Annotated[str, typer.Argument(help="First segment of its address at the guard.")],
    kind: Annotated[
        str,
        typer.Option(
            "--kind", help="openai, azure-openai, foundry, anthropic, lmstudio, ollama, gemini or openai-compatible."
        ),
    ],
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="Its address; may be left out where the kind has a fixed one.")
    ] = None,
    endpoint_class: Annotated[
        str | None, typer.Option("--class", help="local, enterprise, hosted or experimental.")
    ] = None,
    credential: Annotated[
        str | None, typer.Option("--credential", help="client, keyring:NAME, or command:LINE (run without a shell).")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", help="Whose key it is: personal, team or service.")
    ] = None,
    support: Annotated[str | None, typer.Option("--support", help="Who owns a failure of this endpoint.")] = None,
    auth_header: Annotated[
        list[str] | None,
        typer.Option("--auth-header", help="A further header that holds a credential; may be repeated."),
    ] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Accept plain http to another machine.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an endpoint of this name.")] = False,
    home: HomeOption = None,
    policy: PolicyOption = None,
) -> None:
    """Add an endpoint to the policy file.

    The comments and layout of the file are kept.
    """
    from localguard.config.endpoints import add_endpoint

    file = located(home, policy, new_policy=True).policy_file
    endpoint = add_endpoint(
        file,
        name=name,
        kind=kind,
        base_url=base_url,
        endpoint_class=endpoint_class,
        credential=credential,
        identity=identity,
        support=support,
        auth_headers=auth_header or (),
        allow_http=allow_http,
        replace=replace,
    )
    typer.echo(f"{endpoint.name} ({endpoint.kind}, {endpoint.endpoint_class}) is in {file}.")
    if endpoint.keyring_name is not None:
        typer.echo(f"Store its key: localguard key set {endpoint.keyring_name}")


def remove(
    name: Annotated[str, typer.Argument(help="The endpoint's name.")],
    home: HomeOption = None,
    policy: PolicyOption = None,
) -> None:
    """Remove an endpoint from the policy file.

    A built-in one of that name is in force again.
    """
    from localguard.config.endpoints import remove_endpoint

    file = located(home, policy).policy_file
    remove_endpoint(file, name)
    typer.echo(f"{name} is no longer in {file}.")
