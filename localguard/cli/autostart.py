"""`localguard autostart`: the guard and its tray at login, on request."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, print_printable, print_table, printable

_PANEL_SECONDS = 60
"""For which the tray waits at login until there is a panel."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Start the guard and its tray at login, or no longer.",
        epilog="Example: localguard autostart install",
        no_args_is_help=True,
    )
    group.command("install", epilog="Example: localguard autostart install --no-tray --yes")(install)
    group.command("remove", epilog="Example: localguard autostart remove")(remove)
    group.command("status", epilog="Example: localguard autostart status --json")(status)
    app.add_typer(group, name="autostart")


def install(
    guard: Annotated[bool, typer.Option("--guard/--no-guard", help="Start the guard.")] = True,
    tray: Annotated[bool, typer.Option("--tray/--no-tray", help="Start the tray.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
) -> None:
    """Start the guard and the tray at login.

    Shows what it writes (systemd user unit or autostart entry, launchd agents, values of the registry's Run key), and asks. Takes
    nobody's place: where such a file is there already, nothing is written. `remove` undoes it exactly.
    """
    from localguard.config.autostart import Autostart, Kind, entries
    from localguard.config.own_command import own_command

    place = located(home)
    options = ("--port", str(port), *(("--home", str(place.root)) if home or os.environ.get("LOCALGUARD_HOME") else ()))
    wanted = entries(
        (*own_command(), "serve", *options) if guard else None,
        (*own_command(), "tray", "--wait", str(_PANEL_SECONDS), *options) if tray else None,
        platform=sys.platform,
        user_home=Path.home(),
        environment=os.environ,
        has_systemd=Path("/run/systemd/system").is_dir(),
    )
    if not wanted:
        raise WrongUse("With neither guard nor tray there is nothing to start.")
    for one in wanted:
        typer.echo(printable(f"{one.kind}: {one.place}" + (f" -> {one.text}" if one.kind is Kind.LINK else "")))
        if one.kind is not Kind.LINK:
            print_printable("".join(f"    {line}\n" for line in one.text.splitlines()).rstrip("\n"))
    if not yes and not typer.confirm("Write this?"):
        raise typer.Exit(ExitCode.FOUND)
    Autostart(place).install(wanted)
    typer.echo("Written. It counts from the next login on; `localguard autostart remove` undoes it.")
    if any(one.place.endswith(".service") for one in wanted):
        typer.echo("To start the guard now: systemctl --user daemon-reload && systemctl --user start localguard")


def remove(home: HomeOption = None) -> None:
    """Start nothing at login any more: take away what `install` wrote.

    What was changed since stays, and is named; exit code 1 then.
    """
    from localguard.config.autostart import Autostart

    left = Autostart(located(home)).remove()
    for one in left:
        typer.echo(printable(f"{one.place} was changed since it was written, and stays. Remove it yourself."), err=True)
    if left:
        raise typer.Exit(ExitCode.FOUND)
    typer.echo("Nothing of this home is started at login.")


def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what starts at login, and whether it is still as it was written."""
    from localguard.config.autostart import Autostart

    written = Autostart(located(home)).written()
    if as_json:
        print_json([{"starts": one.starts, "place": one.place, "state": str(state)} for one, state in written])
    elif not written:
        typer.echo("Nothing of this home is started at login. `localguard autostart install` changes that.")
    else:
        print_table([(one.starts, str(state), one.place) for one, state in written], ("starts", "state", "place"))
