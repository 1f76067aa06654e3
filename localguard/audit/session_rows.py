"""Sessions as lines of a list, from a few sums over the log instead of all that it holds of them."""

from decimal import Decimal, InvalidOperation
from typing import TypedDict

from localguard.audit.queries import Log


class SessionRow(TypedDict):
    """One session; agent, place and model are those of its last request. Times are RFC 3339."""

    session: str
    seq: int
    """Of its last record; to go on from with ``before_seq``."""
    began: str
    ended: str
    exchanges: int
    refused: int
    cost_usd: str
    agent: str | None
    workspace: str | None
    branch: str | None
    task: str | None
    endpoint: str | None
    endpoint_class: str | None
    model: str | None


def session_rows(log: Log, limit: int, before_seq: int | None = None) -> list[SessionRow]:
    """The sessions that were at work last, newest first. Raises LogUnavailable."""
    rows: list[SessionRow] = []
    for session, seq in log.sessions(limit, before_seq):
        counts, began, ended, costs, last = log.session_outline(session)
        metadata, local = (last and last.metadata) or {}, (last and last.local) or {}
        rows.append(
            SessionRow(
                session=session,
                seq=seq,
                began=began,
                ended=ended,
                exchanges=counts.get("intent", 0) + counts.get("refusal", 0),
                refused=counts.get("refusal", 0),
                cost_usd=str(sum(map(_money, costs), Decimal(0))),
                agent=metadata.get("agent"),
                workspace=local.get("workspace") or metadata.get("workspace"),
                branch=local.get("branch"),
                task=metadata.get("task"),
                endpoint=metadata.get("endpoint"),
                endpoint_class=metadata.get("endpoint_class"),
                model=metadata.get("model"),
            )
        )
    return rows


def _money(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal(0)
