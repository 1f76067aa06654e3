"""`localguard policy init` and `schema`: a policy to begin with, and what editors check it by."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import HomeOption, located

if TYPE_CHECKING:
    from localguard.config.home import Home

_WORK = (
    ("solo", "my own projects"),
    ("open-source", "open-source projects beside my work"),
    ("team", "a team with sensitive and other repositories"),
    ("regulated", "work that only approved endpoints may see"),
    ("incident", "a team whose incident work stays inside"),
)


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("init", epilog="Example: localguard policy init --preset team --company-url https://llm.example.com")(
        init
    )
    group.command("schema", epilog="Example: localguard policy schema --output policy.schema.json")(schema)


def init(
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="solo, open-source, team, regulated, local-only, incident; or an example: documentation, "
            "sensitive-code, expensive-models, personal-keys. [default: three questions]",
            show_default=False,
        ),
    ] = None,
    company_url: Annotated[
        str | None, typer.Option("--company-url", help="Base URL of the company's own endpoint.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Where to write it; - for standard output. [default: policy.toml in the home]"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: the preset solo.")] = False,
    home: HomeOption = None,
) -> None:
    """Write a policy to begin with.

    Asks three questions, or takes a preset. Each comes with tests of its own, which `policy test` runs. A file that is
    there already is left alone.
    """
    from localguard.config.policy_parser import parse_policy
    from localguard.config.policy_problems import nearest
    from localguard.config.presets import EXAMPLES, PRESETS, filled
    from localguard.config.presets import preset as preset_of
    from localguard.policy.given import run_tests
    from localguard.policy.model import LayerName

    if preset is None:
        preset, company_url = ("solo", company_url) if yes else _questions(company_url)
    if preset not in (*PRESETS, *EXAMPLES):
        raise WrongUse(f"There is no such preset.{nearest(preset, (*PRESETS, *EXAMPLES))}")
    text = filled(preset_of(preset).text, company_url=company_url)
    place = located(home)
    layer = parse_policy(text.encode(), str(output or place.policy_file), LayerName.USER)
    if str(output) == "-":
        typer.echo(text, nl=False)
        return
    target = _write(text, output, place)
    passed = sum(not result.failures for result in run_tests(layer))
    typer.echo(f"{target} is written: {len(layer.rules)} rules, {passed} of {len(layer.tests)} tests pass.")
    if "example" in text:
        typer.echo(
            "It holds addresses below example.com: put your own in their place, then run `localguard policy check`."
        )


def _questions(company_url: str | None) -> tuple[str, str | None]:
    """Ask what decides between the presets; return its name and the company's address."""
    leaves = typer.confirm("May prompts leave this machine, with secrets and personal data replaced?", default=True)
    if not leaves:
        return "local-only", company_url
    typer.echo("What is the guard for?")
    for number, (_, words) in enumerate(_WORK, 1):
        typer.echo(f"  {number}  {words}")
    choice: int = typer.prompt("Number", default=1, type=int)
    if not 1 <= choice <= len(_WORK):
        raise WrongUse(f"Answer with a number from 1 to {len(_WORK)}.")
    name = _WORK[choice - 1][0]
    if company_url is None and name in ("team", "regulated", "incident"):
        given: str = typer.prompt(
            "Base URL of the company's own endpoint (empty: later)", default="", show_default=False
        )
        company_url = given.strip() or None
    return name, company_url


def _write(text: str, output: Path | None, place: "Home") -> Path:
    """Write policy and schema; raises WrongUse where there is a policy already."""
    from localguard.config.home import write_private
    from localguard.config.policy_json_schema import FILE_NAME, json_schema

    if output is None:
        place.create()
    target = output or place.policy_file
    if target.exists() or target.is_symlink():
        raise WrongUse(f"{target} is there already. Write elsewhere with --output, or move it away.")
    if not target.parent.is_dir():
        raise WrongUse(f"There is no directory {target.parent}.")
    write_private(target.parent / FILE_NAME, json.dumps(json_schema(), indent=1).encode())
    write_private(target, f"#:schema {FILE_NAME}\n{text}".encode())
    return target


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", help="Where to write it. [default: standard output]", show_default=False)
    ] = None,
) -> None:
    """Write the policy file's JSON schema, for editors.

    `policy init` puts it beside the policy, whose first line leads editors to it.
    """
    from localguard.config.home import write_private
    from localguard.config.policy_json_schema import json_schema

    text = json.dumps(json_schema(), indent=1) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_private(output, text.encode())
