"""Remarks about policies that are valid: each on what it is about, none where there is nothing to say."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from localguard.policy.decide import decide
from localguard.policy.matching import glob_matches
from localguard.policy.model import (
    Effect,
    Endpoint,
    EndpointClass,
    Layer,
    LayerName,
    Obligation,
    Redact,
    Route,
    Rule,
    Sensitivity,
    When,
    Work,
    WorkspaceRule,
)
from localguard.policy.review import _covers, review
from tests.policy.strategies import whens, works


def endpoint(name: str, group: EndpointClass = EndpointClass.HOSTED, url: str = "", line: int = 1) -> Endpoint:
    return Endpoint(name, "openai", url or f"https://{name}.example", group, own_class=EndpointClass.HOSTED, line=line)


def layer(*rules: Rule, **more: object) -> Layer:
    numbered = tuple(replace(rule, line=number * 10, file="p") for number, rule in enumerate(rules, 1))
    return replace(Layer(LayerName.USER, Effect.DENY, rules=numbered, endpoints=(endpoint("openai"),)), **more)  # type: ignore[arg-type]


def remarks(one: Layer, *above: Layer) -> list[str]:
    return [remark.message for remark in review(one, above, speaks_alike=lambda a, b: a == b)]


ALLOW = Rule("all", Effect.ALLOW)


def test_a_plain_policy_gives_no_remark() -> None:
    docs = Rule("no-docs", Effect.DENY, When(tasks=("docs",), models=("gpt-5*",)))
    assert remarks(layer(ALLOW, docs)) == []


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ((Rule("a", Effect.ALLOW, When(models=("gpt-5-mini",))), Rule("d", Effect.DENY, When(models=("gpt*",)))), "rule a never decides: d"),
        ((ALLOW, Rule("b", Effect.ALLOW, When(tasks=("docs",)))), "rule b adds nothing: all"),
        ((ALLOW, Rule("twin", Effect.ALLOW)), "rule twin adds nothing: all"),
        ((ALLOW, Rule("q", Effect.ASK, When(classes=("hosted",))), Rule("d", Effect.DENY, When(classes=("hosted", "local")))), "rule q never decides: d"),
        ((ALLOW, Rule("x", Effect.DENY, When(endpoints=("opneai",)))), "rule x matches nothing: no endpoint has such a name"),
        ((ALLOW, Rule("y", Effect.ALLOW, When(classes=("enterprise",)))), "rule y matches nothing: no endpoint is of such a class"),
        ((ALLOW, Rule("z", Effect.DENY, When(workspaces=("paymnts",)))), "rule z names workspace paymnts"),
        ((Rule("s", Effect.ALLOW, When(models=("*",))),), "models of rule s matches everything"),
        ((replace(ALLOW, route=Route("nowhere")),), "routes to nowhere, which is no endpoint"),
        ((replace(ALLOW, route=Route("openai")),), "has no key of the guard's own"),
    ],
)  # fmt: skip
def test_a_rule_that_does_not_do_what_it_seems_to_is_remarked_on(rules: tuple[Rule, ...], words: str) -> None:
    assert any(words in one for one in remarks(layer(*rules))), remarks(layer(*rules))


def test_a_covered_rule_with_obligations_of_its_own_is_no_remark() -> None:
    tight = Rule("tight", Effect.ALLOW, When(tasks=("docs",)), redact=Redact(attachments=Obligation.BLOCK))
    assert remarks(layer(ALLOW, tight)) == []


def test_an_endpoint_that_no_rule_allows_and_one_that_hides_another_are_remarked_on() -> None:
    hosted = Rule("hosted", Effect.ALLOW, When(classes=("hosted",)))
    own = layer(hosted, endpoints=(endpoint("openai"), endpoint("inside", EndpointClass.ENTERPRISE, line=4)))
    assert remarks(own) == ["endpoint inside can never be used: no rule allows it."]
    alias = endpoint("mine", EndpointClass.ENTERPRISE, "https://openai.example")
    found = remarks(layer(ALLOW, endpoints=(endpoint("openai"), alias)))
    assert any("endpoint mine is enterprise and leads where openai leads, which is hosted" in one for one in found)
    above = replace(layer(ALLOW), name=LayerName.ORGANISATION)
    assert "endpoint openai is hidden by the one of the policy above it." in remarks(layer(ALLOW), above)


def test_workspaces_that_name_nothing_or_everything_are_remarked_on() -> None:
    all_of = WorkspaceRule("all", remotes=("*",), line=1)
    part = WorkspaceRule("part", remotes=("github.com/acme/*",), line=2)
    found = remarks(layer(ALLOW, workspaces=(all_of, part)))
    assert found[0] == "workspace all matches every repository."
    assert "workspace part never names work: all" in found[1]
    restricted = WorkspaceRule("r", remotes=("x/*",), sensitivity=Sensitivity.RESTRICTED, line=3)
    public = Rule("public", Effect.ALLOW, When(sensitivity=("public",)))
    assert remarks(layer(public, workspaces=(restricted,))) == ["no rule allows anything in workspace r."]
    marked = WorkspaceRule("m", markers=(".oss",), sensitivity=Sensitivity.PUBLIC)
    assert "public by a marker file" in remarks(layer(ALLOW, workspaces=(marked,)))[0]
    home = WorkspaceRule("h", paths=("~/*",))
    assert "the whole home" in remarks(layer(ALLOW, workspaces=(home,)))[0]


def _meets(when: When, work: Work) -> bool:
    rule = Rule("r", Effect.ALLOW, when)
    return decide([Layer(LayerName.USER, Effect.DENY, rules=(rule,))], work).effect is Effect.ALLOW


@settings(max_examples=300, deadline=None)
@given(whens, whens, works)
def test_what_is_said_to_be_covered_is_matched_by_the_wider_condition_too(wide: When, narrow: When, work: Work) -> None:
    if _covers(wide, narrow) and _meets(narrow, work):
        assert _meets(wide, work)


def test_globs_are_compared_as_they_match() -> None:
    assert _covers(When(models=("gpt*",)), When(models=("gpt-5*",)))
    assert not _covers(When(models=("gpt-?",)), When(models=("gpt-*",)))
    assert not _covers(When(models=("gpt-5",)), When(models=("gpt-5*",)))
    assert not _covers(When(models=("gpt-5",)), When())
    assert glob_matches(["gpt-?"], "gpt-5")
