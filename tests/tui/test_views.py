"""What the terminal UI says, without a screen: rows, filters, columns, sums, details, boards."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.tui.boards import budget_lines, explained_lines, policy_lines, question_lines, session_lines
from localguard.tui.columns import COLUMNS, GAP, fit
from localguard.tui.connection import Link, clean
from localguard.tui.detail import detail_lines
from localguard.tui.exchanges import Exchanges
from localguard.tui.figures import clock, duration, money, short, tokens
from localguard.tui.filters import filter_from
from localguard.tui.lines import bar, facts, plain, stretch, wrapped
from localguard.tui.rows import CLASSES, STATES, Row, row_from
from localguard.tui.status import banner, masthead, questions_after
from tests.tui.guard import BUDGETS, POLICY, QUESTION, MadeUpGuard, detail, exchanges

ROWS = [row_from(one) for one in exchanges(300)]
DOCUMENTS = list(exchanges(300))


def first(**wanted: object) -> dict[str, Any]:
    return next(one for one in DOCUMENTS if all(one.get(name) == value for name, value in wanted.items()))


def shown(rows: Exchanges) -> list[str]:
    return list(rows.shown)


# figures


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1234, "1.23k"), (99_949, "99.9k"), (456_789, "457k"), (1_200_000, "1.2M")],
)
def test_numbers_are_short(number: int, text: str) -> None:
    assert short(number) == text


@given(st.integers(0, 10**12))
def test_every_number_fits_its_column(number: int) -> None:
    assert len(short(number)) <= 5
    assert len(duration(min(number, 10**8))) <= 8


@pytest.mark.parametrize(
    ("usd", "text"),
    [("12.347", "12.35"), ("0.01234", "0.0123"), ("0.00001", "<.0001"), ("0", "0"), (None, ""), ("x", ""), ("NaN", "")],
)
def test_money(usd: object, text: str) -> None:
    assert money(usd) == text


def test_times_and_tokens() -> None:
    assert [duration(ms) for ms in (7, 1234, 125_000, None, True)] == ["7 ms", "1.2 s", "2m05s", "", ""]
    assert tokens({"input": 1000, "cache_read": 500, "output": 20}) == "1.5k>20"
    assert tokens(None) == ""
    assert clock("not a time") == ""


# rows


def test_states_and_classes_are_told_apart_without_colour() -> None:
    for words in (STATES, CLASSES):
        assert len({mark for mark, _ in words.values()}) == len(words)
        assert len({word for _, word in words.values()}) == len(words)


def test_an_experimental_exchange_says_so_in_its_row() -> None:
    row = row_from(first(endpoint_class="experimental"))
    assert row.experimental
    assert row.cell("endpoint") == "EXP trial"


def test_what_a_person_should_look_at_is_marked_beside_the_redactions() -> None:
    document = first(state="completed")
    marked = row_from({**document, "replaced": 2, "withheld": 1, "exposed": 1, "paused": True})
    assert marked.cell("redactions") == "2weP"
    assert row_from({**document, "replaced": 0, "withheld": 0}).cell("redactions") == ""


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_whatever_stands_in_a_document_a_row_comes_of_it(value: Any) -> None:
    names = [*DOCUMENTS[0], "usage", "total_ms", "served"]
    row = row_from(clean(dict.fromkeys(names, value)))
    assert all(row.cell(column.name).isprintable() for column in COLUMNS)


# filters


@pytest.mark.parametrize(
    ("typed", "passes"),
    [
        ("", lambda row: True),
        ("refused", lambda row: "refused" in row.haystack),
        ("state:refused", lambda row: row.state == "refused"),
        ("state:done", lambda row: row.state == "completed"),
        ("agent:codex -state:refused", lambda row: row.agent == "codex" and row.state != "refused"),
        ("CLASS:Experimental", lambda row: row.endpoint_class == "experimental"),
        ("redactions>2", lambda row: row.redactions > 2),
        ("cost>0.1 ms<5000", lambda row: row.spent > Decimal("0.1") and row.total_ms < 5000),
        ("type:iban", lambda row: "IBAN" in row.types),
        ("nosuchfield:codex", lambda row: False),
        ("-", lambda row: True),
    ],
)
def test_a_filter_shows_what_was_asked_for(typed: str, passes: Any) -> None:
    chosen = filter_from(typed)
    assert [row for row in ROWS if chosen(row)] == [row for row in ROWS if passes(row)]


@given(st.text(max_size=600))
def test_no_filter_is_wrong(typed: str) -> None:
    filter_from(typed)(ROWS[0])


# columns


@given(st.integers(1, 400))
def test_columns_fit_into_every_width(width: int) -> None:
    columns = fit(width)
    used = sum(size for _, size in columns) + GAP * (len(columns) - 1)
    assert used <= width or all(column.rank == 0 for column, _ in columns)
    assert {"time", "state", "model"} <= {column.name for column, _ in columns}


def test_at_80_columns_what_matters_most_is_there() -> None:
    assert {column.name for column, _ in fit(79)} >= {
        "time",
        "state",
        "agent",
        "endpoint",
        "model",
        "redactions",
        "cost",
        "latency",
    }


# exchanges


def test_exchanges_stand_in_the_order_in_which_they_began() -> None:
    rows = Exchanges()
    rows.put(reversed(ROWS))
    assert shown(rows) == sorted(row.id for row in ROWS)


def test_only_the_newest_are_held() -> None:
    rows = Exchanges(most=100)
    gone = sum(rows.put([row]) for row in map(row_from, exchanges(5_000)))
    assert len(rows) <= 600
    assert len(rows.shown) == len(rows)
    assert gone + len(rows) == 5_000


def test_a_filter_holds_for_what_comes_and_for_what_changes() -> None:
    rows = Exchanges()
    rows.show(filter_from("state:running"))
    running = row_from({**first(state="completed"), "state": "running"})
    rows.put([running, row_from(first(state="refused"))])
    assert shown(rows) == [running.id]
    rows.put([row_from(first(state="completed"))])
    assert shown(rows) == []
    rows.show(filter_from(""))
    assert len(rows.shown) == 2


def test_following_stays_with_the_newest_and_a_moved_cursor_stays_where_it_is() -> None:
    rows = Exchanges()
    rows.put(ROWS[:10])
    assert rows.cursor == 9
    rows.choose(3)
    rows.put(ROWS[10:20])
    assert rows.cursor == 3
    rows.choose(99)
    rows.put(ROWS[20:30])
    assert rows.cursor == 29
    rows.follow(False)
    rows.put(ROWS[30:40])
    assert rows.cursor == 29


def test_a_chosen_row_that_is_filtered_away_leaves_the_cursor_near() -> None:
    rows = Exchanges()
    rows.put(ROWS)
    rows.choose(10)
    rows.show(filter_from("state:refused"))
    assert rows.chosen is not None
    assert rows.chosen.state == "refused"
    rows.show(filter_from("no such thing"))
    assert rows.chosen is None
    assert rows.cursor == -1
    rows.choose(4)


def test_sums_are_of_what_is_shown() -> None:
    rows = Exchanges()
    rows.put(ROWS)
    rows.show(filter_from("state:refused"))
    states, redactions, cost = rows.totals()
    assert set(states) == {"refused"}
    assert (redactions, cost) == (0, Decimal(0))


# details and boards


def test_a_detail_says_decision_findings_coverage_time_and_usage() -> None:
    document = next(
        one for one in DOCUMENTS if one["state"] == "completed" and len(one["types"]) == 2 and one["restored"]
    )
    text = plain(detail_lines(detail(document)))
    for word in (
        "policy.toml:41",
        "LG_",
        "messages[3].content",
        "184 texts",
        "opaque",
        "▏",
        "USD",
        "restored",
    ):
        assert word in text


def test_a_refusal_says_its_reason_and_what_to_do() -> None:
    text = plain(detail_lines(detail(first(state="refused"))))
    assert "may not leave the approved boundary" in text
    assert "→ Use the endpoint work" in text


def test_an_experimental_detail_is_marked_in_words() -> None:
    assert "EXPERIMENTAL ENDPOINT" in plain(detail_lines(detail(first(endpoint_class="experimental"))))


def test_budgets_have_bars_and_words() -> None:
    text = plain(budget_lines(BUDGETS, 80))
    assert "USED UP, refuses" in text
    assert "nearly used up" in text
    assert "█" in text
    assert "no budgets" in plain(budget_lines({"budgets": []}, 80))


@given(st.floats(0, 3), st.integers(1, 60))
def test_bars_are_as_wide_as_they_should_be(share: float, width: int) -> None:
    assert len(bar(share, width)) == width
    assert ("█" in bar(share, width)) == (share > 0)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(4, 60))
def test_a_stretch_of_time_is_never_nothing(begins: int, more: int, rest: int, width: int) -> None:
    line = stretch(begins, begins + more, begins + more + rest, width)
    assert len(line) == width
    assert "█" in line


def test_policy_and_its_answers_name_the_place() -> None:
    assert "line 41" in plain(policy_lines(clean(POLICY)))
    assert 'id = "incident-stays-inside"' in plain(policy_lines(clean(POLICY)))
    said = MadeUpGuard().call("POST", "/policy/explain", task="incident")
    text = plain(explained_lines(said))
    assert text.startswith("DENY")
    assert "policy.toml:41" in text


def test_a_session_and_a_question_are_told() -> None:
    assert "EMAIL 12" in plain(session_lines(MadeUpGuard().call("GET", "/sessions/session-1")))
    assert "gpt-5-pro" in plain(question_lines(QUESTION))


# the top of the screen


def test_the_top_says_in_words_how_the_guard_is() -> None:
    def said(link: Link, **status: object) -> str:
        return plain([masthead(link, status, ({}, 0, Decimal(0)), held=5, shown=3, rate=2.0, waiting=None)])

    assert "guarding" in said(Link("up"))
    assert "3 of 5 exchanges" in said(Link("up"))
    assert "NOT REACHABLE" in said(Link("down", "nothing listens on port 4141"))
    assert "NOT OUR GUARD" in said(Link("not ours"))
    assert "REDACTION PAUSED" in said(Link("up"), paused=True)
    assert "local only" in said(Link("up"), mode="local")


def test_a_guard_that_is_away_is_said_with_what_to_do_and_when_it_is_tried_again() -> None:
    text = plain([banner(Link("down", "nothing listens on port 4141", 12.0), [QUESTION], None, 9.0)])
    assert "nothing listens on port 4141" in text
    assert "localguard serve" in text
    assert "in 3 s" in text


def test_questions_come_and_go() -> None:
    asked = questions_after([], "question", QUESTION)
    assert "press a" in plain([banner(Link("up"), asked, None, 0.0)])
    assert questions_after(asked, "question", QUESTION) == asked
    assert questions_after(asked, "answer", {"id": QUESTION["id"]}) == []
    assert questions_after(asked, "question-over", {"id": "another"}) == asked
    assert plain([banner(Link("up"), [], None, 0.0)]) == ""
    assert "not in force" in plain([banner(Link("up"), [], "line 3", 0.0)])


HOSTILE = [
    "\x1b[2J\x1b]0;x\x07",
    "a\u202eb",
    "[red]x[/red]",
    "x" * 10_000,
    "a" + "\u0301" * 200,
    "line\nline",
    "[@click=app.quit]x[/]",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_gets_through_the_door(text: str) -> None:
    def poisoned(value: object) -> object:
        if isinstance(value, dict):
            return {name: poisoned(one) for name, one in value.items()}
        if isinstance(value, list):
            return [poisoned(one) for one in value]
        return text if isinstance(value, str) else value

    document = detail(first(state="completed"))
    for said, lines in (
        ({**poisoned(document), "exchange": poisoned(document["exchange"])}, detail_lines),  # type: ignore[dict-item]
        (poisoned(POLICY), policy_lines),
        (poisoned(QUESTION), question_lines),
        (poisoned(MadeUpGuard().call("GET", "/sessions/x")), session_lines),
    ):
        made = clean(json.loads(json.dumps(said)))
        for line in lines(made):
            assert all(part.isprintable() for _, part in line)
            assert sum(len(part) for _, part in line) < 6_100


def test_rows_are_small() -> None:
    assert not hasattr(ROWS[0], "__dict__")
    assert isinstance(ROWS[0], Row)


def test_a_long_fact_goes_on_below_itself() -> None:
    (line,) = facts(("reason", "word " * 30))
    parts = wrapped(line, 50)
    assert len(parts) > 3
    assert all(sum(len(text) for _, text in part) <= 50 for part in parts)
    assert {len(part[0][1]) for part in parts} == {len(line[0][1])}
    assert wrapped(line, 500) == [line]
