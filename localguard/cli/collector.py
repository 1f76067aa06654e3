"""`localguard collector`: the central store's service, for whoever runs it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import JsonOption
from localguard.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    import asyncpg

T = TypeVar("T")

DatabaseOption = Annotated[
    str,
    typer.Option("--database", envvar="LOCALGUARD_DATABASE", metavar="URL", help="postgresql:// of the store."),
]
_KeyOption = Annotated[
    Path,
    typer.Option(
        "--key", envvar="LOCALGUARD_COLLECTOR_KEY", help="File of the key that cosigns, one for all processes."
    ),
]
DEFAULT_COLLECTOR_PORT = 4150


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Run a central store that devices sync to.",
        epilog="Example: localguard collector init --database postgresql:///audit --key collector.key",
        no_args_is_help=True,
    )
    group.command(
        "init", epilog="Example: localguard collector init --database postgresql:///audit --key collector.key"
    )(init)
    group.command(
        "serve", epilog="Example: localguard collector serve --database postgresql:///audit --key collector.key"
    )(serve)
    group.command(
        "grant", epilog="Example: localguard collector grant dashboards --team payments --database postgresql:///audit"
    )(grant)
    group.command(
        "policy", epilog="Example: localguard collector policy organisation.toml --database postgresql:///audit"
    )(policy)
    group.command("verify", epilog="Example: localguard collector verify --database postgresql:///audit")(verify)
    devices = typer.Typer(
        help="The machines that may send.",
        epilog="Example: localguard collector device list --database postgresql:///audit",
        no_args_is_help=True,
    )
    devices.command("list", epilog="Example: localguard collector device list --json")(list_devices)
    devices.command("enrol", epilog="Example: localguard collector device enrol --team payments --name ada-laptop")(
        enrol
    )
    devices.command("revoke", epilog="Example: localguard collector device revoke 5f0c2a9b7d1e3f46")(revoke)
    group.add_typer(devices, name="device")
    app.add_typer(group, name="collector")


def init(database: DatabaseOption, key: _KeyOption) -> None:
    """Make the tables, views and roles, or bring them up to date, and the collector's key where there is none.

    Needs a database role that may create roles and schemas.
    """
    from localguard.collector.database import migrate
    from localguard.collector.serving import collector_key

    steps = run(database, migrate)
    made = collector_key(key, create=True)
    typer.echo(f"The store is up to date ({steps} steps done). The collector's key is {made.public.encoded()}")


def serve(
    database: DatabaseOption,
    key: _KeyOption,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = DEFAULT_COLLECTOR_PORT,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="PEM file of the certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file of its key.")] = None,
    client_ca: Annotated[
        Path | None,
        typer.Option("--client-ca", help="Answer only clients with a certificate of these authorities (PEM)."),
    ] = None,
) -> None:
    """Take batches from devices until interrupted. Any number of such processes may stand side by side.

    The database role should be one that `collector grant ROLE --ingest` was said for, and no more.
    """
    import asyncio
    import gc

    from localguard.collector.serving import Place, collector_key
    from localguard.collector.serving import serve as serve_collector

    gc.freeze()
    place = Place(host, port, tls_cert, tls_key, client_ca)
    told: Callable[[int], None] = lambda bound: typer.echo(f"Collector on port {bound}.", err=True)  # noqa: E731
    asyncio.run(serve_collector(database, collector_key(key), place, ready=told))


def grant(
    role: Annotated[str, typer.Argument(help="A database role that can log in.")],
    database: DatabaseOption,
    ingest: Annotated[bool, typer.Option("--ingest", help="Let it add records; it cannot read them.")] = False,
    team: Annotated[
        str | None, typer.Option("--team", help="Let it read what this team sent (* for all); it cannot write.")
    ] = None,
) -> None:
    """Say what a database role may do with the store."""
    from localguard.collector.administration import grant as grant_role

    if not ingest and team is None:
        raise WrongUse("Say --ingest or --team.")
    run(database, lambda connection: grant_role(connection, role, ingest=ingest, team=team))
    typer.echo(f"Done: {printable(role)}.")


def policy(
    file: Annotated[Path, typer.Argument(help="A signed organisation policy.")], database: DatabaseOption
) -> None:
    """Serve a signed organisation policy to devices from now on, at /v1/policy."""
    from localguard.collector.administration import publish_policy

    try:
        document = file.read_bytes()
    except OSError as error:
        raise WrongUse(f"{file} cannot be read ({error.strerror}).") from None
    revision = run(database, lambda connection: publish_policy(connection, document))
    typer.echo(f"Revision {revision} is served.")


def verify(
    database: DatabaseOption,
    devices: Annotated[list[str] | None, typer.Argument(metavar="[DEVICE]…", help="[default: all]")] = None,
    key: Annotated[
        Path | None, typer.Option("--key", envvar="LOCALGUARD_COLLECTOR_KEY", help="Check its cosignatures too.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that the store still holds every record that was acknowledged, as it came. Exit code 1 if not."""
    from dataclasses import asdict

    from localguard.collector import administration
    from localguard.collector.serving import collector_key
    from localguard.collector.stored_verification import verify_device

    signer = collector_key(key).public if key is not None else None

    async def check(connection: "asyncpg.Connection") -> list[Any]:
        chosen = devices or [one["device"] for one in await administration.devices(connection)]
        return [await verify_device(connection, one, signer) for one in chosen]

    checked = run(database, check)
    if as_json:
        print_json([asdict(one) for one in checked])
    else:
        for one in checked:
            typer.echo(
                f"{one.device}  {one.records} records, {one.checkpoints} checkpoints: {'; '.join(one.problems) or 'ok'}"
            )
    if any(one.problems for one in checked):
        raise typer.Exit(ExitCode.FOUND)


def list_devices(database: DatabaseOption, as_json: JsonOption = False) -> None:
    """List the machines: who they are, when they were last seen, and what is wrong with them."""
    from localguard.collector import administration

    found = run(database, administration.devices)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["device"],
            one["name"],
            one["team"],
            f"{one['seen']:%Y-%m-%d %H:%M}" if one["seen"] else "never",
            str(one["records"] or 0),
            ", ".join(
                word
                for word, so in (
                    ("revoked", one["revoked"]),
                    ("silent", one["silent"]),
                    ("old policy", one["old_policy"]),
                    (str(one["unverified"]), one["unverified"]),
                )
                if so
            ),
        )
        for one in found
    ]
    print_table(rows, ("device", "name", "team", "seen", "records", "state"))


def enrol(
    database: DatabaseOption,
    team: Annotated[str, typer.Option("--team", help="Whose machine it is.")],
    name: Annotated[str, typer.Option("--name", help="What it is called in lists.")],
    expires: Annotated[
        str, typer.Option("--expires", metavar="PERIOD", help="How long the token is good: 12h, 7d.")
    ] = "7d",
    as_json: JsonOption = False,
) -> None:
    """Make a one-time token, with which one machine enrols itself: `localguard sync enable --to … --token …`.

    A machine that is known already begins a new history with it.
    """
    from datetime import UTC, datetime

    from localguard.cli.clock import span
    from localguard.collector.administration import new_token

    until = datetime.now(UTC) + span(expires, "--expires")
    token = run(database, lambda connection: new_token(connection, team=team, name=name, expires=until))
    if as_json:
        print_json({"token": token.value, "team": team, "name": name, "expires": token.expires})
        return
    typer.echo(token.value)
    typer.echo(f"Good once, until {token.expires:%Y-%m-%d %H:%M} UTC. It is not shown again.", err=True)


def revoke(device: Annotated[str, typer.Argument(help="The device's id.")], database: DatabaseOption) -> None:
    """Take nothing from a machine any more. What it sent stays."""
    from localguard.collector import administration

    run(database, lambda connection: administration.revoke(connection, device))
    typer.echo(f"{printable(device)} is revoked.")


def run(database: str, work: "Callable[[asyncpg.Connection], Awaitable[T]]") -> T:
    """What `work` answers, on one connection to the store. Raises StoreUnavailable for what PostgreSQL refuses."""
    import asyncio

    try:
        import asyncpg
    except ImportError:
        raise WrongUse("This needs the extra `server`: pip install 'localguard[server]'.") from None
    from localguard.collector.administration import connect
    from localguard.collector.database import StoreUnavailable

    async def connected() -> T:
        connection = await connect(database)
        try:
            return await work(connection)
        except asyncpg.PostgresError as error:
            raise StoreUnavailable(f"PostgreSQL refused: {str(error).splitlines()[0]}.") from None
        finally:
            await connection.close()

    return asyncio.run(connected())
