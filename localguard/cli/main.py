"""The command line: every command by name. Modules named here import nothing heavy before their command runs."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import localguard
from localguard.cli import (
    agent,
    agents,
    allow,
    approve,
    audit,
    autostart,
    budget,
    collector,
    compare,
    demo,
    doctor,
    endpoint,
    execute,
    experiment,
    fleet,
    git,
    key,
    pause,
    policy,
    report,
    route,
    rules,
    scan,
    serve,
    session,
    status,
    support_bundle,
    sync,
    task,
    tray,
    tui,
    workspace,
)
from localguard.cli.exit_codes import ExitCode, exit_code_for
from localguard.errors import LocalguardError

app = typer.Typer(
    name="localguard",
    help="A privacy guard on this machine, between coding agents and model providers.",
    epilog="Example: localguard demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"localguard {localguard.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A privacy guard on this machine, between coding agents and model providers."""


serve.register(app)
agent.register(app)
agents.register(app)
demo.register(app)
status.register(app)
tui.register(app)
doctor.register(app)
support_bundle.register(app)
scan.register(app)
rules.register(app)
allow.register(app)
approve.register(app)
pause.register(app)
execute.register(app)
audit.register(app)
sync.register(app)
collector.register(app)
fleet.register(app)
budget.register(app)
session.register(app)
git.register(app)
compare.register(app)
report.register(app)
endpoint.register(app)
experiment.register(app)
key.register(app)
policy.register(app)
route.register(app)
workspace.register(app)
task.register(app)
tray.register(app)
autostart.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; messages of errors go to standard error.

    An error that nobody foresaw shows where it happened, never its message, which could hold a value.
    """
    try:
        app(args=list(arguments), prog_name="localguard")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except LocalguardError as error:
        typer.echo(f"localguard: {error}", err=True)
        return exit_code_for(error)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # whatever it is, its text stays out of terminals and logs
        typer.echo(f"localguard: internal error ({type(error).__name__}). Please report where it happened:", err=True)
        for frame in traceback.extract_tb(error.__traceback__):
            typer.echo(f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}", err=True)
        return ExitCode.FOUND
    return ExitCode.DONE


def main() -> None:
    """Run the command line of this process and end it with the command's exit code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
