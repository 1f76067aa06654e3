"""`localguard key`: provider keys that the guard adds itself, so that agents never see them."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from localguard.cli.clock import now
from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import HomeOption, JsonOption, located
from localguard.cli.output import print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from localguard.config.keys import Keys

_NameArgument = Annotated[str, typer.Argument(help='NAME of an endpoint\'s credential = "keyring:NAME".')]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Keep the keys that the guard adds itself.",
        epilog="Example: localguard key list",
        no_args_is_help=True,
    )
    group.command("set", epilog="Example: localguard key set work < key.txt")(set_key)
    group.command("list", epilog="Example: localguard key list --json")(list_keys)
    group.command("remove", epilog="Example: localguard key remove work")(remove)
    app.add_typer(group, name="key")


def _keys(home: "Path | None") -> "Keys":
    from localguard.config.keys import Keys

    place = located(home)
    place.create()
    return Keys(place, env=os.environ)


def set_key(name: _NameArgument, home: HomeOption = None) -> None:
    """Store a key, asked for without echo or read from standard input.

    NAME is that of an endpoint's credential keyring:NAME. A key on the command line would stand in the shell's history.
    """
    value = typer.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.read(1 << 17).strip()
    try:
        _keys(home).set(name, value, now=now())
    except ValueError as error:
        raise WrongUse(f"This cannot be a key: {error}.") from None
    typer.echo(f"The key {name} is stored.")


def list_keys(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the names of stored keys, never their values."""
    stored = _keys(home).list()
    if as_json:
        print_json([{"name": key.name, "created": key.created} for key in stored])
        return
    print_table([(key.name, key.created) for key in stored], ("name", "stored"))


def remove(name: _NameArgument, home: HomeOption = None) -> None:
    """Forget a key."""
    _keys(home).remove(name)
    typer.echo(f"The key {name} is forgotten.")
