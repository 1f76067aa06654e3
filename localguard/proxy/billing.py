"""What an exchange may cost and what it cost: by which price, counted by whom."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from localguard.audit.fields import CostBasis
from localguard.config.price_list import PriceList
from localguard.policy.model import Endpoint, EndpointClass, Layer
from localguard.policy.price import NOTHING, Price, Tokens, ceiling, cost, tokens_of
from localguard.policy.price_rules import PriceTables
from localguard.proxy.connection import places
from localguard.proxy.live import Exchange
from localguard.wire.providers import generates

log = logging.getLogger(__name__)

DEFAULT_OUTPUT_TOKENS = 8192
"""Reserved where a request does not say how long the reply may be."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What an exchange came to, in USD."""

    cost: Decimal
    price: Price
    basis: CostBasis


class Billing:
    """Prices exchanges. `clock` gives wall time: prices change."""

    def __init__(self, prices: PriceList, clock: Callable[[], datetime]) -> None:
        self._prices = prices
        self._clock = clock
        self._loading: asyncio.Task[None] | None = None

    def prepare(self, endpoint: Endpoint) -> None:
        """Begin to read the price list, beside everything else, once somebody speaks to an endpoint that may need it."""
        if self._loading is None and endpoint.endpoint_class is not EndpointClass.LOCAL:
            self._loading = asyncio.create_task(asyncio.to_thread(self._prices.load))

    async def estimate(self, exchange: Exchange) -> None:
        """Note the price of a redacted request and the most that it is expected to cost."""
        facts, redacted = exchange.facts, exchange.redacted
        assert facts is not None
        assert redacted is not None
        billed = generates(exchange.admitted.path, names_model=facts.model is not None)
        if not exchange.has_body or exchange.method != "POST" or not billed:
            return
        if not self._prices.loaded and exchange.caller.endpoint.endpoint_class is not EndpointClass.LOCAL:
            self.prepare(exchange.caller.endpoint)
            assert self._loading is not None
            await asyncio.shield(self._loading)
        exchange.price = price = self.price(exchange.caller.layers, exchange.caller.endpoint, facts.model or "")
        if not price.free:
            output = DEFAULT_OUTPUT_TOKENS if facts.output_limit is None else facts.output_limit
            exchange.reserved = ceiling(price, tokens_of(len(redacted.body)), output)

    def price(self, layers: tuple[Layer, ...], endpoint: Endpoint, model: str) -> Price:
        """The price of a model at an endpoint: the policy's, else that of local models, else the list's, else a high one."""
        tables = _tables(layers)
        model = tables.canonical(model)
        rule = tables.find(endpoint, model)
        if rule is not None and rule.like is None:
            return rule.price()
        if rule is None and endpoint.endpoint_class is EndpointClass.LOCAL:
            return tables.pricing.local()
        name = model if rule is None or rule.like is None else rule.like
        found = self._prices.find(endpoint.kind, endpoint.base_url, name, self._clock())
        if found is not None:
            return found
        if self._prices.damage is not None:
            return tables.pricing.unknown(f"the price list cannot be used ({self._prices.damage})")
        return tables.pricing.unknown()

    def bill(self, exchange: Exchange) -> Bill | None:
        """What an exchange that has ended costs; None where nothing is billed. Never raises: in doubt what was reserved."""
        price = exchange.price
        if price is None:
            return None
        try:
            return self._counted(exchange, price)
        except Exception as error:
            log.error("an exchange could not be billed: %s", places(error))
            return Bill(exchange.reserved, price, "reservation")

    def _counted(self, exchange: Exchange, price: Price) -> Bill:
        status, reply, redacted = exchange.status, exchange.reply, exchange.redacted
        if (status is None and not exchange.sent) or (status is not None and status >= 400):
            return Bill(NOTHING, price, "nothing")
        assert redacted is not None
        seconds = time.monotonic() - exchange.started
        if reply is None or status is None:
            return Bill(cost(price, Tokens(tokens_of(len(redacted.body))), seconds), price, "estimate")
        observed = reply.observed
        price = self._served(exchange, price, observed.model)
        usage = observed.usage
        if usage.seen and observed.complete:
            counted = Tokens(usage.input, usage.output, usage.cache_read, usage.cache_write, usage.cache_write_1h)
            return Bill(cost(price, counted, seconds), price, "usage")
        heard = tokens_of((reply.text_bytes or (0 if usage.seen else exchange.reply_bytes)) + observed.thinking_bytes)
        if usage.seen:  # some providers count the input first
            output = max(usage.output, heard)
            counted = Tokens(usage.input, output, usage.cache_read, usage.cache_write, usage.cache_write_1h)
        else:
            counted = Tokens(tokens_of(len(redacted.body)), heard)
        return Bill(cost(price, counted, seconds), price, "estimate")

    def _served(self, exchange: Exchange, price: Price, served: str | None) -> Price:
        """The price of the model that answered, where policy names none for the one that was asked for and it has one."""
        caller, facts = exchange.caller, exchange.facts
        asked = facts.model if facts is not None else None
        if served is None or served == asked or price.free:
            return price
        if _tables(caller.layers).find(caller.endpoint, asked or "") is not None:
            return price
        other = self.price(caller.layers, caller.endpoint, served)
        return other if other.known else price


@lru_cache(maxsize=64)
def _tables(layers: tuple[Layer, ...]) -> PriceTables:
    return PriceTables(layers)
