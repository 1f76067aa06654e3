"""Writes down what happens to an exchange: the log for later, the counters and the live feed for now."""

import asyncio
import time
from collections.abc import Collection
from contextlib import suppress
from typing import cast

from localguard.audit import rows
from localguard.audit.record import RecordInvalid
from localguard.audit.rows import ExchangeRow
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.policy.model import Endpoint
from localguard.policy.price import NOTHING
from localguard.proxy import records, refusals
from localguard.proxy.billing import Bill
from localguard.proxy.control import Control
from localguard.proxy.early_refusals import EarlyRefusals
from localguard.proxy.live import Counters, Exchange
from localguard.proxy.refusals import Refused
from localguard.wire.refusal import Refusal

_RECENT = 1000
_NAMED = ("agent_version", "branch", "model", "repository", "served", "session", "task", "workspace")
"""Of a row, what agents, providers and repositories may have put a value into."""


class Recorder:
    """The one way from an exchange to the log."""

    def __init__(self, store: Store, control: Control, early: EarlyRefusals) -> None:
        self.counters = Counters()
        self._recent: dict[str, ExchangeRow] = {}
        self._store = store
        self._control = control
        self._early = early

    @property
    def log_writable(self) -> bool:
        """Whether the last record could be written."""
        return self._store.failure is None

    @property
    def recent(self) -> Collection[ExchangeRow]:
        """The latest exchanges, in the order in which they were recorded, those under way among them."""
        return self._recent.values()

    def row(self, exchange: str) -> ExchangeRow | None:
        """One of the latest exchanges."""
        return self._recent.get(exchange)

    async def intent(self, exchange: Exchange, *, crowded: bool) -> None:
        """P1: return once the intent is durable. Raises Refused. Calls without content are counted instead.

        `crowded` says that other requests are about to have theirs written, too.
        """
        assert exchange.redacted is not None
        if not exchange.has_body and not exchange.admitted.query and not exchange.redacted.replaced:
            return
        facts, requests = exchange.facts, exchange.memory.requests
        if facts is not None and facts.body_bytes:
            exchange.repeats = requests.get(facts.alike) if not facts.new_bytes else None
            requests.put(facts.alike, exchange.id)
        metadata = {
            **records.context(exchange),
            "upstream_bytes": len(exchange.redacted.body),
            "exposed": len(exchange.redacted.exposed),
            **records.reservation(exchange),
        }
        findings = records.findings(exchange.redacted) if records.keeps_findings(exchange) else []
        local = records.local(exchange)
        try:
            await self._store.durable(
                "intent",
                crowded=crowded,
                exchange=exchange.id,
                session=exchange.session,
                metadata=metadata,
                findings=findings,
                local=local,
            )
        except (LogUnavailable, RecordInvalid) as error:
            raise Refused(refusals.of_log(error)) from None
        except asyncio.CancelledError:  # it is written all the same, and nothing is sent
            self._abandoned(exchange)
            raise
        exchange.recorded = True
        exchange.sent_at = time.monotonic()
        self._show(rows.begun(exchange.id, exchange.session, metadata, local, findings))

    def _abandoned(self, exchange: Exchange) -> None:
        """The agent hung up while its intent was on the way to the disk."""
        metadata = records.outcome(None, state="cancelled", status=None, origin="agent", error=None)
        if exchange.price is not None:
            metadata.update(records.cost(Bill(NOTHING, exchange.price, "nothing")))
        with suppress(LogUnavailable, RecordInvalid):
            self._store.note("outcome", exchange=exchange.id, session=exchange.session, metadata={**metadata})

    async def model_check(self, endpoint: str) -> None:
        """P1: return once it is durable that Ollama is about to be asked where a model runs. Raises Refused."""
        try:
            await self._store.durable("control", metadata={"event": "model-check", "detail": {"endpoint": endpoint}})
        except (LogUnavailable, RecordInvalid) as error:
            raise Refused(refusals.of_log(error)) from None

    async def refusal(self, exchange: Exchange, refusal: Refusal) -> None:
        """Record that nothing was sent, and why. A log that cannot be written does not keep the agent from being told."""
        self.counters.refused += 1
        session = exchange.session if exchange.redacted is not None else None
        metadata = {**records.context(exchange), **records.refused(refusal)}
        local = records.local(exchange)
        self._show(rows.refused(rows.begun(exchange.id, session, metadata, local, ()), metadata))
        with suppress(LogUnavailable, RecordInvalid):
            await self._store.durable("refusal", exchange=exchange.id, session=session, metadata=metadata, local=local)

    async def unlocated(self, exchange: str, agent: str | None, endpoint: Endpoint | None, refusal: Refusal) -> None:
        """Record the refusal of a request of which only its head is known, so that its id can be explained."""
        self.counters.refused += 1
        known: dict[str, object] = {"agent": agent}
        if endpoint is not None:
            known |= {
                "endpoint": endpoint.name,
                "endpoint_class": str(endpoint.endpoint_class),
                "provider": endpoint.kind,
                "support": endpoint.support,
            }
        metadata = known | records.refused(refusal)
        self._show(rows.refused(rows.begun(exchange, None, metadata, {}, ()), metadata))
        await self._early.record(exchange, metadata)

    def outcome(
        self, exchange: Exchange, state: str, origin: str | None, error: str | None, bill: Bill | None = None
    ) -> None:
        """Record how an exchange ended. Returns at once; the record is durable within a second."""
        if not exchange.recorded:
            self._store.count_metadata_call(
                exchange.caller.endpoint.name,
                exchange.method,
                exchange.route,
                exchange.status or 0,
                exchange.memory.name,
            )
            return
        now = time.monotonic()
        self._count(exchange, state)
        metadata = records.outcome(exchange.reply, state=state, status=exchange.status, origin=origin, error=error)
        metadata["total_ms"] = int((now - exchange.started) * 1000)
        if exchange.sent_at is not None:
            metadata["sent_ms"] = int((exchange.sent_at - exchange.started) * 1000)
        if exchange.first_byte is not None:
            metadata["first_byte_ms"] = int((exchange.first_byte - exchange.started) * 1000)
        metadata["reply_bytes"] = exchange.reply_bytes
        metadata.update(records.cost(bill))
        self._show(rows.ended(self._recent.get(exchange.id) or self._row_of(exchange), metadata))
        with suppress(LogUnavailable, RecordInvalid):
            self._store.note(
                "outcome",
                exchange=exchange.id,
                session=exchange.session,
                metadata={**metadata},
                findings=records.withheld(exchange.reply) if records.keeps_findings(exchange) else [],
                local=records.asked(exchange),
            )

    def _count(self, exchange: Exchange, state: str) -> None:
        counters, reply = self.counters, exchange.reply
        counters.exchanges += 1
        counters.failed += state == "failed"
        if exchange.redacted is not None:
            counters.replaced += len(exchange.redacted.replaced)
        if reply is not None:
            counters.restored += reply.report.restored.total()
            counters.withheld += len(reply.report.withheld)

    def _show(self, row: ExchangeRow) -> None:
        """Keep the latest exchanges for who comes later, and tell who follows now: what others named, as the log has it."""
        named = {name: text for name in _NAMED if isinstance(text := row.get(name), str)}
        try:
            row = cast("ExchangeRow", {**row, **self._store.as_recorded(named)})
        except RecordInvalid:
            row = cast("ExchangeRow", {**row, **dict.fromkeys(named)})
        self._recent[row["exchange"]] = row
        while len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        self._control.publish("exchange", row)

    def _row_of(self, exchange: Exchange) -> ExchangeRow:
        """What the intent said, of an exchange that took so long that it is no longer among the latest."""
        assert exchange.redacted is not None
        findings = records.findings(exchange.redacted) if records.keeps_findings(exchange) else []
        return rows.begun(exchange.id, exchange.session, records.context(exchange), records.local(exchange), findings)
