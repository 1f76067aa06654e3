"""What budgets add to a request: decision, price, reservation, settlement. Pure Python: no guard, no network."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from localguard.config.price_list import PriceList
from localguard.policy.budgets_in_force import in_force
from localguard.policy.decide import decide
from localguard.policy.ledger import Charge, Ledger, Subject
from localguard.policy.model import Budget, Endpoint, EndpointClass, LayerName, Sensitivity, Work
from localguard.policy.price import Tokens, ceiling, cost
from localguard.proxy.billing import Billing
from tests.bench.policy import layers

BUDGETS, UNDER_WAY = 20, 200
_ROUNDS = 2_000
_NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)


def request_microseconds() -> tuple[float, float]:
    """CPU microseconds for decision, price, reservation and settlement of one request, and for all of it but the decision.

    Under three layers of 100 rules, 20 budgets over two of them, and 200 requests under way; best of five rounds.
    """
    budgets = tuple(
        Budget(f"bucket-{number}" if number % 2 else None, Decimal(10**6), period, "deny", models=("gpt-*",))
        for number in range(BUDGETS)
        for period in (("day", "week", "month")[number % 3],)
    )
    stack = tuple(replace(one, budgets=budgets) if one.name is LayerName.USER else one for one in layers())
    work = Work(
        workspace="workspace-1",
        sensitivity=Sensitivity.INTERNAL,
        task="docs",
        endpoint="openai",
        endpoint_class=EndpointClass.HOSTED,
        model="gpt-5",
        time=_NOW,
    )
    endpoint = Endpoint("openai", "openai", "https://api.openai.com", EndpointClass.HOSTED)
    billing, ledger = Billing(PriceList(), lambda: _NOW), Ledger()
    subject = Subject("bucket-1", "workspace-1", "team", "gpt-5")
    for number in range(UNDER_WAY):
        ledger.reserve(Charge(f"before-{number}", _NOW, subject, Decimal("0.1")), in_force(stack))

    def deciding() -> None:
        decide(stack, work)

    def paying(number: int) -> None:
        price = billing.price(stack, endpoint, "gpt-5")
        charge = Charge(str(number), _NOW, subject, ceiling(price, 10_000, 8_192))
        assert ledger.reserve(charge, in_force(stack)).exceeded is None
        ledger.settle(str(number), cost(price, Tokens(4_000, 500, 6_000)))

    whole, paid = [], []
    for _ in range(5):
        began = time.process_time()
        for _ in range(_ROUNDS):
            deciding()
        decided = time.process_time()
        for number in range(_ROUNDS):
            paying(number)
        ended = time.process_time()
        whole.append((ended - began) / _ROUNDS * 1e6)
        paid.append((ended - decided) / _ROUNDS * 1e6)
    return min(whole), min(paid)
