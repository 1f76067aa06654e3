"""P12 from the file on: whatever a repository's file says, nothing is allowed, bare or restored that was not without it."""

import json
from typing import Any

import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.config.builtin import builtin_layer
from localguard.config.policy_files import PolicyInvalid, refusing_layer
from localguard.config.policy_parser import parse_policy
from localguard.policy.decide import decide
from localguard.policy.layers import effective_endpoints, smallest_budgets
from localguard.policy.model import Layer, LayerName, Work
from tests.policy.strategies import GLOBS, layers, works
from tests.policy.test_layers import is_no_looser

_globs = st.lists(st.sampled_from(GLOBS), min_size=1, max_size=2)
_words = {
    "workspaces": _globs,
    "models": st.lists(st.sampled_from([*GLOBS, "group:g"]), min_size=1, max_size=2),
    "tasks": _globs,
    "agents": _globs,
    "classes": st.lists(st.sampled_from(["local", "enterprise", "hosted", "experimental"]), min_size=1),
    "sensitivity": st.lists(st.sampled_from(["public", "internal", "sensitive", "restricted"]), min_size=1),
    "times": st.just(["mon-fri 00:00-12:00 Europe/Berlin"]),
}
_whens = st.fixed_dictionaries({}, optional=_words)
_obligations = st.sampled_from(["allow", "redact", "block"])
_rules = st.fixed_dictionaries(
    {"effect": st.sampled_from(["allow", "ask", "deny"]), "when": _whens},
    optional={
        "redact": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("secret", "pii", "custom", "attachments"), _obligations)
        ),
        "restore": st.fixed_dictionaries({}, optional={"secret": st.sampled_from(["restore", "keep"])}),
        "record": st.sampled_from(["metadata", "findings"]),
        "max_input_tokens": st.integers(1, 10**6),
        "require_task": st.booleans(),
        "route": st.just({"endpoint": "openai"}),
        "effekt": st.just("allow"),
    },
)
_files = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        "default": st.sampled_from(["allow", "ask", "deny"]),
        "extends": st.just("builtin:solo"),
        "rules": st.lists(_rules, max_size=4),
        "models": st.just([{"name": "alpha", "aliases": ["beta"]}]),
        "model_groups": st.just([{"name": "g", "models": ["*"]}]),
        "endpoints": st.just([{"name": "openai", "kind": "openai", "base_url": "https://elsewhere.example"}]),
        "workspaces": st.just([{"name": "w", "match": {"remotes": ["*"]}, "sensitivity": "public"}]),
        "budgets": st.just([{"bucket": "b", "limit_usd": 10**9, "period": "day", "on_exceed": "warn"}]),
        "proxy": st.just({"other_hosts": "tunnel"}),
        "pause": st.just({"max_minutes": 60}),
    },
)


def layer_of(file: dict[str, Any]) -> Layer:
    """The layer that the file comes to, also where it is refused."""
    for number, rule in enumerate(file.get("rules", [])):
        rule["id"] = f"r{number}"
    try:
        return parse_policy(tomlkit.dumps(file).encode(), ".localguard.toml", LayerName.REPOSITORY)
    except PolicyInvalid as error:
        return refusing_layer(error, LayerName.REPOSITORY)


@settings(max_examples=300, deadline=None)
@given(layers(LayerName.USER), _files, works)
def test_no_repository_file_widens_what_is_allowed(user: Layer, file: dict[str, Any], work: Work) -> None:
    layer = layer_of(json.loads(json.dumps(file)))
    assert is_no_looser(decide([user, layer], work), decide([user], work))


@settings(max_examples=100, deadline=None)
@given(_files)
def test_no_repository_file_brings_endpoints_money_or_open_doors(file: dict[str, Any]) -> None:
    layer = layer_of(json.loads(json.dumps(file)))
    user = builtin_layer()
    assert effective_endpoints([user, layer]) == effective_endpoints([user])
    assert not layer.prices
    assert layer.pause.minutes == 0
    assert layer.other_hosts != "tunnel"
    assert all(budget.limit_usd <= 10**9 for budget in smallest_budgets([user, layer]).values())
    assert bool(layer.not_applied) >= (
        "endpoints" in file and "policy-invalid" not in [rule.id for rule in layer.rules]
    )
