"""One exchange, seen in reply, log, `explain` and report: the same id, the same figures."""

import json
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal

from tests.e2e.guard import Guard
from tests.e2e.planted import made
from tests.provider.script import Turn
from tests.provider.server import Provider

TOKEN = made("⟦gh" + "p_{alnum:36}⟧", 61)[1]


def test_an_exchange_is_the_same_in_reply_log_explanation_and_report(provider: Provider, guard: Guard) -> None:
    provider.brain = lambda asked: Turn(text="Seen.")
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": f"export GITHUB_TOKEN={TOKEN}"}]}
    request = urllib.request.Request(
        f"{guard.url}/openai/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer client-key"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
        exchange = reply.headers["X-LocalGuard-Exchange"]
    outcome = guard.outcome_of(exchange)
    assert outcome.metadata is not None
    (finding,) = next(one for one in guard.records("intent") if one.exchange == exchange).findings or []

    told = json.loads(guard.run("report", "--json", "--from", began))
    value = next(one for one in told["values"] if one["fingerprint"] == finding["fingerprint"])
    assert (value["exchange"], value["type"], value["exchanges"]) == (exchange, "GITHUB_TOKEN", 1)
    model = next(one for one in told["by_model"] if one["name"] == "gpt-5")
    assert Decimal(model["cost_usd"]) == Decimal(outcome.metadata["cost_usd"])
    assert model["tokens"]["output"] == outcome.metadata["usage"]["output"]
    explained = guard.run("explain", exchange)
    assert "GITHUB_TOKEN" in explained
    assert told["verification"]["good"]
    assert TOKEN not in json.dumps(told) + explained
