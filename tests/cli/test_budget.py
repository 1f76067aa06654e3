"""`budget show` beside a guard and without one says the same."""

import json
from pathlib import Path

from tests.e2e.guard import Guard, policy
from tests.e2e.money import ask, outcome
from tests.e2e.test_budgets import WORKSPACES, budget
from tests.provider.server import Provider


def test_budget_show_has_a_bar_for_each_budget_with_and_without_a_guard(tmp_path: Path) -> None:
    with Provider() as provider:
        tables = (WORKSPACES, budget(limit_usd=0.04), budget(bucket="web", period="day"))
        with Guard(tmp_path / "home", policy(provider.port, *tables)) as guard:
            trusted = guard.run("budget", "trust-clock", "--yes", "--port", str(guard.port))
            outcome(guard, ask(guard, "compatible", "cent").exchange)
            beside = guard.run("budget", "show", "--port", str(guard.port))
            as_json = json.loads(guard.run("budget", "show", "--json", "--port", str(guard.port)))
            events = [(one.metadata or {})["event"] for one in guard.records("control")]
        alone = guard.run("budget", "show", "--port", str(guard.port))
    assert "[#######.......................] 25% of 0.04 USD: 0.01 spent, 0.00 reserved" in beside
    assert "Budgets go by the clock again" in trusted
    assert "budget-clock-trusted" in events
    assert "web: a day until" in beside
    assert alone == beside
    assert [one["name"] for one in as_json["budgets"]] == ["all models", "web"]
    assert as_json["budgets"][0]["spent_usd"] == "0.01"


def test_without_budgets_it_says_so(tmp_path: Path) -> None:
    guard = Guard(tmp_path / "home", "version = 1\n")
    assert "has no budgets" in guard.run("budget", "show", "--port", str(guard.port))
