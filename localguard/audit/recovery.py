"""What the last run left open: exchanges with an intent and no outcome yet, and the outcome that each of them gets."""

import sqlite3

from localguard.audit.fields import OutcomeMetadata
from localguard.audit.schema import LogCorrupted


def unknown_outcomes(connection: sqlite3.Connection) -> list[tuple[str, str | None, OutcomeMetadata]]:
    """Exchange, session and the `metadata` of an outcome ``unknown``, billed as it was reserved, for each that is open.

    Raises LogCorrupted where what is noted as open is no exchange.
    """
    unknown: OutcomeMetadata = {"state": "unknown", "status": None, "origin": "guard"}
    left = []
    for exchange, session, reserved in connection.execute(_OPEN).fetchall():
        if not isinstance(exchange, str) or not exchange:
            raise LogCorrupted(
                "The audit log is damaged: an open exchange has no id. Keep the file as evidence, move it aside and start again."
            )
        billed: OutcomeMetadata = {**unknown, "cost_usd": reserved, "cost_basis": "reservation"}
        left.append((exchange, session, unknown if reserved is None else billed))
    return left


_OPEN = """
    SELECT open.exchange, open.session, charges.reserved
    FROM open_exchanges AS open LEFT JOIN charges ON charges.exchange = open.exchange
"""
