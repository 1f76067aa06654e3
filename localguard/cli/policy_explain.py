"""`localguard policy explain` and `diff`: what policy says of some work, and what another policy would have said."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import HomeOption, JsonOption, PolicyOption, located
from localguard.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    from localguard.config.home import Home
    from localguard.policy.model import Layer, Work

_Texts = Annotated[list[str] | None, typer.Option(help="May be repeated.")]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("explain", epilog="Example: localguard policy explain --endpoint openai --model gpt-5 --task docs")(
        explain
    )
    group.command("diff", epilog="Example: localguard policy diff policy.toml new.toml")(diff)


def explain(
    exchange: Annotated[
        str | None, typer.Argument(help="Exchange id, to ask about a recorded request. [default: the options]")
    ] = None,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Endpoint by name.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model that is asked for.")] = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", help="Workspace by name. [default: that of the current directory]")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="Task category.")] = None,
    sensitivity: Annotated[str | None, typer.Option("--sensitivity", help="Instead of the workspace's.")] = None,
    identity: Annotated[str | None, typer.Option("--identity", help="Instead of the endpoint's.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Agent by name.")] = None,
    tool: _Texts = None,
    finding: _Texts = None,
    attachment: _Texts = None,
    time: Annotated[
        datetime | None,
        typer.Option(
            "--time",
            help="In UTC unless it says its zone. [default: now]",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
        ),
    ] = None,
    input_tokens: Annotated[int | None, typer.Option("--input-tokens", min=0, help="Size of the request.")] = None,
    home: HomeOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the policies decide about some work, and how each rule came out.

    Nothing is sent. What is not given is not known: no allow rule about it matches, and every deny rule does. Exit code 1
    unless it is allowed.
    """
    place = located(home, policy)
    if exchange is not None:
        work, layers = _recorded(exchange, place)
    elif endpoint is None:
        raise WrongUse("Say which endpoint (--endpoint NAME), or give the id of an exchange.")
    else:
        moment = (
            time if time is not None and time.tzinfo is not None else (time or datetime.now(UTC)).replace(tzinfo=UTC)
        )
        given: dict[str, Any] = {
            "endpoint": endpoint,
            "model": model,
            "workspace": workspace,
            "task": task,
            "sensitivity": _word(sensitivity),
            "identity": identity,
            "agent": agent,
            "tools": tuple(tool or ()),
            "findings": tuple(finding or ()),
            "attachments": tuple(attachment or ()),
            "time": moment,
            "input_tokens": input_tokens,
        }
        work, layers = _described({key: value for key, value in given.items() if value is not None}, place)
    _print(work, layers, as_json=as_json)


def _word(sensitivity: str | None) -> str | None:
    from localguard.policy.model import Sensitivity

    if sensitivity is not None and sensitivity not in list(Sensitivity):
        raise WrongUse(f"--sensitivity is one of {', '.join(Sensitivity)}.")
    return sensitivity


def _described(given: dict[str, Any], place: "Home") -> "tuple[Work, tuple[Layer, ...]]":
    from localguard.config.policy_files import RepositoryPolicies, load_layers
    from localguard.config.policy_problems import nearest
    from localguard.config.workspaces import Workspaces
    from localguard.policy.given import GivenUnknown, with_organisation, work_of

    layers = load_layers(place)
    here = Workspaces(layers).of_directory(Path.cwd()) if "workspace" not in given else None
    if "workspace" not in given:
        where = here or Workspaces(layers).unattributed()
        given = {"sensitivity": str(where.sensitivity), "task": where.task, **given, "workspace": where.name}
    if here is not None:
        below = [RepositoryPolicies().layer_for(root) for root in here.roots]
        layers = (*layers, *(layer for layer in below if layer is not None))
    try:
        return with_organisation(work_of(given, layers), layers), layers
    except GivenUnknown as unknown:
        hint = nearest(unknown.name, unknown.valid) if unknown.valid else ""
        raise WrongUse(f"{unknown}{hint}") from None


def _recorded(exchange: str, place: "Home") -> "tuple[Work, tuple[Layer, ...]]":
    from localguard.audit.queries import Log
    from localguard.audit.replay import work_of_record
    from localguard.config.policy_files import load_layers

    with Log(place.audit_db) as log:
        records = [one for one in log.show(exchange) if one.kind in ("intent", "refusal") and one.metadata]
    if not records:
        raise WrongUse("The log has no request with this id. `localguard audit tail` lists the newest ones.")
    layers = load_layers(place)
    return work_of_record(records[0], layers), layers


def _print(work: "Work", layers: "tuple[Layer, ...]", *, as_json: bool) -> None:
    from localguard.policy.trace import told

    said = told(layers, work)
    if as_json:
        print_json(said)
    else:
        typer.echo(printable(f"{said['effect'].upper()}: {said['reason']}"))
        if said["next_step"]:
            typer.echo(printable(said["next_step"]))
        typer.echo("Obligations: " + printable(", ".join(f"{k} {v}" for k, v in said["obligations"].items())) + ".")
        for one in said["rules"]:
            place = f"{one['file']}:{one['line']}" if one["line"] else one["file"]
            verdict = "matches" if one["matched"] else "does not match"
            typer.echo(printable(f"\n{one['effect']:5} {one['id']}  ({one['layer']}, {place}) {verdict}"))
            for field in one["fields"]:
                has = ", ".join(field["has"]) or "nothing"
                sign = "yes" if field["matched"] else "no "
                typer.echo(printable(f"      {sign} {field['field']}: {has}; wanted {', '.join(field['wanted'])}"))
    if said["effect"] != "allow":
        raise typer.Exit(ExitCode.FOUND)


def diff(
    old: Annotated[Path, typer.Argument(help="Policy file.")],
    new: Annotated[Path, typer.Argument(help="The policy file that may take its place.")],
    last: Annotated[int, typer.Option("--last", min=1, max=1_000_000, help="How many of the newest records.")] = 10_000,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask two policies about the requests in the log, and show what would change.

    Exit code 1 if anything would.
    """
    from localguard.audit.queries import Log
    from localguard.audit.replay import changes
    from localguard.config.policy_files import load_policy
    from localguard.policy.trace import obligations_told

    for path in (old, new):
        if not path.exists():
            raise WrongUse(f"The policy file {path} does not exist.")
    with Log(located(home).audit_db) as log:
        asked, found = changes(log.tail(last), [load_policy(old)], [load_policy(new)])
    if as_json:
        rows = [
            {
                "exchange": one.exchange,
                "time": one.time,
                "workspace": one.work.workspace,
                "task": one.work.task,
                "endpoint": one.work.endpoint,
                "model": one.work.model,
                "before": str(one.before.effect),
                "after": str(one.after.effect),
                "rules": [ref.id for ref in one.after.deciding],
                "obligations": {"before": obligations_told(one.before), "after": obligations_told(one.after)},
            }
            for one in found
        ]
        print_json({"requests": asked, "changed": len(found), "changes": rows})
    else:
        counts = Counter(
            (
                f"{one.before.effect} → {one.after.effect}"
                if one.before.effect is not one.after.effect
                else "obligations",
                one.work.workspace or "unknown",
                one.work.task or "",
                one.work.endpoint,
                one.work.model or "",
                ", ".join(ref.id for ref in one.after.deciding),
            )
            for one in found
        )
        if counts:
            print_table(
                [(str(count), *row) for row, count in counts.most_common()],
                ("requests", "change", "workspace", "task", "endpoint", "model", "rule"),
            )
        typer.echo(f"{asked} requests asked again, {len(found)} would be decided otherwise.")
    if found:
        raise typer.Exit(ExitCode.FOUND)
