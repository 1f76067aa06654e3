"""`localguard budget`: what was spent of each budget, and where its pace leads."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PolicyOption, PortOption, located
from localguard.cli.output import print_json, printable

if TYPE_CHECKING:
    from localguard.config.home import Home

_BAR = 30
_LONGEST_PERIOD = timedelta(days=40)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Show what was spent of each budget.",
        epilog="Example: localguard budget show",
        no_args_is_help=True,
    )
    group.command("show", epilog="Example: localguard budget show --json")(show)
    group.command("trust-clock", epilog="Example: localguard budget trust-clock --yes")(trust_clock)
    app.add_typer(group, name="budget")


def show(
    port: PortOption = DEFAULT_PORT, home: HomeOption = None, policy: PolicyOption = None, as_json: JsonOption = False
) -> None:
    """Show each budget: limit, what is spent and reserved, and what its pace leads to.

    Asks the guard of this home if one runs, else reads its log and the policy file.
    """
    from localguard.proxy.control_client import ControlClient

    place = located(home, policy)
    client = ControlClient(place, port)
    said = client.call("GET", "/budgets") if policy is None and client.is_running() else _read(place)
    if as_json:
        print_json(said)
        return
    if said["clock_held"]:
        typer.echo(
            "The clock moved as no time passes, so budgets go on as of "
            f"{said['now']}. If it is right now: localguard budget trust-clock\n"
        )
    if not said["budgets"]:
        typer.echo("The policy has no budgets. What exchanges cost stands in the log: localguard audit tail")
    for budget in said["budgets"]:
        for line in _lines(budget):
            typer.echo(printable(line))


def trust_clock(
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Have budgets go by the machine's clock again after it jumped.

    A new period may begin by that. It is recorded.
    """
    from localguard.proxy.control_client import ControlClient

    if not yes and not typer.confirm(f"Is it {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}?"):
        raise WrongUse("Set the clock first.")
    said = ControlClient(located(home), port).call("POST", "/budgets/clock", trust=True)
    typer.echo(f"Budgets go by the clock again, as of {said['now']}.")


def _read(home: "Home") -> dict[str, Any]:
    """The same as the guard answers, from the log and the policy file."""
    from localguard.audit.charges import latest_charge, read_charges
    from localguard.config.policy_files import load_layers
    from localguard.policy.budget_words import told
    from localguard.policy.budgets_in_force import in_force
    from localguard.policy.ledger import Ledger
    from localguard.policy.ledger_time import LedgerTime

    wall = datetime.now(UTC)
    times = LedgerTime(wall, 0, latest_charge(home.audit_db) if _exists(home.audit_db) else None)
    now = times.now(wall, 0)
    charges = read_charges(home.audit_db, now - _LONGEST_PERIOD) if _exists(home.audit_db) else []
    standings = Ledger(charges).standings(in_force(tuple(load_layers(home))), now)
    return {
        "now": now.isoformat(),
        "clock_held": times.held,
        "budgets": [told(standing, now) for standing in standings],
    }


def _exists(path: Path) -> bool:
    return path.is_file()


def _lines(budget: dict[str, Any]) -> list[str]:
    limit, spent, reserved = (Decimal(budget[name]) for name in ("limit_usd", "spent_usd", "reserved_usd"))
    share = spent / limit if limit else Decimal(1)
    full = min(int(share * _BAR), _BAR)
    held = min(int((spent + reserved) / limit * _BAR) if limit else 0, _BAR) - full
    bar = "#" * full + "+" * max(held, 0)
    lines = [
        f"{budget['name']}: a {budget['period']} until {budget['ends']} ({budget['zone']})",
        f"  [{bar:.<{_BAR}}] {share:.0%} of {limit:.2f} USD: {spent:.2f} spent, {reserved:.2f} reserved",
    ]
    if budget["used_up"]:
        lines.append(f"  used up; more is met with: {budget['on_exceed']} ({budget['file']}:{budget['line']})")
    elif budget["runs_out"] is not None:
        lines.append(f"  at this pace {Decimal(budget['forecast_usd']):.2f} USD: used up by {budget['runs_out']}")
    elif budget["forecast_usd"] is not None:
        lines.append(f"  at this pace {Decimal(budget['forecast_usd']):.2f} USD by its end")
    return lines
