"""`localguard tray`: the guard's icon in the desktop's panel."""

from typing import Annotated

import typer

from localguard.cli.options import DEFAULT_PORT, HomeOption, PortOption, located


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: localguard tray")(tray)


def tray(
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=600, help="Seconds that a panel may take to appear, as at login.")
    ] = 0,
) -> None:
    """Show the guard in the desktop's panel: its state, and a menu to steer it.

    Runs until it is quit, and follows the guard when that stops and starts. Whatever the menu does, a command does too.
    """
    from localguard.tray.program import run

    run(located(home), port, wait=wait, told=typer.echo)
