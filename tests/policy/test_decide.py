import fnmatch
import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.policy.decide import decide
from localguard.policy.model import (
    Effect,
    EndpointClass,
    Layer,
    LayerName,
    Obligation,
    Redact,
    Rule,
    Sensitivity,
    When,
    Work,
)
from tests.policy.strategies import layers, works

WORK = Work(
    workspace="payments",
    sensitivity=Sensitivity.SENSITIVE,
    task="incident",
    endpoint="openai",
    endpoint_class=EndpointClass.HOSTED,
    model="gpt-5-mini",
)


def user(*rules: Rule, default: Effect = Effect.DENY) -> Layer:
    return Layer(LayerName.USER, default, rules=rules, file="policy.toml", default_line=1)


ALLOW = Rule("allow", Effect.ALLOW, file="policy.toml", line=3)
ASK = Rule("ask", Effect.ASK, file="policy.toml", line=7)
DENY = Rule("deny", Effect.DENY, reason="Not here.", file="policy.toml", line=11)


@pytest.mark.parametrize(
    ("rules", "effect", "deciding"),
    [
        ((), Effect.DENY, "default"),
        ((ALLOW,), Effect.ALLOW, "allow"),
        ((ALLOW, ASK), Effect.ASK, "ask"),
        ((ASK, ALLOW, DENY), Effect.DENY, "deny"),
        ((DENY, ALLOW), Effect.DENY, "deny"),
    ],
)
def test_deny_beats_ask_beats_allow_beats_the_default(rules: tuple[Rule, ...], effect: Effect, deciding: str) -> None:
    decision = decide([user(*rules)], WORK)
    assert decision.effect is effect
    assert [ref.id for ref in decision.deciding] == [deciding]


def test_decision_names_every_deciding_rule_with_file_line_reason_and_next_step() -> None:
    other = replace(DENY, id="also-no", line=20, reason="")
    decision = decide([user(ALLOW, DENY, other)], WORK)
    assert [(ref.id, ref.layer, ref.file, ref.line) for ref in decision.deciding] == [
        ("deny", "user", "policy.toml", 11),
        ("also-no", "user", "policy.toml", 20),
    ]
    assert decision.reason == "Not here. Rule: deny (policy.toml:11), also-no (policy.toml:20)."
    assert "policy.toml" in decision.next_step


def test_default_deny_says_what_was_asked_and_never_repeats_model_or_task() -> None:
    decision = decide([user()], replace(WORK, model="model-text", task="task-text"))
    assert "payments" in decision.reason
    assert "openai" in decision.reason
    assert "model-text" not in decision.reason + decision.next_step
    assert "task-text" not in decision.reason + decision.next_step


def test_no_layer_at_all_is_a_deny() -> None:
    assert decide([], WORK).effect is Effect.DENY


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        (When(), True),
        (When(models=("*MINI*",)), True),
        (When(models=("gpt-5",)), False),
        (When(models=("gpt-?-mini",)), True),
        (When(workspaces=("pay*",), tasks=("incident",)), True),
        (When(workspaces=("pay*",), tasks=("docs",)), False),
        (When(classes=("hosted", "local")), True),
        (When(sensitivity=("public", "internal")), False),
        (When(agents=("*",)), False),
        (When(tools=("*",)), False),
    ],
)
def test_all_given_fields_must_match_and_each_by_any_entry(when: When, matches: bool) -> None:
    decision = decide([user(Rule("r", Effect.ALLOW, when))], WORK)
    assert (decision.effect is Effect.ALLOW) is matches


@pytest.mark.parametrize("model", ["qwen/qwen3-coder", "qwen3", "QWEN"])
def test_star_in_a_model_glob_crosses_slashes_and_case(model: str) -> None:
    assert decide([user(Rule("r", Effect.ALLOW, When(models=("qwen*",))))], replace(WORK, model=model)).effect is (
        Effect.ALLOW
    )


def test_findings_match_by_type_or_class() -> None:
    layer = user(ALLOW, Rule("no-customers", Effect.DENY, When(findings=("pii", "CUSTOMER_*"))))
    assert decide([layer], replace(WORK, findings=frozenset({"EMAIL", "pii"}))).effect is Effect.DENY
    assert decide([layer], replace(WORK, findings=frozenset({"CUSTOMER_ID", "custom"}))).effect is Effect.DENY
    assert decide([layer], replace(WORK, findings=frozenset({"GITHUB_TOKEN", "secret"}))).effect is Effect.ALLOW


@pytest.mark.parametrize("field", ["workspace", "model", "identity"])
def test_what_is_not_known_meets_every_deny_and_no_allow(field: str) -> None:
    when = When(**{{"workspace": "workspaces", "model": "models", "identity": "identities"}[field]: ("personal",)})
    unknown = {
        "workspace": replace(WORK, workspace=None),
        "model": replace(WORK, model=None),
        "identity": replace(WORK, identity=None),
    }[field]
    assert decide([user(ALLOW, Rule("no", Effect.DENY, when))], unknown).effect is Effect.DENY
    assert decide([user(Rule("yes", Effect.ALLOW, when))], unknown).effect is Effect.DENY


def test_a_request_that_names_no_model_by_nature_is_not_denied_by_rules_about_models() -> None:
    layer = user(ALLOW, Rule("no-big", Effect.DENY, When(models=("gpt-5*",))))
    assert decide([layer], replace(WORK, model="")).effect is Effect.ALLOW


def test_no_task_is_a_fact_that_no_task_rule_matches() -> None:
    layer = user(ALLOW, Rule("no-incident", Effect.DENY, When(tasks=("incident",))))
    assert decide([layer], replace(WORK, task=None)).effect is Effect.ALLOW


def test_where_nobody_votes_everything_found_is_redacted_and_attachments_pass() -> None:
    obligations = decide([user(ALLOW)], WORK).obligations
    assert (obligations.secret, obligations.pii, obligations.custom) == (Obligation.REDACT,) * 3
    assert obligations.attachments is Obligation.ALLOW


def test_obligations_of_all_matching_rules_are_united_and_the_strictest_wins() -> None:
    first = replace(ALLOW, redact=Redact(secret=Obligation.ALLOW, pii=Obligation.BLOCK))
    second = replace(ALLOW, id="b", redact=Redact(secret=Obligation.REDACT, custom=Obligation.ALLOW))
    elsewhere = Rule("c", Effect.ALLOW, When(tasks=("docs",)), redact=Redact(custom=Obligation.BLOCK))
    obligations = decide([user(first, second, elsewhere)], WORK).obligations
    assert (obligations.secret, obligations.pii, obligations.custom, obligations.attachments) == (
        Obligation.REDACT,
        Obligation.BLOCK,
        Obligation.ALLOW,
        Obligation.ALLOW,
    )


def test_an_evaluation_error_is_a_deny_that_blocks_everything() -> None:
    broken = replace(ALLOW, when=When(models=(7,)))  # type: ignore[arg-type]
    decision = decide([user(ALLOW, broken)], WORK)
    assert decision.effect is Effect.DENY
    assert decision.obligations.secret is Obligation.BLOCK
    assert "could not be evaluated" in decision.reason


def reference(layer: Layer, work: Work) -> Effect:
    """The semantics of one layer, as design section 6 has them, in the plainest form."""
    values = {
        "workspaces": work.workspace, "sensitivity": work.sensitivity, "tasks": work.task, "endpoints": work.endpoint,
        "classes": work.endpoint_class, "models": work.model, "identities": work.identity, "agents": work.agent,
        "tools": work.tools, "findings": work.findings, "attachments": work.attachments,
    }  # fmt: skip

    def meets(rule: Rule, name: str) -> bool:
        globs, value = getattr(rule.when, name), values[name]
        if globs is None:
            return True
        if value is None:
            return name in ("workspaces", "models", "identities") and rule.effect is not Effect.ALLOW
        found = value if isinstance(value, frozenset) else {value}
        return any(fnmatch.fnmatchcase(each.lower(), glob.lower()) for each in found for glob in globs)

    effects = {rule.effect for rule in layer.rules if all(meets(rule, name) for name in values)}
    return next((effect for effect in (Effect.DENY, Effect.ASK, Effect.ALLOW) if effect in effects), layer.default)


@settings(max_examples=400, deadline=None)
@given(layers(LayerName.USER), works)
def test_one_layer_decides_like_the_reference(layer: Layer, work: Work) -> None:
    assert decide([layer], work).effect is reference(layer, work)


@settings(max_examples=200, deadline=None)
@given(layers(LayerName.USER), works, st.randoms(use_true_random=False))
def test_order_of_rules_does_not_matter(layer: Layer, work: Work, shuffled: random.Random) -> None:
    rules = list(layer.rules)
    shuffled.shuffle(rules)
    one, other = decide([layer], work), decide([replace(layer, rules=tuple(rules))], work)
    assert (one.effect, one.obligations, set(one.deciding)) == (other.effect, other.obligations, set(other.deciding))


def test_a_decision_over_three_layers_of_a_hundred_rules_takes_no_more_than_100_microseconds() -> None:
    rules = tuple(
        Rule(
            f"r{n}",
            Effect.DENY if n % 3 else Effect.ALLOW,
            When(workspaces=(f"workspace-{n % 50}*",), models=(f"model-{n}*", "*mini*"), tasks=("docs", "incident")),
        )
        for n in range(100)
    )
    stack = [Layer(name, Effect.ALLOW, rules=rules) for name in LayerName]
    work = [replace(WORK, workspace=f"workspace-{n}", model=f"model-{n}") for n in range(50)]
    for each in work:
        decide(stack, each)
    best = min(_seconds(stack, work) for _ in range(5))
    assert best / len(work) < 100e-6


def _seconds(stack: list[Layer], work: list[Work]) -> float:
    start = time.perf_counter()
    for each in work:
        decide(stack, each)
    return time.perf_counter() - start
