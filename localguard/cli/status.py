"""`localguard status`: the guard of this home, and what goes around it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

import typer

from localguard.cli.exit_codes import ExitCode
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, printable


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: localguard status --json")(status)


def status(port: PortOption = DEFAULT_PORT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the state of the guard, and who goes around it.

    Names agents of this user that are connected to providers directly. Exit code 3 if no guard of this home runs on the port.
    """
    from localguard.config.agents import direct_connections
    from localguard.proxy.control_client import ControlClient

    client = ControlClient(located(home), port)
    running = client.is_running()
    guard = client.status() if running else {}
    direct = direct_connections(port)
    if as_json:
        print_json({"running": running, "guard": guard, "direct": [asdict(agent) for agent in direct]})
    else:
        typer.echo(f"The guard runs on 127.0.0.1:{port}." if running else f"No guard of this home runs on port {port}.")
        for name, value in _lines(guard):
            typer.echo(f"  {name}: {printable(value)}")
        for agent in direct:
            typer.echo(f"Around the guard: {agent.name} (pid {agent.pid}) is connected to {agent.remote}.")
        if direct:
            typer.echo(
                "Point them here for good, `localguard agents connect NAME`, or start them with `localguard run -- COMMAND`."
            )
        elif running:
            typer.echo("No agent is seen to go around the guard.")
        if not running:
            typer.echo("Start one with `localguard serve`, or with an agent: `localguard run -- COMMAND`.")
    if not running:
        raise typer.Exit(ExitCode.UNREACHABLE)


def _lines(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted name and text of every leaf."""
    for name, entry in value.items():
        if isinstance(entry, Mapping):
            yield from _lines(entry, f"{prefix}{name}.")
        elif isinstance(entry, list):
            yield f"{prefix}{name}", ", ".join(_brief(part) for part in entry) or "none"
        else:
            yield f"{prefix}{name}", "-" if entry is None else str(entry)


def _brief(entry: object) -> str:
    """Return an entry of a list: the name of what has one, else its text."""
    return str(entry.get("name", entry)) if isinstance(entry, Mapping) else str(entry)
