"""Options that several commands share, spelled once."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from localguard.config.home import Home

DEFAULT_PORT = 4141

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Directory of policy, rules, state and logs. [default: $LOCALGUARD_HOME, else the user's data directory]",
        show_default=False,
    ),
]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Loopback port of the guard.")]
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", help="Policy file. [default: policy.toml in the home]", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Answer yes to the question that the command would ask.")]


def located(home: Path | None, policy: Path | None = None) -> "Home":
    """Return the home that the options and the environment name; touches no disk."""
    from localguard.config.home import Home

    return Home.locate(os.environ, home, policy)
