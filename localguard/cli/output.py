"""What commands print: JSON documents and plain tables, safe on any terminal."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence

import typer

from localguard.display import printable as printable


def print_json(value: object) -> None:
    """Write one JSON document with a line break to standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=not _is_utf8(), default=str))


def print_table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    """Write rows in columns as wide as their widest cell; control characters in cells become `?`."""
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_printable(text: str) -> None:
    """Write text of several lines, each made printable."""
    for line in text.split("\n"):
        typer.echo(printable(line))


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error where a person waits, moved by (done, total); None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
