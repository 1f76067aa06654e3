"""`localguard session approve` and `export`: what becomes of a session when its work is reviewed."""

from pathlib import Path
from typing import Annotated

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, printable
from localguard.cli.session_approvers import add_standing
from localguard.cli.session_ids import session_id

_Session = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id, or the beginning of it.")]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("approve", epilog='Example: localguard session approve 0199c1d2 --note "read and tested"')(approve)
    group.command("export", epilog="Example: localguard session export 0199c1d2 --format markdown")(export)


def approve(
    session: _Session,
    note: Annotated[str, typer.Option("--note", help="Kept in the log with the approval.")] = "",
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record that you approve what an agent did in a session.

    The record names the user, git's name and address of the current directory, and how far the session had come. The running guard
    writes it, and refuses agents.
    """
    from localguard.audit.queries import Log
    from localguard.config.commit_trailers import git_identity
    from localguard.proxy.control_client import ControlClient

    place = located(home)
    with Log(place.audit_db) as log:
        id = session_id(log, session)
    identity = git_identity(Path.cwd()) or ""
    said = ControlClient(place, port).call("POST", "/session-approvals", session=id, note=note, identity=identity)
    if as_json:
        print_json(said)
        return
    who = f"{said['by']}, {said['identity']}" if said["identity"] else str(said["by"])
    typer.echo(
        f"Approved: session {printable(id)}, {said['records']} records until {said['until']}, by {printable(who)}."
    )


def export(
    session: _Session,
    format: Annotated[str, typer.Option("--format", metavar="markdown", help="Only markdown so far.")] = "markdown",
    commands: Annotated[
        bool, typer.Option("--commands", help="With the commands, which may name local things.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file. [default: standard output]")] = None,
    home: HomeOption = None,
) -> None:
    """Write a summary of a session for a pull request, without what is local to this machine."""
    from localguard.audit.queries import Log
    from localguard.audit.session_summary import markdown
    from localguard.audit.sessions import session_of

    if format != "markdown":
        raise WrongUse("The format is markdown.")
    with Log(located(home).audit_db) as log:
        id = session_id(log, session)
        told = session_of(id, log.whole_session(id))
    add_standing(located(home), told)
    text = markdown(told, commands=commands)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise WrongUse(f"{output} cannot be written: {error.strerror}.") from None
