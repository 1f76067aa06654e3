"""`localguard serve`: the guard in the foreground."""

import typer

from localguard.cli.options import DEFAULT_PORT, HomeOption, PolicyOption, ServePortOption, located


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: localguard serve --port 4141")(serve)


def serve(port: ServePortOption = DEFAULT_PORT, home: HomeOption = None, policy: PolicyOption = None) -> None:
    """Run the guard on 127.0.0.1 and ::1 until it is interrupted."""
    place = located(home, policy)
    from localguard.proxy import daemon

    daemon.run(place, port=port, policy=policy)
