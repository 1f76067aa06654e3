"""The variables that send an agent through the guard, and those that must not be overwritten."""

import json

import pytest

from localguard.cli.agent_environment import (
    agent_environment,
    agent_name,
    codex_overrides,
    opencode_configuration,
    points_to_guard,
    prefix_for,
)
from localguard.cli.exit_codes import WrongUse
from localguard.config.builtin import builtin_endpoints
from localguard.policy.model import Endpoint, EndpointClass

PORT = 4141
PREFIX = "http://127.0.0.1:4141/w/token"
OWN = (
    Endpoint("gateway", "openai-compatible", "https://llm.example.com/api", EndpointClass.HOSTED),
    Endpoint("azure", "azure-openai", "https://acme.openai.azure.com", EndpointClass.ENTERPRISE),
    Endpoint("claude", "foundry", "https://acme.services.ai.azure.com", EndpointClass.ENTERPRISE),
)
ENDPOINTS = (*OWN, *builtin_endpoints())


def environment(**given: str) -> dict[str, str]:
    return agent_environment(given, ENDPOINTS, prefix=PREFIX, port=PORT)


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("OPENAI_BASE_URL", "/openai/v1"),
        ("OPENAI_API_BASE", "/openai/v1"),
        ("ANTHROPIC_BASE_URL", "/anthropic"),
        ("OLLAMA_HOST", "/ollama"),
        ("AZURE_OPENAI_ENDPOINT", "/azure"),
        ("ANTHROPIC_FOUNDRY_BASE_URL", "/claude/anthropic"),
        ("AZURE_INFERENCE_ENDPOINT", "/claude/models"),
        ("GOOGLE_GEMINI_BASE_URL", "/gemini"),
    ],
)
def test_each_variable_names_its_endpoint_at_the_guard(variable: str, path: str) -> None:
    assert environment()[variable] == PREFIX + path


def test_variables_of_kinds_without_an_endpoint_are_not_set() -> None:
    chosen = agent_environment({}, builtin_endpoints(), prefix=PREFIX, port=PORT)
    assert "AZURE_OPENAI_ENDPOINT" not in chosen
    assert "ANTHROPIC_FOUNDRY_BASE_URL" not in chosen


def test_a_variable_that_only_redirects_is_not_introduced() -> None:
    assert "COPILOT_PROVIDER_BASE_URL" not in environment()
    redirected = environment(COPILOT_PROVIDER_BASE_URL="https://api.openai.com/v1")
    assert redirected["COPILOT_PROVIDER_BASE_URL"] == PREFIX + "/openai/v1"


@pytest.mark.parametrize("given", ["https://llm.example.com/api/v1", "HTTPS://LLM.example.com:443/api/v1/"])
def test_a_variable_that_names_a_configured_endpoint_keeps_it(given: str) -> None:
    assert environment(OPENAI_BASE_URL=given)["OPENAI_BASE_URL"] == PREFIX + "/gateway/v1"


@pytest.mark.parametrize(
    "given",
    [
        "https://other.example.com/v1",
        "https://llm.example.com/apix/v1",
        "http://llm.example.com/api/v1",
        "https://llm.example.com:8443/api/v1",
        "https://api.openai.com.example.net/v1",
    ],
)
def test_a_variable_that_names_another_provider_is_never_sent_elsewhere(given: str) -> None:
    with pytest.raises(WrongUse, match="OPENAI_BASE_URL"):
        environment(OPENAI_BASE_URL=given)


def test_the_refusal_does_not_repeat_credentials_of_an_address() -> None:
    with pytest.raises(WrongUse) as refused:
        environment(OPENAI_BASE_URL="https://user:made-up-word@other.example.com/v1?key=made-up-word")
    assert "made-up-word" not in str(refused.value)


@pytest.mark.parametrize(
    "given", ["", "127.0.0.1", "0.0.0.0", "localhost:11434", "http://127.0.0.1:11434", "[::1]:11434"]
)
def test_ollamas_own_addresses_count_as_the_default(given: str) -> None:
    assert environment(OLLAMA_HOST=given)["OLLAMA_HOST"] == PREFIX + "/ollama"


def test_ollama_on_another_machine_is_no_default() -> None:
    with pytest.raises(WrongUse, match="OLLAMA_HOST"):
        environment(OLLAMA_HOST="192.168.1.20:11434")


def test_an_older_address_of_the_guard_is_replaced() -> None:
    given = "http://localhost:4141/w/older/openai/v1"
    assert environment(OPENAI_BASE_URL=given)["OPENAI_BASE_URL"] == PREFIX + "/openai/v1"


def test_the_guard_is_reached_without_the_users_proxy() -> None:
    chosen = environment(NO_PROXY="intern.example.com")
    assert chosen["NO_PROXY"] == chosen["no_proxy"] == "intern.example.com,127.0.0.1,localhost,::1"


def test_the_prefix_holds_token_and_task() -> None:
    assert prefix_for(4141, None, None) == "http://127.0.0.1:4141"
    assert prefix_for(4141, "lgw_x", None) == "http://127.0.0.1:4141/w/lgw_x"
    assert prefix_for(4141, "lgw_x", "incident") == "http://127.0.0.1:4141/w/lgw_x/t/incident"


@pytest.mark.parametrize("program", ["codex", "/usr/local/bin/codex", "Codex.exe", "codex.cmd"])
def test_an_agent_is_known_by_its_file_name(program: str) -> None:
    assert agent_name(program) == "codex"


def codex(**configuration: object) -> list[str]:
    return codex_overrides(configuration, ENDPOINTS, prefix=PREFIX, port=PORT)


def test_codex_gets_its_base_url_by_configuration() -> None:
    assert codex() == [f'openai_base_url="{PREFIX}/openai/v1"']


def test_codex_with_a_provider_of_its_own_is_redirected_there() -> None:
    table = {"work": {"base_url": "https://acme.openai.azure.com/openai/v1"}}
    override = f'model_providers.work.base_url="{PREFIX}/azure/openai/v1"'
    assert codex(model_provider="work", model_providers=table) == [override]


def test_codex_with_an_unknown_provider_is_refused() -> None:
    with pytest.raises(WrongUse, match="endpoint add"):
        codex(model_provider="x", model_providers={"x": {"base_url": "https://other.example.com/v1"}})
    with pytest.raises(WrongUse, match="endpoint add"):
        codex(openai_base_url="https://other.example.com/v1")


def test_opencode_gets_base_urls_beside_its_own_inline_configuration() -> None:
    given = json.dumps({"theme": "x", "provider": {"openai": {"options": {"headers": {"a": "b"}}}}})
    made = json.loads(opencode_configuration(given, ENDPOINTS, prefix=PREFIX))
    assert made["theme"] == "x"
    assert made["provider"]["openai"]["options"] == {"headers": {"a": "b"}, "baseURL": PREFIX + "/openai/v1"}
    assert made["provider"]["anthropic"]["options"]["baseURL"] == PREFIX + "/anthropic/v1"
    assert made["provider"]["google"]["options"]["baseURL"] == PREFIX + "/gemini/v1beta"


@pytest.mark.parametrize("given", ["[]", "{", "3"])
def test_an_inline_configuration_that_is_no_object_is_refused(given: str) -> None:
    with pytest.raises(WrongUse, match="OPENCODE_CONFIG_CONTENT"):
        opencode_configuration(given, ENDPOINTS, prefix=PREFIX)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://127.0.0.1:4141/openai/v1", True),
        ("http://[::1]:4141", True),
        ("http://127.0.0.1:4142", False),
        ("https://api.openai.com", False),
        ("http://[broken", False),
    ],
)
def test_the_guards_own_addresses_are_recognised(value: str, expected: bool) -> None:
    assert points_to_guard(value, 4141) is expected
