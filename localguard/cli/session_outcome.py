"""`localguard session outcome`: what became of a session, as somebody says it and as git says it now."""

import getpass
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, printable
from localguard.cli.session_ids import session_id

if TYPE_CHECKING:
    from localguard.audit.outcomes import Work
    from localguard.config.home import Home


class Result(StrEnum):
    """What became of the work."""

    ACCEPTED = "accepted"
    REWORKED = "reworked"
    REJECTED = "rejected"


def outcome(
    session: Annotated[str, typer.Argument(help="The session's id, or the beginning of it.")],
    workflow: Annotated[
        str | None,
        typer.Option("--workflow", metavar="NAME", help="What it was for, e.g. dependency-bump. [default: its task]"),
    ] = None,
    result: Annotated[Result | None, typer.Option("--result", help="[default: only show what is known]")] = None,
    review_minutes: Annotated[
        int | None, typer.Option("--review-minutes", min=0, max=100_000, help="How long somebody looked at it.")
    ] = None,
    note: Annotated[
        str, typer.Option("--note", help="Kept in the log with the result; it stays on this machine.")
    ] = "",
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what became of a session, or show what is known of it.

    What git says of the session's commits now (kept, reverted or gone) goes with the result. Saying it again corrects it.
    """
    from localguard.audit.outcomes import works_of
    from localguard.audit.queries import Log
    from localguard.proxy.tasks import TASK

    place = located(home)
    with Log(place.audit_db) as log:
        id = session_id(log, session)
        work = next(iter(works_of(log.whole_session(id))), None)
    if work is None:
        raise WrongUse("The session has no exchanges.")
    commits = commits_of(work)
    if result is not None:
        if not TASK.fullmatch(workflow or work.workflow) or len(note) > 2000:
            raise WrongUse(
                "--workflow names it: letters, digits and . _ : - only, 64 at most. A note has 2,000 at most."
            )
        given: dict[str, Any] = {
            "session": id,
            "workflow": workflow or work.workflow,
            "result": str(result),
            "review_minutes": review_minutes,
            "note": note,
            "commits": dict(commits),
        }
        _record(place, port, given)
        with Log(place.audit_db) as log:
            work = works_of(log.whole_session(id))[0]
    elif workflow or review_minutes is not None or note:
        raise WrongUse("--result says what became of it: accepted, reworked or rejected.")
    known = _known(work, commits)
    if as_json:
        print_json(known)
        return
    typer.echo(f"Session {printable(id)}")
    for name, value in known.items():
        if value not in (None, ""):
            typer.echo(f"  {name.replace('_', ' ')}: {printable(str(value))}")


def _record(place: "Home", port: int, given: Mapping[str, Any]) -> None:
    """Have a running guard write it down, or do it here where none runs."""
    from localguard.proxy.control_client import ControlClient

    client = ControlClient(place, port, timeout=10)
    if client.is_running():
        client.call("POST", "/session-outcomes", **given)
        return
    from datetime import UTC, datetime

    from localguard.audit.outcomes import verdict_event
    from localguard.audit.store import Store
    from localguard.cli.scrubbing import scrubber

    event = verdict_event(given["workflow"], given["result"], given["review_minutes"], given["commits"])
    local = {"by": getpass.getuser()} | ({"note": given["note"]} if given["note"] else {})
    with Store.open(place.audit_db, clock=lambda: datetime.now(UTC), scrub=scrubber(place)) as store:
        store.append("control", session=given["session"], metadata=event, local=local).result()


def commits_of(work: "Work") -> dict[str, int]:
    """How many of the commits of the session's time are kept, reverted and gone now, over its work trees."""
    from localguard.config.git_commits import fate_of

    found: dict[str, int] = {}
    for root in work.roots:
        fate = fate_of(Path(root), list(work.commits), made_since=work.began, session=work.session)
        if fate is not None:
            for name, commits in (("kept", fate.kept), ("reverted", fate.reverted), ("gone", fate.gone)):
                found[f"commits_{name}"] = found.get(f"commits_{name}", 0) + len(commits)
    return found


def _known(work: "Work", commits: Mapping[str, int]) -> dict[str, Any]:
    verdict = work.verdict
    return {
        "workflow": work.workflow,
        "result": verdict and verdict.result,
        "review_minutes": verdict and verdict.review_minutes,
        "said_by": verdict and verdict.by,
        "said_at": verdict and verdict.time,
        "note": verdict and verdict.note,
        "model": work.model,
        "endpoint": work.endpoint,
        "began": work.began,
        "ended": work.ended,
        "exchanges": work.exchanges,
        "refused": work.refused,
        "not_completed": work.failed,
        "retries": work.retries,
        "commands": work.commands,
        "tool_calls": work.tool_calls,
        "tool_calls_failed": work.tool_failures,
        **{f"tests_{name}": count for name, count in sorted(work.tests.items())},
        "cost_usd": str(work.cost_usd),
        **{name: commits[name] for name in sorted(commits)},
    }
