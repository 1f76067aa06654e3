"""Writes down what happens to an exchange: the log for later, the counters and the live feed for now."""

import asyncio
import time
from collections import deque
from contextlib import suppress

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.policy.model import Endpoint
from localguard.policy.price import NOTHING, spelled
from localguard.proxy import records, refusals
from localguard.proxy.billing import Bill
from localguard.proxy.control import Control
from localguard.proxy.live import Counters, Exchange
from localguard.proxy.refusals import Refused
from localguard.wire.refusal import Refusal

_RECENT = 200
_MOST_UNLOCATED = 60


class Recorder:
    """The one way from an exchange to the log."""

    def __init__(self, store: Store, control: Control) -> None:
        self.counters = Counters()
        self.recent: deque[dict[str, object]] = deque(maxlen=_RECENT)
        self._store = store
        self._control = control
        self._unlocated = 0, 0
        """The minute, and how many requests were refused in it of which only the head was known."""

    @property
    def log_writable(self) -> bool:
        """Whether the last record could be written."""
        return self._store.failure is None

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
        try:
            await self._store.durable(
                "intent",
                crowded=crowded,
                exchange=exchange.id,
                session=exchange.session,
                metadata={
                    **records.context(exchange),
                    "upstream_bytes": len(exchange.redacted.body),
                    "exposed": len(exchange.redacted.exposed),
                    **records.reservation(exchange),
                },
                findings=records.findings(exchange.redacted) if records.keeps_findings(exchange) else [],
                local=records.local(exchange),
            )
        except (LogUnavailable, RecordInvalid) as error:
            raise Refused(refusals.of_log(error)) from None
        except asyncio.CancelledError:  # it is written all the same, and nothing is sent
            self._abandoned(exchange)
            raise
        exchange.recorded = True

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
        self._note(exchange, "refused", refusal.code)
        with suppress(LogUnavailable, RecordInvalid):
            await self._store.durable(
                "refusal",
                exchange=exchange.id,
                session=exchange.session if exchange.redacted is not None else None,
                metadata={
                    **records.context(exchange),
                    **records.refused(refusal),
                },
                local=records.local(exchange),
            )

    async def unlocated(self, exchange: str, agent: str | None, endpoint: Endpoint | None, refusal: Refusal) -> None:
        """Record the refusal of a request of which only its head is known, so that its id can be explained.

        60 a minute are: whoever sends no more than heads can fill no disk.
        """
        self.counters.refused += 1
        minute = int(time.monotonic() // 60)
        if minute != self._unlocated[0]:
            self._unlocated = minute, 0
        self._unlocated = minute, self._unlocated[1] + 1
        if self._unlocated[1] > _MOST_UNLOCATED:
            return
        known: dict[str, object] = {"agent": agent}
        if endpoint is not None:
            known |= {
                "endpoint": endpoint.name,
                "endpoint_class": str(endpoint.endpoint_class),
                "provider": endpoint.kind,
                "support": endpoint.support,
            }
        with suppress(LogUnavailable, RecordInvalid):
            await self._store.durable("refusal", exchange=exchange, metadata=known | records.refused(refusal))

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
        self._note(exchange, state, error, bill)
        metadata = records.outcome(exchange.reply, state=state, status=exchange.status, origin=origin, error=error)
        metadata["total_ms"] = int((now - exchange.started) * 1000)
        if exchange.first_byte is not None:
            metadata["first_byte_ms"] = int((exchange.first_byte - exchange.started) * 1000)
        metadata["reply_bytes"] = exchange.reply_bytes
        metadata.update(records.cost(bill))
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

    def _note(self, exchange: Exchange, state: str, error: str | None, bill: Bill | None = None) -> None:
        """Keep the last exchanges for `status`, and tell who listens: what the log's metadata would say of them."""
        caller = exchange.caller
        note: dict[str, object] = {
            "exchange": exchange.id,
            "endpoint": caller.endpoint.name,
            "agent": caller.agent,
            "workspace": caller.workspace.name,
            "model": exchange.facts.model if exchange.facts and exchange.redacted else None,
            "state": state,
            "error": error,
            "replaced": len(exchange.redacted.replaced) if exchange.redacted else 0,
            "total_ms": int((time.monotonic() - exchange.started) * 1000),
            "cost_usd": None if bill is None else spelled(bill.cost),
        }
        self.recent.append(note)
        self._control.publish("exchange", note)
