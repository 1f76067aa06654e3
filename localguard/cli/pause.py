"""`localguard pause` and `resume`: break-glass, where policy allows it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json

if TYPE_CHECKING:
    from localguard.proxy.control_client import ControlClient


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog='Example: localguard pause --minutes 10 --reason "compare replies with and without"')(pause)
    app.command(epilog="Example: localguard resume")(resume)


def pause(
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=240, help="For how long.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the log.")],
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send what is found as it is, for some minutes.

    Only where `[pause]` of the policy allows it, for work of the sensitivity that it names. Requests are still scanned, decided on
    and recorded. An agent cannot do this.
    """
    _print(_client(port, home).call("POST", "/pause", minutes=minutes, reason=reason), as_json=as_json)


def resume(port: PortOption = DEFAULT_PORT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """End a pause."""
    _print(_client(port, home).call("POST", "/resume"), as_json=as_json)


def _print(said: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(said)
    elif said["paused"]:
        work = ", ".join(said["sensitivity"])
        typer.echo(f"Redaction is paused for {said['seconds_left']} seconds, for work that is {work}.")
    else:
        typer.echo("Redaction is on.")


def _client(port: int, home: Path | None) -> "ControlClient":
    from localguard.proxy.control_client import ControlClient

    return ControlClient(located(home), port)
