"""`localguard sync`: what of the log goes to a central store, who agreed to it, and how far it is."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, printable

if TYPE_CHECKING:
    from localguard.config.home import Home
    from localguard.config.keys import Keys
    from localguard.sync.agreement import Agreement


class Level(StrEnum):
    """What of a record is disclosed."""

    METADATA = "metadata"
    FINDINGS = "findings"


_ToOption = Annotated[
    str,
    typer.Option("--to", metavar="URL", help="https:// (a collector), file://, s3://, gs://, az:// or otlp+https://."),
]
_LevelOption = Annotated[
    Level, typer.Option("--level", help="metadata, or findings too: what was found, never values.")
]
_NamesOption = Annotated[
    bool, typer.Option("--names", help="Send repository, branch, command and file names too, as keyed digests.")
]
_ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="WORKSPACE", help="Keep this work's records here; a glob.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Send records to a central store. Off until you agree.",
        epilog="Example: localguard sync preview --level metadata",
        no_args_is_help=True,
    )
    group.command("status", epilog="Example: localguard sync status --json")(status)
    group.command("preview", epilog="Example: localguard sync preview --level findings --exclude 'private*'")(preview)
    group.command("enable", epilog="Example: localguard sync enable --to https://collector.example --level metadata")(
        enable
    )
    group.command("disable", epilog="Example: localguard sync disable")(disable)
    group.command("push", epilog="Example: localguard sync push")(push)
    app.add_typer(group, name="sync")


def status(port: PortOption = DEFAULT_PORT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Say whether records are sent, where, what of them, and how far it is."""
    told = _told(located(home), port)
    if as_json:
        print_json(told)
        return
    if not told["enabled"]:
        typer.echo("Sync is off: no record leaves this machine.")
        if told["problem"]:
            typer.echo(printable(str(told["problem"])), err=True)
        return
    typer.echo(f"Records go to {printable(told['to'])}: {_disclosed(told['level'], names=told['names'])}.")
    if told["exclude"]:
        typer.echo(f"Not of: {printable(', '.join(told['exclude']))}.")
    size = "nothing yet" if told["size"] is None else f"{told['size']} records of the log, from {told['since'] + 1} on"
    typer.echo(f"There: {size}.")
    if told["sent"]:
        typer.echo(f"Last acknowledged: {told['sent']}.")
    if told["problem"]:
        typer.echo(f"Now: {printable(told['problem'])} It is tried again; nothing is lost.", err=True)


def preview(
    level: _LevelOption = Level.METADATA,
    names: _NamesOption = False,
    exclude: _ExcludeOption = None,
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=1000, help="How many of the newest records.")] = 5,
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the batch itself, as it would be sent.")] = False,
) -> None:
    """Show exactly what would be sent of the newest records, section by section and field by field. Sends nothing.

    What is only a hash there proves the record and tells nothing of it.
    """
    import json

    from localguard.sync.batch import open_batch
    from localguard.sync.disclosure import Disclosure
    from localguard.sync.log_reader import Bounds
    from localguard.sync.outlet import reader_of

    place = located(home)
    reader = reader_of(place, _keys(place), Bounds(records=number))
    disclosure = Disclosure("findings" if level is Level.FINDINGS else "metadata", names, tuple(exclude or ()))
    batch = reader.batch(max(0, reader.size() - number), disclosure)
    if as_json:
        typer.echo(batch.data.decode(), nl=False)
        return
    opened = open_batch(batch.data)
    fields: dict[str, set[str]] = {"metadata": set(), "findings": set(), "names": set()}
    for line in opened.lines:
        typer.echo(f"{line.seq:>6}  {line.time}  {line.kind}")
        for name in ("metadata", "findings", "local"):
            section = getattr(line, name)
            if section.text is None:
                typer.echo(f"        {name}: not sent, only its hash {section.hash.hex()[:16]}…")
                continue
            content = json.loads(section.text)
            typer.echo(f"        {name}: {printable(json.dumps(content, ensure_ascii=False))}")
            for one in [content] if isinstance(content, dict) else content:
                fields[name] |= set(one)
        if line.names:
            typer.echo(f"        names: {json.dumps(line.names)}")
            fields["names"] |= set(line.names)
    typer.echo("")
    for name, found in fields.items():
        if found:
            typer.echo(f"Fields of {name}: {printable(', '.join(sorted(found)))}")
    typer.echo("With each batch: the device's id and key, a keyed digest of the machine, and the tree's hashes.")
    typer.echo(f"Nothing was sent. {_disclosed(level.value, names=names).capitalize()} would be.")


def enable(
    to: _ToOption,
    level: _LevelOption,
    names: _NamesOption = False,
    exclude: _ExcludeOption = None,
    start: Annotated[bool, typer.Option("--from-start", help="The whole log, not only records from now on.")] = False,
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="LOCALGUARD_SYNC_TOKEN", help="The collector's token for this machine."),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="PEM file of the only authorities that are believed.")
    ] = None,
    client_cert: Annotated[
        Path | None,
        typer.Option("--client-cert", help="PEM file with certificate and key, if the collector asks for one."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
) -> None:
    """Agree that records are sent, and to where. Asks first; the consent itself is recorded in the log.

    `sync preview` shows what would be sent. An agent cannot do this.
    """
    from localguard.sync.agreement import AgreementInvalid
    from localguard.sync.consent import proposed

    place = located(home)
    try:
        wanted = proposed(
            to,
            level.value,
            names=names,
            exclude=exclude or (),
            ca_file=str(ca_file.resolve()) if ca_file else None,
            client_cert=str(client_cert.resolve()) if client_cert else None,
        )
    except AgreementInvalid as invalid:
        raise WrongUse(str(invalid)) from None
    range_ = "the whole log" if start else "all records from now on"
    typer.echo(f"To {printable(wanted.to)}, of {range_}: {_disclosed(level.value, names=names)}.", err=True)
    typer.echo("`localguard sync preview` shows exactly what that is; `localguard sync disable` ends it.", err=True)
    if not yes and not typer.confirm("Send them?", err=True):
        raise typer.Exit(ExitCode.FOUND)
    _agree(place, port, wanted, token, from_now=not start)
    typer.echo("Agreed. The consent is in the log.")


def disable(port: PortOption = DEFAULT_PORT, home: HomeOption = None) -> None:
    """Stop sending at once. What was sent stays where it is."""
    from localguard.proxy.control_client import ControlClient
    from localguard.sync.agreement import AgreementInvalid, Agreements
    from localguard.sync.consent import end_event

    place = located(home)
    client = ControlClient(place, port, timeout=15)
    if client.is_running():
        client.call("POST", "/sync/disable")
    else:
        agreements = Agreements(place)
        try:
            was = agreements.current() is not None
        except AgreementInvalid:
            was = True
        agreements.end()
        if was:
            _record(place, end_event())
    typer.echo("Sync is off.")


def push(port: PortOption = DEFAULT_PORT, home: HomeOption = None) -> None:
    """Send what waits now, instead of at the guard's own pace.

    A running guard is told to; else this command sends, and says how many records were acknowledged.
    """
    from localguard.audit.lock import GuardLock
    from localguard.proxy.control_client import ControlClient
    from localguard.sync.agreement import Agreements
    from localguard.sync.outlet import push as push_all
    from localguard.sync.outlet import sender_of
    from localguard.sync.sender import Pace

    place = located(home)
    client = ControlClient(place, port)
    if client.is_running():
        if not client.call("POST", "/sync/push")["enabled"]:
            raise WrongUse("Sync is off. `localguard sync enable` turns it on.")
        typer.echo("The guard sends now; `localguard sync status` shows how far it is.")
        return
    agreement = Agreements(place).current()
    if agreement is None:
        raise WrongUse("Sync is off. `localguard sync enable` turns it on.")
    lock = GuardLock(place.state_dir / "guard.lock")  # a guard that starts meanwhile would send too
    try:
        sender = sender_of(place, _keys(place), agreement, pace=Pace(between=0))
        sent, problem = push_all(sender)
        sender.close()
    finally:
        lock.release()
    typer.echo(f"{sent} records were acknowledged.")
    if problem is not None:
        typer.echo(f"localguard: {problem}", err=True)
        raise typer.Exit(ExitCode.FOUND)


def _agree(place: "Home", port: int, wanted: "Agreement", token: str | None, *, from_now: bool) -> None:
    """Have a running guard do it, or do it here where none runs."""
    from dataclasses import replace

    from localguard.proxy.control_client import ControlClient
    from localguard.sync.agreement import Agreements
    from localguard.sync.consent import consent_event, enrolled
    from localguard.sync.outlet import device_key, reader_of

    client = ControlClient(place, port, timeout=60)
    if client.is_running():
        given: dict[str, Any] = {"to": wanted.to, "level": wanted.level, "names": wanted.names}
        given |= {"exclude": list(wanted.exclude), "from_now": from_now, "token": token or ""}
        client.call("POST", "/sync", **given, ca_file=wanted.ca_file or "", client_cert=wanted.client_cert or "")
        return
    place.create()
    keys = _keys(place)
    made = enrolled(wanted, device_key(keys), token)
    if from_now and place.audit_db.exists():
        made = replace(made, since=reader_of(place, keys).size())
    _record(place, consent_event(made))
    Agreements(place).agree(made)


def _record(place: "Home", event: Any) -> None:
    from datetime import UTC, datetime

    from localguard.audit.store import Store
    from localguard.sync.outlet import device_key

    with Store.open(place.audit_db, clock=lambda: datetime.now(UTC)) as store:
        store.sign_with(device_key(_keys(place)))  # a checkpoint follows, which names the key of the anchors to come
        store.append("control", metadata=event).result()


def _told(place: "Home", port: int) -> dict[str, Any]:
    from localguard.proxy.control_client import ControlClient

    client = ControlClient(place, port)
    if client.is_running():
        return client.call("GET", "/sync")
    from dataclasses import asdict

    from localguard.sync.agreement import AgreementInvalid, Agreements

    agreements = Agreements(place)
    try:
        agreement = agreements.current()
    except AgreementInvalid as invalid:
        return {"enabled": False, "problem": str(invalid)}
    if agreement is None:
        return {"enabled": False, "problem": None}
    return {"enabled": True, **asdict(agreement), **asdict(agreements.progress())}


def _disclosed(level: str, *, names: bool) -> str:
    what: Sequence[str] = (
        ("metadata",) if level == "metadata" else ("metadata", "findings (types and places, no values)")
    )
    return " and ".join([*what, *(["local names as keyed digests"] if names else [])])


def _keys(place: "Home") -> "Keys":
    import os

    from localguard.config.keys import Keys

    return Keys(place, env=os.environ)
