"""`localguard route`: which endpoints are switched on."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, print_table, printable


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Switch endpoints on and off, or all but the local ones.",
        epilog="Example: localguard route set local",
        no_args_is_help=True,
    )
    group.command("show", epilog="Example: localguard route show --json")(show)
    group.command("set", epilog="Example: localguard route set openai off")(set_route)
    app.add_typer(group, name="route")


def show(port: PortOption = DEFAULT_PORT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show which endpoints are switched on."""
    from localguard.proxy.control_client import ControlClient

    _print(ControlClient(located(home), port).call("GET", "/routes"), as_json=as_json)


def set_route(
    what: Annotated[str, typer.Argument(metavar="policy|local|ENDPOINT", help="The mode, or an endpoint by name.")],
    state: Annotated[str | None, typer.Argument(metavar="on|off", help="Of an endpoint.")] = None,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Use what policy allows, only local endpoints, or switch one endpoint on or off.

    Counts from the next request on, also after a restart. It never allows what policy does not.
    """
    from localguard.proxy.control_client import ControlClient

    client = ControlClient(located(home), port)
    if state is None:
        if what not in ("policy", "local"):
            raise WrongUse("Say `policy`, `local`, or an endpoint with `on` or `off`.")
        said = client.call("POST", "/routes", mode=what)
    elif state in ("on", "off"):
        said = client.call("POST", f"/routes/{quote(what, safe='')}", on=state == "on")
    else:
        raise WrongUse("An endpoint is switched `on` or `off`.")
    _print(said, as_json=as_json)


def _print(said: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(said)
        return
    typer.echo("Only local endpoints are on." if said["mode"] == "local" else "Policy decides.")
    if said["error"]:
        typer.echo(printable(said["error"]), err=True)
    print_table(
        [(one["name"], one["class"], "on" if one["on"] else "off") for one in said["endpoints"]],
        ("endpoint", "class", "switch"),
    )
