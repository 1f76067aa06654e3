"""The tables and fields beyond the example of the contract: models, obligations, times, markers, budgets, organisation."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from localguard.config.policy_files import PolicyInvalid
from localguard.config.policy_parser import parse_policy
from localguard.policy.model import (
    KnownModel,
    Layer,
    LayerName,
    ModelGroup,
    Recording,
    Restore,
    Restoring,
    Route,
)

WHOLE = """\
version = 1

[[models]]
name = "gpt-5"
aliases = ["prod-gpt5", "gpt-5-20*"]

[[model_groups]]
name = "expensive"
models = ["gpt-5", "*opus*"]

[[workspaces]]
name = "infra"
match = { markers = ["terraform/prod.tf"] }
sensitivity = "restricted"

[[rules]]
id = "expensive-in-working-hours"
effect = "allow"
when = { models = ["group:expensive", "*mini*"], times = ["mon-fri 08:00-18:00 Europe/Berlin"] }
restore = { secret = "keep" }
record = "metadata"
max_input_tokens = 200_000
require_task = true
route = { endpoint = "work", models = { "gpt-5*" = "prod-gpt5" } }

[[budgets]]
workspace = "infra"
identity = "team"
models = ["group:expensive"]
limit_usd = 20
period = "week"
on_exceed = "ask"
timezone = "America/New_York"
warn_at = [0.9, 0.5]

[[tests]]
given = { workspace = "infra", endpoint = "openai", time = 2026-11-27T10:00:00Z, input_tokens = 5 }
expect = { effect = "allow", route = "work", redact = { secret = "redact" } }
"""


def parse(text: str, name: LayerName = LayerName.USER) -> Layer:
    return parse_policy(text.encode(), "policy.toml", name)


def problems(text: str, name: LayerName = LayerName.USER) -> list[tuple[int, str, str]]:
    with pytest.raises(PolicyInvalid) as caught:
        parse(text, name)
    return [(problem.line, problem.field, problem.message) for problem in caught.value.problems]


def test_models_obligations_times_markers_and_budgets_are_understood() -> None:
    layer = parse(WHOLE)
    assert layer.models == (KnownModel("gpt-5", ("prod-gpt5", "gpt-5-20*"), "policy.toml", 3),)
    assert layer.groups == (ModelGroup("expensive", ("gpt-5", "*opus*"), "policy.toml", 7),)
    assert layer.workspaces[0].markers == ("terraform/prod.tf",)
    rule = layer.rules[0]
    assert rule.when.models == ("gpt-5", "*opus*", "*mini*")
    assert rule.when.times is not None
    assert rule.when.times[0].contains(datetime(2026, 11, 27, 7, 0, tzinfo=UTC))
    assert (rule.restore, rule.record) == (Restore(secret=Restoring.KEEP), Recording.METADATA)
    assert (rule.max_input_tokens, rule.require_task) == (200_000, True)
    assert rule.route == Route("work", (("gpt-5*", "prod-gpt5"),))
    budget = layer.budgets[0]
    assert (budget.bucket, budget.workspace, budget.identity) == (None, "infra", "team")
    assert budget.models == ("gpt-5", "*opus*")
    assert (str(budget.zone), budget.warn_at) == ("America/New_York", (Decimal("0.5"), Decimal("0.9")))
    assert layer.tests[0].given["time"] == datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
    assert (layer.tests[0].given["input_tokens"], layer.tests[0].route) == (5, "work")


RULE = '[[rules]]\nid = "a"\neffect = "allow"\n'
BUDGET = '[[budgets]]\nlimit_usd = 1\nperiod = "day"\non_exceed = "warn"\n'


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        (f'{RULE}when = {{ times = ["8 to 5"] }}\n', 5, "rules[1].when.times[1]", "must be written like"),
        (f'{RULE}when = {{ times = ["08:00-17:00 Mars/Base"] }}\n', 5, "rules[1].when.times[1]", "no time zone"),
        (f'{RULE}when = {{ time = ["08:00-17:00 UTC"] }}\n', 5, "rules[1].when.time", 'Did you mean "times"?'),
        (f'{RULE}when = {{ models = ["group:x"] }}\n', 5, "rules[1].when.models[1]", "defines none"),
        (
            f'{RULE}when = {{ models = ["group:big"] }}\n[[model_groups]]\nname = "bigger"\nmodels = ["*"]\n',
            5,
            "rules[1].when.models[1]",
            'Did you mean "bigger"?',
        ),
        ('[[model_groups]]\nname = "a"\nmodels = ["group:a"]\n', 4, "model_groups[1].models[1]", "not other groups"),
        (
            '[[models]]\nname = "a"\naliases = ["x"]\n[[models]]\nname = "b"\naliases = ["X"]\n',
            7,
            "models[2].aliases[1]",
            "an alias already, in line 4",
        ),
        (
            '[[models]]\nname = "a"\naliases = ["x"]\n[[models]]\nname = "A"\naliases = ["y"]\n',
            6,
            "models[2].name",
            "stands already in line 3",
        ),
        (f'{RULE}record = "nothing"\n', 5, "rules[1].record", "Valid are: metadata, findings."),
        (f'{RULE}restore = {{ secret = "never" }}\n', 5, "rules[1].restore.secret", "restore, keep"),
        (f"{RULE}max_input_tokens = 0\n", 5, "rules[1].max_input_tokens", "must not be below 1"),
        (f"{RULE}max_input_tokens = true\n", 5, "rules[1].max_input_tokens", "a whole number"),
        (f'{RULE}require_task = "yes"\n', 5, "rules[1].require_task", "true or false"),
        (f'{RULE}route = "azure"\n', 5, "rules[1].route", "must be a table"),
        (f'{RULE}route = {{ endpoint = "Azure" }}\n', 5, "rules[1].route.endpoint", "lower case letters"),
        (BUDGET, 2, "budgets[1]", "say what it counts"),
        (f'{BUDGET}bucket = "b"\ntimezone = "Berlin"\n', 7, "budgets[1].timezone", "no time zone"),
        (f'{BUDGET}bucket = "b"\nwarn_at = [1.0]\n', 7, "budgets[1].warn_at[1]", "must be below 1"),
        (f'{BUDGET}bucket = "b"\n{BUDGET}bucket = "b"\n', 7, "budgets[2]", "already, in line 2"),
        (
            '[[workspaces]]\nname = "x"\nmatch = { markers = ["../secret"] }\n',
            4,
            "workspaces[1].match.markers[1]",
            "without ..",
        ),
        (
            '[[tests]]\ngiven = { time = 2026-11-27T10:00:00 }\nexpect = { effect = "deny" }\n',
            3,
            "tests[1].given.time",
            "needs a time zone",
        ),
        (
            '[organisation]\nname = "acme"\nrevision = 1\nexpires = 2027-01-01T00:00:00Z\n',
            2,
            "organisation",
            "signed policy",
        ),
    ],
)
def test_a_mistake_in_them_is_told_with_its_line(text: str, line: int, field: str, words: str) -> None:
    found = problems("version = 1\n" + text)
    assert (found[0][0], found[0][1]) == (line, field)
    assert words in found[0][2]


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("", "", "revision and expires is missing"),
        ('[organisation]\nname = "acme"\nexpires = 2027-01-01T00:00:00Z\n', "organisation", "revision is missing"),
        (
            '[organisation]\nname = "acme"\nrevision = 1\nexpires = 2027-01-01\n',
            "organisation.expires",
            "date and time",
        ),
        (
            '[organisation]\nname = "acme"\nrevision = 1\nexpires = 2027-01-01T00:00:00\n',
            "organisation.expires",
            "time zone",
        ),
        (
            'extends = "builtin:solo"\n[organisation]\nname = "a"\nrevision = 1\nexpires = 2027-01-01T00:00:00Z\n',
            "extends",
            "stands by itself",
        ),
    ],
)
def test_an_organisation_s_policy_says_whose_it_is_and_until_when(text: str, field: str, words: str) -> None:
    found = problems("version = 1\n" + text, LayerName.ORGANISATION)
    assert found[0][1] == field
    assert words in found[0][2]


def test_a_repository_cannot_route_or_lower_what_is_kept_and_recorded(tmp_path: Path) -> None:
    text = (
        f'version = 1\n{RULE}route = {{ endpoint = "elsewhere" }}\nrecord = "metadata"\n'
        'restore = { secret = "restore", pii = "keep" }\n'
    )
    [sentence] = parse(text, LayerName.REPOSITORY).not_applied
    assert "policy.toml:2" in sentence
    assert "restore.secret, record, route of a" in sentence
