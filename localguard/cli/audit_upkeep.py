"""`localguard audit prune` and `erase`: what cannot be undone. A running guard does it, else the command itself."""

from pathlib import Path
from typing import Annotated, Any

import typer

from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, PolicyOption, PortOption, located
from localguard.cli.output import printable


def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="PERIOD", help="90d, 12w or 48h.")],
    sections: Annotated[
        str, typer.Option("--sections", help="What to drop, separated by commas.")
    ] = "metadata,findings,local",
    kinds: Annotated[
        str, typer.Option("--kinds", help="Of which records, separated by commas.")
    ] = "intent,outcome,refusal,control",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
) -> None:
    """Drop the content of old records for good. Their hashes stay, so that the rest can still be verified.

    A running guard does it, else this command.
    """
    from datetime import UTC, datetime

    from localguard.audit.record import timestamp
    from localguard.audit.retention import PRUNABLE, SECTIONS, Retention
    from localguard.audit.store import Store
    from localguard.cli.clock import span
    from localguard.proxy.control_client import ControlClient

    chosen, of = (tuple(filter(None, map(str.strip, text.split(",")))) for text in (sections, kinds))
    try:
        retention = Retention(chosen, of)
    except ValueError:
        raise WrongUse(f"Sections are {', '.join(SECTIONS)}; kinds are {', '.join(PRUNABLE)}.") from None
    before = timestamp(datetime.now(UTC) - span(older_than, "--older-than"))
    if not yes and not typer.confirm(
        f"Drop {', '.join(chosen)} of all {', '.join(of)} records before {before[:10]} for good?"
    ):
        raise typer.Exit(ExitCode.FOUND)
    place = located(home)
    client = ControlClient(place, port, timeout=600)
    if client.is_running():
        dropped = client.call("POST", "/prune", sections=list(chosen), kinds=list(of), before=before)["records"]
    else:
        with Store.open(place.audit_db, clock=lambda: datetime.now(UTC)) as store:
            dropped = store.prune(retention, before)
            store.append("control", metadata=retention.event(before, dropped))
    place.audit_db.with_name("search.db").unlink(missing_ok=True)
    typer.echo(f"Content of {dropped} records was dropped.")


def erase(
    workspace: Annotated[
        str | None,
        typer.Option("--workspace", help="Configured workspace. [default: the current directory's]"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
    policy: PolicyOption = None,
) -> None:
    """Destroy the key of a workspace's fingerprints for good.

    Records and their proofs stay as they are; nobody can tell any more which value a fingerprint stands for, or that two records speak
    of the same one as later records do. Values that were allowed by fingerprint have to be allowed anew.
    """
    from localguard.config.policy_files import load_layers
    from localguard.config.workspaces import Workspaces
    from localguard.proxy.control_client import ControlClient

    place = located(home, policy)
    workspaces = Workspaces(load_layers(place))
    found = workspaces.named(workspace) if workspace is not None else workspaces.of_directory(Path.cwd())
    if found is None:
        raise WrongUse(
            "No configured workspace has this name."
            if workspace is not None
            else "The current directory is in no repository and no configured workspace; name one with --workspace."
        )
    if not yes and not typer.confirm(f"Destroy the key of the fingerprints of {printable(found.name)} for good?"):
        raise typer.Exit(ExitCode.FOUND)
    client = ControlClient(place, port, timeout=60)
    if client.is_running():
        told = client.call("POST", "/erase", workspace=found.id, name=found.name)["erased"]
    else:
        told = _erase_here(place, found.id, found.name)
    typer.echo(f"The fingerprints of {printable(str(told))} can no longer be linked to values.")


def _erase_here(place: Any, workspace_id: str, name: str) -> str:
    import getpass
    import os
    from datetime import UTC, datetime

    from localguard.audit.erasure import erasure_event, name_in_metadata
    from localguard.audit.store import Store
    from localguard.config.keys import Keys, fingerprint_of

    keys = Keys(place, env=os.environ)
    told = name_in_metadata(workspace_id, fingerprint_of(keys.fingerprint_key(workspace_id), workspace_id))
    with Store.open(place.audit_db, clock=lambda: datetime.now(UTC)) as store:
        local = {"by": getpass.getuser(), "workspace": name}
        store.append("control", metadata=erasure_event(told), local=local).result()
        keys.erase_fingerprints(workspace_id)
    return told
