"""`localguard key`: provider keys that the guard adds itself, so that agents never see them."""

import os
import sys
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from localguard.cli.clock import days_since, now
from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
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
    group.command("rotate", epilog="Example: localguard key rotate work < new-key.txt")(rotate)
    group.command("list", epilog="Example: localguard key list --json")(list_keys)
    group.command("remove", epilog="Example: localguard key remove work")(remove)
    app.add_typer(group, name="key")


def _keys(home: "Path | None") -> "Keys":
    from localguard.config.keys import Keys

    place = located(home)
    place.create()
    return Keys(place, env=os.environ)


_OriginOption = Annotated[
    str | None,
    typer.Option("--origin", help="Give the key out for this address only, e.g. https://api.openai.com."),
]


def set_key(
    name: _NameArgument, origin: _OriginOption = None, port: PortOption = DEFAULT_PORT, home: HomeOption = None
) -> None:
    """Store a key, asked for without echo or read from standard input.

    NAME is that of an endpoint's credential keyring:NAME. A key on the command line would stand in the shell's history.
    """
    _store(_keys(home), name, _origin(origin))
    _record(home, port, name, "set")
    typer.echo(f"The key {name} is stored.")


def rotate(name: _NameArgument, port: PortOption = DEFAULT_PORT, home: HomeOption = None) -> None:
    """Put a new key in the place of a stored one, asked for without echo or read from standard input.

    Requests from then on use the new one; afterwards end the old one at the provider.
    """
    keys = _keys(home)
    known = {key.name: key for key in keys.list()}
    if name not in known:
        raise WrongUse(f"There is no key named {name}. Store it with `localguard key set {name}`.")
    _store(keys, name, known[name].origin)
    _record(home, port, name, "rotate")
    typer.echo(f"The key {name} is replaced. Now end the old one at the provider.")


def _store(keys: "Keys", name: str, origin: str | None) -> None:
    value = typer.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.read(1 << 17).strip()
    try:
        keys.set(name, value, now=now(), origin=origin)
    except ValueError as error:
        raise WrongUse(f"This cannot be a key: {error}.") from None


def _record(home: "Path | None", port: int, name: str, action: str) -> None:
    """Note in the log what was done with a key: by the guard that runs, else by this command."""
    from datetime import UTC, datetime

    from localguard.audit.lock import AlreadyRunning
    from localguard.audit.schema import LogUnavailable
    from localguard.audit.store import Store
    from localguard.proxy.control_client import ControlClient

    place = located(home)
    client = ControlClient(place, port)
    try:
        if client.is_running():
            client.call("POST", f"/keys/{quote(name, safe='')}", action=action)
            return
        with Store.open(place.audit_db, clock=lambda: datetime.now(UTC)) as store:
            store.append("control", metadata={"event": "key", "detail": {"key": name, "action": action}}).result()
    except AlreadyRunning:
        typer.echo(
            "localguard: the guard of this home runs on another port; give it with --port to have this recorded.",
            err=True,
        )
    except LogUnavailable as error:
        typer.echo(f"localguard: this could not be recorded: {error}", err=True)


def _origin(given: str | None) -> str | None:
    from localguard.config.endpoint_address import normal_url, origin_of, problem_with_url

    if given is None:
        return None
    problem = problem_with_url(given, allow_http=True)
    if problem is not None:
        raise WrongUse(f"The address {problem}.")
    return origin_of(normal_url(given))


def list_keys(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the names of stored keys, their age and where they may go, never their values.

    Keys older than 90 days are marked: replace them with `key rotate`.
    """
    from localguard.config.keys import ROTATE_AFTER_DAYS

    keys = _keys(home)
    stored = [(key, days_since(key.created)) for key in keys.list()]
    if as_json:
        print_json(
            [
                {
                    "name": key.name,
                    "created": key.created,
                    "days": days,
                    "rotate": (days or 0) > ROTATE_AFTER_DAYS,
                    "origin": key.origin,
                }
                for key, days in stored
            ]
        )
        return
    rows = [
        (
            key.name,
            key.created,
            "?" if days is None else f"{days} days{', rotate it' if days > ROTATE_AFTER_DAYS else ''}",
            key.origin or "any endpoint that names it",
        )
        for key, days in stored
    ]
    print_table(rows, ("name", "stored", "age", "given out for"))
    if (place := keys.kept_in) is not None:
        only = "" if place == "keychain" else ", protected by file permissions only"
        typer.echo(f"\nThey are encrypted under a key in the {place}{only}.")


def remove(name: _NameArgument, port: PortOption = DEFAULT_PORT, home: HomeOption = None) -> None:
    """Forget a key."""
    _keys(home).remove(name)
    _record(home, port, name, "remove")
    typer.echo(f"The key {name} is forgotten.")
