"""The main path of a request: admit, locate, read, scan, decide, redact, record, send, restore, record.

Only this file knows both the network and the log. Everything that can go wrong before the first byte leaves becomes a
refusal in the error shape of the wire format that the agent spoke; everything after it ends the reply honestly.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from aiohttp import web

from localguard.config.agents import agent_of
from localguard.config.keys import KeychainUnavailable, KeysDamaged
from localguard.config.workspace_tokens import TokensDamaged
from localguard.exchange.history import PREVIOUS_RESPONSE
from localguard.exchange.reply import ReplyRefused
from localguard.exchange.request import Redacted, RequestReading, RequestRefused
from localguard.policy.decide import Decision
from localguard.policy.model import Effect, EndpointClass, Obligation
from localguard.policy.price import NOTHING
from localguard.proxy import refusals
from localguard.proxy.admission import Admission, AdmissionRefused, Admitted, ControlCall
from localguard.proxy.asking import Asking
from localguard.proxy.billing import Billing
from localguard.proxy.budgets import Budgets
from localguard.proxy.callers import Callers, PolicyState
from localguard.proxy.connection import Limits, cut, places
from localguard.proxy.control import Control
from localguard.proxy.credentials import credential_headers
from localguard.proxy.deciding import Deciding, renamed
from localguard.proxy.headers import (
    EXCHANGE,
    upstream_headers,
    without_credentials,
)
from localguard.proxy.heap import Heap
from localguard.proxy.known_heads import KnownHeads, session_of
from localguard.proxy.live import Exchange, ExchangeIds, Memories
from localguard.proxy.ollama_models import OllamaModels
from localguard.proxy.own_credentials import OwnCredentials
from localguard.proxy.pausing import Pause
from localguard.proxy.reading import Reader, off_loop
from localguard.proxy.recorder import Recorder
from localguard.proxy.refusals import Refused
from localguard.proxy.reply import give_reply, judge, origin_of
from localguard.proxy.routes import RouteSwitches
from localguard.proxy.scan_pool import ScannerFailed, ScanPool
from localguard.proxy.traffic import Traffic
from localguard.proxy.turns import Turns
from localguard.proxy.upstream import (
    READ_TIMEOUT,
    Destination,
    Upstream,
    UpstreamError,
    joined_url,
)
from localguard.redact.redactor import Actions
from localguard.redact.vault import TagCollision
from localguard.wire import multipart
from localguard.wire.coding import CodingError
from localguard.wire.providers import error_shape, wire_format
from localguard.wire.refusal import HEADERS, Refusal, render_unknown_response
from localguard.wire.sse import StreamTooLong

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
        clock: Callable[[], datetime],
    ) -> None:
        self.policy = policy
        self._asking = asking
        self._pause = pause
        self._switches = switches
        self._billing = billing
        self._budgets = budgets
        self._traffic = Traffic()
        self._recorder = recorder
        self._scan_pool = scan_pool
        self._upstream = upstream
        self._callers = callers
        self._credentials = credentials
        self._heads = KnownHeads(admission)
        self._control = control
        self._limits = limits
        self._memories = memories
        self._reader = Reader(scan_pool, limits)
        self._ids = ExchangeIds()
        self._heap = Heap()
        self._incoming, self._sending = Turns(), Turns(at_once=4)
        self._deciding = Deciding(
            OllamaModels(upstream, announce=recorder.model_check), lambda text: scan_pool.scanner.by_rules(text), clock
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
            return _unlocated(request, admitted, policy, refusals.of_admission(refused), exchange_id)
        except ScannerFailed as error:
            return _unlocated(request, admitted, policy, refusals.of_scanner(error), exchange_id)
        except (KeychainUnavailable, KeysDamaged, TokensDamaged) as error:
            return _unlocated(request, admitted, policy, refusals.of_keys(error), exchange_id)
        except ConnectionError:
            raise  # the client has gone
        except Exception as error:
            log.error("a request could not be located: %s", places(error))
            return _unlocated(request, admitted, policy, refusals.INTERNAL, exchange_id)
        self._billing.prepare(exchange.caller.endpoint)
        passed = False
        try:
            body = await self._reader.body(request, exchange)
            reading = await self._reader.read(exchange, body)
            await self._decide(exchange, policy, body)
            redacted = await self._redact(exchange, reading, body)
            headers = await self._upstream_headers(exchange, redacted)
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
            return await self._exchange_with_upstream(request, exchange, redacted, headers)
        except UpstreamError as failure:  # nothing was sent, and there is another endpoint for it
            return await self._fall_back(request, exchange, policy, reading, body, failure)
        finally:
            self._withdraw(exchange)
            self._heap.used(len(body))

    async def _commit(self, exchange: Exchange, body: bytes) -> None:
        """The last steps before anything is sent: price, turn, money, record. Raises Refused."""
        await self._billing.estimate(exchange)
        if exchange.has_body:
            caller = exchange.caller
            exchange.leave = await self._traffic.turn(caller.endpoint, caller.workspace.id, exchange.id)
        await self._budgets.reserve(exchange, body)
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
            redacted = await self._redact(exchange, reading, body)
            headers = await self._upstream_headers(exchange, redacted)
            await self._commit(exchange, body)
        except Refused as refused:
            self._withdraw(exchange)
            await self._recorder.refusal(exchange, refused.refusal)
            told = refusals.of_upstream(failure)
            why = f"{told.reason} Its fallback may not be used: {refused.refusal.reason}"
            return self._failed(exchange, replace(told, reason=why))
        return await self._exchange_with_upstream(request, exchange, redacted, headers)

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
        if endpoint.credential != "client" and not exchange.caller.workspace.attributed:
            raise Refused(refusals.unattributed(endpoint))
        for held in facts.held:
            if held.id not in exchange.memory.responses:
                previous = held.member == PREVIOUS_RESPONSE
                raise Refused(refusals.UNSEEN_RESPONSE if previous else refusals.UNSEEN_HISTORY)

    # redact

    async def _redact(self, exchange: Exchange, reading: RequestReading, body: bytes) -> Redacted:
        """Redact under what policy decided; what turns up only now (values known from elsewhere) is decided on again."""
        redacted = await self._redacted(exchange, reading)
        if await self._deciding.decide_again(exchange):
            assert exchange.decision is not None
            if exchange.decision.effect is Effect.ASK:
                await self._asking.admit(exchange, exchange.decision, body)
            redacted = await self._redacted(exchange, reading)
        assert exchange.facts is not None
        sweep = exchange.memory.vault.sweep
        model, routed = exchange.facts.model, exchange.routed
        if routed is not None:
            exchange.redacted = redacted = renamed(redacted, exchange)
            if routed.model is not None and sweep(routed.model.encode()):
                exchange.routed = replace(routed, model=None)
        if model is not None and sweep(model.encode()):
            exchange.facts = replace(exchange.facts, model=None)
        exchange.session = exchange.session and self._opaque_session(exchange, exchange.session)
        exchange.session = exchange.session or exchange.facts.conversation
        return redacted

    async def _redacted(self, exchange: Exchange, reading: RequestReading) -> Redacted:
        assert exchange.decision is not None
        assert exchange.facts is not None
        exchange.paused = self._pause.covers(exchange.caller)
        actions = _PAUSED if exchange.paused else _actions(exchange.decision)

        def redact() -> Redacted:
            made = reading.redact(actions)
            if exchange.format is not multipart.MULTIPART:
                return made
            return replace(made, body=multipart.from_json(made.body))

        try:
            exchange.redacted = await off_loop(redact, exchange.facts.new_bytes)
        except multipart.MultipartInvalid as error:
            raise Refused(refusals.of_form(error)) from None
        except RequestRefused as refused:
            raise Refused(refusals.of_request(refused)) from None
        except TagCollision:
            raise Refused(refusals.TAG_COLLISION) from None
        return exchange.redacted

    @staticmethod
    def _opaque_session(exchange: Exchange, session: str) -> str:
        """A client's session id is kept if it is plainly one, else its fingerprint."""
        plain = len(session) <= 80 and session.replace("-", "").replace("_", "").isalnum()
        if plain and not exchange.memory.vault.sweep(session.encode()):
            return session
        return exchange.memory.fingerprint(session)

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        """Tell the log and the agent."""
        refusal = refusals.for_agent(refusal, exchange.caller.agent)
        await self._recorder.refusal(exchange, refusal)
        if refusal is refusals.UNSEEN_RESPONSE and exchange.facts is not None:
            body = render_unknown_response(
                next(one.id for one in exchange.facts.held if one.member == PREVIOUS_RESPONSE)
            )
            return web.Response(status=refusal.status, body=body, headers=[*HEADERS, (EXCHANGE, exchange.id)])
        return refusals.response(self._shape(exchange), refusal, exchange.id)

    def _failed(self, exchange: Exchange, failure: Refusal) -> web.Response:
        """Tell the agent of what went wrong behind its recorded intent; the outcome is for the log."""
        failure = refusals.for_agent(failure, exchange.caller.agent)
        return refusals.response(self._shape(exchange), failure, exchange.id)

    @staticmethod
    def _shape(exchange: Exchange) -> str:
        return error_shape(exchange.caller.endpoint.kind, exchange.admitted.path)

    # send and restore

    async def _exchange_with_upstream(
        self, request: web.BaseRequest, exchange: Exchange, redacted: Redacted, headers: Sequence[tuple[str, str]]
    ) -> web.StreamResponse:
        """Send the redacted request, give the restored reply, record how it ended."""
        endpoint = exchange.caller.endpoint
        destination = Destination(
            endpoint.name,
            local=endpoint.endpoint_class is EndpointClass.LOCAL,
            ca_file=Path(endpoint.ca_file) if endpoint.ca_file else None,
            read_timeout=endpoint.limits.read_timeout or READ_TIMEOUT,
            connect_timeout=endpoint.limits.connect_timeout,
        )
        query = redacted.query if exchange.admitted.query is not None else None
        if query and (endpoint.credential != "client" or exchange.routed is not None):
            query = without_credentials(query) or None  # the agent's own key stays here
        target = redacted.path if query is None else f"{redacted.path}?{query}"
        state: str = "failed"
        origin: str | None = "guard"
        error: str | None = "internal"
        try:
            await self._sending.take()  # one commit wakes all whose intents it held
            async with self._upstream.send(
                destination,
                exchange.method,
                joined_url(endpoint.base_url, target),
                headers,
                redacted.body if exchange.has_body else None,
                retries=endpoint.limits.retries,
            ) as reply:
                exchange.status = reply.status
                response = await give_reply(request, exchange, reply, self._limits)
                state, origin, error = judge(exchange, reply)
                return response
        except UpstreamError as failure:
            state = "cut" if exchange.first_byte is not None else "failed"
            origin = origin_of(failure)
            exchange.sent = failure.sent
            error = type(failure).__name__
            if request.writer.output_size > 0:
                cut(request)
                raise ConnectionError("the reply was cut off") from None
            if not failure.sent and endpoint.fallback is not None and exchange.fell_back_from is None:
                raise
            return self._failed(exchange, refusals.of_upstream(failure))
        except (ReplyRefused, CodingError, StreamTooLong) as failure:
            state, origin, error = "failed", "guard", type(failure).__name__
            if request.writer.output_size > 0:
                cut(request)
                raise ConnectionError("the reply could not be finished") from None
            return self._failed(exchange, refusals.of_reply(failure))
        except (asyncio.CancelledError, ConnectionError):
            state, origin, error = "cancelled", "agent", None
            raise
        except Exception as failure:
            log.error("a reply failed: %s", places(failure))
            if request.writer.output_size > 0:
                cut(request)
                raise ConnectionError("the reply could not be finished") from None
            return self._failed(exchange, refusals.INTERNAL)
        finally:
            bill = self._billing.bill(exchange)
            self._budgets.settle(exchange, bill)
            self._recorder.outcome(exchange, state, origin, error, bill)

    async def _upstream_headers(self, exchange: Exchange, redacted: Redacted) -> Sequence[tuple[str, str]]:
        """The agent's headers, scanned ones redacted, credentials verbatim or the guard's own in their place."""
        admitted, endpoint = exchange.admitted, exchange.caller.endpoint
        positions = exchange.positions
        assert positions is not None
        scanned = dict(zip(positions.scanned, redacted.headers, strict=True))
        headers = [scanned.get(index, pair) for index, pair in enumerate(admitted.headers)]
        if endpoint.credential == "client" and exchange.routed is not None:
            headers = [pair for index, pair in enumerate(headers) if index in scanned]  # the agent's key is another's
        if endpoint.credential != "client":
            key = await self._credentials.of(endpoint)
            exchange.memory.know_credential(key)
            headers = [pair for index, pair in enumerate(headers) if index in scanned]
            headers += credential_headers(endpoint.kind, admitted.path, key)
        length = (
            len(redacted.body) if exchange.has_body else (0 if exchange.method in ("POST", "PUT", "PATCH") else None)
        )
        return upstream_headers(headers, body_length=length)


def _unlocated(
    request: web.BaseRequest, admitted: Admitted, policy: PolicyState, refusal: Refusal, exchange_id: str
) -> web.Response:
    """A refusal of a request of which nothing but its head is known."""
    endpoint = policy.endpoints.get(admitted.endpoint)
    shape = error_shape(endpoint.kind if endpoint else admitted.endpoint, admitted.path)
    agent, _ = agent_of(request.headers.get("User-Agent"), None)
    return refusals.response(shape, refusals.for_agent(refusal, agent), exchange_id)


_PAUSED: Actions = {"secret": "allow", "pii": "allow", "custom": "allow"}


def _actions(decision: Decision) -> Actions:
    obligations = decision.obligations
    return {
        "secret": "allow" if obligations.secret is Obligation.ALLOW else "redact",
        "pii": "allow" if obligations.pii is Obligation.ALLOW else "redact",
        "custom": "allow" if obligations.custom is Obligation.ALLOW else "redact",
    }
