"""`localguard doctor`: is everything here as the guard needs it, and what to do where it is not."""

from dataclasses import asdict

import typer

from localguard.cli.exit_codes import ExitCode
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PolicyOption, PortOption, located
from localguard.cli.output import print_json, printable


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: localguard doctor")(doctor)


def doctor(
    port: PortOption = DEFAULT_PORT, home: HomeOption = None, policy: PolicyOption = None, as_json: JsonOption = False
) -> None:
    """Check what the guard needs, and say what to do.

    Each check is ok, warn or fail. Exit code 1 on a fail.
    """
    from localguard.cli.checks import Verdict, run_checks

    results = []
    for check in run_checks(located(home, policy), port):
        results.append(check)
        if not as_json:
            colour = {Verdict.OK: typer.colors.GREEN, Verdict.WARN: typer.colors.YELLOW}.get(
                check.verdict, typer.colors.RED
            )
            typer.echo(typer.style(f"{check.verdict:4}", fg=colour) + f"  {check.name}: {printable(check.said)}")
            if check.next_step:
                typer.echo(f"      {printable(check.next_step)}")
    if as_json:
        print_json([asdict(check) for check in results])
    if any(check.verdict is Verdict.FAIL for check in results):
        raise typer.Exit(ExitCode.FOUND)
