"""`localguard report`: what the log says of a period, as a page, JSON or a table."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, PortOption, located

if TYPE_CHECKING:
    from localguard.config.home import Home
    from localguard.report.figures import Figures, Scope


class ReportFormat(StrEnum):
    """How a report is written."""

    HTML = "html"
    JSON = "json"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Example: localguard report --since 30d --output report.html\n\n"
        "Or: localguard report --open · localguard report --workspace payments --format csv --output payments.csv"
    )(report)


def report(
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="From when on: 7d, 12h, 8w, or a time (UTC, ISO 8601). [default: 7d; of a session its beginning]",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="The same as --since, for a time.", show_default=False)
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="TIME", help="Until when, that moment left out. [default: now]", show_default=False
        ),
    ] = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", help="Only one workspace, by its name or repository.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", help="Only one session, by its id or its beginning.")
    ] = None,
    form: Annotated[
        ReportFormat | None,
        typer.Option(
            "--format",
            help="A page, a document or a table. [default: html; in a terminal some lines]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write it to this file (mode 0600).")] = None,
    opened: Annotated[
        bool, typer.Option("--open", help="Have the running guard show it in the browser, made anew at each reload.")
    ] = False,
    verify: Annotated[
        bool | None,
        typer.Option(
            "--verify/--no-verify",
            help="Hash every record of the log anew. [default: up to 50,000 records]",
            show_default=False,
        ),
    ] = None,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
) -> None:
    """Report what was redacted, refused and sent where.

    Read from the log alone, beside a running guard or without one. Holds fingerprints, never values, but names of repositories
    and workspaces: look before you hand it on.
    """
    from localguard import __version__
    from localguard.audit.queries import Log
    from localguard.cli.clock import now
    from localguard.cli.output import progress
    from localguard.cli.session_ids import session_id
    from localguard.report.reading import read

    place = located(home)
    if session is not None:
        with Log(place.audit_db) as log:
            session = session_id(log, session)
    if opened:
        _show(place, port, since=start or since, to=end, workspace=workspace, session=session, verify=verify)
        return
    scope = _scope(start or since, end, workspace, session)
    with progress("records") as advance:
        figures = read(place.audit_db, scope, version=__version__, made=now(), whole=verify, progress=advance)
    chosen = ReportFormat.JSON if as_json else form
    if output is not None:
        _write(output, _text(figures, chosen or ReportFormat.HTML))
        typer.echo(f"Written to {output}: {figures.totals.exchanges} exchanges.", err=True)
    elif chosen is None and sys.stdout.isatty():
        for line in _summary(figures):
            typer.echo(line)
    else:
        sys.stdout.write(_text(figures, chosen or ReportFormat.HTML))


def _scope(since: str | None, end: str | None, workspace: str | None, session: str | None) -> "Scope":
    """What is asked for. A session is reported on whole unless a time is named."""
    from localguard.cli.clock import moment, now
    from localguard.report.figures import Scope

    start = moment(since, "--since") if since is not None else "" if session else moment("7d", "--since")
    until = moment(end, "--to") if end is not None else now()
    if start and start >= until:
        raise WrongUse("The report would end before it begins: --to is not after --since.")
    return Scope(start, until, workspace, session)


def _text(figures: "Figures", form: ReportFormat) -> str:
    if form is ReportFormat.JSON:
        from localguard.report.document import document

        return document(figures)
    if form is ReportFormat.CSV:
        from localguard.report.table import table

        return "".join(f"{line}\n" for line in table(figures))
    from localguard.report.page import page

    return page(figures)


def _summary(figures: "Figures") -> list[str]:
    """The report in some lines, for a terminal."""
    from localguard.report.page import attention

    totals = figures.totals
    spent = sum(row.cost_usd for row in figures.by_bucket)
    return [
        f"{totals.exchanges} exchanges in {totals.sessions} sessions, {totals.refused} refused.",
        f"{totals.replaced} values replaced ({totals.distinct} different), {totals.restored} turned back in replies.",
        f"{spent:.2f} USD spent.",
        *(f"  ! {text}" for text, _ in attention(figures)),
        figures.verification.said,
        "The whole report: localguard report --open, or --output report.html (--format json, csv).",
    ]


def _write(output: Path, text: str) -> None:
    from localguard.config.home import write_private

    try:
        write_private(output, text.encode())
    except OSError as error:
        raise WrongUse(f"{output} cannot be written ({error.strerror}).") from None


def _show(home: "Home", port: int, **asked: object) -> None:
    """Have the running guard make a link, and open it in the browser."""
    import webbrowser

    from localguard.proxy.control_client import ControlClient

    given = {name: value for name, value in asked.items() if value is not None}
    address = f"http://127.0.0.1:{port}{ControlClient(home, port).call('POST', '/report', **given)['path']}"
    if webbrowser.open(address):
        typer.echo("The report opens in your browser.", err=True)
    else:
        typer.echo("No browser could be started. Within a minute, and once, this opens the report:", err=True)
        typer.echo(address)
