"""`localguard approve` and `deny`: answer what policy wants a person to be asked about."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    from localguard.proxy.control_client import ControlClient

_Id = Annotated[str, typer.Argument(metavar="ID", help="The exchange that waits; shown in the refusal.")]
_Why = Annotated[str, typer.Option("--why", help="Kept in the log with the answer.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: localguard approve 01JC2M9X5Q --for session")(approve)
    app.command(epilog='Example: localguard deny 01JC2M9X5Q --why "use the local model"')(deny)


def approve(
    id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The exchange that waits. [default: list those that wait]")
    ] = None,
    scope: Annotated[
        str, typer.Option("--for", metavar="once|session|hour|task", help="How far the approval reaches.")
    ] = "once",
    why: _Why = "",
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a request go that waits for a person.

    Without an ID, list those that wait. `once` admits the identical request for ten minutes, `session` what comes of its session, `hour` and `task` what comes of its
    workspace. Always for the same endpoint, model and rules. The agent cannot answer for itself.
    """
    client = _client(port, home)
    if id is None:
        _list(client, as_json=as_json)
        return
    said = client.call("POST", f"/approvals/{quote(id, safe='')}", allow=True, scope=scope, why=why)
    if as_json:
        print_json(said)
    elif said["waiting"]:
        typer.echo("Allowed. The request goes on.")
    else:
        typer.echo("Allowed. Nobody waits for it any more: send the same request again.")


def deny(
    id: _Id, why: _Why = "", port: PortOption = DEFAULT_PORT, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Refuse a request that waits, or take an approval back."""
    said = _client(port, home).call("POST", f"/approvals/{quote(id, safe='')}", allow=False, why=why)
    if as_json:
        print_json(said)
    else:
        typer.echo("Refused.")


def _list(client: "ControlClient", *, as_json: bool) -> None:
    approvals = client.call("GET", "/approvals")["approvals"]
    if as_json:
        print_json(approvals)
        return
    if not approvals:
        typer.echo("Nothing waits for an approval.")
        return
    columns = ("id", "age_seconds", "agent", "workspace", "task", "endpoint", "model")
    rows = [[str(one[name] if one[name] is not None else "-") for name in columns] for one in approvals]
    print_table(rows, ("id", "seconds", *columns[2:]))
    for one in approvals:
        typer.echo(f"\n{printable(one['id'])}: {printable(one['reason'])}")
        typer.echo(f"  localguard approve {printable(one['id'])} --for {'|'.join(map(printable, one['scopes']))}")


def _client(port: int, home: Path | None) -> "ControlClient":
    from localguard.proxy.control_client import ControlClient

    return ControlClient(located(home), port)
