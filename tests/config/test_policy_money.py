"""What a policy file may say of money, and what is told of mistakes."""

from decimal import Decimal
from pathlib import Path

import pytest

from localguard.config.policy_files import PolicyInvalid, load_policy
from localguard.policy.model import Layer, LayerName


def load(tmp_path: Path, text: str, name: LayerName = LayerName.USER) -> Layer:
    path = tmp_path / "policy.toml"
    path.write_text("version = 1\n" + text, "utf-8")
    return load_policy(path, name)


def test_prices_are_read_exactly(tmp_path: Path) -> None:
    text = '[[prices]]\nmodels = ["a"]\ninput = 0.1\noutput = 3\n[pricing]\nunknown_input = 0.3\n'
    layer = load(tmp_path, text)
    assert layer.prices[0].price().input.base == Decimal("0.1")
    assert layer.prices[0].price().source == "policy (line 2)"
    assert layer.pricing.unknown().input.base == Decimal("0.3")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('models = ["a"]', "give input and output"),
        ('models = ["a"]\ninput = 1', "give input and output"),
        ('models = ["a"]\nlike = "b"\noutput = 1', "not both"),
        ('models = ["a"]\ninput = -1\noutput = 1', "below 0"),
        ('models = ["a"]\ninput = nan\noutput = 1', "number"),
        ('models = ["a"]\ninput = inf\noutput = 1', "number"),
        ('models = ["a"]\ninput = "1"\noutput = 1', ""),
        ("models = []\ninput = 1\noutput = 1", ""),
        ('models = ["a"]\ninput = 1\noutputs = 1', "output"),
        ('models = ["a"]\nkinds = ["opnai"]\nlike = "b"', "openai"),
    ],
)
def test_a_price_that_is_none_is_told_with_its_line(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(PolicyInvalid) as told:
        load(tmp_path, f"[[prices]]\n{table}\n")
    assert words in str(told.value)
    assert told.value.line >= 2


def test_a_repository_prices_nothing_and_is_told_so(tmp_path: Path) -> None:
    text = '[[prices]]\nmodels = ["*"]\ninput = 0\noutput = 0\n[pricing]\nunknown_input = 0\n'
    layer = load(tmp_path, text, LayerName.REPOSITORY)
    assert layer.prices == ()
    assert layer.pricing.unknown().input.base > 0
    assert len([one for one in layer.not_applied if "cannot set pric" in one]) == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("limits = { retries = 50 }", "retries"),
        ("limits = { at_once = 0 }", "at_once"),
        ("limits = { wait = -1 }", "wait"),
        ("limits = { concurrent = 3 }", "concurrent"),
        ('fallback = "e"', "stand in for itself"),
    ],
)
def test_a_limit_that_is_none_is_told(tmp_path: Path, fields: str, words: str) -> None:
    with pytest.raises(PolicyInvalid, match=words):
        load(tmp_path, f'[[endpoints]]\nname = "e"\nkind = "openai"\n{fields}\n')


def test_limits_are_read(tmp_path: Path) -> None:
    text = '[[endpoints]]\nname = "e"\nkind = "openai"\nlimits = { read_timeout = 0.5, retries = 2, per_minute = 7 }\n'
    limits = next(one.limits for one in load(tmp_path, text).endpoints if one.name == "e")
    assert (limits.read_timeout, limits.retries, limits.per_minute, limits.at_once) == (0.5, 2, 7, None)
