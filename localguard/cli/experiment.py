"""`localguard experiment`: a paved path to an endpoint on trial."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, print_table

if TYPE_CHECKING:
    from localguard.proxy.control_client import ControlClient


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Open an endpoint on trial for some hours.",
        epilog='Example: localguard experiment start --endpoint trial --hours 2 --reason "compare with gpt"',
        no_args_is_help=True,
    )
    group.command("list", epilog="Example: localguard experiment list")(list_experiments)
    group.command(
        "start", epilog='Example: localguard experiment start --endpoint trial --hours 2 --reason "compare with gpt"'
    )(start)
    group.command("stop", epilog="Example: localguard experiment stop --endpoint trial")(stop)
    app.add_typer(group, name="experiment")


_Endpoint = Annotated[str, typer.Option("--endpoint", help="An endpoint of class experimental.")]


def list_experiments(port: PortOption = DEFAULT_PORT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the experiments that run."""
    _print(_client(port, home).call("GET", "/experiments"), as_json=as_json)


def start(
    endpoint: _Endpoint,
    hours: Annotated[int, typer.Option("--hours", min=1, max=72, help="For how long.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the log.")],
    limit_usd: Annotated[
        str | None, typer.Option("--limit-usd", help="USD a day. [default: what the policy allows]", show_default=False)
    ] = None,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let work that is not sensitive use an experimental endpoint for some hours.

    Its cost is counted in a bucket of its own, `experiment:ENDPOINT`. What a policy denies stays denied.
    """
    limit = {} if limit_usd is None else {"limit_usd": limit_usd}
    path = f"/experiments/{quote(endpoint, safe='')}"
    _print(_client(port, home).call("POST", path, hours=hours, reason=reason, **limit), as_json=as_json)


def stop(
    endpoint: _Endpoint, port: PortOption = DEFAULT_PORT, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """End an experiment now."""
    _print(_client(port, home).call("POST", f"/experiments/{quote(endpoint, safe='')}/stop"), as_json=as_json)


def _print(said: dict[str, Any], *, as_json: bool) -> None:
    running = said["experiments"]
    if as_json:
        print_json(running)
    elif not running:
        typer.echo("No experiment runs.")
    else:
        rows = [(one["endpoint"], f"{one['seconds_left'] // 60}", one["limit_usd"], one["reason"]) for one in running]
        print_table(rows, ("endpoint", "minutes left", "USD a day", "reason"))


def _client(port: int, home: Path | None) -> "ControlClient":
    from localguard.proxy.control_client import ControlClient

    return ControlClient(located(home), port)
