"""`localguard tui`: what goes through the guard, live, in the terminal; or a line each, for screen readers and pipes."""

import importlib.util
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: localguard tui --plain --filter state:refused")(tui)


def tui(
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", help="Print a line per exchange instead: for screen readers, pipes and plain terminals."
        ),
    ] = False,
    as_json: JsonOption = False,
    filter: Annotated[
        str, typer.Option("--filter", help="Show some only: words, -word, agent:codex, state:refused, cost>0.1.")
    ] = "",
    last: Annotated[
        int, typer.Option("-n", "--last", min=0, max=1000, help="With --plain: how many earlier exchanges come first.")
    ] = 10,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="With --plain: go on with what comes, or end.")
    ] = True,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
) -> None:
    """Watch what goes through the guard, live.

    Shows exchanges with their decisions, findings, coverage, times and costs; sessions, endpoints with their switches,
    budgets, policy; and takes your answers to requests that wait. Keys: ? shows them. --json is --plain as JSON lines.
    """
    from localguard.proxy.control_client import ControlClient
    from localguard.tui.filters import filter_from

    client = ControlClient(located(home), port)
    if plain or as_json:
        from localguard.tui.plain import Teller

        teller = Teller(
            client,
            write=lambda line: print(line, flush=True),
            remark=lambda line: print(line, file=sys.stderr, flush=True),
            as_json=as_json,
            only=filter_from(filter),
        )
        try:
            teller.follow(last) if follow else teller.last(last)
        except BrokenPipeError:  # whoever read has seen enough
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if importlib.util.find_spec("textual") is None:
        raise WrongUse(
            "The terminal UI needs Textual: pip install 'localguard[tui]'. `localguard tui --plain` works without."
        )
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        raise WrongUse("This is no terminal to draw on. `localguard tui --plain` prints a line per exchange.")
    from localguard.tui.app import GuardApp
    from localguard.tui.connection import Connection

    GuardApp(lambda on_news: Connection(client, on_news), typed=filter).run()
