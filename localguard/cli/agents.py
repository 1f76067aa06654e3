"""`localguard agents`: which agents are here, how they are pointed, and pointing them at the guard and back."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localguard.cli.exit_codes import ExitCode, NotReachable, WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PolicyOption, PortOption, located
from localguard.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    from localguard.cli.agent_catalogue import Agent, Surroundings
    from localguard.cli.agent_connection import Plan, Pointed
    from localguard.config.home import Home
    from localguard.policy.model import Endpoint

_Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME…", help="Agents as `agents list` names them.", show_default=False)
]
_All = Annotated[bool, typer.Option("--all", help="All agents that are installed here.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_Dry = Annotated[bool, typer.Option("--dry-run", help="Show what would be changed, and change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Point agents at the guard for good, and back.",
        epilog="Example: localguard agents connect codex",
        no_args_is_help=True,
    )
    group.command("list", epilog="Example: localguard agents list --json")(list_agents)
    group.command("connect", epilog="Example: localguard agents connect codex claude-code --dry-run")(connect)
    group.command("disconnect", epilog="Example: localguard agents disconnect --all --yes")(disconnect)
    group.command("snippet", epilog="Example: localguard agents snippet vscode")(snippet)
    app.add_typer(group, name="agents")


@dataclass(frozen=True, slots=True)
class Seen:
    """An agent as it is found here. `last` is the time of its newest request through the guard, `around` processes past it."""

    name: str
    title: str
    program: str | None
    pointed: str
    """`guard`, `partly`, `default`, `elsewhere` or `broken`."""
    addresses: "tuple[Pointed, ...]"
    problems: tuple[str, ...]
    last: str | None
    exchanges: int
    around: tuple[str, ...]


def seen_agents(home: "Home", port: int, environment: Mapping[str, str], user: Path) -> list[Seen]:
    """Every agent of the catalogue: installed or not, how its settings point, what the log and the connections say of it."""
    from localguard.audit.queries import Log
    from localguard.audit.schema import LogUnavailable
    from localguard.cli.agent_catalogue import AGENTS, Surroundings
    from localguard.cli.agent_connection import addresses
    from localguard.config.agents import direct_connections

    try:
        with Log(home.audit_db) as log:
            latest = log.agents()
    except LogUnavailable:
        latest = {}
    around: dict[str, list[str]] = {}
    for direct in direct_connections(port):
        around.setdefault(direct.name, []).append(f"pid {direct.pid} to {direct.remote}")
    where = Surroundings(user, environment)
    found = []
    for agent in AGENTS:
        pointed, problems = addresses(agent, where, port)
        program = next(
            filter(None, (shutil.which(name, path=environment.get("PATH")) for name in agent.programs)), None
        )
        time, count = latest.get(agent.name, (None, 0))
        found.append(
            Seen(
                agent.name,
                agent.title,
                program,
                _pointed(pointed, problems),
                tuple(pointed),
                tuple(problems),
                time,
                count,
                tuple(around.get(agent.name, ())),
            )
        )
    return found


def _pointed(addresses: "Sequence[Pointed]", problems: Sequence[str]) -> str:
    if problems:
        return "broken"
    if not addresses:
        return "default"
    at_guard = [one.at_guard for one in addresses]
    return "guard" if all(at_guard) else "partly" if any(at_guard) else "elsewhere"


def list_agents(port: PortOption = DEFAULT_PORT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List agents: installed, how pointed, last request through the guard, and who goes around it.

    `guard`: its settings lead here. `default`: they name no address, so it goes to its provider unless `localguard run` starts it.
    """
    seen = seen_agents(located(home), port, os.environ, Path.home())
    if as_json:
        print_json([asdict(one) for one in seen])
        return
    rows = [
        (
            one.name,
            "yes" if one.program else "-",
            one.pointed,
            (one.last or "-")[:16].replace("T", " "),
            ", ".join(one.around) or "-",
        )
        for one in seen
    ]
    print_table(rows, ("agent", "installed", "pointed at", "last through the guard", "around it now"))
    for one in seen:
        for problem in one.problems:
            typer.echo(f"! {printable(problem)}")
    loose = [one.name for one in seen if one.program and one.pointed != "guard"]
    if loose:
        typer.echo(f"\nPoint them at the guard: localguard agents connect {' '.join(loose)}")


def connect(
    names: _Names = None,
    every: _All = False,
    yes: _Yes = False,
    dry_run: _Dry = False,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    policy: PolicyOption = None,
) -> None:
    """Write the guard's address into agents' own settings, after showing what changes.

    A copy of each file is kept beside it (`*.before-localguard`), and `agents disconnect` undoes it exactly.
    """
    from localguard.cli.agent_connection import plan_to_connect
    from localguard.proxy.control_client import ControlClient

    place = located(home, policy)
    guard = ControlClient(place, port)
    if place.recorded_port() == port and not guard.is_running() and guard.port_taken():
        raise NotReachable(
            f"The guard of this home was on port {port} and was killed; something else listens there now, so nothing is "
            "pointed there. Start the guard first."
        )
    endpoints = _endpoints(place)
    chosen, where = _chosen(names, every)
    _carry_out(
        [partial(plan_to_connect, agent, where, place, endpoints, port) for agent in chosen], place, yes, dry_run, True
    )


def disconnect(
    names: _Names = None,
    every: _All = False,
    yes: _Yes = False,
    dry_run: _Dry = False,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
) -> None:
    """Put agents' settings back as they were. Needs no guard.

    A file that nobody changed meanwhile gets its bytes back; in one that somebody did, only what was written is taken out.
    """
    from localguard.cli.agent_connection import plan_to_disconnect

    place = located(home)
    chosen, where = _chosen(names, every)
    look_up = partial(_endpoints, place)
    plans = [partial(plan_to_disconnect, agent, where, place, look_up, port) for agent in chosen]
    _carry_out(plans, place, yes, dry_run, False)


def snippet(
    name: Annotated[str, typer.Argument(metavar="NAME", help="vscode, jetbrains or copilot-app.")],
    port: PortOption = DEFAULT_PORT,
) -> None:
    """Print the settings to put by hand into a program that keeps them in a place of its own."""
    from localguard.cli.agent_snippets import SNIPPETS

    if name not in SNIPPETS:
        raise WrongUse(f"There are snippets for {', '.join(SNIPPETS)}; other agents: `localguard agents connect NAME`.")
    typer.echo(SNIPPETS[name].replace("{guard}", f"http://127.0.0.1:{port}"))


def _endpoints(home: "Home") -> "Sequence[Endpoint]":
    from localguard.config.policy_files import load_layers
    from localguard.policy.layers import effective_endpoints

    return tuple(effective_endpoints(load_layers(home)).values())


def _chosen(names: Sequence[str] | None, every: bool) -> "tuple[list[Agent], Surroundings]":
    """The agents that are meant. Raises WrongUse for names that there are not, or none."""
    from localguard.cli.agent_catalogue import AGENTS, Surroundings
    from localguard.config.policy_problems import nearest

    where = Surroundings(Path.home(), os.environ)
    known = {agent.name: agent for agent in AGENTS}
    for name in names or ():
        if name not in known:
            raise WrongUse(f"No agent is known by this name.{nearest(name, list(known))} See `localguard agents list`.")
    if every:
        return [agent for agent in AGENTS if any(map(shutil.which, agent.programs))], where
    if not names:
        raise WrongUse("Name the agents, or give --all. `localguard agents list` shows them.")
    return [known[name] for name in dict.fromkeys(names)], where


def _carry_out(plans: "Sequence[Callable[[], Plan]]", home: "Home", yes: bool, dry_run: bool, is_connect: bool) -> None:
    """Show each plan, ask, and carry it out. One agent's broken file does not keep the others from their turn."""
    from localguard.cli.agent_connection import apply
    from localguard.errors import LocalguardError

    failed = False
    for make in plans:
        try:
            plan = make()
            _show(plan, is_connect)
            if not plan.files or dry_run:
                continue
            if not yes and not typer.confirm("Write this?"):
                failed = True
                continue
            apply(plan, home, connect=is_connect)
        except LocalguardError as error:
            typer.echo(f"localguard: {printable(str(error))}", err=True)
            failed = True
            continue
        done = "now goes through the guard" if is_connect else "is as it was"
        typer.echo(f"{plan.agent.title} {done}; start it anew where it runs.")
    if failed:
        raise typer.Exit(ExitCode.FOUND)


def _show(plan: "Plan", is_connect: bool) -> None:
    for note in plan.notes:
        typer.echo(f"{plan.agent.name}: {printable(note)}", err=True)
    if not plan.files:
        typer.echo(f"{plan.agent.name}: nothing to change.")
    for one in plan.files:
        what = " (new)" if one.old is None else " (removed)" if one.new is None else ""
        whole = ": the bytes that it had" if one.whole and one.new is not None else ""
        typer.echo(f"{one.path}{what}{whole}")
        for change in one.changes:
            for line in str(change).splitlines():
                colour = typer.colors.GREEN if line.startswith("+") else typer.colors.RED
                typer.echo(typer.style(f"  {printable(line)}", fg=colour))
