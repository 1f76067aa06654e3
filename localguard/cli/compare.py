"""`localguard compare`: which workflows, models and endpoints come to something, and what that costs."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from localguard.cli.options import HomeOption, JsonOption, located
from localguard.cli.output import print_json, print_table

if TYPE_CHECKING:
    from localguard.audit.outcomes import Line


class Axis(StrEnum):
    """What sessions are grouped by."""

    WORKFLOW = "workflow"
    MODEL = "model"
    ENDPOINT = "endpoint"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: localguard compare --by model --since 30d")(compare)


def compare(
    by: Annotated[Axis, typer.Option("--by", help="What to group sessions by.")] = Axis.MODEL,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only what was done since: 30d, or a time (UTC, ISO 8601)."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare workflows, models or endpoints.

    By what became of their sessions: `session outcome` says that of one. Shares stand with their 95 % interval; what intervals share is no difference.
    """
    from localguard.audit.outcomes import compare as compared
    from localguard.audit.outcomes import works_of
    from localguard.audit.queries import Log
    from localguard.cli.clock import moment

    start = moment(since, "--since") if since is not None else None
    with Log(located(home).audit_db) as log:
        lines = compared(works_of(log.in_sessions(start)), by)
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    print_table([cells(line) for line in lines], (by, *HEADER))
    if lines and not any(line.rated for line in lines):
        typer.echo("\nNo session is rated yet: `localguard session outcome ID --workflow NAME --result accepted`.")


HEADER = (
    "sessions",
    "rated",
    "accepted",
    "95 %",
    "USD/accepted",
    "USD",
    "review min",
    "retries",
    "tool calls",
    "failed",
    "tokens",
    "p50 s",
    "p95 s",
)


def cells(line: "Line") -> Sequence[str]:
    """One line of the table; `-` where nothing is known."""
    return (
        line.name,
        str(line.sessions),
        str(line.rated),
        _percent(line.accepted_share),
        "-" if line.low is None else f"{_percent(line.low)}..{_percent(line.high)}",
        "-" if line.cost_per_accepted is None else f"{line.cost_per_accepted:.4f}",
        f"{line.cost_usd:.4f}",
        f"{line.review_minutes / line.reviewed:.1f}" if line.reviewed else "-",
        str(line.retries),
        str(line.tool_calls),
        str(line.tool_failures),
        str(sum(line.tokens.values())),
        _seconds(line.p50_ms),
        _seconds(line.p95_ms),
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _seconds(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1000:.1f}"
