"""What an exchange costs stands in its record, with the price that it was counted by."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.guard import Guard, policy
from tests.e2e.money import Reply, ask, intent, outcome
from tests.provider.script import Answer, Turn
from tests.provider.server import Provider

PRICES = """
[[prices]]
models = ["prod-deployment"]
endpoints = ["azure"]
like = "gpt-5"

[[prices]]
models = ["house-*"]
input = 2
output = 8.5
cache_read = 0.25
per_request = 0.001
"""


@pytest.fixture(scope="module")
def guard(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    with Guard(tmp_path_factory.mktemp("costs") / "home", policy(running_provider.port, PRICES)) as started:
        yield started


def priced(guard: Guard, reply: Reply) -> tuple[str, str, bool, str]:
    """Cost, source, whether the price is known, and what was counted by."""
    found = outcome(guard, reply.exchange)
    return found["cost_usd"], found["price_source"], found["price_known"], found["cost_basis"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("wire", "model", "cost", "whose"),
    [
        ("chat", "gpt-5", "0.00028", "openai/gpt-5"),  # 60 plain, 40 cached, 20 out
        ("responses", "gpt-5", "0.00028", "openai/gpt-5"),
        ("messages", "claude-sonnet-4-5", "0.0005295", "anthropic/claude-sonnet-4-5"),  # and 10 written to the cache
    ],
)
def test_cached_tokens_cost_their_own_price(
    guard: Guard, provider: Provider, wire: str, model: str, cost: str, whose: str, stream: bool
) -> None:
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if wire == "chat" and stream else {}
    found = priced(guard, ask(guard, wire, model, stream=stream, **more))
    assert found[0] == cost
    assert found[1].startswith("genai-prices ")
    assert found[1].endswith(whose)
    assert found[2:] == (True, "usage")


def test_an_azure_deployment_costs_what_the_policy_says_it_deploys(guard: Guard, provider: Provider) -> None:
    cost, source, known, _ = priced(guard, ask(guard, "azure", "prod-deployment"))
    assert (cost, known) == ("0.00028", True)
    assert source.endswith("azure/gpt-5")


def test_the_policy_s_own_price_comes_first(guard: Guard, provider: Provider) -> None:
    reply = ask(guard, "compatible", "house-large")
    assert priced(guard, reply)[0] == "0.0013"  # 60 * 2 + 40 * 0.25 + 20 * 8.5, a million each, and one request
    assert "policy (line " in intent(guard, reply.exchange)["price_source"]


def test_a_model_without_a_price_costs_a_high_one_and_is_flagged(guard: Guard, provider: Provider) -> None:
    cost, source, known, basis = priced(guard, ask(guard, "compatible", "nobodys-model"))
    assert (cost, known, basis) == ("0.0066", False, "usage")  # 100 in at 30, 20 out at 180
    assert source == "localguard default: no price is known for this model"


def test_a_model_on_this_machine_costs_nothing(guard: Guard, provider: Provider) -> None:
    assert priced(guard, ask(guard, "ollama", "qwen3"))[:2] == ("0", "local model")


def test_a_model_of_ollama_s_cloud_is_not_free(guard: Guard, provider: Provider) -> None:
    cost, _, known, _ = priced(guard, ask(guard, "ollama", "big-model:cloud"))
    assert Decimal(cost) > 0
    assert not known


def test_a_stream_that_counts_nothing_is_counted_by_what_was_seen(guard: Guard, provider: Provider) -> None:
    provider.brain = lambda asked: Turn(text="x" * 3000)
    cost, _, _, basis = priced(guard, ask(guard, "chat", "gpt-5", stream=True))
    assert basis == "estimate"
    assert Decimal("0.01") <= Decimal(cost) < Decimal("0.0102")  # 1000 tokens out, and the few of the request


@pytest.mark.parametrize("wire", ["chat", "messages", "responses"])
def test_a_cut_stream_costs_what_was_seen_of_it(guard: Guard, provider: Provider, wire: str) -> None:
    model = "claude-sonnet-4-5" if wire == "messages" else "gpt-5"
    provider.brain = lambda asked: Turn(text="Q" * 60_000, thinking="", piece=300, cut=20)
    reply = ask(guard, wire, model, stream=True)
    cost, _, _, basis = priced(guard, reply)
    rate = Decimal(15 if wire == "messages" else 10)
    seen = Decimal(reply.body.count(b"Q")) / 3
    assert basis == "estimate"
    assert seen * rate / 10**6 <= Decimal(cost) < (seen + 200) * rate / 10**6
    assert Decimal(cost) < Decimal(60_000) / 3 * rate / 10**6 / 2, "what was never sent is not billed"


def test_what_the_provider_refuses_costs_nothing(guard: Guard, provider: Provider) -> None:
    provider.brain = lambda asked: Answer(400, b'{"error":{"message":"no","type":"invalid_request_error"}}')
    cost, _, _, basis = priced(guard, ask(guard, "chat", "gpt-5"))
    assert (cost, basis) == ("0", "nothing")


def test_counting_tokens_is_not_billed(guard: Guard, provider: Provider) -> None:
    assert "cost_usd" not in outcome(guard, ask(guard, "count", "claude-sonnet-4-5").exchange)


def test_the_intent_says_what_may_be_spent_before_anything_is_sent(guard: Guard, provider: Provider) -> None:
    small = ask(guard, "messages", "claude-sonnet-4-5", max_tokens=1000)
    reserved = Decimal(intent(guard, small.exchange)["reserved_usd"])
    assert Decimal("0.015") < reserved < Decimal("0.016")
    unlimited = ask(guard, "chat", "gpt-5")
    assert Decimal(intent(guard, unlimited.exchange)["reserved_usd"]) > Decimal("0.08192")


def test_explain_says_the_cost_and_its_price(guard: Guard, provider: Provider) -> None:
    reply = ask(guard, "chat", "gpt-5")
    outcome(guard, reply.exchange)
    assert "cost: 0.00028 USD (genai-prices " in guard.run("explain", reply.exchange)


def test_energy_of_a_local_model_is_billed_by_time(provider: Provider, tmp_path: Path) -> None:
    with Guard(tmp_path / "home", policy(provider.port, "[pricing]\nlocal_per_hour = 36\n")) as guard:
        cost, source, known, _ = priced(guard, ask(guard, "ollama", "qwen3"))
    assert Decimal("0") < Decimal(cost) < Decimal("0.1")
    assert source.endswith(": energy")
    assert known
