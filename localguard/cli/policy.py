"""`localguard policy`: is the file valid, what is in force, and do its tests pass."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli import policy_explain, policy_init, policy_signing
from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import HomeOption, JsonOption, PolicyOption, located
from localguard.cli.output import print_json, print_printable, print_table, printable

if TYPE_CHECKING:
    from localguard.policy.model import Layer, LayerName

_FileArgument = Annotated[
    Path | None, typer.Argument(help="Policy file. [default: policy.toml in the home]", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Write, check, explain, test and sign policies.",
        epilog="Example: localguard policy check",
        no_args_is_help=True,
    )
    policy_init.register(group)
    group.command("check", epilog="Example: localguard policy check policy.toml")(check)
    group.command("test", epilog="Example: localguard policy test policy.toml")(run_tests_of)
    policy_explain.register(group)
    group.command("show", epilog="Example: localguard policy show --effective")(show)
    policy_signing.register(group)
    app.add_typer(group, name="policy")


def check(
    file: _FileArgument = None,
    strict: Annotated[bool, typer.Option("--strict", help="Remarks count as problems.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a policy file.

    Every problem is shown with file, line, field and what would be valid. Then remarks: rules that never decide, endpoints
    and workspaces that no rule is about, globs that match everything, routes that lead nowhere. Exit code 1 if there is a
    problem.
    """
    from localguard.config.policy_files import PolicyInvalid, load_policy
    from localguard.policy.model import LayerName
    from localguard.policy.review import review
    from localguard.wire.providers import speak_alike

    place = located(home)
    path = file or place.policy_file
    if file is not None and not file.exists():
        raise WrongUse(f"The policy file {file} does not exist.")
    try:
        layer = load_policy(path, kind_of(path))
        above = _organisation(place) if layer.name is not LayerName.ORGANISATION else ()
    except PolicyInvalid as error:
        if as_json:
            problems = [
                {"file": p.file, "line": p.line, "field": p.field, "message": p.message} for p in error.problems
            ]
            print_json({"valid": False, "problems": problems})
        else:
            print_printable(str(error))
        raise typer.Exit(ExitCode.FOUND) from None
    remarks = review(layer, above, speaks_alike=speak_alike)
    if as_json:
        found = [{"file": one.file, "line": one.line, "message": one.message} for one in remarks]
        print_json({"valid": True, "problems": [], "not_applied": list(layer.not_applied), "remarks": found})
    else:
        typer.echo(f"{layer.file} is valid: {_counts(layer)}.")
        for sentence in layer.not_applied:
            typer.echo(f"not applied: {printable(sentence)}")
        for remark in remarks:
            typer.echo(printable(str(remark)))
    if strict and (remarks or layer.not_applied):
        raise typer.Exit(ExitCode.FOUND)


def run_tests_of(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Policy files. [default: policy.toml in the home]", show_default=False)
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the tests that policy files hold in their [[tests]] tables.

    Each file is evaluated on its own. Exit code 1 if a test fails; for the CI of a policy repository.
    """
    from localguard.config.policy_files import load_policy
    from localguard.policy.given import run_tests

    paths = files or [located(home).policy_file]
    missing = [path for path in files or () if not path.exists()]
    if missing:
        raise WrongUse(f"The policy file {missing[0]} does not exist.")
    results = [result for path in paths for result in run_tests(load_policy(path, kind_of(path)))]
    failed = [result for result in results if result.failures]
    if as_json:
        found = [
            {"file": one.test.file, "line": one.test.line, "passed": not one.failures, "failures": list(one.failures)}
            for one in results
        ]
        print_json({"tests": len(results), "failed": len(failed), "results": found})
    else:
        for one in failed:
            for failure in one.failures:
                typer.echo(printable(f"{one.test.file}:{one.test.line}: {failure}"))
        typer.echo(f"{len(results)} tests, {len(failed)} failed.")
    if failed:
        raise typer.Exit(ExitCode.FOUND)


def show(
    effective: Annotated[
        bool,
        typer.Option(
            "--effective", help="All layers that bind in the current directory, and what they come to together."
        ),
    ] = False,
    home: HomeOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show this user's policy, and where each rule stands."""
    from localguard.config.policy_files import RepositoryPolicies, load_layers, load_policy
    from localguard.config.workspaces import Workspaces

    place = located(home, policy)
    if not effective:
        layer = load_policy(place.policy_file)
        if as_json:
            print_json(_as_data(layer))
        else:
            _print_layer(layer)
        return
    layers = load_layers(place)
    here = Workspaces(layers).of_directory(Path.cwd())
    below = [RepositoryPolicies().layer_for(root) for root in (here.roots if here is not None else ())]
    layers = (*layers, *(layer for layer in below if layer is not None))
    if as_json:
        print_json({"workspace": here.name if here else None, "layers": [_as_data(layer) for layer in layers]})
        return
    where = f"workspace {here.name} ({here.sensitivity})" if here is not None else "no workspace"
    typer.echo(printable(f"The current directory is {where}. Allowed is what every layer allows."))
    for layer in layers:
        typer.echo(f"\n{layer.name} layer")
        _print_layer(layer)
    _print_together(layers)


def kind_of(path: Path) -> "LayerName":
    """Return whose policy a file is: a repository's by its name, an organisation's by its table, else the user's."""
    import re

    from localguard.config.workspaces import REPOSITORY_FILE
    from localguard.policy.model import LayerName

    if path.name == REPOSITORY_FILE:
        return LayerName.REPOSITORY
    try:
        text = path.read_bytes()[: 1 << 20] if path.is_file() else b""
    except OSError:
        text = b""
    return LayerName.ORGANISATION if re.search(rb"^[ \t]*\[organisation\]", text, re.M) else LayerName.USER


def _organisation(place: Any) -> "tuple[Layer, ...]":
    """The organisation's layer, if one is in force. Raises PolicyInvalid."""
    from localguard.config.policy_files import load_layers
    from localguard.policy.model import LayerName

    if not place.organisation_file.exists():
        return ()
    return tuple(layer for layer in load_layers(place) if layer.name is LayerName.ORGANISATION)


def _print_layer(layer: "Layer") -> None:
    typer.echo(f"{layer.file}: {_counts(layer)}; what no rule allows is {layer.default}.")
    if layer.organisation is not None and layer.expires is not None:
        typer.echo(printable(f"Of {layer.organisation}, revision {layer.revision}, until {layer.expires.isoformat()}."))
    for rule in layer.rules:
        conditions = _given(rule.when)
        typer.echo(f"\n{rule.effect:5} {printable(rule.id)}  ({rule.file}{f':{rule.line}' if rule.line else ''})")
        words = "; ".join(f"{name} = {', '.join(map(str, value))}" for name, value in conditions.items())
        typer.echo("      when " + printable(words or "always"))
        if obligations := _obligations(rule):
            typer.echo("      " + printable(", ".join(obligations)))
        if rule.reason:
            typer.echo(f"      {printable(rule.reason)}")


def _obligations(rule: Any) -> list[str]:
    said = [f"{name}: {value}" for name, value in _given(rule.redact).items()]
    said += [f"{name} in replies: {value}" for name, value in _given(rule.restore).items()]
    if rule.record is not None:
        said.append(f"recorded: {rule.record}")
    if rule.max_input_tokens is not None:
        said.append(f"at most {rule.max_input_tokens} input tokens")
    if rule.require_task:
        said.append("a task is required")
    if rule.route is not None:
        said.append(f"routed to {rule.route.endpoint}")
    return said


def _print_together(layers: "tuple[Layer, ...]") -> None:
    from localguard.policy.layers import effective_endpoints, smallest_budgets

    typer.echo("\nEndpoints")
    endpoints = effective_endpoints(layers).values()
    print_table(
        [(one.name, one.kind, str(one.endpoint_class), one.identity or "", one.file) for one in endpoints],
        ("name", "kind", "class", "identity", "from"),
    )
    budgets = smallest_budgets(layers).values()
    if budgets:
        typer.echo("\nBudgets")
        scopes = [
            ", ".join(map(str, filter(None, (one.bucket, one.workspace, one.identity, one.models)))) for one in budgets
        ]
        rows = [
            (scope, f"{one.limit_usd} USD a {one.period}", one.on_exceed)
            for scope, one in zip(scopes, budgets, strict=True)
        ]
        print_table(rows, ("of", "limit", "beyond it"))


def _counts(layer: "Layer") -> str:
    return f"{len(layer.rules)} rules, {len(layer.endpoints)} endpoints, {len(layer.workspaces)} workspaces"


def _given(table: Any) -> dict[str, Any]:
    from dataclasses import fields

    return {f.name: getattr(table, f.name) for f in fields(table) if getattr(table, f.name) is not None}


def _as_data(layer: "Layer") -> dict[str, Any]:
    from dataclasses import fields

    return {f.name: _value(getattr(layer, f.name)) for f in fields(layer)}


def _value(value: Any) -> Any:
    from dataclasses import fields, is_dataclass

    if isinstance(value, tuple | list | frozenset):
        return [_value(entry) for entry in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _value(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): _value(entry) for key, entry in value.items()}
    return value
