import fnmatch
import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.policy.decide import decide
from localguard.policy.matching import glob_pattern
from localguard.policy.model import (
    Effect,
    EndpointClass,
    KnownModel,
    Layer,
    LayerName,
    Obligation,
    Redact,
    Route,
    Rule,
    Sensitivity,
    When,
    Work,
)
from localguard.policy.trace import trace
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


@given(st.text("aAbK/*?-.ſKé\n", max_size=6).filter(bool), st.text("aAbBkKsS/-.ſKé\n", max_size=8))
@settings(max_examples=1000, deadline=None)
def test_a_glob_matches_in_an_index_as_its_pattern_does(glob: str, value: str) -> None:
    allowed = decide([user(Rule("r", Effect.ALLOW, When(tasks=(glob,))))], replace(WORK, task=value)).effect
    assert (allowed is Effect.ALLOW) is (glob_pattern(glob).fullmatch(value) is not None)


def test_findings_match_by_type_or_class() -> None:
    layer = user(ALLOW, Rule("no-customers", Effect.DENY, When(findings=("pii", "CUSTOMER_*"))))
    assert decide([layer], replace(WORK, findings=frozenset({"EMAIL", "pii"}))).effect is Effect.DENY
    assert decide([layer], replace(WORK, findings=frozenset({"CUSTOMER_ID", "custom"}))).effect is Effect.DENY
    assert decide([layer], replace(WORK, findings=frozenset({"GITHUB_TOKEN", "secret"}))).effect is Effect.ALLOW


@pytest.mark.parametrize("field", ["workspace", "model", "identity"])
def test_what_is_not_known_meets_every_deny_and_no_allow(field: str) -> None:
    named = {"workspace": "workspaces", "model": "models", "identity": "identities"}[field]
    when = replace(When(), **{named: ("personal",)})  # type: ignore[arg-type]
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
        "tools": work.tools, "findings": work.findings, "attachments": work.attachments, "times": work.time,
    }  # fmt: skip

    def glob(entry: str, value: str) -> bool:
        return fnmatch.fnmatchcase(value.lower(), entry.lower())

    def names(value: object, rule: Rule, field: str) -> set[str]:
        found = set(value) if isinstance(value, frozenset) else {str(value)}
        known = [m.name for m in layer.models if field == "models" and any(glob(a, str(value)) for a in m.aliases)]
        return set(known[:1]) | (found if rule.effect is not Effect.ALLOW or not known else set())

    def meets(rule: Rule, field: str) -> bool:
        wanted, value = getattr(rule.when, field), values[field]
        if wanted is None:
            return True
        if value is None:
            return field in ("workspaces", "models", "identities", "times") and rule.effect is not Effect.ALLOW
        if field == "times":
            return any(window.contains(value) for window in wanted)
        return any(glob(entry, name) for name in names(value, rule, field) for entry in wanted)

    matching = [rule for rule in layer.rules if all(meets(rule, field) for field in values)]
    effects = {rule.effect for rule in matching}
    effect = next((effect for effect in (Effect.DENY, Effect.ASK, Effect.ALLOW) if effect in effects), layer.default)
    too_long = any((work.input_tokens or 0) > (rule.max_input_tokens or 10**9) for rule in matching)
    no_task = work.task is None and any(rule.require_task for rule in matching)
    return Effect.DENY if too_long or no_task else effect


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


def test_a_rule_about_a_model_holds_whatever_an_endpoint_calls_it() -> None:
    known = KnownModel("gpt-5", ("prod-mini", "gpt-5-2026*"))
    no_big = Rule("no-big", Effect.DENY, When(models=("gpt-5",)))
    cheap = Rule("cheap", Effect.ALLOW, When(models=("*mini*",)))
    for model in ("gpt-5", "PROD-MINI", "gpt-5-2026-08-01"):
        assert decide([replace(user(ALLOW, no_big), models=(known,))], replace(WORK, model=model)).effect is Effect.DENY
    # the name at the endpoint says nothing in its favour, and is still a name that a deny rule may know
    assert decide([replace(user(cheap), models=(known,))], replace(WORK, model="prod-mini")).effect is Effect.DENY
    no_prod = Rule("no-prod", Effect.DENY, When(models=("prod-*",)))
    assert (
        decide([replace(user(ALLOW, no_prod), models=(known,))], replace(WORK, model="prod-mini")).effect is Effect.DENY
    )
    assert decide([replace(user(cheap), models=(known,))], replace(WORK, model="other-mini")).effect is Effect.ALLOW


def test_a_denied_request_without_task_says_how_to_declare_one() -> None:
    layer = user(replace(ALLOW, require_task=True, reason="Big models need a task."))
    decision = decide([layer], replace(WORK, task=None))
    assert (decision.effect, decision.code) == (Effect.DENY, "task_required")
    assert "Big models need a task." in decision.reason
    assert "localguard task set" in decision.next_step
    assert [ref.id for ref in decision.deciding] == ["allow"]
    assert decide([layer], WORK).effect is Effect.ALLOW


def test_the_smallest_limit_of_input_tokens_counts_and_its_rule_is_named() -> None:
    layer = user(replace(ALLOW, max_input_tokens=1000), Rule("tight", Effect.ALLOW, max_input_tokens=10, line=9))
    decision = decide([layer], replace(WORK, input_tokens=11))
    assert (decision.effect, decision.code) == (Effect.DENY, "input_too_long")
    assert [ref.id for ref in decision.deciding] == ["tight"]
    assert "about 11 tokens" in decision.reason
    assert decide([layer], replace(WORK, input_tokens=10)).effect is Effect.ALLOW


def test_a_class_that_is_blocked_denies_requests_that_hold_it_and_the_rule_is_named() -> None:
    layer = user(
        ALLOW, Rule("no-secrets", Effect.ALLOW, When(classes=("hosted",)), redact=Redact(secret=Obligation.BLOCK))
    )
    decision = decide([layer], replace(WORK, findings=frozenset({"AWS_KEY", "secret"})))
    assert (decision.effect, decision.code, decision.deciding[0].id) == (Effect.DENY, "secret_blocked", "no-secrets")
    assert "data of class secret" in decision.reason
    assert decide([layer], replace(WORK, findings=frozenset({"EMAIL", "pii"}))).effect is Effect.ALLOW


def test_a_default_deny_names_the_rule_that_missed_in_one_field() -> None:
    near = Rule("docs-only", Effect.ALLOW, When(tasks=("docs",), classes=("hosted",)), file="policy.toml", line=30)
    far = Rule("far", Effect.ALLOW, When(tasks=("docs",), classes=("local",)), file="policy.toml", line=40)
    decision = decide([user(near, far)], WORK)
    assert [(ref.id, field) for ref, field in decision.nearly] == [("docs-only", "tasks")]
    assert "Rule docs-only (policy.toml:30) would allow it for another task" in decision.reason


def test_a_deciding_rule_names_the_fields_that_matched() -> None:
    rule = Rule("r", Effect.DENY, When(tasks=("incident",), models=("gpt*",)))
    assert decide([user(ALLOW, rule)], WORK).deciding[0].fields == ("tasks", "models")


def test_two_routes_of_one_layer_are_a_refusal_and_the_organisation_s_beats_the_user_s() -> None:
    one, other = replace(ALLOW, route=Route("azure")), replace(ALLOW, id="b", route=Route("foundry"))
    conflict = decide([user(one, other)], WORK)
    assert (conflict.effect, conflict.code) == (Effect.DENY, "route_conflict")
    assert "azure, foundry" in conflict.reason
    above = Layer(LayerName.ORGANISATION, Effect.DENY, rules=(other,))
    decision = decide([user(one), above], WORK)
    assert decision.obligations.route == Route("foundry")
    below = Layer(LayerName.REPOSITORY, Effect.ALLOW, rules=(other,))
    assert decide([user(one), below], WORK).obligations.route == Route("azure")


def test_an_expired_layer_denies_everything_and_says_so() -> None:
    ends = datetime(2026, 6, 1, tzinfo=UTC)
    layer = Layer(LayerName.ORGANISATION, Effect.ALLOW, organisation="acme", revision=3, expires=ends)
    assert decide([layer], replace(WORK, time=ends - timedelta(seconds=1))).effect is Effect.ALLOW
    for moment in (ends, None):
        decision = decide([layer], replace(WORK, time=moment))
        assert decision.effect is Effect.DENY
        assert "expired at 2026-06-01" in decision.reason


def test_the_organisation_decides_by_its_own_words_about_an_endpoint() -> None:
    layer = Layer(LayerName.ORGANISATION, Effect.DENY, rules=(Rule("in", Effect.ALLOW, When(classes=("enterprise",))),))
    claimed = replace(WORK, endpoint_class=EndpointClass.ENTERPRISE)
    assert decide([layer], claimed).effect is Effect.ALLOW
    assert decide([layer], replace(claimed, to_organisation=WORK)).effect is Effect.DENY
    assert decide([replace(layer, name=LayerName.USER)], replace(claimed, to_organisation=WORK)).effect is Effect.ALLOW


def test_the_trace_says_of_every_field_of_every_rule_whether_it_matched() -> None:
    rule = Rule("r", Effect.DENY, When(tasks=("incident",), models=("o*",), tools=("shell",)))
    [traced] = trace([user(rule)], replace(WORK, tools=frozenset({"shell", "edit"})))
    assert not traced.matched
    assert [(one.field, one.wanted, one.has, one.matched) for one in traced.fields] == [
        ("tasks", ("incident",), ("incident",), True),
        ("models", ("o*",), ("gpt-5-mini",), False),
        ("tools", ("shell",), ("edit", "shell"), True),
    ]


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
