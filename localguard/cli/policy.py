"""`localguard policy`: is the file valid, and what is in force."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import HomeOption, JsonOption, PolicyOption, located
from localguard.cli.output import print_json, print_printable, printable

if TYPE_CHECKING:
    from localguard.policy.model import Layer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Check and show the policy.", epilog="Example: localguard policy check", no_args_is_help=True
    )
    group.command("check", epilog="Example: localguard policy check policy.toml")(check)
    group.command("show", epilog="Example: localguard policy show --json")(show)
    app.add_typer(group, name="policy")


def check(
    file: Annotated[
        Path | None, typer.Argument(help="Policy file. [default: policy.toml in the home]", show_default=False)
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a policy file.

    Every problem is shown with file, line, field and what would be valid. Exit code 1 if there is one.
    """
    from localguard.config.policy_files import PolicyInvalid, load_policy
    from localguard.policy.model import LayerName

    name = LayerName.REPOSITORY if file is not None and file.name == ".localguard.toml" else LayerName.USER
    path = file or located(home).policy_file
    if file is not None and not file.exists():
        raise WrongUse(f"The policy file {file} does not exist.")
    try:
        layer = load_policy(path, name)
    except PolicyInvalid as error:
        if as_json:
            problems = [
                {"file": p.file, "line": p.line, "field": p.field, "message": p.message} for p in error.problems
            ]
            print_json({"valid": False, "problems": problems})
        else:
            print_printable(str(error))
        raise typer.Exit(ExitCode.FOUND) from None
    if as_json:
        print_json({"valid": True, "problems": [], "not_applied": list(layer.not_applied)})
        return
    typer.echo(f"{layer.file} is valid: {_counts(layer)}.")
    for sentence in layer.not_applied:
        typer.echo(f"not applied: {printable(sentence)}")


def show(home: HomeOption = None, policy: PolicyOption = None, as_json: JsonOption = False) -> None:
    """Show this user's policy, and where each rule stands."""
    from localguard.config.policy_files import load_policy

    layer = load_policy(located(home, policy).policy_file)
    if as_json:
        print_json(_as_data(layer))
        return
    typer.echo(f"{layer.file}: {_counts(layer)}; what no rule allows is {layer.default}.")
    for rule in layer.rules:
        conditions = _given(rule.when)
        typer.echo(f"\n{rule.effect:5} {printable(rule.id)}  ({rule.file}{f':{rule.line}' if rule.line else ''})")
        typer.echo(
            "      when " + printable("; ".join(f"{k} = {', '.join(v)}" for k, v in conditions.items()) or "always")
        )
        if obligations := _given(rule.redact):
            typer.echo("      " + ", ".join(f"{k}: {v}" for k, v in obligations.items()))
        if rule.reason:
            typer.echo(f"      {printable(rule.reason)}")


def _counts(layer: "Layer") -> str:
    return f"{len(layer.rules)} rules, {len(layer.endpoints)} endpoints, {len(layer.workspaces)} workspaces"


def _given(table: Any) -> dict[str, Any]:
    from dataclasses import fields

    return {f.name: getattr(table, f.name) for f in fields(table) if getattr(table, f.name) is not None}


def _as_data(layer: "Layer") -> dict[str, Any]:
    from dataclasses import fields

    return {f.name: _value(getattr(layer, f.name)) for f in fields(layer)}


def _value(value: Any) -> Any:
    from dataclasses import asdict, is_dataclass

    if isinstance(value, tuple):
        return [_value(entry) for entry in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
