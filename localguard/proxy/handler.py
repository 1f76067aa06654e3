"""The main path of a request: admit, locate, read, scan, decide, redact, record, send, restore, record.

Only this room (with `sending`) knows both the network and the log. Everything that can go wrong before the first byte leaves becomes a
refusal in the error shape of the wire format that the agent spoke; everything after it ends the reply honestly.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from aiohttp import web

from localguard.config.agents import agent_of
from localguard.config.keys import KeychainUnavailable, KeysDamaged
from localguard.config.workspace_tokens import TokensDamaged
from localguard.exchange.history import PREVIOUS_RESPONSE
from localguard.exchange.request import RequestReading
from localguard.policy.model import Effect
from localguard.policy.price import NOTHING
from localguard.proxy import refusals
from localguard.proxy.admission import Admission, AdmissionRefused, Admitted, ControlCall
from localguard.proxy.asking import Asking
from localguard.proxy.billing import Billing
from localguard.proxy.budgets import Budgets
from localguard.proxy.callers import Callers, PolicyState
from localguard.proxy.connection import Limits, places
from localguard.proxy.control import Control
from localguard.proxy.deciding import Deciding
from localguard.proxy.exchange_ids import ExchangeIds
from localguard.proxy.headers import (
    EXCHANGE,
)
from localguard.proxy.heap import Heap
from localguard.proxy.known_heads import KnownHeads, session_of
from localguard.proxy.live import Exchange, Memories
from localguard.proxy.ollama_models import OllamaModels
from localguard.proxy.own_credentials import OwnCredentials
from localguard.proxy.pausing import Pause
from localguard.proxy.reading import Reader
from localguard.proxy.recorder import Recorder
from localguard.proxy.redacting import Redacting
from localguard.proxy.refusals import Refused
from localguard.proxy.routes import RouteSwitches
from localguard.proxy.scan_pool import ScannerFailed, ScanPool
from localguard.proxy.sending import Sending, failed, shape_of
from localguard.proxy.syncing import Syncing
from localguard.proxy.traffic import Traffic
from localguard.proxy.turns import Turns
from localguard.proxy.upstream import (
    Upstream,
    UpstreamError,
)
from localguard.wire.providers import error_shape, wire_format
from localguard.wire.refusal import HEADERS, Refusal, render_unknown_response

log = logging.getLogger(__name__)


class Guard:
    """Answers every request to the guard's port. Lives in one event loop."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        scan_pool: ScanPool,
        upstream: Upstream,
        callers: Callers,
        credentials: OwnCredentials,
        memories: Memories,
        admission: Admission,
        control: Control,
        limits: Limits,
        billing: Billing,
        budgets: Budgets,
        policy: PolicyState,
        asking: Asking,
        pause: Pause,
        switches: RouteSwitches,
        syncing: Syncing,
        clock: Callable[[], datetime],
    ) -> None:
        self.policy = policy
        self._asking = asking
        self._switches = switches
        self._syncing = syncing
        self._billing = billing
        self._budgets = budgets
        self._traffic = Traffic()
        self._recorder = recorder
        self._scan_pool = scan_pool
        self._callers = callers
        self._heads = KnownHeads(admission)
        self._control = control
        self._memories = memories
        self._reader = Reader(scan_pool, limits)
        self._ids = ExchangeIds()
        self._heap = Heap()
        self._incoming = Turns()
        self._deciding = Deciding(
            OllamaModels(upstream, announce=recorder.model_check), lambda text: scan_pool.scanner.by_rules(text), clock
        )
        self._redacting = Redacting(self._deciding, asking, pause)
        self._sending = Sending(
            upstream=upstream,
            credentials=credentials,
            limits=limits,
            billing=billing,
            budgets=budgets,
            recorder=recorder,
            asking=asking,
        )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: the main path."""
        await self._incoming.take()
        admitted = self._heads.admit(request)
        if isinstance(admitted, ControlCall):
            return await self._control.answer(request, admitted)
        exchange_id = self._ids.new()
        policy = self.policy
        try:
            await self._scan_pool.built()  # without it nothing can be scanned, nor scrubbed for the log
            exchange = await self._locate(request, admitted, policy, exchange_id)
        except AdmissionRefused as refused:
            return await self._unlocated(request, admitted, policy, refusals.of_admission(refused), exchange_id)
        except ScannerFailed as error:
            return await self._unlocated(request, admitted, policy, refusals.of_scanner(error), exchange_id)
        except (KeychainUnavailable, KeysDamaged, TokensDamaged) as error:
            return await self._unlocated(request, admitted, policy, refusals.of_keys(error), exchange_id)
        except ConnectionError:
            raise  # the client has gone
        except Exception as error:
            log.error("a request could not be located: %s", places(error))
            return await self._unlocated(request, admitted, policy, refusals.INTERNAL, exchange_id)
        self._billing.prepare(exchange.caller.endpoint)
        passed = False
        try:
            body = await self._reader.body(request, exchange)
            reading = await self._reader.read(exchange, body)
            await self._decide(exchange, policy, body)
            redacted = await self._redacting.redact(exchange, reading, body)
            headers = await self._sending.headers(exchange, redacted)
            await self._commit(exchange, body)
            passed = True
        except Refused as refused:
            return await self._refuse(exchange, refused.refusal)
        except ConnectionError:
            raise  # the client has gone
        except Exception as error:
            log.error("a request failed: %s", places(error))
            return await self._refuse(exchange, refusals.INTERNAL)
        finally:
            if not passed:
                self._withdraw(exchange)
        try:
            return await self._sending.send(request, exchange, redacted, headers)
        except UpstreamError as failure:  # nothing was sent, and there is another endpoint for it
            return await self._fall_back(request, exchange, policy, reading, body, failure)
        finally:
            self._withdraw(exchange)
            self._heap.used(len(body))

    async def _commit(self, exchange: Exchange, body: bytes) -> None:
        """The last steps before anything is sent: price, money, turn, record. Raises Refused.

        Money first: a person may be asked about it, and nobody else waits for the answer.
        """
        await self._billing.estimate(exchange)
        await self._budgets.reserve(exchange, body)
        if exchange.has_body:
            caller = exchange.caller
            exchange.leave = await self._traffic.turn(caller.endpoint, caller.workspace.id, exchange.id)
        await self._recorder.intent(exchange, crowded=self._incoming.crowded)

    def _withdraw(self, exchange: Exchange) -> None:
        """Give back what an exchange holds: its reservation, unless it is settled, and its turn."""
        self._budgets.release(exchange)
        if exchange.leave is not None:
            exchange.leave()
            exchange.leave = None

    async def _fall_back(
        self,
        request: web.BaseRequest,
        exchange: Exchange,
        policy: PolicyState,
        reading: RequestReading,
        body: bytes,
        failure: UpstreamError,
    ) -> web.StreamResponse:
        """Send a request that reached nobody to its endpoint's fallback: decided, redacted and recorded anew for that.

        Where policy, money or keys do not allow it, the agent is told of the first failure, and why there is no second try.
        """
        self._withdraw(exchange)
        exchange.fell_back_from = exchange.caller.endpoint.name
        exchange.recorded, exchange.sent, exchange.price, exchange.reserved = False, True, None, NOTHING
        try:
            decision = await self._deciding.fall_back(exchange, policy)
            self._check_use(exchange)
            if decision.effect is Effect.ASK:
                await self._asking.admit(exchange, decision, body)
            redacted = await self._redacting.redact(exchange, reading, body)
            headers = await self._sending.headers(exchange, redacted)
            await self._commit(exchange, body)
        except Refused as refused:
            self._withdraw(exchange)
            await self._recorder.refusal(exchange, refused.refusal)
            told = refusals.of_upstream(failure)
            why = f"{told.reason} Its fallback may not be used: {refused.refusal.reason}"
            return failed(exchange, replace(told, reason=why))
        return await self._sending.send(request, exchange, redacted, headers)

    # locate

    async def _locate(
        self, request: web.BaseRequest, admitted: Admitted, policy: PolicyState, exchange_id: str
    ) -> Exchange:
        caller = await self._callers.locate(request, admitted, policy)
        memory = await self._memories.of(caller.workspace.id)
        return Exchange(
            id=exchange_id,
            started=time.monotonic(),
            method=request.method,
            admitted=admitted,
            format=wire_format(admitted.path),
            caller=caller,
            memory=memory,
            cost_bucket=caller.workspace.cost_bucket,
            session=session_of(admitted.headers),
        )

    # decide

    async def _decide(self, exchange: Exchange, policy: PolicyState, body: bytes) -> None:
        """Ask policy, with everything that is known now, and a person where policy says so. Raises Refused."""
        decision = await self._deciding.decide(exchange, policy)
        self._check_use(exchange)
        if decision.effect is Effect.ASK:
            await self._asking.admit(exchange, decision, body)

    def _check_use(self, exchange: Exchange) -> None:
        """What else has to hold for an endpoint to be used. Raises Refused."""
        facts = exchange.facts
        assert facts is not None
        endpoint = exchange.caller.endpoint
        objection = self._switches.current.objection(endpoint.name, endpoint.endpoint_class)
        if objection is not None:
            raise Refused(refusals.of_route(*objection))
        unmet = self._syncing.unmet(exchange.caller) if exchange.has_content else None
        if unmet is not None:
            raise Refused(refusals.of_sync(unmet))
        if endpoint.credential != "client" and not exchange.caller.workspace.attributed:
            raise Refused(refusals.unattributed(endpoint))
        for held in facts.held:
            if held.id not in exchange.memory.responses:
                previous = held.member == PREVIOUS_RESPONSE
                raise Refused(refusals.UNSEEN_RESPONSE if previous else refusals.UNSEEN_HISTORY)

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        """Tell the log and the agent."""
        refusal = refusals.for_agent(refusal, exchange.caller.agent)
        await self._recorder.refusal(exchange, refusal)
        if refusal is refusals.UNSEEN_RESPONSE and exchange.facts is not None:
            body = render_unknown_response(
                next(one.id for one in exchange.facts.held if one.member == PREVIOUS_RESPONSE)
            )
            return web.Response(status=refusal.status, body=body, headers=[*HEADERS, (EXCHANGE, exchange.id)])
        return refusals.response(shape_of(exchange), refusal, exchange.id)

    async def _unlocated(
        self, request: web.BaseRequest, admitted: Admitted, policy: PolicyState, refusal: Refusal, exchange_id: str
    ) -> web.Response:
        """Refuse a request of which nothing but its head is known."""
        endpoint = policy.endpoints.get(admitted.endpoint)
        shape = error_shape(endpoint.kind if endpoint else admitted.endpoint, admitted.path)
        agent, _ = agent_of(request.headers.get("User-Agent"), None)
        refusal = refusals.for_agent(refusal, agent)
        await self._recorder.unlocated(exchange_id, agent, endpoint, refusal)
        return refusals.response(shape, refusal, exchange_id)
