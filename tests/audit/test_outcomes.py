"""What became of sessions: folded from records in any order, with numbers that add up and honest shares."""

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.audit.outcomes import RESULTS, Verdict, chart, compare, percentile, verdict_event, wilson, works_of
from localguard.audit.queries import Record
from localguard.cli.compare import HEADER, WIDTH, bar_text, cells


def record(seq: int, kind: str, session: str, exchange: str | None, metadata: Any, local: Any = None) -> Record:
    time = f"2026-01-31T{8 + seq // 3600:02}:{seq // 60 % 60:02}:{seq % 60:02}.000000Z"
    return Record(seq, kind, time, exchange, session, dict(metadata), [], dict(local or {}), b"")


def exchange(seq: int, session: str, *, state: str = "completed", **told: Any) -> list[Record]:
    """An exchange of two records; `told` is what is different from the usual."""
    usual = {"endpoint": "openai", "model": "large", "task": "docs", "cost_usd": "0.10", "ms": 1000, "calls": 2} | told
    names = ("endpoint", "model", "task", "tool_results", "tests", "repeats")
    intent = {name: usual[name] for name in names if usual.get(name)}
    outcome = {
        "state": state,
        "usage": {"input": 100, "output": 10},
        "cost_usd": usual["cost_usd"],
        "total_ms": usual["ms"],
        "tool_calls": {"shell": usual["calls"]},
    }
    commands = {"commands": [{"tool": "shell", "command": "true"}]}
    local = {"commit": usual.get("commit"), "root": "/src/x"}
    return [
        record(seq, "intent", session, f"x{seq}", intent, local),
        record(seq + 1, "outcome", session, f"x{seq}", outcome, commands),
    ]


def verdict(
    seq: int, session: str, result: str, minutes: int | None = None, workflow: str = "bump", **facts: int
) -> Record:
    return record(
        seq, "control", session, None, verdict_event(workflow, result, minutes, facts), {"by": "dev", "note": "n"}
    )


def test_a_session_adds_up_to_what_its_records_say() -> None:
    records = [
        *exchange(1, "s", commit="a" * 40, tool_results={"returned": 3, "failed": 1}),
        *exchange(3, "s", state="cut", commit="b" * 40),
        record(5, "refusal", "s", "x5", {"endpoint": "openai", "model": "large"}),
        *exchange(6, "s", model="small", ms=3000),
        *exchange(8, "s", repeats="x6"),
        verdict(10, "s", "rejected"),
        verdict(11, "s", "accepted", 12, commits_kept=2),
    ]
    (work,) = works_of(records)
    assert (work.exchanges, work.refused, work.failed) == (5, 1, 1)
    assert work.retries == 3  # after the cut one, after the refused one, and the one that was sent before
    assert (work.workflow, work.model, work.endpoint) == ("bump", "large", "openai")
    assert (work.tool_calls, work.tool_failures, work.commands) == (8, 1, 4)
    assert work.tokens == {"input": 400, "output": 40}
    assert (work.cost_usd, work.total_ms) == (Decimal("0.40"), [1000, 1000, 1000, 3000])
    assert (work.began, work.ended) == (records[0].time, records[-1].time)
    assert list(work.commits) == ["a" * 40, "b" * 40]
    assert work.verdict == Verdict(records[-1].time, "accepted", "bump", 12, "dev", "n", {"commits_kept": 2})


def test_a_later_verdict_replaces_an_earlier_one_and_verdicts_alone_are_no_work() -> None:
    records = [
        *exchange(1, "s"),
        verdict(3, "s", "accepted"),
        verdict(4, "s", "rejected"),
        verdict(5, "gone", "accepted"),
    ]
    (line,) = compare(works_of(records), "workflow")
    assert line.results == {"accepted": 0, "reworked": 0, "rejected": 1}


def test_an_unrated_session_counts_under_its_task_and_leaves_shares_alone() -> None:
    lines = compare(works_of([*exchange(1, "s"), *exchange(3, "t"), verdict(5, "t", "accepted")]), "workflow")
    assert [(line.name, line.sessions, line.rated, line.accepted_share) for line in lines] == [
        ("bump", 1, 1, 1.0),
        ("docs", 1, 0, None),
    ]


LOGS = st.lists(
    st.tuples(
        st.sampled_from(["s1", "s2", "s3"]),
        st.sampled_from(["completed", "failed", "cut"]),
        st.sampled_from(["large", "small"]),
        st.sampled_from([None, *RESULTS]),
        st.integers(0, 10_000),
    ),
    max_size=20,
)


def generated(told: list[tuple[str, str, str, str | None, int]]) -> list[Record]:
    records: list[Record] = []
    for number, (session, state, model, result, ms) in enumerate(told):
        records += exchange(4 * number + 1, session, state=state, model=model, ms=ms)
        if result is not None:
            records.append(verdict(4 * number + 3, session, result, number))
    return records


@given(LOGS, st.randoms())
def test_the_order_of_records_does_not_matter(told: Any, chance: random.Random) -> None:
    records = generated(told)
    shuffled = list(records)
    chance.shuffle(shuffled)
    assert works_of(shuffled) == works_of(records)


@given(LOGS, st.sampled_from(["workflow", "model", "endpoint"]))
def test_the_lines_of_a_comparison_add_up_to_the_log(told: Any, axis: str) -> None:
    records = generated(told)
    lines = compare(works_of(records), axis)
    assert sum(line.sessions for line in lines) == len({one.session for one in records})
    assert sum(line.exchanges for line in lines) == len(told)
    assert sum((line.cost_usd for line in lines), Decimal(0)) == Decimal("0.10") * len(told)
    assert sum(line.tokens.get("input", 0) for line in lines) == 100 * len(told)
    for line in lines:
        assert sum(line.results.values()) == line.rated <= line.sessions
        if line.accepted_share is not None:
            assert line.low is not None
            assert line.high is not None
            assert 0 <= line.low <= line.accepted_share <= line.high <= 1
        if line.cost_per_accepted is not None:
            assert line.cost_per_accepted * line.results["accepted"] <= line.cost_usd + Decimal("1e-9")


def test_the_interval_is_that_of_wilson() -> None:
    """E. B. Wilson's score interval; 15 of 17 and 0 of 10 as R's `prop.test(correct = FALSE)` gives them."""
    assert wilson(15, 17) == pytest.approx((0.6566, 0.9671), abs=5e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-4)
    for wrong in ((1, 0), (3, 2), (-1, 4)):
        with pytest.raises(ValueError, match="trials"):
            wilson(*wrong)


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([], 95) is None
    assert percentile([7], 50) == 7
    assert (percentile(list(range(1, 101)), 50), percentile(list(range(1, 101)), 95)) == (50, 95)


def behave(chance: random.Random, number: int, endpoint: Mapping[str, Any]) -> list[Record]:
    """One session as it goes on this endpoint."""
    session, seq, records = f"{endpoint['endpoint']}-{number}", 1, []
    for _ in range(chance.randint(3, 8)):
        failed = chance.random() < endpoint["fails"]
        ms = round(chance.lognormvariate(0, 0.5) * endpoint["typical_ms"])
        results = {"returned": 2, "failed": int(chance.random() < endpoint["bad_calls"])}
        told = {"endpoint": endpoint["endpoint"], "model": endpoint["model"], "cost_usd": endpoint["cost_usd"]}
        records += exchange(
            seq, session, state="failed" if failed else "completed", ms=ms, tool_results=results, **told
        )
        seq += 2
    result = "accepted" if chance.random() < endpoint["accepted"] else chance.choice(["reworked", "rejected"])
    return [*records, verdict(seq, session, result, chance.randint(*endpoint["review"]), workflow="dependency-bump")]


HOSTED = {
    "endpoint": "hosted", "model": "large", "cost_usd": "0.25", "typical_ms": 9000,
    "fails": 0.02, "bad_calls": 0.05, "accepted": 0.9, "review": (4, 10),
}  # fmt: skip
LOCAL = {
    "endpoint": "local", "model": "small", "cost_usd": "0.00", "typical_ms": 2500,
    "fails": 0.15, "bad_calls": 0.4, "accepted": 0.45, "review": (10, 30),
}  # fmt: skip


def test_two_endpoints_that_behave_differently_look_different() -> None:
    chance = random.Random(5)
    records = [one for number in range(60) for endpoint in (HOSTED, LOCAL) for one in behave(chance, number, endpoint)]
    lines = compare(works_of(records), "endpoint")
    widths = [max(len(row[i]) for row in [("endpoint", *HEADER), *map(cells, lines)]) for i in range(len(HEADER) + 1)]
    for row in [("endpoint", *HEADER), *map(cells, lines)]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    hosted, local = lines
    assert (hosted.name, local.name, hosted.sessions, local.sessions, local.rated) == ("hosted", "local", 60, 60, 60)
    assert hosted.low is not None
    assert local.high is not None
    assert hosted.low > local.high
    assert hosted.cost_per_accepted is not None
    assert hosted.cost_per_accepted > Decimal("0.25") * 3
    assert local.cost_per_accepted == 0
    assert local.review_minutes > 2 * hosted.review_minutes
    assert local.tool_failures / local.tool_calls > 3 * hosted.tool_failures / hosted.tool_calls
    assert local.retries > hosted.retries
    assert (local.p50_ms or 0) < (hosted.p50_ms or 0) < (hosted.p95_ms or 0)


def test_another_axis_or_result_is_none() -> None:
    with pytest.raises(ValueError, match="workflow, model, endpoint"):
        compare([], "taste")
    with pytest.raises(ValueError, match="accepted, reworked, rejected"):
        verdict_event("bump", "fine", None, {})


def test_the_chart_shows_the_rated_lines_the_best_first_and_where_the_share_may_lie() -> None:
    chance = random.Random(5)
    records = [one for number in range(60) for endpoint in (HOSTED, LOCAL) for one in behave(chance, number, endpoint)]
    records += exchange(1, "unrated", endpoint="trial", model="m")
    hosted, local = chart(compare(works_of(records), "endpoint"))
    assert (hosted.name, local.name, hosted.rated) == ("hosted", "local", 60)
    for bar in (hosted, local):
        drawn = bar_text(bar)
        assert len(drawn) == WIDTH
        assert drawn == "".join(sorted(drawn, key="█▓░ ".index))
        assert drawn.count("█") == round(WIDTH * bar.low)
        assert len(drawn.rstrip()) == round(WIDTH * bar.high)


def test_tests_that_agents_ran_are_added_up_and_told_once() -> None:
    records = [
        *exchange(1, "a", tests={"passed": 1, "failed": 1}),
        *exchange(3, "a", tests={"passed": 2}, repeats="x1"),
        *exchange(5, "b", tests={"unknown": 3}),
    ]
    (line,) = compare(works_of(records), "model")
    assert line.tests == {"failed": 1, "passed": 1, "unknown": 3}
    assert dict(zip(("", *HEADER), cells(line), strict=True))["tests"] == "1/2"
