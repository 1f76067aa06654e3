"""Lines of a batch as rows of the store: evidence (`records`) and what questions are asked of (`exchanges`). Pure.

An outcome says how an exchange ended, its intent says whose it was. Both are needed for one row of `exchanges`, so what an
intent says is held (`waiting`) until the outcome comes, in the same batch or a later one. No stored record is read for it.
What was not disclosed makes no row there.
"""

import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from localguard.audit.record import MAX_INTEGER, timestamp
from localguard.errors import LocalguardError
from localguard.sync.batch import Line, Section

RECORD_COLUMNS = (
    "device",
    "epoch",
    "seq",
    "team",
    "day",
    "time",
    "received",
    "kind",
    "exchange",
    "session",
    "metadata",
    "metadata_salt",
    "metadata_hash",
    "findings",
    "findings_salt",
    "findings_hash",
    "local_hash",
    "names",
)
EXCHANGE_COLUMNS = (
    "device",
    "epoch",
    "seq",
    "team",
    "day",
    "time",
    "exchange",
    "session",
    "kind",
    "agent",
    "workspace",
    "sensitivity",
    "task",
    "cost_bucket",
    "endpoint",
    "endpoint_class",
    "provider",
    "model",
    "identity",
    "state",
    "status",
    "origin",
    "code",
    "rule",
    "cost_usd",
    "price_known",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "total_ms",
    "request_bytes",
    "redacted",
    "restored",
    "withheld",
    "exposed",
    "policy",
)
RESULT_COLUMNS = ("device", "epoch", "seq", "team", "day", "time", "session", "workflow", "result", "review_minutes")

_CONTEXT = (
    "agent",
    "workspace",
    "sensitivity",
    "task",
    "cost_bucket",
    "endpoint",
    "endpoint_class",
    "provider",
    "model",
    "identity",
    "policy",
)
"""Texts of an intent or a refusal that go into the row as they are."""
_MOST_TEXT = 200
_MOST_WAITING = 1_000
_AHEAD, _BEHIND = timedelta(days=1), timedelta(days=400)
"""Times beyond these are a wrong clock's: such rows lie under the day on which they came."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_MOST_USD = Decimal(10) ** 9


class RowsInvalid(LocalguardError):
    """A record cannot be stored: the message names which and why."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose the lines are."""

    device: str
    epoch: int
    team: str


@dataclass(slots=True)
class Rows:
    """Rows by table, each in order of its columns, and what the lines say of the device itself."""

    records: list[tuple[Any, ...]] = field(default_factory=list)
    exchanges: list[tuple[Any, ...]] = field(default_factory=list)
    results: list[tuple[Any, ...]] = field(default_factory=list)
    device: dict[str, Any] = field(default_factory=dict)
    """Columns of `devices`: version, policy, organisation, revision."""


def rows_of(
    lines: Sequence[Line], origin: Origin, received: datetime, waiting: MutableMapping[str, dict[str, Any]]
) -> Rows:
    """The rows of these lines. `waiting` is what intents said whose outcome has not come; it is brought up to date.

    Raises RowsInvalid for a time that is none.
    """
    rows = Rows()
    for line in lines:
        time = _time(line)
        today = received.date()
        day = time.date() if today - _BEHIND <= time.date() <= today + _AHEAD else today
        metadata = _object(line.metadata)
        exchange, session = (_text((metadata or {}).get(name)) for name in ("exchange", "session"))
        rows.records.append(
            (
                origin.device,
                origin.epoch,
                line.seq,
                origin.team,
                day,
                time,
                received,
                line.kind,
                exchange,
                session,
                *_stored(line.metadata),
                *_stored(line.findings),
                line.local.hash,
                orjson.dumps(line.names).decode() if line.names else None,
            )
        )
        if metadata is not None:
            _ask(line, metadata, origin, day, time, waiting, rows)
    while len(waiting) > _MOST_WAITING:
        del waiting[next(iter(waiting))]
    return rows


def _ask(
    line: Line,
    metadata: Mapping[str, Any],
    origin: Origin,
    day: date,
    time: datetime,
    waiting: MutableMapping[str, dict[str, Any]],
    rows: Rows,
) -> None:
    """Put what one disclosed record answers into the rows that questions are asked of."""
    exchange = _text(metadata.get("exchange"))
    if line.kind in ("intent", "refusal") and exchange is not None:
        context = _context(line, metadata)
        rows.device |= {"policy": context["policy"]} if context["policy"] else {}
        if line.kind == "intent":
            waiting[exchange] = context
            return
        waiting.pop(exchange, None)
        rows.exchanges.append(_exchange(line, metadata, context, origin, day, time, exchange))
    elif line.kind == "outcome" and exchange is not None:
        context = waiting.pop(exchange, {})
        rows.exchanges.append(_exchange(line, metadata, context, origin, day, time, exchange))
    elif line.kind == "control":
        _control(line, metadata, origin, day, time, rows)


def _context(line: Line, metadata: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: _text(metadata.get(name)) for name in _CONTEXT}
    found["request_bytes"] = _whole(metadata.get("request_bytes"))
    found["exposed"] = _whole(metadata.get("exposed"))
    found["redacted"] = _redacted(line.findings)
    return found


def _exchange(
    line: Line,
    metadata: Mapping[str, Any],
    context: Mapping[str, Any],
    origin: Origin,
    day: date,
    time: datetime,
    exchange: str,
) -> tuple[Any, ...]:
    usage, restored = _member(metadata, "usage"), _member(metadata, "restored")
    cached = [one for name in ("cache_read", "cache_write") if (one := _whole(usage.get(name))) is not None]
    known = {
        **context,
        "device": origin.device,
        "epoch": origin.epoch,
        "seq": line.seq,
        "team": origin.team,
        "day": day,
        "time": time,
        "exchange": exchange,
        "session": _text(metadata.get("session")),
        "kind": line.kind,
        "state": _text(metadata.get("state")),
        "status": _small(metadata.get("status")),
        "origin": _text(metadata.get("origin")),
        "code": _text(metadata.get("code") or metadata.get("error")),
        "rule": _text(metadata.get("rule")),
        "cost_usd": _money(metadata.get("cost_usd")),
        "price_known": metadata.get("price_known") if type(metadata.get("price_known")) is bool else None,
        "input_tokens": _whole(usage.get("input")),
        "output_tokens": _whole(usage.get("output")),
        "cached_tokens": sum(cached) if cached else None,
        "total_ms": _whole(metadata.get("total_ms")),
        "restored": min(sum(one for one in map(_whole, restored.values()) if one is not None), MAX_INTEGER),
        "withheld": _whole(metadata.get("withheld")),
    }
    return tuple(known.get(name) for name in EXCHANGE_COLUMNS)


def _control(line: Line, metadata: Mapping[str, Any], origin: Origin, day: date, time: datetime, rows: Rows) -> None:
    detail = metadata.get("detail")
    if not isinstance(detail, dict):
        return
    if metadata.get("event") in ("start", "policy-change"):
        rows.device |= {
            name: found for name in ("version", "policy", "organisation") if (found := _text(detail.get(name)))
        }
        if (revision := _whole(detail.get("revision"))) is not None:
            rows.device["revision"] = revision
    if metadata.get("event") == "session-outcome":
        result = _text(detail.get("result")), _small(detail.get("review_minutes"))
        session, workflow = _text(metadata.get("session")), _text(detail.get("workflow"))
        rows.results.append((origin.device, origin.epoch, line.seq, origin.team, day, time, session, workflow, *result))


def _member(metadata: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = metadata.get(name)
    return found if isinstance(found, dict) else {}


def _stored(section: Section) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Text and salt, or the hash: one follows from the other."""
    if section.text is None:
        return None, None, section.hash
    return section.text, section.salt, None


def _redacted(findings: Section) -> int | None:
    """How many values were replaced; None where it is not disclosed."""
    if findings.text is None:
        return None
    try:
        entries = orjson.loads(findings.text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(entries, list):
        return None
    found = [one for one in entries if isinstance(one, dict) and one.get("action") == "redacted"]
    return min(sum(_whole(one.get("count", 1)) or 0 for one in found), MAX_INTEGER)


def _time(line: Line) -> datetime:
    if not _TIME.fullmatch(line.time):
        raise RowsInvalid(f"record {line.seq}: its time is none")
    try:
        read = datetime.fromisoformat(line.time[:-1]).replace(tzinfo=UTC)
    except ValueError:
        raise RowsInvalid(f"record {line.seq}: its time is none") from None
    assert timestamp(read) == line.time
    return read


def _object(section: Section) -> dict[str, Any] | None:
    if section.text is None:
        return None
    try:
        read = orjson.loads(section.text)
    except orjson.JSONDecodeError:
        return None
    return read if isinstance(read, dict) else None


def _text(value: object) -> str | None:
    """A text as PostgreSQL takes it: without NUL."""
    return value.replace("\0", "")[:_MOST_TEXT] if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else None


def _small(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 31 else None


def _money(value: object) -> Decimal | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount <= _MOST_USD else None
