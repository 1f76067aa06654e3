"""What exchanges cost, as the log keeps it for budgets: read beside a running guard or before it serves."""

import sqlite3
from contextlib import closing
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from localguard.audit.record import timestamp
from localguard.audit.schema import connect_reader, unavailable
from localguard.policy.ledger import Charge, Subject


def read_charges(path: Path, since: datetime) -> list[Charge]:
    """The charges from `since` on, oldest first. One without a cost is under way, or was when the guard died.

    What is no amount, as somebody changed the file, counts as its reservation, or not at all where that is none either.
    Raises LogUnavailable.
    """
    try:
        with closing(connect_reader(path)) as connection:
            rows = connection.execute(_SELECT, (timestamp(since),)).fetchall()
    except sqlite3.Error as error:
        raise unavailable(error, path) from error
    found = []
    for exchange, time, bucket, workspace, identity, model, reserved, cost in rows:
        amount = _amount(reserved)
        if amount is not None:
            subject = Subject(bucket, workspace, identity, model)
            found.append(Charge(exchange, datetime.fromisoformat(time), subject, amount, _amount(cost)))
    return found


def latest_charge(path: Path) -> datetime | None:
    """When the charge that was written last was reserved; None where there is none. Raises LogUnavailable."""
    try:
        with closing(connect_reader(path)) as connection:
            row = connection.execute("SELECT time FROM charges ORDER BY rowid DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise unavailable(error, path) from error
    return None if row is None else datetime.fromisoformat(row[0])


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


_SELECT = """
    SELECT exchange, time, bucket, workspace, identity, model, reserved, cost FROM charges WHERE time >= ? ORDER BY time
"""
