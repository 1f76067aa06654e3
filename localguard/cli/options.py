"""Options that several commands share, spelled once."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localguard.cli.exit_codes import WrongUse

if TYPE_CHECKING:
    from localguard.config.home import Home

DEFAULT_PORT = 4141

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        is_eager=True,  # which guard a command talks to depends on it
        help="Directory of policy, rules, state and logs. [default: $LOCALGUARD_HOME, else the user's data directory]",
        show_default=False,
    ),
]


def _port_of_the_home(context: typer.Context, port: int) -> int:
    source = context.get_parameter_source("port")
    if source is None or source.name != "DEFAULT":
        return port
    return located(context.params.get("home")).recorded_port() or port


PortOption = Annotated[
    int,
    typer.Option(
        "--port",
        min=1,
        max=65535,
        callback=_port_of_the_home,
        show_default=False,
        help="Loopback port of the guard. [default: where the home's guard runs, else 4141]",
    ),
]
ServePortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Loopback port to serve on.")]
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", help="Policy file. [default: policy.toml in the home]", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def located(home: Path | None, policy: Path | None = None, *, new_policy: bool = False) -> "Home":
    """Return the home that the options and the environment name.

    Raises WrongUse for a policy file that is named and not there, unless it may be a `new_policy`: the built-in policy
    in its place would allow what its author forbids.
    """
    from localguard.config.home import Home

    if policy is not None and not new_policy and not policy.exists():
        raise WrongUse(f"The policy file {policy} does not exist.")
    return Home.locate(os.environ, home, policy)
