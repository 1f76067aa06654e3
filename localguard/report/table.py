"""Figures as one tidy CSV table: a line for each number, so that a spreadsheet can pivot them. Pure.

    section, slot, name, detail, measure, value

`slot` is the beginning of the hour, day, week or month (UTC) and empty where the number is of the whole period.
"""

from collections.abc import Iterator, Sequence

from localguard.audit.export import table_row
from localguard.report.figures import Figures, Row, Spent

COLUMNS = ("section", "slot", "name", "detail", "measure", "value")

_Line = tuple[str, str, str, str, str, object]


def table(figures: Figures) -> Iterator[str]:
    """The lines (RFC 4180) without line break, head first. A text that a spreadsheet would take for a formula gets an apostrophe."""
    yield table_row(COLUMNS)
    for line in _lines(figures):
        yield table_row(line)


def _lines(figures: Figures) -> Iterator[_Line]:
    totals = figures.totals
    for name in (
        "records", "exchanges", "refused", "sessions", "replaced", "distinct", "exposed", "restored", "withheld", "pruned",
    ):  # fmt: skip
        yield "totals", "", "", "", name, getattr(totals, name)
    redactions = figures.redactions
    for slot, count in zip(redactions.slots, redactions.exchanges, strict=True):
        yield "exchanges", slot, "", "", "exchanges", count
    for what in ("type", "workspace", "agent", "class"):
        yield from _over_time(f"replaced by {what}", getattr(redactions, f"by_{what}"), redactions.slots)
    for refusal in figures.refusals:
        yield "refusals", "", refusal.code, refusal.rule, "requests", refusal.count
    for flow in figures.flows:
        detail = f"{flow.endpoint_class} > {flow.target}"
        yield "left", "", flow.source, detail, "exchanges", flow.exchanges
        yield "left", "", flow.source, detail, "bytes", flow.bytes
        yield "left", "", flow.source, detail, "replaced", flow.replaced
    for wire in figures.looked.by_wire:
        for measure in ("leaves", "opaque", "bytes"):
            yield "coverage", "", wire.wire, "", measure, getattr(wire, measure)
    for value in figures.values:
        yield "values", "", value.fingerprint, f"{value.type} {value.rule}", "exchanges", value.exchanges
        yield "values", "", value.fingerprint, f"{value.type} {value.rule}", "exposed", int(value.exposed)
    for key in figures.keys:
        yield "personal keys", "", key.credential, f"{key.endpoint} {key.workspace}", "exchanges", key.exchanges
    for name, rows in (("bucket", figures.by_bucket), ("model", figures.by_model), ("task", figures.by_task)):
        yield from _spending(f"spent by {name}", rows)
    for origin, count in figures.failures.items():
        yield "failures", "", origin, "", "exchanges", count
    for axis, lines in figures.outcomes.items():
        for line in lines:
            for result, count in line.results.items():
                yield f"outcomes by {axis}", "", line.name, result, "sessions", count


def _over_time(section: str, rows: Sequence[Row], slots: Sequence[str]) -> Iterator[_Line]:
    for row in rows:
        for slot, count in zip(slots, row.counts, strict=True):
            if count:
                yield section, slot, row.name, "", "values", count


def _spending(section: str, rows: Sequence[Spent]) -> Iterator[_Line]:
    for row in rows:
        yield section, "", row.name, "", "usd", str(row.cost_usd)
        for kind, count in row.tokens.items():
            yield section, "", row.name, kind, "tokens", count
