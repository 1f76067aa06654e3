"""Every rule finds its own samples exactly, is silent on its counter-samples, and no other rule spoils them."""

import random
import tomllib

import pytest

from localguard.config.rule_files import packaged_rules
from localguard.detect.finding import DataClass
from localguard.detect.rules import Rule, parse_pack
from localguard.detect.samples import Sample, expand
from localguard.detect.scanner import Scanner
from localguard.detect.types import TYPE_PRECEDENCE

RULES = [
    rule
    for path in sorted(packaged_rules().glob("*.toml"))
    for rule in parse_pack(tomllib.loads(path.read_text(encoding="utf-8")), path.name)
]
SURROUNDINGS = (b"%s", b"x = 1\n%s\ny = 2\n", b"Tr\xc3\xa4ger \xe2\x9c\x93\n%s")


def samples(templates: tuple[str, ...]) -> list[Sample]:
    return [expand(template, random.Random(f"{template} {seed}")) for template in templates for seed in range(4)]


def names_its_issuer(rule: Rule) -> bool:
    """Whether the type of `rule` says whose credential it is, rather than where the value stands."""
    placed = TYPE_PRECEDENCE[TYPE_PRECEDENCE.index("DSN_PASSWORD") : TYPE_PRECEDENCE.index("SECRET") + 1]
    return rule.data_class is DataClass.SECRET and rule.type not in (*placed, "PRIVATE_KEY", "CUSTOM")


def only(rule: Rule) -> Scanner:
    return Scanner([rule])


def test_every_rule_says_what_it_finds_and_brings_samples() -> None:
    for rule in RULES:
        assert rule.description, rule.id
        assert rule.source, rule.id
        assert rule.date, rule.id
        assert rule.match, rule.id
        assert rule.type in TYPE_PRECEDENCE, rule.id


def test_ids_are_unique_over_all_files() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_finds_its_samples_at_their_exact_span(rule: Rule) -> None:
    scanner = only(rule)
    for sample in samples(rule.match):
        assert sample.span is not None, sample.text
        for surrounding in SURROUNDINGS:
            before = surrounding.partition(b"%s")[0]
            text = surrounding.replace(b"%s", sample.text)
            spans = [(f.start - len(before), f.end - len(before)) for f in scanner.scan(text)]
            assert spans == [sample.span], text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_silent_on_its_counter_samples(rule: Rule) -> None:
    scanner = only(rule)
    for sample in samples(rule.no_match):
        assert scanner.scan(sample.text) == [], sample.text


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.enabled], ids=lambda rule: rule.id)
def test_all_rules_together_still_cover_a_rules_samples(rule: Rule, scanner: Scanner) -> None:
    for sample in samples(rule.match):
        assert sample.span is not None
        start, end = sample.span
        found = scanner.scan(sample.text)
        assert any(f.start <= start and end <= f.end for f in found), (sample.text, found)


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.enabled and names_its_issuer(rule)], ids=lambda rule: rule.id
)
def test_no_other_rule_gives_another_type_to_the_samples_of_a_rule(rule: Rule, scanner: Scanner) -> None:
    for sample in samples(rule.match):
        assert sample.span is not None
        start, end = sample.span
        found = scanner.scan(sample.text)
        assert any(f.start <= start and end <= f.end and f.type == rule.type for f in found), (sample.text, found)


@pytest.mark.parametrize("rule", [rule for rule in RULES if names_its_issuer(rule)], ids=lambda rule: rule.id)
def test_a_rule_of_an_issuer_brings_several_samples_and_counter_samples(rule: Rule) -> None:
    assert len(rule.match) >= 2
    assert len(rule.no_match) >= 2
