"""`localguard rules`: what the guard looks for, and rules of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import HomeOption, JsonOption, located
from localguard.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    from localguard.detect.rules import Rule

_SEED = 20_000


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="List, show and test detection rules; import others.",
        epilog="Example: localguard rules list --type AWS_ACCESS_KEY",
        no_args_is_help=True,
    )
    group.command("list", epilog="Example: localguard rules list --type GITHUB_TOKEN --json")(list_rules)
    group.command("show", epilog="Example: localguard rules show github/token")(show)
    group.command("test", epilog="Example: localguard rules test rules/acme.toml")(check_samples)
    group.command("import", epilog="Example: localguard rules import gitleaks.toml --output acme.toml")(import_rules)
    app.add_typer(group, name="rules")


def list_rules(
    finding_type: Annotated[str | None, typer.Option("--type", help="Only rules that give this type.")] = None,
    data_class: Annotated[str | None, typer.Option("--class", help="Only secret, pii or custom.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the rules in force: the packaged ones, then those in the home's rules directory."""
    chosen = [
        rule
        for rule in _in_force(home)
        if (finding_type is None or rule.type == finding_type.upper())
        and (data_class is None or str(rule.data_class) == data_class.lower())
    ]
    if as_json:
        print_json([_summary(rule) for rule in chosen])
        return
    print_table(
        [(rule.id, rule.type, str(rule.data_class), rule.description) for rule in chosen],
        ("id", "type", "class", "description"),
    )
    types = len({rule.type for rule in chosen})
    typer.echo(f"\n{len(chosen)} rules, {types} types. The engines detect-secrets and Presidio look beside them.")


def show(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="As `rules list` names it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one rule: pattern, checks, source, and made-up samples of what it finds and what it leaves alone."""
    from localguard.config.policy_problems import nearest

    rules = {rule.id: rule for rule in _in_force(home)}
    if rule_id not in rules:
        raise WrongUse(f"No rule has this id.{nearest(rule_id, list(rules))}")
    rule = rules[rule_id]
    details = _details(rule)
    if as_json:
        print_json(details)
        return
    for name, value in details.items():
        lines = value if isinstance(value, list) else [value]
        for position, line in enumerate(lines):
            typer.echo(f"{name if not position else '':<12} {printable(str(line))}")


def check_samples(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE…]", help="Rule files. [default: all in the home's rules directory]", show_default=False
        ),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Check rule files: their fields, and that each rule finds its `match` samples and none of its `no_match` samples.

    Exit code 1 if something is wrong.
    """
    from localguard.config.rule_files import read_rule_file
    from localguard.detect.rule_samples import problems_of
    from localguard.detect.rules import RuleInvalid

    chosen = files or sorted(located(home).rules_dir.glob("*.toml"))
    rules = samples = wrong = 0
    for file in chosen:
        if not file.is_file():
            raise WrongUse(f"There is no file {file}.")
        try:
            pack = read_rule_file(file)
        except RuleInvalid as invalid:
            typer.echo(printable(str(invalid)), err=True)
            wrong += 1
            continue
        rules += len(pack)
        for rule in pack:
            samples += len(rule.match) + len(rule.no_match)
            for problem in problems_of(rule, seed=_SEED):
                typer.echo(printable(f"{file.name}: {rule.id}: {problem}"), err=True)
                wrong += 1
    typer.echo(f"{rules} rules in {len(chosen)} files, {samples} samples: {wrong or 'nothing'} wrong.")
    if wrong:
        raise typer.Exit(ExitCode.FOUND)


def import_rules(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A gitleaks.toml.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Write here. [default: standard output]", show_default=False),
    ] = None,
) -> None:
    """Turn the rules of a gitleaks.toml into a rule file; what has no counterpart is told on standard error.

    Put the result into the home's rules directory. For a detect-secrets baseline see `localguard allow import`.
    """
    import tomllib

    import tomlkit

    from localguard.detect.gitleaks import import_gitleaks
    from localguard.detect.rules import parse_pack

    if not file.is_file():
        raise WrongUse(f"There is no file {file}.")
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WrongUse(f"{file.name} is not TOML: {error}") from None
    made = import_gitleaks(data)
    if not made.rules:
        raise WrongUse(f"{file.name} holds no rule that could be taken over. Is it a gitleaks.toml?")
    text = tomlkit.dumps({"rules": made.rules})
    parse_pack(tomllib.loads(text), file.name)  # what is written is a rule file, or the command says what is wrong
    for sentence in made.left_out:
        typer.echo(f"localguard: left out: {printable(sentence)}", err=True)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
    typer.echo(f"{len(made.rules)} rules taken over.", err=True)


def _in_force(home: Path | None) -> "list[Rule]":
    from localguard.config.rule_files import read_rules

    return read_rules([located(home).rules_dir])


def _summary(rule: "Rule") -> dict[str, object]:
    return {
        "id": rule.id,
        "type": rule.type,
        "class": str(rule.data_class),
        "description": rule.description,
        "source": rule.source,
        "date": rule.date,
    }


def _details(rule: "Rule") -> dict[str, object]:
    import random

    from localguard.detect.samples import expand

    rng = random.Random(_SEED)  # noqa: S311  samples only have to be the same each time
    details: dict[str, object] = {
        **_summary(rule),
        "pattern": rule.pattern.decode(),
        "gate": rule.gate.decode() if rule.gate != rule.pattern else "",
        "keywords": list(rule.keywords),
        "validators": [getattr(validator, "__name__", "") for validator in rule.validators],
        "entropy": rule.entropy or "",
        "distinctive": "" if rule.distinctive is None else rule.distinctive,
        "finds": [expand(sample, rng).text.decode() for sample in rule.match],
        "leaves": [expand(sample, rng).text.decode() for sample in rule.no_match],
    }
    return {name: value for name, value in details.items() if value not in ("", [])}
