"""The way to the provider and back: the redacted request goes, the restored reply comes, and how it ended is recorded."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from localguard.exchange.reply import ReplyRefused
from localguard.exchange.request import Redacted
from localguard.policy.model import EndpointClass
from localguard.proxy import refusals
from localguard.proxy.asking import Asking
from localguard.proxy.billing import Billing
from localguard.proxy.budgets import Budgets
from localguard.proxy.connection import Limits, cut, places
from localguard.proxy.credentials import credential_headers
from localguard.proxy.headers import upstream_headers, without_credentials
from localguard.proxy.live import Exchange
from localguard.proxy.origins import is_local, origin_of_failure
from localguard.proxy.own_credentials import OwnCredentials
from localguard.proxy.recorder import Recorder
from localguard.proxy.reply import give_reply, judge
from localguard.proxy.turns import Turns
from localguard.proxy.upstream import READ_TIMEOUT, Destination, Upstream, UpstreamError, joined_url
from localguard.wire.coding import CodingError
from localguard.wire.providers import error_shape
from localguard.wire.refusal import Refusal
from localguard.wire.sse import StreamTooLong

log = logging.getLogger(__name__)


class Sending:
    """Sends what is recorded. Every exchange that it is given has an outcome when it returns or raises."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        credentials: OwnCredentials,
        limits: Limits,
        billing: Billing,
        budgets: Budgets,
        recorder: Recorder,
        asking: Asking,
    ) -> None:
        self._asking = asking
        self._upstream = upstream
        self._credentials = credentials
        self._limits = limits
        self._billing = billing
        self._budgets = budgets
        self._recorder = recorder
        self._turns = Turns(at_once=4)

    async def send(
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
            await self._turns.take()  # one commit wakes all whose intents it held
            async with self._upstream.send(
                destination,
                exchange.method,
                joined_url(endpoint.base_url, target),
                headers,
                redacted.body if exchange.has_body else None,
                retries=endpoint.limits.retries,
            ) as reply:
                exchange.status = reply.status
                response = await give_reply(request, exchange, reply, self._limits, self._asking)
                state, origin, error = judge(exchange, reply)
                return response
        except UpstreamError as failure:
            state = "cut" if exchange.first_byte is not None else "failed"
            origin = origin_of_failure(failure, local=is_local(endpoint))
            exchange.sent = failure.sent
            error = type(failure).__name__
            if request.writer.output_size > 0:
                cut(request)
                raise ConnectionError("the reply was cut off") from None
            if not failure.sent and endpoint.fallback is not None and exchange.fell_back_from is None:
                raise
            return failed(exchange, refusals.of_upstream(failure))
        except (ReplyRefused, CodingError, StreamTooLong) as failure:
            state, origin, error = "failed", "guard", type(failure).__name__
            if request.writer.output_size > 0:
                cut(request)
                raise ConnectionError("the reply could not be finished") from None
            return failed(exchange, refusals.of_reply(failure))
        except (asyncio.CancelledError, ConnectionError):
            state, origin, error = "cancelled", "agent", None
            raise
        except Exception as failure:
            log.error("a reply failed: %s", places(failure))
            if request.writer.output_size > 0:
                cut(request)
                raise ConnectionError("the reply could not be finished") from None
            return failed(exchange, refusals.INTERNAL)
        finally:
            bill = self._billing.bill(exchange)
            self._budgets.settle(exchange, bill)
            self._recorder.outcome(exchange, state, origin, error, bill)

    async def headers(self, exchange: Exchange, redacted: Redacted) -> Sequence[tuple[str, str]]:
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


def failed(exchange: Exchange, failure: Refusal) -> web.Response:
    """Tell the agent of what went wrong behind its recorded intent; the outcome is for the log."""
    return refusals.response(shape_of(exchange), refusals.for_agent(failure, exchange.caller.agent), exchange.id)


def shape_of(exchange: Exchange) -> str:
    """The error shape that the agent expects."""
    return error_shape(exchange.caller.endpoint.kind, exchange.admitted.path)
