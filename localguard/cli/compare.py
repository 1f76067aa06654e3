"""`localguard compare`: which workflows, models and endpoints come to something, and what that costs."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from localguard.cli.options import HomeOption, JsonOption, located
from localguard.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    from localguard.audit.outcomes import Bar, Line, Work


WIDTH = 40
"""Characters of a whole bar."""
_GIT_SECONDS = 5.0


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

    By what became of their sessions: `session outcome` says that of one. Shares stand with their 95 % interval; what intervals share is no
    difference. Tests are runs by the agents that passed, of those that are known to have passed or failed; commits those that git still
    has and nobody reverted, of all that were made.
    """
    from localguard.audit.outcomes import compare as compared
    from localguard.audit.outcomes import works_of
    from localguard.audit.queries import Log
    from localguard.cli.clock import moment

    start = moment(since, "--since") if since is not None else None
    with Log(located(home).audit_db) as log:
        works = works_of(log.in_sessions(start))
    _ask_git(works)
    lines = compared(works, by)
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    print_table([cells(line) for line in lines], (by, *HEADER))
    _print_chart(lines)
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
    "tests",
    "commits",
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
        _share_of(line.tests.get("passed", 0), line.tests.get("failed", 0)),
        _share_of(
            line.commits.get("commits_kept", 0),
            line.commits.get("commits_reverted", 0) + line.commits.get("commits_gone", 0),
        ),
        str(sum(line.tokens.values())),
        _seconds(line.p50_ms),
        _seconds(line.p95_ms),
    )


def _ask_git(works: "Sequence[Work]") -> None:
    """What became of the commits of sessions that nobody rated yet, the newest first, for as long as a person waits."""
    import time

    from localguard.cli.session_outcome import commits_of

    until = time.monotonic() + _GIT_SECONDS
    for work in sorted(works, key=lambda one: one.ended, reverse=True):
        if time.monotonic() > until:
            return
        if work.commits and (work.verdict is None or not work.verdict.facts):
            work.fates = commits_of(work)


def _print_chart(lines: "Sequence[Line]") -> None:
    """The accepted shares as bars: dark up to the interval, lighter in it."""
    from rich.console import Console
    from rich.text import Text

    from localguard.audit.outcomes import chart

    bars = chart(lines)
    if not bars:
        return
    console = Console(highlight=False, soft_wrap=True)
    marks = "█▓░ " if console.encoding.lower().replace("-", "") == "utf8" else "#=- "
    wide = max(len(printable(bar.name)) for bar in bars)
    console.print("\naccepted, with its 95 % interval")
    for bar in bars:
        drawn = bar_text(bar, marks)
        text = Text(f"{printable(bar.name):{wide}}  ")
        text.append(drawn, style="green")
        text.append(f"  {_percent(bar.share):>4}  {_percent(bar.low)}..{_percent(bar.high)}  of {bar.rated}")
        console.print(text)


def bar_text(bar: "Bar", marks: str = "█▓░ ") -> str:
    """A bar of `WIDTH` characters: sure, likely, possible, beyond the interval."""
    ends = [round(WIDTH * share) for share in (bar.low, bar.share, bar.high, 1.0)]
    starts = [0, *ends]
    return "".join(mark * (end - start) for mark, start, end in zip(marks, starts, ends, strict=False))


def _share_of(good: int, bad: int) -> str:
    return f"{good}/{good + bad}" if good + bad else "-"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _seconds(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1000:.1f}"
