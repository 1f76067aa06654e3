"""The installed price list: whose model it is, what it costs, and what becomes of a list that is damaged."""

import sys
import types
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from localguard.config.price_list import PriceList
from localguard.policy.price import Rate

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ELSEWHERE = "https://gateway.example.com"


@pytest.fixture(scope="module")
def prices() -> PriceList:
    return PriceList()


@pytest.mark.parametrize(
    ("kind", "address", "model", "whose"),
    [
        ("openai", "https://api.openai.com", "gpt-5", "openai/gpt-5"),
        ("openai", "http://127.0.0.1:9", "gpt-5-2025-08-07", "openai/gpt-5"),
        ("azure-openai", "https://r.openai.azure.com", "gpt-5", "azure/gpt-5"),
        ("foundry", "https://r.services.ai.azure.com", "claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("anthropic", "https://api.anthropic.com", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        ("gemini", "https://generativelanguage.googleapis.com", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("openai-compatible", ELSEWHERE, "gpt-5", "openai/gpt-5 (by its name)"),
        ("openai-compatible", ELSEWHERE, "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5 (by its name)"),
        ("openai-compatible", "https://openrouter.ai/api", "openai/gpt-5", "openrouter/openai/gpt-5"),
    ],
)
def test_a_model_is_priced_by_address_or_kind_and_name(
    prices: PriceList, kind: str, address: str, model: str, whose: str
) -> None:
    found = prices.find(kind, address, model, NOW)
    assert found is not None
    assert found.source.startswith(f"genai-prices {prices.version}: ")
    assert found.source.endswith(whose)
    assert found.known
    assert found.input.base > 0
    assert found.output.base > found.input.base > found.cache_read.base > 0


def test_cache_writes_have_their_own_prices(prices: PriceList) -> None:
    found = prices.find("anthropic", "https://api.anthropic.com", "claude-opus-4-5", NOW)
    assert found is not None
    assert found.cache_write.base == found.input.base * Decimal("1.25")
    assert found.cache_write_1h.base == found.input.base * 2


@pytest.mark.parametrize("model", ["acme-secret-model", "", "x" * 100_000, "*", "gpt-5-nobody-made-this"])
def test_what_the_list_does_not_know_has_no_price(prices: PriceList, model: str) -> None:
    assert prices.find("openai", "https://api.openai.com", model, NOW) is None


def damaged(monkeypatch: pytest.MonkeyPatch, **listed: object) -> PriceList:
    """A list whose one model says `listed`."""
    model = types.SimpleNamespace(id="m", get_prices=lambda at: types.SimpleNamespace(**listed))
    provider = types.SimpleNamespace(
        id="openai", api_pattern="https://api.openai.com", find_model=lambda name, all_providers: model
    )
    snapshot = types.SimpleNamespace(providers=[provider])
    monkeypatch.setitem(
        sys.modules,
        "genai_prices.data_snapshot",
        types.SimpleNamespace(get_snapshot=lambda: snapshot),
    )
    return PriceList()


@pytest.mark.parametrize("input", [Decimal("NaN"), Decimal(-1), Decimal("Infinity"), "3", object()])
def test_what_is_no_price_is_none_and_never_free(monkeypatch: pytest.MonkeyPatch, input: object) -> None:
    prices = damaged(monkeypatch, input_mtok=input, output_mtok=Decimal(1))
    assert prices.find("openai", "https://api.openai.com", "m", NOW) is None
    assert prices.damage is not None


def test_a_model_that_is_not_priced_by_tokens_has_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    assert damaged(monkeypatch, audio_hours=Decimal(1)).find("openai", "https://api.openai.com", "m", NOW) is None


def test_what_the_list_does_not_price_apart_costs_what_input_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = damaged(monkeypatch, input_mtok=Decimal(2)).find("openai", "https://api.openai.com", "m", NOW)
    assert found is not None
    assert found.output == found.cache_read == found.cache_write == found.cache_write_1h == Rate(Decimal(2))


def test_a_list_that_cannot_be_read_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    prices = PriceList()
    assert prices.find("openai", "https://api.openai.com", "gpt-5", NOW) is None
    assert prices.damage == "ModuleNotFoundError"


def test_nothing_is_fetched_and_no_thread_is_started(prices: PriceList, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import threading

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the list opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = threading.active_count()
    fresh = PriceList()
    assert fresh.find("openai", "https://api.openai.com", "gpt-5", NOW) is not None
    assert threading.active_count() == before
