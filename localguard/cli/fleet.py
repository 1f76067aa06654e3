"""`localguard fleet report`: what all machines together did, as the central store knows it."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from localguard.cli.collector import DatabaseOption, run
from localguard.cli.options import JsonOption
from localguard.cli.output import print_json, print_table

_TITLES = {
    "spend": "Spend by team, bucket, model and workflow",
    "data_flow": "What went where, by sensitivity and class of endpoint",
    "protection": "Refusals and redactions by day",
    "personal_keys": "Personal keys in use",
    "machines": "Machines that are silent, have an old policy or do not verify",
    "outcomes": "Outcomes by workflow and model",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(
        help="Ask the central store about all machines.",
        epilog="Example: localguard fleet report --since 7d --database postgresql:///audit",
        no_args_is_help=True,
    )
    group.command("report", epilog="Example: localguard fleet report --since 30d --database postgresql:///audit")(
        report
    )
    app.add_typer(group, name="fleet")


def report(
    database: DatabaseOption,
    since: Annotated[str, typer.Option("--since", metavar="PERIOD", help="7d, 12w or 48h; whole days (UTC).")] = "7d",
    as_json: JsonOption = False,
) -> None:
    """Print spend, data flow, protection, personal keys, machines to look at, and outcomes.

    As far as the database role may see: row-level security shows each role its teams only.
    """
    from localguard.cli.clock import span
    from localguard.collector.administration import report as read_report
    from localguard.collector.administration import spelled

    today = datetime.now(UTC)
    first = (today - span(since, "--since")).date()
    found = run(database, lambda connection: read_report(connection, first, today.date()))
    if as_json:
        print_json({"since": first, "until": today.date(), **found})
        return
    typer.echo(f"From {first} to {today.date()} (UTC)")
    for name, title in _TITLES.items():
        typer.echo(f"\n{title}")
        rows = found[name]
        if not rows:
            typer.echo("  none")
            continue
        print_table([[spelled(value) for value in row.values()] for row in rows], [*rows[0]])
