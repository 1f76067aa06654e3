"""`localguard scan`: the guard's detectors on files, directories or standard input."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NamedTuple
from urllib.parse import quote

import typer

from localguard.cli.exit_codes import ExitCode, WrongUse
from localguard.cli.options import HomeOption, PolicyOption, located
from localguard.cli.output import print_json, printable

if TYPE_CHECKING:
    from localguard.cli.scan_report import Located
    from localguard.config.home import Home
    from localguard.detect.finding import Finding
    from localguard.policy.model import Layer

_DEADLINE_SECONDS = 60.0
"""For one file. Some detectors are super-linear on hostile text."""
_MAX_LINE = 64 * 1024 * 1024
_STANDARD_INPUT = Path("-")


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    SARIF = "sarif"


class _TookTooLong(Exception):
    """A text was not scanned within the deadline."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: localguard scan src --format sarif > findings.sarif")(scan)


def scan(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH…|-]", help="Files, directories, or - for standard input. [default: .]", show_default=False
        ),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="jsonl with - reads lines {id, text} and answers each as it comes.")
    ] = Format.TEXT,
    staged: Annotated[bool, typer.Option("--staged", help="Only what the next commit brings in.")] = False,
    commits: Annotated[
        str | None,
        typer.Option(
            "--commits",
            metavar="RANGE",
            help="Only what each commit of main..HEAD or the like brings in; --all for the whole history.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    policy: PolicyOption = None,
) -> None:
    """Find secrets and personal data. Exit code 1 if something is found or could not be scanned.

    In a git working tree, files that git ignores are left out unless they are named. Binary files are left out. No format
    prints a value; offsets are Unicode code points. The action is what the policy would have the guard do before sending.
    """
    scanning = _Scanning(located(home, policy))
    wanted = paths or [Path()]
    if staged or commits is not None:
        if paths or (staged and commits is not None):
            raise WrongUse("--staged and --commits stand alone: they look at the repository of the current directory.")
        _scan_sources(scanning, _changed(commits), form)
    elif wanted == [_STANDARD_INPUT] and form is Format.JSONL:
        _answer_lines(scanning, sys.stdin.buffer)
    else:
        _scan_sources(scanning, _texts(wanted), form)
    if scanning.found or scanning.failed:
        raise typer.Exit(ExitCode.FOUND)


class _Scanning:
    """The scanner with the policy's actions, and whether anything was found."""

    def __init__(self, home: "Home") -> None:
        from localguard.config.policy_files import load_layers
        from localguard.proxy.scan_pool import build_scanner

        self._layers = load_layers(home)
        self._scanner = build_scanner([home.rules_dir], self._layers[-1].names, home.state_dir)
        self.found = False
        self.failed = False

    def scan(self, text: bytes, lines: frozenset[int] | None = None) -> "list[Located]":
        """Return the findings of a UTF-8 text, of all or only those that touch some of `lines`. Raises _TookTooLong."""
        from localguard.cli.scan_report import locate

        with _deadline(_DEADLINE_SECONDS):
            findings = self._scanner.scan(text)
        if not findings:
            return []
        located = locate(text, findings, _actions(self._layers, findings))
        if lines is not None:
            located = [one for one in located if not lines.isdisjoint(range(one.line, one.end_line + 1))]
        self.found = self.found or bool(located)
        return located


def _actions(layers: "Sequence[Layer]", findings: "Sequence[Finding]") -> Mapping[str, str]:
    """Return class to action as policy decides for the first hosted endpoint and work that cannot be attributed."""
    from localguard.policy.decide import decide
    from localguard.policy.given import with_organisation
    from localguard.policy.layers import effective_endpoints
    from localguard.policy.model import Effect, EndpointClass, Sensitivity, Work

    endpoints = tuple(effective_endpoints(layers).values())
    hosted = [endpoint for endpoint in endpoints if endpoint.endpoint_class is EndpointClass.HOSTED]
    endpoint = next(iter([*hosted, *endpoints]))
    rules = [rule for layer in layers for rule in layer.workspaces]
    work = Work(
        workspace=None,
        sensitivity=max((rule.sensitivity for rule in rules), default=Sensitivity.INTERNAL),
        task=None,
        endpoint=endpoint.name,
        endpoint_class=endpoint.endpoint_class,
        model=None,
        findings=frozenset(name for f in findings for name in (f.type, str(f.data_class))),
    )
    decision = decide(layers, with_organisation(work, layers))
    asked = decision.obligations
    actions = {"secret": str(asked.secret), "pii": str(asked.pii), "custom": str(asked.custom)}
    return dict.fromkeys(actions, "block") if decision.effect is Effect.DENY else actions


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise _TookTooLong in the main thread when time is up; Python's `re` looks for signals while it matches."""
    import signal
    import threading

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expired(*_: object) -> None:
        raise _TookTooLong

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Source(NamedTuple):
    """A text to scan: its name, UTF-8 bytes, why there are none, and the lines that count (None: all)."""

    name: str
    text: bytes
    problem: str | None = None
    lines: frozenset[int] | None = None


def _scan_sources(scanning: _Scanning, sources: Iterator[_Source], form: Format) -> None:
    from localguard.cli import scan_report

    results: list[tuple[str, Located]] = []
    skipped: list[dict[str, str]] = []
    files = 0
    for name, text, problem, lines in sources:
        if problem is None:
            try:
                found = scanning.scan(text, lines)
            except _TookTooLong:
                problem = f"not scanned within {_DEADLINE_SECONDS:.0f} s"
                scanning.failed = True
        if problem is not None:
            skipped.append({"path": name, "reason": problem})
            if problem != "binary":
                typer.echo(f"localguard: {printable(name)}: left out ({problem})", err=True)
            continue
        files += 1
        if form is Format.TEXT:
            for finding in found:
                typer.echo(printable(scan_report.text_line(name, finding)))
        elif form is Format.JSONL:
            typer.echo(scan_report.json_line({"id": name, "findings": [scan_report.span_entry(f) for f in found]}))
        results += [(name, finding) for finding in found]
    if form is Format.JSON:
        entries = [scan_report.json_entry(name, finding) for name, finding in results]
        print_json({"findings": entries, "files": files, "skipped": skipped})
    elif form is Format.SARIF:
        print_json(scan_report.sarif([(_uri(name), finding) for name, finding in results]))
    elif form is Format.TEXT:
        typer.echo(f"{_number(len(results), 'finding')} in {_number(files, 'file')}", err=True)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _texts(paths: Sequence[Path]) -> Iterator[_Source]:
    """Yield the files behind the paths; with a progress bar where a person waits."""
    from localguard.cli import scan_files

    if _STANDARD_INPUT in paths:
        data = sys.stdin.buffer.read(scan_files.MAX_BYTES + 1)
        too_large = len(data) > scan_files.MAX_BYTES
        yield _Source("-", data.decode("utf-8", "replace").encode(), "larger than 64 MiB" if too_large else None)
    targets = scan_files.targets([path for path in paths if path != _STANDARD_INPUT])
    with _progress(len(targets)) as advance:
        for target in targets:
            try:
                yield _Source(str(target.path), scan_files.read_text(target.path))
            except scan_files.Unreadable as unreadable:
                yield _Source(str(target.path), b"", unreadable.reason)
            advance()


def _changed(commits: str | None) -> Iterator[_Source]:
    """Yield what is staged, or what each commit of a range brings in, with the lines that are new."""
    from localguard.cli import scan_files, scan_git

    here = Path.cwd()
    changes = scan_git.staged(here) if commits is None else scan_git.commits(here, commits)
    total = scan_git.count_commits(here, commits) if commits is not None else 0
    last: str | None = None
    with scan_git.blobs(here) as blobs, _progress(total) as advance:
        for change in changes:
            if change.commit != last:
                last = change.commit
                advance()
            try:
                after = blobs.text(change.after)
            except scan_files.Unreadable as unreadable:
                yield _Source(change.name, b"", unreadable.reason)
                continue
            try:
                before = blobs.text(change.before) if change.before is not None else None
            except scan_files.Unreadable:
                before = None
            lines = scan_git.new_lines(before, after) if before is not None else None
            yield _Source(change.name, after, None, lines)


@contextmanager
def _progress(total: int) -> "Iterator[Any]":
    if total < 50 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("scanning", total=total)
        yield lambda: progress.advance(task)


def _uri(name: str) -> str:
    """Return a path as SARIF wants it: relative to the working directory where it lies below, percent-encoded."""
    path = Path(name)
    if path.is_absolute():
        if not path.is_relative_to(Path.cwd()):
            return path.as_uri()
        path = path.relative_to(Path.cwd())
    return quote(path.as_posix().encode("utf-8", "surrogateescape"))


def _answer_lines(scanning: _Scanning, stream: BinaryIO) -> None:
    """Answer each line {"id", "text"} as it comes; a line that cannot be read gets {"id", "error"}."""
    from localguard.cli import scan_report

    while line := stream.readline(_MAX_LINE + 1):
        if not line.strip():
            continue
        identifier: object = None
        try:
            if len(line) > _MAX_LINE:
                while not line.endswith(b"\n") and (line := stream.readline(_MAX_LINE)):
                    pass
                raise _BadLine("the line is longer than 64 MiB")
            identifier, text = _entry(line)
            found = scanning.scan(text)
            answer: dict[str, object] = {"id": identifier, "findings": [scan_report.span_entry(f) for f in found]}
        except _BadLine as bad:
            scanning.failed = True
            answer = {"id": bad.identifier, "error": str(bad)}
        except _TookTooLong:
            scanning.failed = True
            answer = {"id": identifier, "error": "the text could not be scanned in time"}
        sys.stdout.write(scan_report.json_line(answer) + "\n")
        sys.stdout.flush()


class _BadLine(ValueError):
    """A line is no {"id", "text"}; the message says what is wrong, without its content."""

    def __init__(self, message: str, identifier: object = None) -> None:
        super().__init__(message)
        self.identifier = identifier


def _entry(line: bytes) -> tuple[object, bytes]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise _BadLine("the line is not JSON") from None
    if not isinstance(value, dict):
        raise _BadLine('the line is no object with "id" and "text"')
    identifier = value.get("id")
    text = value.get("text")
    if "id" not in value or not isinstance(text, str):
        raise _BadLine('the object needs "id" and a string "text"', identifier)
    try:
        return identifier, text.encode()
    except UnicodeEncodeError:
        raise _BadLine("the text holds half a surrogate pair, which is no character", identifier) from None
