"""`localguard git`: have a repository's commits name the agent sessions that were at work."""

from pathlib import Path
from typing import Annotated

import typer

from localguard.cli.options import HomeOption, JsonOption, located
from localguard.cli.output import print_json, printable

_Repository = Annotated[
    Path,
    typer.Option("--repository", "-C", help="A directory in the repository.", show_default="the current directory"),
]
_HERE = Path()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Have commits name the agent sessions that were at work.",
        epilog="Example: localguard git install",
        no_args_is_help=True,
    )
    group.command("install", epilog="Example: localguard git install")(install)
    group.command("uninstall", epilog="Example: localguard git uninstall")(uninstall)
    group.command("status", epilog="Example: localguard git status")(status)
    app.add_typer(group, name="git")


def install(repository: _Repository = _HERE, home: HomeOption = None) -> None:
    """Add a commit-msg hook to this repository; hooks that are there are kept, and run first.

    While a session is active in a work tree (until half an hour after its last request), commits there get the trailers Agent-Session,
    Agent-Model, Agent-Endpoint-Class and Agent-Policy. The hook reads the log, needs no guard, and never holds a commit up. As with all
    such hooks, `git commit --no-verify` goes without.
    """
    from localguard.config.git_hooks import install as add

    made = add(repository, located(home).audit_db)
    typer.echo(f"Installed: {printable(str(made.hook))}")
    if made.way == "path":
        typer.echo("core.hooksPath of this repository leads there; the hooks of the former place run as before.")


def uninstall(repository: _Repository = _HERE) -> None:
    """Take the hook out again; hooks and configuration are what they were before."""
    from localguard.config.git_hooks import uninstall as remove

    typer.echo("Taken out." if remove(repository) else "There is no hook of localguard in this repository.")


def status(repository: _Repository = _HERE, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Say whether the hook is there and working, and what a commit would get now."""
    from datetime import UTC, datetime

    from localguard.cli.trailers import run
    from localguard.config.git_hooks import installed, repository_of

    found = installed(repository)
    top = repository_of(repository).top
    trailers = run([str(located(home).audit_db), str(top)], datetime.now(UTC))
    if as_json:
        hook = None if found is None else {"way": found.way, "hook": str(found.hook), "working": found.working}
        print_json({"installed": hook, "trailers": trailers})
        return
    if found is None:
        typer.echo("Not installed.")
    elif found.working:
        typer.echo(f"Installed: {printable(str(found.hook))}")
    else:
        typer.echo(f"Installed, but core.hooksPath leads elsewhere: {printable(str(found.hook))} does not run.")
    typer.echo("No session is active here." if not trailers else "A commit would get now:")
    for line in trailers:
        typer.echo(f"  {printable(line)}")
