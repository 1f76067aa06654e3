"""`localguard` without a command: how things stand, and what to do next."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from localguard.cli.output import printable

if TYPE_CHECKING:
    from localguard.cli.agents import Seen
    from localguard.config.home import Home

_MOST_STEPS = 5


def show(home: "Home", port: int) -> None:
    """Print the state of this home and the next steps, the most useful first."""
    import localguard
    from localguard.cli.agents import seen_agents
    from localguard.proxy.control_client import ControlClient

    client = ControlClient(home, port)
    running = client.is_running()
    installed = [one for one in seen_agents(home, port, os.environ, Path.home()) if one.program]
    typer.echo(
        typer.style(f"localguard {localguard.__version__}", bold=True)
        + " keeps secrets on this machine while agents work.\n"
    )
    for name, told, fine in _state(home, port, client.status() if running else None, installed):
        mark = typer.style("ok", fg=typer.colors.GREEN) if fine else typer.style("--", fg=typer.colors.YELLOW)
        typer.echo(f"  {mark}  {name:<8} {printable(told)}")
    typer.echo("\nNext:")
    steps = list(_steps(home, running, installed))[:_MOST_STEPS]
    width = max(len(command) for command, _ in steps)
    for command, why in steps:
        typer.echo(f"  {typer.style(command.ljust(width), bold=True)}  {why}")


def _state(
    home: "Home", port: int, guard: "dict[str, object] | None", installed: "list[Seen]"
) -> Iterator[tuple[str, str, bool]]:
    if guard is None:
        yield "guard", f"does not run on port {port}", False
    else:
        counters = guard.get("counters")
        counted = counters if isinstance(counters, dict) else {}
        told = ", ".join(f"{counted.get(name, 0)} {name}" for name in ("exchanges", "replaced", "refused"))
        yield "guard", f"runs on http://127.0.0.1:{port} ({told} since its start)", True
    own = home.policy_file.exists()
    yield (
        "policy",
        str(home.policy_file) if own else "built-in: every endpoint that is not experimental, with redaction on",
        True,
    )
    pointed = [one.name for one in installed if one.pointed == "guard"]
    if not installed:
        yield "agents", "none is found on the PATH", False
    else:
        loose = [one.name for one in installed if one.pointed != "guard"]
        parts = [f"at the guard: {', '.join(pointed)}"] if pointed else []
        parts += [f"not pointed at it: {', '.join(loose)}"] if loose else []
        yield "agents", "; ".join(parts), not loose
    around = [f"{one.name} ({one.around[0]})" for one in installed if one.around]
    if around:
        yield "around", f"{', '.join(around)} goes around the guard now", False


def _steps(home: "Home", running: bool, installed: "list[Seen]") -> Iterator[tuple[str, str]]:
    if not home.audit_db.exists():
        yield "localguard demo", "see it work: no key, no account, no network"
    loose = [one.name for one in installed if one.pointed != "guard"]
    if loose:
        yield (
            f"localguard agents connect {' '.join(loose[:3])}",
            "point them at the guard for good; shows the difference first",
        )
        program = Path(next(one.program or "" for one in installed if one.name == loose[0])).name
        yield f"localguard run -- {program}", "or start one agent through the guard, its settings untouched"
    if not running:
        yield "localguard serve", "run the guard in this terminal"
        yield "localguard autostart install", "or at every login"
    else:
        yield "localguard tui", "watch requests as they go through"
        yield "localguard report --open", "what was redacted, refused and sent where"
    yield "localguard doctor", "check everything, with the fix for each"
    yield "localguard --help", "all commands"
