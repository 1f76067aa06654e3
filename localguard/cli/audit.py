"""`localguard audit` and `localguard explain`: reading and verifying the log, beside a running guard or without one."""

import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from localguard.cli.audit_upkeep import erase, prune
from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, JsonOption, PortOption, located
from localguard.cli.output import print_json, print_printable, printable
from localguard.errors import LocalguardError

_FOLLOW_SECONDS = 0.5
_ExchangeArgument = Annotated[str, typer.Argument(help="Exchange id, from the reply's X-LocalGuard-Exchange header.")]


class Kind(StrEnum):
    """The kinds of records (design section 8)."""

    INTENT = "intent"
    OUTCOME = "outcome"
    REFUSAL = "refusal"
    CONTROL = "control"
    CHECKPOINT = "checkpoint"


class ExportFormat(StrEnum):
    """What an export looks like."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: localguard explain 01JC2M9X5Q")(explain)
    group = typer.Typer(
        help="Read and verify the log.", epilog="Example: localguard audit verify", no_args_is_help=True
    )
    group.command("tail", epilog="Example: localguard audit tail -n 5 --follow")(tail)
    group.command("show", epilog="Example: localguard audit show 01JC2M9X5Q")(show)
    group.command("verify", epilog="Example: localguard audit verify --anchor checkpoint.txt")(verify)
    group.command("search", epilog="Example: localguard audit search gpt-5 refusal")(search)
    group.command("export", epilog="Example: localguard audit export --output log.jsonl --sections metadata")(export)
    group.command("check", epilog="Example: localguard audit check log.jsonl")(check)
    group.command("prune", epilog="Example: localguard audit prune --older-than 90d --sections local,findings")(prune)
    group.command("erase", epilog="Example: localguard audit erase --workspace payments")(erase)
    group.command("checkpoint", epilog="Example: localguard audit checkpoint --output checkpoint.txt")(checkpoint)
    app.add_typer(group, name="audit")


def explain(exchange: _ExchangeArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Say what happened to one exchange and why.

    Names the rules that decided, what was found, and how it ended.
    """
    from localguard.audit.explain import explain as explain_records
    from localguard.audit.explain import explain_together
    from localguard.audit.queries import Log
    from localguard.audit.rows import time_of

    with Log(located(home).audit_db) as log:
        records, began = log.show(exchange), time_of(exchange)
        together = log.refused_together(began) if not records and began is not None else None
    if not records and together is None:
        raise _unknown_exchange()
    explanation = explain_records(records) if together is None else explain_together(exchange, together)
    if as_json:
        print_json(asdict(explanation))
    else:
        print_printable(str(explanation))


def _records(exchange: str, home: Any) -> Any:
    from localguard.audit.queries import Log

    with Log(located(home).audit_db) as log:
        records = log.show(exchange)
    if not records:
        raise _unknown_exchange()
    return records


def _unknown_exchange() -> WrongUse:
    return WrongUse("The log has no exchange with this id. `localguard audit tail` lists the newest ones.")


def tail(
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=100_000, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new records until interrupted.")] = False,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only records of this kind.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="Only records of this session.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only records since: 2h, or a time (UTC, ISO 8601)."),
    ] = None,
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the newest records, oldest first."""
    from localguard.audit.queries import Log
    from localguard.cli.clock import moment

    start = moment(since, "--since") if since is not None else None
    with Log(located(home).audit_db) as log:
        records = log.tail(number, kind=kind, session=session, since=start)
        seen = records[-1].seq if records else 0
        while True:
            for record in records:
                typer.echo(_json_line(record) if as_json else _line(record))
                seen = record.seq
            if not follow:
                return
            time.sleep(_FOLLOW_SECONDS)
            records = log.tail(1_000, after_seq=seen, kind=kind, session=session, since=start)


def show(exchange: _ExchangeArgument, home: HomeOption = None) -> None:
    """Print all records of one exchange, whole, as JSON."""
    print_json([_as_data(record) for record in _records(exchange, home)])


def verify(
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="FILE|URL",
            help="A checkpoint that was kept elsewhere, or its address; may be repeated.",
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that the log is internally consistent, and unchanged since a checkpoint that was kept elsewhere.

    Shows each step. Exit code 1 if one fails. Where a collector cosigned a checkpoint, the copy kept here is an anchor too.
    """
    from localguard.audit.checkpoint import CheckpointInvalid
    from localguard.audit.verify import verify as verify_log
    from localguard.cli.anchors import read_anchor
    from localguard.cli.output import progress
    from localguard.sync.agreement import anchor_file

    anchors = [read_anchor(one) for one in anchor or ()]
    cosigned = anchor_file(located(home))
    if cosigned.exists():
        anchors.append(cosigned.read_bytes())
    with progress("records") as advance:
        try:
            report = verify_log(located(home).audit_db, anchors=anchors, progress=advance)
        except CheckpointInvalid as error:
            raise WrongUse(f"An anchor cannot be used: {error}.") from None
    if as_json:
        steps = [{**asdict(step), "passed": step.passed} for step in report.steps]
        print_json(
            {"consistent": report.consistent, "verdict": report.verdict, "records": report.records, "steps": steps}
        )
    else:
        print_printable(str(report))
    if not report.consistent:
        raise typer.Exit(ExitCode.FOUND)


def checkpoint(
    output: Annotated[Path | None, typer.Option("--output", help="Write it to this file.")] = None,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
) -> None:
    """Print the newest signed checkpoint of the log, to be kept where this machine cannot change it.

    A running guard signs one for everything that is recorded by now. `audit verify --anchor` compares the log with it.
    """
    from localguard.audit.queries import Log
    from localguard.proxy.control_client import ControlClient

    place = located(home)
    client = ControlClient(place, port)
    if client.is_running() and not client.call("POST", "/checkpoint")["signed"]:
        typer.echo("localguard: the guard has no key yet; it gets one with its first request.", err=True)
    with Log(place.audit_db) as log:
        newest = log.tail(1, kind="checkpoint")
    if not newest or newest[0].metadata is None:
        raise NotFound("The log has no checkpoint yet. The guard signs one every 1,000 records, and when it stops.")
    note = str(newest[0].metadata["note"])
    if output is not None:
        output.write_text(note, "utf-8")
    else:
        typer.echo(note, nl=False)


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS…", help="All of them; up* finds words that begin so.")],
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=10_000, help="How many records.")] = 20,
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Find records by words of their metadata: models, endpoints, rules, codes, reasons."""
    from localguard.audit.search import Search
    from localguard.cli.output import progress

    with Search(located(home).audit_db) as index:
        with progress("records") as advance:
            index.update(advance)
        for record in index.find(" ".join(words), number):
            typer.echo(_json_line(record) if as_json else _line(record))


def export(
    output: Annotated[Path | None, typer.Option("--output", help="Write it to this file.")] = None,
    kind: Annotated[
        ExportFormat,
        typer.Option("--format", help="jsonl and parquet (extra `parquet`) hold proofs, csv is a table."),
    ] = ExportFormat.JSONL,
    sections: Annotated[
        str,
        typer.Option("--sections", help="Which sections to disclose, separated by commas; the rest stands by hash."),
    ] = "metadata,findings,local",
    after: Annotated[int, typer.Option("--after", min=0, help="Only records with a greater number.")] = 0,
    home: HomeOption = None,
) -> None:
    """Write the log's records up to the newest checkpoint, each with its proof.

    Whoever has the document can check every record against the signed checkpoint in it, whatever is not disclosed.
    """
    from localguard.audit.export import export_lines, export_table
    from localguard.audit.retention import SECTIONS

    chosen = [name.strip() for name in sections.split(",") if name.strip()]
    if not set(chosen) <= set(SECTIONS):
        raise WrongUse(f"The sections are {', '.join(SECTIONS)}.")
    path = located(home).audit_db
    if kind is ExportFormat.PARQUET:
        _export_parquet(path, output, chosen, after)
        return
    lines = (
        export_table(path, after=after)
        if kind is ExportFormat.CSV
        else export_lines(path, disclosed=chosen, after=after)
    )
    if output is None:
        for line in lines:
            typer.echo(line)
        return
    with output.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def _export_parquet(path: Path, output: Path | None, sections: list[str], after: int) -> None:
    import sys

    from localguard.audit.parquet import export_parquet

    if output is not None:
        with output.open("wb") as file:
            export_parquet(path, file, disclosed=sections, after=after)
    elif sys.stdout.isatty():
        raise WrongUse("Parquet is no text: name a file with --output, or pipe it on.")
    else:
        export_parquet(path, sys.stdout.buffer, disclosed=sections, after=after)


def check(
    document: Annotated[Path, typer.Argument(help="What `audit export` wrote: lines or Parquet.")],
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="The device's key, as it is known from elsewhere; else that in the document counts."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check an exported document by itself: every record in it against the signed checkpoint in it.

    Exit code 1 if one is not what the checkpoint covers. Without --key this does not show whose log it is.
    """
    from localguard.audit.checkpoint import CheckpointInvalid, public_key
    from localguard.audit.export import check_file
    from localguard.audit.parquet import check_parquet, is_parquet

    try:
        known = public_key(key) if key is not None else None
        proof = (check_parquet if is_parquet(document) else check_file)(document, known)
    except CheckpointInvalid as error:
        raise WrongUse(f"--key cannot be used: {error}.") from None
    except OSError as error:
        raise WrongUse(f"The document cannot be read ({error.strerror}).") from None
    covers, when = proof.checkpoint.size, proof.checkpoint.time
    if as_json:
        told = {
            "records": proof.records,
            "size": covers,
            "time": when,
            "device": proof.key.device,
            "key": proof.key.encoded(),
        }
        print_json(told)
        return
    typer.echo(
        f"{proof.records} records are among the {covers} of the checkpoint of {when}, signed by {proof.key.encoded()}."
    )


class NotFound(LocalguardError):
    """The log does not hold what was asked for."""


def _as_data(record: Any) -> dict[str, Any]:
    return {**asdict(record), "leaf_hash": record.leaf_hash.hex()}


def _json_line(record: Any) -> str:
    import json

    return json.dumps(_as_data(record))


def _line(record: Any) -> str:
    metadata = record.metadata or {}
    told = [
        metadata.get(name) for name in ("event", "state", "code", "endpoint", "model", "status") if metadata.get(name)
    ]
    found = f"{len(record.findings)} findings" if record.findings else ""
    parts = [f"{record.seq:>6}", record.time, f"{record.kind:<8}", record.exchange or "-", *map(str, told), found]
    return printable("  ".join(part for part in parts if part))
