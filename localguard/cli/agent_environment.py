"""The environment that sends one agent through the guard. Pure: variables in, variables out.

A variable that already names some other provider is only replaced where a configured endpoint stands for that provider:
anything else would carry one provider's key to another.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from localguard.cli.exit_codes import WrongUse
from localguard.policy.model import Endpoint


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that agents read a base URL from: for which kinds, and what follows the endpoint's path."""

    name: str
    kinds: tuple[str, ...]
    suffix: str = ""
    only_if_set: bool = False
    """Whether setting it changes more than the address, so that it is only redirected, never introduced."""
    endpoint: str = ""
    """The endpoint that is meant where several are of the kind."""


VARIABLES = (
    Variable("OPENAI_BASE_URL", ("openai",), "/v1"),
    Variable("OPENAI_API_BASE", ("openai",), "/v1"),
    Variable("ANTHROPIC_BASE_URL", ("anthropic",)),
    Variable("OLLAMA_HOST", ("ollama",)),
    Variable("AZURE_OPENAI_ENDPOINT", ("azure-openai",)),
    Variable("ANTHROPIC_FOUNDRY_BASE_URL", ("foundry",), "/anthropic"),
    Variable("AZURE_INFERENCE_ENDPOINT", ("foundry",), "/models"),
    Variable("GOOGLE_GEMINI_BASE_URL", ("gemini",)),
    Variable("COPILOT_PROVIDER_BASE_URL", (), only_if_set=True),
)
"""In the order in which they are reported; from the agents' own documentation, read 2026-11."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def prefix_for(port: int, token: str | None, task: str | None) -> str:
    """Return the guard's address up to the endpoint's name, without a slash at its end."""
    place = f"http://127.0.0.1:{port}"
    if token is None:
        return place
    return f"{place}/w/{token}" + (f"/t/{task}" if task else "")


def agent_environment(
    given: Mapping[str, str], endpoints: Sequence[Endpoint], *, prefix: str, port: int
) -> dict[str, str]:
    """Return the variables to set: each with the guard's address of the endpoint that the agent would have used.

    Raises WrongUse where a variable names a provider that no endpoint stands for.
    """
    chosen: dict[str, str] = {}
    for variable in VARIABLES:
        address = guard_address(variable, given.get(variable.name, ""), endpoints, prefix, port)
        if address is not None:
            chosen[variable.name] = address
    loopback = [*filter(None, given.get("NO_PROXY", given.get("no_proxy", "")).split(","))]
    chosen["NO_PROXY"] = chosen["no_proxy"] = ",".join(dict.fromkeys([*loopback, *_LOOPBACK]))
    return chosen


def guard_address(variable: Variable, value: str, endpoints: Sequence[Endpoint], prefix: str, port: int) -> str | None:
    """The guard's address for what an agent is, or would be, pointed at; None where a variable is not to be introduced.

    Raises WrongUse where the value names a provider that no endpoint stands for.
    """
    if value and not _is_default(variable, value, port):
        for endpoint in sorted(endpoints, key=lambda one: (-len(one.base_url), one.kind not in variable.kinds)):
            rest = _below(_as_url(value), endpoint.base_url)
            if rest is not None:
                return f"{prefix}/{endpoint.name}{rest}"
        raise WrongUse(
            f"{variable.name} names {urlsplit(_as_url(value)).hostname or 'an address'}, which is no configured endpoint. "
            "Add it with `localguard endpoint add NAME --kind openai-compatible --base-url URL`, or unset the variable."
        )
    if variable.only_if_set:
        return None
    default = next((one for one in endpoints if one.name == variable.endpoint), None) or _first(
        endpoints, variable.kinds
    )
    return f"{prefix}/{default.name}{variable.suffix}" if default else None


def points_to_guard(value: str, port: int) -> bool:
    """Whether an address is that of a guard on this port."""
    try:
        parts = urlsplit(_as_url(value))
        return parts.hostname in _LOOPBACK and parts.port == port
    except ValueError:
        return False


def _is_default(variable: Variable, value: str, port: int) -> bool:
    """Whether the value says no more than the default: an older address of the guard, or Ollama's own listening address."""
    if points_to_guard(value, port):
        return True
    own = urlsplit(_as_url(value)).hostname in (*_LOOPBACK, "0.0.0.0")  # noqa: S104
    return variable.name == "OLLAMA_HOST" and own and value.rsplit(":", 1)[-1] in ("11434", value)


def _as_url(value: str) -> str:
    return value if "://" in value else f"http://{value}"


def _below(value: str, base_url: str) -> str | None:
    """Return what follows the endpoint's base URL in an address, None where the address is not below it."""
    try:
        given, base = urlsplit(value), urlsplit(base_url)
        if (given.scheme, given.hostname, _port(given.scheme, given.port)) != (
            base.scheme,
            base.hostname,
            _port(base.scheme, base.port),
        ):
            return None
    except ValueError:
        return None
    path, root = given.path.rstrip("/"), base.path.rstrip("/")
    return path[len(root) :] if path == root or path.startswith(root + "/") else None


def _port(scheme: str, port: int | None) -> int | None:
    return port or {"https": 443, "http": 80}.get(scheme)


def _first(endpoints: Sequence[Endpoint], kinds: Sequence[str]) -> Endpoint | None:
    """Return the endpoint named like its kind, else the first of the kind in the policy's order."""
    matching = [endpoint for endpoint in endpoints if endpoint.kind in kinds]
    return next((endpoint for endpoint in matching if endpoint.name == endpoint.kind), next(iter(matching), None))


def agent_name(program: str) -> str:
    """Return the name by which an agent is known: the program's file name, lower case, without `.exe` or `.cmd`."""
    return PurePath(program).name.lower().removesuffix(".exe").removesuffix(".cmd")


def codex_overrides(
    configuration: Mapping[str, Any], endpoints: Sequence[Endpoint], *, prefix: str, port: int
) -> list[str]:
    """Return `key=value` overrides for Codex, which reads its base URL from its configuration and not from variables.

    `configuration` is its `config.toml`. The provider that is in use there is redirected. Raises WrongUse where no
    endpoint stands for it.
    """
    provider = configuration.get("model_provider", "openai")
    tables = configuration.get("model_providers")
    table = tables.get(provider) if isinstance(tables, Mapping) else None
    if provider == "openai" or not isinstance(table, Mapping):
        key, value = "openai_base_url", configuration.get("openai_base_url", "")
    else:
        key, value = f"model_providers.{provider}.base_url", table.get("base_url", "")
    setting = Variable(key, ("openai",), "/v1")
    address = guard_address(setting, value if isinstance(value, str) else "", endpoints, prefix, port)
    return [f'{key}="{address}"'] if address else []


_OPENCODE = (("openai", "openai", "/v1"), ("anthropic", "anthropic", "/v1"), ("google", "gemini", "/v1beta"))
"""opencode's name of a provider, the endpoint kind, and what it expects behind the address."""


def opencode_configuration(given: str, endpoints: Sequence[Endpoint], *, prefix: str) -> str:
    """Return `OPENCODE_CONFIG_CONTENT` with the base URLs of the built-in providers, beside what `given` holds.

    Raises WrongUse where `given` is not a JSON object.
    """
    try:
        configuration = json.loads(given) if given else {}
    except ValueError:
        configuration = None
    if not isinstance(configuration, dict):
        raise WrongUse("OPENCODE_CONFIG_CONTENT holds no JSON object.")
    providers = configuration.setdefault("provider", {})
    for name, kind, suffix in _OPENCODE:
        endpoint = _first(endpoints, (kind,))
        if endpoint is not None:
            options = providers.setdefault(name, {}).setdefault("options", {})
            options["baseURL"] = f"{prefix}/{endpoint.name}{suffix}"
    return json.dumps(configuration)
