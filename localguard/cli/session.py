"""`localguard session`: what agents did, session by session, from the log."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli import session_review
from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import HomeOption, JsonOption, located
from localguard.cli.output import print_json, print_table, printable
from localguard.cli.session_approvers import add_standing
from localguard.cli.session_ids import session_id
from localguard.cli.session_outcome import outcome
from localguard.config.commit_trailers import sessions_named

if TYPE_CHECKING:
    from localguard.audit.queries import Log
    from localguard.audit.sessions import Approval, Session

_PAGE = 50
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
_SHOWN = 8
"""Names of one line; of commands and files all are shown with --json."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Show what agents did, session by session, and approve it.",
        epilog="Example: localguard session list --branch incident/42",
        no_args_is_help=True,
    )
    group.command("list", epilog="Example: localguard session list --agent codex --since 2026-01-31")(list_sessions)
    group.command("show", epilog="Example: localguard session show --branch incident/42")(show)
    group.command(
        "outcome", epilog="Example: localguard session outcome 0199c1d2 --workflow dependency-bump --result accepted"
    )(outcome)
    session_review.register(group)
    app.add_typer(group, name="session")


def list_sessions(
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=10_000, help="How many sessions.")] = 20,
    branch: Annotated[str | None, typer.Option("--branch", help="Only those that were on this branch.")] = None,
    commit: Annotated[str | None, typer.Option("--commit", help="Only those that saw this commit (a prefix).")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only those of this agent.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only those that were at work after this (UTC, ISO 8601)."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List sessions, the latest first."""
    from localguard.audit.queries import Log
    from localguard.audit.sessions import session_data

    with Log(located(home).audit_db) as log:
        found: list[Session] = []
        for session in _newest_first(log, since):
            if _matches(session, branch=branch, commit=commit, agent=agent):
                found.append(session)
                if len(found) == number:
                    break
    if as_json:
        print_json([session_data(session) for session in found])
        return
    rows = [
        (
            session.id,
            session.began[:19].replace("T", " "),
            _first(session.agents),
            _first(session.workspaces),
            _first(session.branches),
            _first(session.models),
            str(session.exchanges),
            str(session.refused),
            f"{session.cost_usd:.4f}",
        )
        for session in found
    ]
    print_table(
        rows, ("session", "began (UTC)", "agent", "workspace", "branch", "model", "exchanges", "refused", "USD")
    )


def show(
    session: Annotated[str | None, typer.Argument(help="The session's id, or the beginning of it.")] = None,
    commit: Annotated[
        str | None, typer.Option("--commit", help="The sessions that a commit names in its trailers, or that saw it.")
    ] = None,
    branch: Annotated[str | None, typer.Option("--branch", help="The sessions that were on this branch.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one session: agent, models, endpoints, identity, repository, tools, instructions, commands, approvals, cost.

    Of several that a commit or a branch has, the latest is shown and the others are named; --json prints all. Trailers are
    read from the repository of the current directory: whoever commits can write them.
    """
    from localguard.audit.queries import Log
    from localguard.audit.sessions import session_data, session_of

    if [session, commit, branch].count(None) != 2:
        raise WrongUse("Give either a session, or --commit, or --branch.")
    with Log(located(home).audit_db) as log:
        ids = [session_id(log, session)] if session is not None else _at(log, commit, branch)
        told = [session_of(id, log.whole_session(id)) for id in (ids if as_json else ids[:1])]
    for one in told:
        add_standing(located(home), one)
    if as_json:
        print_json(session_data(told[0]) if session is not None else [session_data(one) for one in told])
        return
    for title, lines in _paragraphs(told[0]):
        typer.echo(printable(title) if title == f"Session {told[0].id}" else f"\n{title}")
        for line in lines:
            typer.echo(f"  {printable(line)}")
    if len(ids) > 1:
        typer.echo(f"\nThere are {len(ids) - 1} more:")
        for id in ids[1:]:
            typer.echo(f"  localguard session show {printable(id)}")


def _at(log: "Log", commit: str | None, branch: str | None) -> list[str]:
    """Ids of the sessions of a commit or a branch, those that a commit names first. Raises WrongUse for none."""
    if commit is None:
        found = log.sessions_at(branch=branch)
    else:
        if not _COMMIT.fullmatch(commit):
            raise WrongUse("A commit is given by its name: 7 to 64 hexadecimal digits.")
        named = [id for id in sessions_named(Path.cwd(), commit) if log.session_ids(id, 1) == [id]]
        found = list(dict.fromkeys([*named, *log.sessions_at(commit=commit.lower())]))
    if not found:
        raise WrongUse("The log has no session there. `localguard session list` shows the latest ones.")
    return found


def _newest_first(log: "Log", since: str | None) -> "Iterator[Session]":
    from localguard.audit.sessions import session_of

    before: int | None = None
    while page := log.sessions(_PAGE, before):
        for id, last in page:
            told = session_of(id, log.whole_session(id))
            if since is not None and told.ended < since:
                return
            yield told
            before = last


def _matches(session: "Session", *, branch: str | None, commit: str | None, agent: str | None) -> bool:
    return (
        (branch is None or branch in session.branches)
        and (commit is None or any(one.startswith(commit.lower()) for one in session.commits))
        and (agent is None or any(name.split(" ")[0] == agent for name in session.agents))
    )


def _paragraphs(session: "Session") -> Iterator[tuple[str, list[str]]]:
    yield (
        f"Session {session.id}",
        _lines(
            ("time", f"{session.began} to {session.ended}"),
            ("agent", _names(session.agents)),
            ("exchanges", f"{session.exchanges}, {session.refused} refused, {session.failed} not completed"),
            ("sent again", session.retried or ""),
        ),
    )
    yield (
        "Where",
        _lines(
            ("workspace", _names(session.workspaces)),
            ("sensitivity", _names(session.sensitivities)),
            ("repository", _names(session.repositories)),
            ("branch", _names(session.branches)),
            ("commits", _names(session.commits)),
            ("task", _names(session.tasks)),
        ),
    )
    yield (
        "Which model, by whose key",
        _lines(
            ("model asked for", _names(session.models)),
            ("model served", _names(session.served)),
            ("endpoint", _names(session.endpoints)),
            ("credential", _names(session.identities)),
            ("cost bucket", _names(session.buckets)),
            ("policy", _names(session.policies)),
            ("rules", _names(session.rules)),
        ),
    )
    yield (
        "Tools and instructions",
        _lines(
            ("tools", _names(session.tools)),
            ("MCP servers", ", ".join(session.mcp_servers)),
            ("calls", _names(session.calls)),
            ("tests run", ", ".join(f"{count} {name}" for name, count in session.tests.items())),
            ("instructions", ", ".join(_instruction(one) for one in session.instructions)),
        ),
    )
    yield (
        "Guarded",
        _lines(
            ("replaced", _names(session.redactions)),
            ("restored", session.restored or ""),
            ("withheld", session.withheld or ""),
            ("sent in clear before they were known", session.exposed or ""),
            ("refusals", _names(session.refusals)),
            ("failures from", _names(session.origins)),
        ),
    )
    yield (
        "Spent",
        _lines(
            ("tokens", _names(session.tokens)),
            ("cost", f"{session.cost_usd} USD"),
            ("prices", _names(session.prices)),
            ("time to first byte", _times(session.first_byte_ms)),
            ("time in all", _times(session.total_ms)),
        ),
    )
    for title, lines in (
        ("Commands", [f"{one.time}  {one.tool}: {one.command}" for one in session.commands]),
        ("Files written", [f"{path} ({count})" for path, count in session.files.most_common()]),
        ("Approvals", [_approval(one) for one in session.approvals]),
    ):
        if lines:
            yield title, lines


def _lines(*facts: tuple[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in facts if value not in ("", None)]


def _names(counter: Counter[str]) -> str:
    shown = [name if count == 1 else f"{name} ({count})" for name, count in counter.most_common(_SHOWN)]
    more = len(counter) - _SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _first(counter: Counter[str]) -> str:
    return next((name for name, _ in counter.most_common(1)), "-")


def _times(values: list[int]) -> str:
    if not values:
        return ""
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]} ms in the middle, {ordered[-1]} ms at most"


def _instruction(one: Any) -> str:
    compared = {True: ", as on disk", False: ", not as on disk", None: ""}[one.matches_disk]
    return f"{one.name} ({one.digest[:12]}{compared})"


def _approval(one: "Approval") -> str:
    who = f"{one.by or 'somebody'}{f', {one.identity}' if one.identity else ''}"
    return f"{one.time}  {one.event} by {who} {one.why}"
