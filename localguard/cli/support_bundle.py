"""`localguard support-bundle`: what a support case needs to know, in one text file that nobody but its owner sends."""

import platform
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import localguard
from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import DEFAULT_PORT, HomeOption, PortOption, located
from localguard.cli.output import print_printable

if TYPE_CHECKING:
    from localguard.audit.queries import Record
    from localguard.config.home import Home

_LOG_LINES = 100
_LOG_BYTES = 64 * 1024
_Page = tuple[str, Iterable[str]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("support-bundle", epilog="Example: localguard support-bundle --exchange 01JC2M9X5Q")(support_bundle)


def support_bundle(
    exchange: Annotated[str | None, typer.Option("--exchange", metavar="ID", help="About this exchange.")] = None,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="ID", help="About this session (the beginning of its id will do)."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Else about all since: 12h, 7d, or a time (UTC, ISO 8601).")
    ] = "1d",
    output: Annotated[Path, typer.Option("--output", help="Write it to this file.")] = Path("localguard-support.txt"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    port: PortOption = DEFAULT_PORT,
    home: HomeOption = None,
) -> None:
    """Write down what a support case needs.

    Shows it first and asks. Versions, rules, endpoints, numbers, explained failures, checks and the end of the guard's own log: no
    prompt, no reply, no command line. It is scanned once more, and never sent anywhere.
    """
    if exchange is not None and session is not None:
        raise WrongUse("Give --exchange or --session, not both.")
    place = located(home)
    text = _clean(place, "\n".join(_text(_pages(place, port, *_chosen(place, exchange, session, since)))))
    print_printable(text)
    if not yes and not typer.confirm(f"Write this to {output}?", err=True):
        raise typer.Exit(ExitCode.FOUND)
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise WrongUse(f"{output} cannot be written ({error.strerror}).") from None
    typer.echo(f"Written to {output}. Nothing was sent.", err=True)


def _chosen(place: "Home", exchange: str | None, session: str | None, since: str) -> "tuple[str, list[Record]]":
    """What it is about, and the records of that."""
    from localguard.audit.queries import Log
    from localguard.cli.clock import moment
    from localguard.cli.session_ids import session_id

    with Log(place.audit_db) as log:
        if exchange is not None:
            records = log.show(exchange)
            if not records:
                raise WrongUse("The log has no exchange with this id. `localguard audit tail` lists the newest ones.")
            return f"exchange {exchange}", records
        if session is not None:
            id = session_id(log, session)
            return f"session {id}", list(log.whole_session(id))
        return f"all since {since}", list(log.since(moment(since, "--since")))


def _pages(place: "Home", port: int, about: str, records: "list[Record]") -> Iterator[_Page]:
    from localguard.audit.support import answers, explained, summary

    yield f"localguard support bundle: {about}", answers(about, records)
    yield "Summary", summary(about, records)
    yield "Explained", explained(records) or ["nothing failed"]
    yield "Versions", _versions()
    yield "Policy and endpoints", _policy(place)
    yield "Log and guard", _numbers(place, port)
    yield "Checks", _checks(place, port)
    yield "End of the guard's own log", _own_log(place.log_dir / "localguard.log")


def _versions() -> list[str]:
    return [
        f"localguard {localguard.__version__}",
        f"Python {platform.python_version()} ({platform.python_implementation()})",
        f"{platform.system()} {platform.release()} {platform.machine()}",
        f"frozen: {bool(getattr(sys, 'frozen', False))}",
    ]


def _policy(place: "Home") -> Iterator[str]:
    from localguard.config.policy_files import load_layers
    from localguard.errors import LocalguardError

    try:
        layers = load_layers(place)
    except LocalguardError as error:
        yield f"cannot be used: {type(error).__name__}"
        return
    for layer in layers:
        yield f"layer {layer.name}: digest {layer.digest[:16]}, rules {', '.join(rule.id for rule in layer.rules) or 'none'}"
        for endpoint in layer.endpoints:
            yield f"endpoint {endpoint.name}: {endpoint.kind}, {endpoint.endpoint_class}, support {endpoint.support or '-'}"


def _numbers(place: "Home", port: int) -> Iterator[str]:
    from localguard.audit.queries import Log
    from localguard.proxy.control_client import ControlClient

    with Log(place.audit_db) as log:
        for kind, count in log.count_by_kind().items():
            yield f"records of kind {kind}: {count}"
    client = ControlClient(place, port)
    if not client.is_running():
        yield "no guard of this home runs"
        return
    status = client.status()
    yield f"guard {status['version']}, up {status['uptime_seconds']} s, log writable {status['log']['writable']}"
    for name, count in status["counters"].items():
        yield f"{name}: {count}"


def _checks(place: "Home", port: int) -> Iterator[str]:
    from localguard.cli.checks import run_checks

    for check in run_checks(place, port):
        yield f"{check.verdict:4} {check.name}: {check.said}"


def _own_log(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _LOG_BYTES, 0))
            return file.read().decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
    except OSError:
        return ["there is none"]


def _text(pages: Iterable[_Page]) -> Iterator[str]:
    for title, lines in pages:
        yield from (title, "=" * len(title), *lines, "")


def _clean(place: "Home", text: str) -> str:
    """The text with what the rules and engines find replaced by its type, and without this user's directories."""
    from localguard.proxy.scan_pool import build_scanner

    for directory, name in ((str(place.root), "HOME"), (str(Path.home()), "~")):
        if len(directory) > 1:
            text = text.replace(directory, name)
    raw = text.encode("utf-8", "replace")
    parts, position = [], 0
    for finding in sorted(build_scanner([place.rules_dir]).scan(raw), key=lambda one: one.start):
        if finding.start >= position and not raw.startswith(b"LG_", finding.start):
            parts += [raw[position : finding.start], f"<{finding.type}>".encode()]
            position = finding.end
    return b"".join([*parts, raw[position:]]).decode("utf-8", "replace")
