"""What a report adds up: every figure follows from the records, in memory that names cannot grow."""

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.report import fold as folding
from localguard.report.figures import OTHERS, Figures, Scope, Verification
from localguard.report.fold import Fold
from localguard.report.summing import figures_of
from tests.report.made_log import Told, told

EVER = Scope("2026-01-01", "2027-01-01")
UNSEEN = Verification("nothing", True, "")


def folded(records: list[Told], scope: Scope = EVER) -> Figures:
    fold = Fold(scope, "day")
    for one in records:
        fold.add(one.kind, one.time, one.exchange, one.session, one.metadata, one.findings, one.local)
    return figures_of(fold, version="1", made="2026-11-01T00:00:00Z", outcomes={}, verification=UNSEEN)


MADE = list(told(400))
FIGURES = folded(MADE)


def of(kind: str) -> list[Told]:
    return [one for one in MADE if one.kind == kind]


def redacted(records: list[Told]) -> int:
    return sum(entry.get("count", 1) for one in records for entry in one.findings if entry["action"] == "redacted")


def test_totals_are_those_of_the_records() -> None:
    totals = FIGURES.totals
    assert totals.records == len(MADE)
    assert totals.exchanges == len(of("intent")) + len(of("refusal"))
    assert totals.refused == len(of("refusal"))
    assert totals.sessions == len({one.session for one in MADE})
    assert totals.replaced == redacted(of("intent"))
    assert totals.distinct == len({entry["fingerprint"] for one in of("intent") for entry in one.findings})
    assert totals.exposed == len({e["fingerprint"] for one in of("intent") for e in one.findings if e.get("exposed")})
    assert totals.withheld == sum(one.metadata["withheld"] for one in of("outcome"))


@pytest.mark.parametrize("way", ["by_type", "by_workspace", "by_agent", "by_class"])
def test_every_way_of_looking_adds_up_to_the_same(way: str) -> None:
    rows = getattr(FIGURES.redactions, way)
    assert sum(row.total for row in rows) == FIGURES.totals.replaced
    assert all(sum(row.counts) == row.total for row in rows)
    assert [row.total for row in rows] == sorted((row.total for row in rows), reverse=True)
    assert sum(FIGURES.redactions.exchanges) == FIGURES.totals.exchanges


def test_what_left_is_what_was_not_refused() -> None:
    assert sum(flow.exchanges for flow in FIGURES.flows) == len(of("intent"))
    assert sum(flow.bytes for flow in FIGURES.flows) == sum(one.metadata["upstream_bytes"] for one in of("intent"))
    assert sum(flow.replaced for flow in FIGURES.flows) == FIGURES.totals.replaced
    sources = Counter(one.local["repository"] for one in of("intent"))
    assert {flow.source for flow in FIGURES.flows} == set(sources)


def test_a_request_that_is_refused_after_its_intent_did_not_leave() -> None:
    intent = of("intent")[0]
    refused = intent._replace(kind="refusal", metadata={**intent.metadata, "code": "localguard_x", "origin": "guard"})
    figures = folded([intent, refused])
    assert (figures.totals.exchanges, figures.totals.refused, figures.flows) == (1, 1, ())


def test_an_exchange_without_outcome_counts_as_sent_and_is_told_of() -> None:
    figures = folded([of("intent")[0]])
    assert figures.totals.unended == 1
    assert sum(flow.exchanges for flow in figures.flows) == 1


@pytest.mark.parametrize("way", ["by_bucket", "by_model", "by_task"])
def test_money_adds_up_to_the_last_digit(way: str) -> None:
    spent = sum(Decimal(one.metadata["cost_usd"]) for one in of("outcome"))
    rows = getattr(FIGURES, way)
    assert sum(row.cost_usd for row in rows) == spent
    assert sum(row.tokens["output"] for row in rows) == 500 * len(of("outcome"))
    guessed = sum(Decimal(one.metadata["cost_usd"]) for one in of("outcome") if not one.metadata["price_known"])
    assert sum(row.guessed_usd for row in rows) == guessed


def test_only_the_records_of_the_workspace_that_was_asked_for_count() -> None:
    for asked in ("payments", "github.com/acme/payments-service"):
        figures = folded(MADE, Scope(EVER.start, EVER.end, workspace=asked))
        mine = [one for one in MADE if one.local.get("workspace") == "payments"]
        assert figures.totals.exchanges == len(mine)
        assert {row.name for row in figures.redactions.by_workspace} == {"payments"}
        costs = {one.exchange: Decimal(one.metadata["cost_usd"]) for one in of("outcome")}
        assert sum(row.cost_usd for row in figures.by_bucket) == sum(
            costs.get(one.exchange, Decimal(0)) for one in mine
        )
    assert folded(MADE, Scope(EVER.start, EVER.end, workspace="nowhere")).totals.records == 0


def test_personal_keys_and_those_of_nobody_known_are_named_and_no_others() -> None:
    kinds = Counter(one.metadata["identity"] for one in of("intent"))
    assert sum(key.exchanges for key in FIGURES.keys if key.identity == "personal") == kinds["personal"]
    assert sum(key.exchanges for key in FIGURES.keys if key.identity == "unknown") == kinds[None]
    assert {key.identity for key in FIGURES.keys} == {"personal", "unknown"}


def test_a_value_is_told_with_the_command_that_lets_it_through() -> None:
    worst, *rest = FIGURES.values
    assert worst.exposed
    assert "Rotate" in worst.advice[0].what or "gone out" in worst.advice[0].what
    frequent = next(value for value in rest if value.exchanges >= 5)
    held = next(one for one in of("intent") if one.exchange == frequent.exchange)
    marks = list(dict.fromkeys(entry["fingerprint"] for entry in held.findings))
    command = frequent.advice[-1].command
    assert f"localguard allow add --from-exchange {frequent.exchange}" in command
    if len(marks) > 1:
        assert marks[frequent.finding - 1] == frequent.fingerprint
        assert f"--finding {frequent.finding} " in command


def test_pruned_records_are_counted_and_nothing_is_made_up_of_them() -> None:
    fold = Fold(EVER, "day")
    fold.add("intent", "2026-03-02T07:00:00.000000Z", "x1", None, None, (), None)
    figures = figures_of(fold, version="1", made="", outcomes={}, verification=UNSEEN)
    assert (figures.totals.pruned, figures.totals.records, figures.totals.exchanges) == (1, 1, 0)


def renamed(one: Told, number: int) -> Told:
    name = f"\x1b[31m<b>{number}\u202e" + "x" * 10_000
    return one._replace(
        exchange=f"y{number}",
        metadata={**one.metadata, "model": name, "task": name, "agent": name, "cost_bucket": name, "endpoint": name},
        findings=[{**entry, "type": f"T{number}", "fingerprint": f"{number:032x}"} for entry in one.findings],
        local={**one.local, "repository": name, "workspace": name},
    )


def test_names_that_agents_make_up_cannot_grow_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_NAMES", 5)
    monkeypatch.setattr(folding, "_OPEN", 5)
    monkeypatch.setattr(folding, "_VALUES", 5)
    intent = next(one for one in of("intent") if one.findings)
    records = [renamed(intent, number) for number in range(60)]
    figures = folded(records)
    redactions = figures.redactions
    for rows in (redactions.by_type, redactions.by_workspace, redactions.by_agent):
        assert len(rows) == 6
        assert sum(row.total for row in rows) == figures.totals.replaced == redacted(records)
        assert rows[0].name == OTHERS
    assert len(figures.flows) == 6
    assert sum(flow.exchanges for flow in figures.flows) == 60
    assert len(figures.values) <= 11
    assert figures.totals.more_distinct
    for text in (redactions.by_agent[1].name, figures.flows[1].source):
        assert text.isprintable()
        assert len(text) <= 160


@given(st.lists(st.integers(0, 30), max_size=200), st.randoms())
def test_frequent_values_are_counted_exactly_however_many_rare_ones_there_are(
    rare: list[int], chance: random.Random
) -> None:
    intent: dict[str, Any] = {"obligations": {}}
    marks = [*rare, *[99] * 40]
    chance.shuffle(marks)
    fold = Fold(EVER, "day")
    for number, mark in enumerate(marks):
        found = [{"type": "T", "class": "secret", "rule": "r", "action": "redacted", "fingerprint": str(mark)}]
        fold.add("intent", "2026-03-02T07:00:00.000000Z", f"x{number}", None, intent, found, {})
    figures = figures_of(fold, version="1", made="", outcomes={}, verification=UNSEEN)
    assert (figures.values[0].fingerprint, figures.values[0].exchanges) == ("99", 40)
