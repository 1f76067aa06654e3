"""The command line: every command by name. Modules named here import nothing heavy before their command runs."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import typer.core

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
from localguard.cli.options import DEFAULT_PORT, located
from localguard.errors import LocalguardError


class InTaskOrder(typer.core.TyperGroup):
    """Commands and groups of commands in the order of what people do: see it, start it, watch it, decide, set up, check, share."""

    def list_commands(self, ctx: "typer.Context") -> list[str]:  # type: ignore[override]
        """The names of all commands; one that stands nowhere comes last."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: TASKS.index(name) if name in TASKS else len(TASKS))


TASKS = (
    *("demo", "run", "agents", "serve", "autostart", "status", "doctor", "tui", "tray"),
    *("report", "explain", "session", "audit", "compare", "budget"),
    *("approve", "deny", "pause", "resume", "exec", "route", "task", "allow"),
    *("policy", "endpoint", "experiment", "key", "workspace", "rules", "scan", "git"),
    *("sync", "collector", "fleet", "support-bundle"),
)
"""Every command of the first level."""

app = typer.Typer(
    name="localguard",
    cls=InTaskOrder,
    epilog="Example: localguard demo\n\nMore: each command's --help has an example; shell completion: localguard --install-completion",
    invoke_without_command=True,
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
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A privacy guard on this machine, between coding agents and model providers.

    Without a command: how things stand, and what to do next.
    """
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        context.color = False
    if context.invoked_subcommand is None:
        from localguard.cli.overview import show

        home = located(None)
        show(home, home.recorded_port() or DEFAULT_PORT)


demo.register(app)
agent.register(app)
agents.register(app)
serve.register(app)
autostart.register(app)
status.register(app)
doctor.register(app)
tui.register(app)
tray.register(app)
report.register(app)
audit.register(app)
session.register(app)
compare.register(app)
budget.register(app)
approve.register(app)
pause.register(app)
execute.register(app)
route.register(app)
task.register(app)
allow.register(app)
policy.register(app)
endpoint.register(app)
experiment.register(app)
key.register(app)
workspace.register(app)
rules.register(app)
scan.register(app)
git.register(app)
sync.register(app)
collector.register(app)
fleet.register(app)
support_bundle.register(app)


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
        import traceback

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
