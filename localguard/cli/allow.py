"""`localguard allow`: values that may leave although a detector finds them, each with a reason."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli.clock import expiry, now
from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import HomeOption, JsonOption, PolicyOption, located
from localguard.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    from localguard.config.allow_list import AllowList
    from localguard.config.home import Home

_ReasonOption = Annotated[str, typer.Option("--reason", help="Why the value may leave; kept with the entry.")]
_ExpiresOption = Annotated[
    str | None,
    typer.Option("--expires", metavar="PERIOD", help="12h, 30d or 8w from now. [default: never]", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Let found values through: test keys, public addresses.",
        epilog='Example: localguard allow add --from-exchange 01JC2M9X5Q --reason "sandbox key"',
        no_args_is_help=True,
    )
    group.command(
        "add", epilog='Example: localguard allow add --from-exchange 01JC2M9X5Q --finding 2 --reason "sandbox key"'
    )(add)
    group.command("list", epilog="Example: localguard allow list --json")(list_entries)
    group.command("remove", epilog="Example: localguard allow remove 3f9a0c")(remove)
    group.command("import", epilog='Example: localguard allow import .secrets.baseline --reason "audited"')(
        import_baseline
    )
    app.add_typer(group, name="allow")


def add(
    exchange: Annotated[str, typer.Option("--from-exchange", metavar="ID", help="The exchange that was redacted.")],
    reason: _ReasonOption,
    finding: Annotated[
        int | None, typer.Option("--finding", min=1, help="Which of its values, where it had several.")
    ] = None,
    expires: _ExpiresOption = None,
    home: HomeOption = None,
) -> None:
    """Let one value of an exchange through from now on, in its workspace. The value itself is never asked for or kept."""
    from localguard.audit.queries import Log
    from localguard.config.allow_list import AllowEntry

    place = located(home)
    with Log(place.audit_db) as log:
        records = log.show(exchange)
    if not records:
        raise WrongUse("The log has no exchange with this id. `localguard audit tail` lists the newest ones.")
    values: dict[str, dict[str, Any]] = {}
    for record in records:
        for entry in record.findings or []:
            if entry.get("fingerprint"):
                values.setdefault(str(entry["fingerprint"]), entry)
    chosen = _chosen(list(values.values()), finding)
    workspace = next(
        (str(r.metadata.get("workspace")) for r in records if r.metadata and "workspace" in r.metadata), ""
    )
    made = AllowEntry(
        fingerprint=str(chosen["fingerprint"]),
        type=str(chosen.get("type", "")),
        workspace=workspace,
        reason=_reason(reason),
        author=_author(),
        added=now(),
        expires=expiry(expires),
    )
    _list(place).add([made])
    until = f" until {made.expires}" if made.expires else ""
    typer.echo(f"{made.type} {made.fingerprint[:12]} may leave from {printable(workspace)}{until}.")
    typer.echo("A running guard follows within a second or two.", err=True)


def list_entries(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List what may leave, with reason, author and expiry. Expired entries are marked; they allow nothing."""
    from dataclasses import asdict

    entries = _list(located(home)).entries()
    moment = datetime.now(UTC)
    if as_json:
        print_json([{**asdict(entry), "current": entry.is_current(moment)} for entry in entries])
        return
    rows = [
        (
            entry.fingerprint[:12],
            entry.type,
            entry.workspace,
            entry.author,
            (entry.expires or "never") + ("" if entry.is_current(moment) else " (expired)"),
            entry.reason,
        )
        for entry in entries
    ]
    print_table(rows, ("fingerprint", "type", "workspace", "author", "expires", "reason"))


def remove(
    fingerprint: Annotated[str, typer.Argument(help="As `allow list` shows it, or its beginning.")],
    home: HomeOption = None,
) -> None:
    """Remove an entry: the value is redacted again."""
    gone = _list(located(home)).remove(fingerprint)
    typer.echo(f"{gone.type} {gone.fingerprint[:12]} is redacted again.")


def import_baseline(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A detect-secrets baseline of this repository.")],
    reason: _ReasonOption = "marked as no secret in the detect-secrets baseline",
    everything: Annotated[
        bool, typer.Option("--all", help="Also entries that nobody audited, not only those marked as no secret.")
    ] = False,
    expires: _ExpiresOption = None,
    home: HomeOption = None,
    policy: PolicyOption = None,
) -> None:
    """Let through what a detect-secrets baseline marks as no secret, in the current directory's workspace.

    A baseline names places and hashes. Each value is looked up in its file, and only its keyed fingerprint is kept.
    """
    from localguard.cli.baseline import BaselineInvalid, allowed_values
    from localguard.config.allow_list import AllowEntry

    try:
        found = allowed_values(file, everything=everything)
    except BaselineInvalid as invalid:
        raise WrongUse(str(invalid)) from None
    place = located(home, policy)
    place.create()
    name, fingerprint = _fingerprints_here(place)
    added, ends = now(), expiry(expires)
    entries = [
        AllowEntry(fingerprint(value), "", name, _reason(reason), _author(), added, ends) for value in found.values
    ]
    _list(place).add(entries)
    for sentence in found.left_out:
        typer.echo(f"localguard: left out: {printable(sentence)}", err=True)
    typer.echo(f"{len(entries)} values may leave from {printable(name)}.")


def _fingerprints_here(place: "Home") -> tuple[str, Any]:
    """Return the current directory's workspace and what makes fingerprints of values in it."""
    import os

    from localguard.config.keys import Keys, fingerprint_of
    from localguard.config.policy_files import load_layers
    from localguard.config.workspaces import Workspaces

    workspace = Workspaces(load_layers(place)).of_directory(Path.cwd())
    if workspace is None:
        raise WrongUse(
            "The current directory is in no repository and no configured workspace; go to where the work is."
        )
    key = Keys(place, env=os.environ).fingerprint_key(workspace.id)
    return workspace.name, lambda value: fingerprint_of(key, value)


def _chosen(values: list[dict[str, Any]], number: int | None) -> dict[str, Any]:
    if not values:
        raise WrongUse("Nothing was replaced in this exchange.")
    if number is None and len(values) > 1:
        listed = "\n".join(f"  {at}  {one.get('type')} at {one.get('place')}" for at, one in enumerate(values, 1))
        raise WrongUse(f"This exchange had several values; name one with --finding:\n{_printable_lines(listed)}")
    if number is not None and number > len(values):
        raise WrongUse(f"This exchange had {len(values)} values.")
    return values[(number or 1) - 1]


def _printable_lines(text: str) -> str:
    """Return text of several lines without characters that would move the cursor."""
    return "\n".join(map(printable, text.split("\n")))


def _reason(text: str) -> str:
    said = " ".join(text.split())
    if not said:
        raise WrongUse("Say why, with --reason.")
    return said[:500]


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


def _list(place: "Home") -> "AllowList":
    from localguard.config.allow_list import AllowList

    place.create()
    return AllowList(place)
