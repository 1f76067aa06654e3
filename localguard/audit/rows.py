"""An exchange as one line of a list, made of what its records say: by the running guard as it writes them, and from the log. Pure.

Both ways use these functions on the same records, so that one exchange has the same figures wherever it is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Required, TypedDict

from localguard.audit.queries import Record

_DIGITS = {digit: number for number, digit in enumerate("0123456789abcdefghjkmnpqrstvwxyz")}
_ID_LENGTH = 17
_RANDOM_BITS = 32
_LATEST_TIME_MS = 253_402_300_799_000  # the year 9999


class ExchangeRow(TypedDict, total=False):
    """One exchange. What is not known, or was pruned, is null or absent."""

    exchange: Required[str]
    time: Required[str]
    """When the guard got the request: RFC 3339 in UTC."""
    session: str | None
    agent: str | None
    agent_version: str | None
    workspace: str | None
    repository: str | None
    branch: str | None
    sensitivity: str | None
    task: str | None
    endpoint: str | None
    endpoint_class: str | None
    provider: str | None
    model: str | None
    """As asked for."""
    served: str | None
    """As the provider names it; absent before the reply."""
    identity: str | None
    credential: str | None
    effect: str | None
    rule: str | None
    """The first rule that decided, or what refused it."""
    paused: bool
    """A person had paused redaction."""
    state: Required[str]
    """``running``, ``refused``, or the state of the outcome."""
    status: int | None
    error: str | None
    """Code of a refusal or a failure."""
    origin: str | None
    replaced: int
    """Values replaced, places counted."""
    types: dict[str, int]
    """Type to how many of them."""
    exposed: int
    restored: int
    withheld: int
    usage: dict[str, int] | None
    """Tokens by kind."""
    cost_usd: str | None
    sent_ms: int | None
    """Until the request was read, scanned, decided on and recorded."""
    first_byte_ms: int | None
    total_ms: int | None


def begun(
    exchange: str,
    session: str | None,
    metadata: Mapping[str, Any],
    local: Mapping[str, Any],
    findings: Sequence[Mapping[str, Any]],
    *,
    recorded: str = "",
) -> ExchangeRow:
    """The row of an exchange whose intent or refusal says this; `recorded` is the record's time, should the id tell none."""
    types: dict[str, int] = {}
    for one in findings:
        if one.get("action") == "redacted":
            types[str(one.get("type"))] = types.get(str(one.get("type")), 0) + int(one.get("count", 1))
    rules = metadata.get("rules") or ()
    return ExchangeRow(
        exchange=exchange,
        time=time_of(exchange) or recorded,
        session=session,
        agent=metadata.get("agent"),
        agent_version=metadata.get("agent_version"),
        workspace=local.get("workspace") or metadata.get("workspace"),
        repository=local.get("repository"),
        branch=local.get("branch"),
        sensitivity=metadata.get("sensitivity"),
        task=metadata.get("task"),
        endpoint=metadata.get("endpoint"),
        endpoint_class=metadata.get("endpoint_class"),
        provider=metadata.get("provider"),
        model=metadata.get("model"),
        identity=metadata.get("identity"),
        credential=metadata.get("credential"),
        effect=metadata.get("effect"),
        rule=rules[0].get("id") if rules else None,
        paused=bool(metadata.get("paused")),
        state="running",
        replaced=sum(types.values()),
        types=types,
        exposed=int(metadata.get("exposed") or 0),
    )


def refused(row: ExchangeRow, metadata: Mapping[str, Any]) -> ExchangeRow:
    """The row once the exchange was refused, as the refusal says."""
    return {
        **row,
        "state": "refused",
        "status": metadata.get("status"),
        "error": metadata.get("code"),
        "origin": metadata.get("origin"),
        "rule": metadata.get("rule") or row.get("rule"),
    }


def ended(row: ExchangeRow, metadata: Mapping[str, Any]) -> ExchangeRow:
    """The row once the exchange has ended, as the outcome says."""
    return {
        **row,
        "state": str(metadata.get("state") or "unknown"),
        "status": metadata.get("status"),
        "error": metadata.get("error"),
        "origin": metadata.get("origin"),
        "served": metadata.get("model"),
        "restored": sum((metadata.get("restored") or {}).values()),
        "withheld": int(metadata.get("withheld") or 0),
        "usage": metadata.get("usage"),
        "cost_usd": metadata.get("cost_usd"),
        "sent_ms": metadata.get("sent_ms"),
        "first_byte_ms": metadata.get("first_byte_ms"),
        "total_ms": metadata.get("total_ms"),
    }


def row_of(records: Iterable[Record]) -> ExchangeRow | None:
    """The row of one exchange from its records in order of seq; None where they hold neither intent nor refusal."""
    row: ExchangeRow | None = None
    for record in records:
        metadata = record.metadata or {}
        if record.kind in ("intent", "refusal") and record.exchange is not None:
            findings = record.findings or () if record.kind == "intent" else ()
            row = begun(record.exchange, record.session, metadata, record.local or {}, findings, recorded=record.time)
            if record.kind == "refusal":
                row = refused(row, metadata)
        elif record.kind == "outcome" and row is not None:
            row = ended(row, metadata)
    return row


def time_of(exchange: str) -> str | None:
    """When an exchange began, as its id says in its first 48 bits (milliseconds since 1970); None for another kind of id."""
    if len(exchange) != _ID_LENGTH or exchange[0] != "x" or not _DIGITS.keys() >= set(exchange[1:]):
        return None
    number = 0
    for digit in exchange[1:]:
        number = number << 5 | _DIGITS[digit]
    milliseconds = number >> _RANDOM_BITS
    if milliseconds > _LATEST_TIME_MS:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
