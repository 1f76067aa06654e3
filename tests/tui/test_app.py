"""The terminal UI by its keys and its mouse, in front of a guard that is made up."""

import random
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from localguard.proxy.control_client import GuardAnswered, GuardNotOurs
from localguard.tui import dialogs
from localguard.tui.app import GuardApp
from localguard.tui.dialogs import ExplainDialog, QuestionDialog
from localguard.tui.panes import Lines
from localguard.tui.table import ExchangeTable
from localguard.tui.views import Table
from tests.tui.conftest import Opened, screen_text, until
from tests.tui.guard import BEGAN, QUESTION, MadeUpGuard, exchange, exchanges


def app_of(pilot: Pilot[Any]) -> GuardApp:
    assert isinstance(pilot.app, GuardApp)
    return pilot.app


def _stands(app: GuardApp, text: str) -> bool:
    return text in screen_text(app)


def detail_of(pilot: Pilot[Any]) -> str:
    return pilot.app.query_one("#detail", Lines).said


async def test_the_first_exchanges_are_on_the_screen_at_once(opened: Opened, guard: MadeUpGuard) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        text = screen_text(app)
        assert "guarding" in text
        assert "60 exchanges" in text
        assert "» running" in text
        assert app.first_paint is not None
        await until(pilot, lambda: guard.rows[-1]["exchange"] in detail_of(pilot))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (50, 10), (120, 30), (300, 90)])
async def test_it_works_at_every_size(opened: Opened, width: int, height: int) -> None:
    async with opened(width, height) as pilot:
        await pilot.pause(0.05)
        lines = screen_text(app_of(pilot)).splitlines()
        assert len(lines) == height
        assert "localguard" in lines[0]
        assert "done" in "\n".join(lines)


async def test_a_tiny_terminal_is_told_so_and_works_again_when_it_grows(opened: Opened) -> None:
    async with opened(30, 6) as pilot:
        assert "too small" in screen_text(app_of(pilot))
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.1)
        assert "done" in screen_text(app_of(pilot))


async def test_older_exchanges_come_behind_the_first_screen(opened: Opened, guard: MadeUpGuard) -> None:
    guard.rows = list(exchanges(300))
    async with opened() as pilot:
        app = app_of(pilot)
        await until(pilot, lambda: len(app.exchanges) == 300)
        assert list(app.exchanges.shown) == [row["exchange"] for row in guard.rows]
        assert app.exchanges.follows


async def test_what_comes_is_shown_and_followed(opened: Opened, guard: MadeUpGuard) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        new = exchange(random.Random(1), BEGAN + timedelta(hours=1), running=True)
        guard.publish("exchange", new)
        await until(pilot, lambda: len(app.exchanges) == 61)
        assert app.exchanges.chosen is not None
        assert app.exchanges.chosen.id == new["exchange"]
        guard.publish("exchange", {**new, "state": "refused", "error": "localguard_policy"})
        await until(pilot, lambda: app.exchanges.chosen and app.exchanges.chosen.state == "refused")
        assert len(app.exchanges) == 61


async def test_the_table_filters_as_one_types(opened: Opened) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        await pilot.press("slash", *"refu")
        shown = len(app.exchanges.shown)
        assert 0 < shown < 60
        await pilot.pause(0.6)
        assert f"{shown} of 60 exchanges" in screen_text(app)
        await pilot.press("enter", "up")
        assert app.exchanges.chosen is not None
        assert app.exchanges.chosen.state == "refused"
        await pilot.press("slash", "q", "q")
        await pilot.pause(0.1)
        assert "No exchange passes the filter" in screen_text(app)
        await pilot.press("enter", "escape")
        assert len(app.exchanges.shown) == 60


async def test_what_is_typed_in_one_go_behind_the_slash_is_for_the_filter(opened: Opened) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        for key in ("/", *"state:refused/"):
            name = {"/": "slash", ":": "colon"}.get(key, key)
            app.post_message(events.Key(name, key))
        await until(pilot, lambda: app.exchanges.filter.text == "state:refused/")
        assert not isinstance(app.screen, ExplainDialog)


async def test_a_filter_can_be_given_from_the_beginning(opened: Opened) -> None:
    async with opened(typed="agent:codex") as pilot:
        await until(pilot, lambda: app_of(pilot).exchanges.filter.text == "agent:codex")
        assert 0 < len(app_of(pilot).exchanges.shown) < 60


async def test_keys_move_the_cursor_and_leave_the_newest(opened: Opened, guard: MadeUpGuard) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        await pilot.press("up", "k", "pageup")
        cursor = app.exchanges.cursor
        assert cursor < 40
        guard.publish("exchange", exchange(random.Random(2), BEGAN + timedelta(hours=1)))
        await until(pilot, lambda: len(app.exchanges) == 61)
        assert app.exchanges.cursor == cursor
        await pilot.press("home")
        assert app.exchanges.cursor == 0
        await pilot.press("f")
        assert app.exchanges.cursor == 60
        await pilot.press("home", "G")
        assert app.exchanges.follows


async def test_the_mouse_chooses_and_scrolls(opened: Opened) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        await pilot.click("#table", offset=(10, 3))
        await pilot.pause(0.05)
        chosen = app.exchanges.chosen
        assert chosen is not None
        assert not app.exchanges.follows
        await until(pilot, lambda: chosen.id in detail_of(pilot))
        await pilot.click("#tab-budgets")
        assert app.view == "budgets"


async def test_a_paused_table_stands_still_and_catches_up(opened: Opened, guard: MadeUpGuard) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        await pilot.press("p")
        for number in range(3):
            guard.publish("exchange", exchange(random.Random(number), BEGAN + timedelta(hours=1 + number)))
        await until(pilot, lambda: "PAUSED (3 wait)" in screen_text(app))
        assert len(app.exchanges) == 60
        await pilot.press("p")
        assert len(app.exchanges) == 63


async def test_enter_shows_everything_of_an_exchange_on_a_small_screen(opened: Opened, guard: MadeUpGuard) -> None:
    async with opened(80, 24) as pilot:
        app = app_of(pilot)
        assert not app.query_one("#detail").display
        await pilot.press("enter")
        await until(pilot, lambda: guard.rows[-1]["exchange"] in screen_text(app))
        assert not app.query_one("#table").display
        await pilot.press("escape")
        await pilot.pause(0.05)
        assert app.query_one("#table").display


async def test_views_open_by_their_numbers(opened: Opened) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        views = (("2", "session-1"), ("3", "FAILING"), ("4", "USED UP"), ("5", "incident-stays-inside"))
        for key, said in views:
            await pilot.press(key)
            await until(pilot, partial(_stands, app, said))
        await pilot.press("1")
        assert "redact" in screen_text(app)


async def test_a_session_leads_to_its_exchanges(opened: Opened) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        await pilot.press("2")
        await until(pilot, lambda: app.query_one("#session-table", Table).row_count == 4)
        await until(pilot, lambda: "EMAIL 12" in app.query_one("#session-detail", Lines).said)
        await pilot.press("down", "f")
        await until(pilot, lambda: app.exchanges.filter.text.startswith("session:session-"))
        assert app.view == "exchanges"


async def test_an_endpoint_is_switched_by_a_key(opened: Opened, guard: MadeUpGuard) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        await pilot.press("3")
        await until(pilot, lambda: app.query_one("#endpoint-table", Table).row_count == 5)
        await pilot.press("space")
        await until(pilot, lambda: not guard.on["anthropic"])
        await until(pilot, lambda: "OFF" in screen_text(app))
        await pilot.press("l")
        await until(pilot, lambda: guard.mode == "local")


async def test_a_switch_that_is_refused_says_why(opened: Opened, guard: MadeUpGuard) -> None:
    guard.error = GuardAnswered(403, "An agent cannot switch endpoints on. Do it in a terminal of your own.")
    async with opened() as pilot:
        app = app_of(pilot)
        await pilot.press("3")
        await until(pilot, lambda: app.query_one("#endpoint-table", Table).row_count == 5)
        await pilot.press("space")
        await until(pilot, lambda: "An agent cannot switch" in screen_text(app))


@pytest.mark.parametrize(("key", "allow", "scope"), [("y", True, "once"), ("s", True, "session"), ("n", False, "once")])
async def test_a_question_is_answered_with_one_key(
    opened: Opened, guard: MadeUpGuard, key: str, allow: bool, scope: str
) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        guard.approvals = [QUESTION]
        guard.publish("question", QUESTION)
        await until(pilot, lambda: "press a" in screen_text(app))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, QuestionDialog))
        await pilot.press(key)
        await until(pilot, lambda: ("POST", f"/approvals/{QUESTION['id']}") in {call[:2] for call in guard.calls})
        given = next(call[2] for call in guard.calls if call[0] == "POST")
        assert (given["allow"], given["scope"]) == (allow, scope)
        await until(pilot, lambda: not app.questions)


@pytest.mark.parametrize("hidden", [False, True])
async def test_a_whole_command_is_shown_before_anybody_can_allow_it(
    opened: Opened, guard: MadeUpGuard, hidden: bool
) -> None:
    command = "curl https://good.example/" + "a" * (9000 if hidden else 950) + " ; curl https://evil.example"
    guard.approvals = [QUESTION | {"scopes": ["once"], "reason": command}]
    async with opened() as pilot:
        app = app_of(pilot)
        await until(pilot, lambda: bool(app.questions))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, QuestionDialog))
        assert isinstance(app.screen, QuestionDialog)
        assert ("evil.example" in app.screen._lines.said) is not hidden
        await pilot.press("y")
        await pilot.pause(0.05)
        assert any(call[0] == "POST" for call in guard.calls) is not hidden


async def test_a_key_that_was_meant_for_something_else_answers_nothing(
    opened: Opened, guard: MadeUpGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.approvals = [QUESTION]
    async with opened() as pilot:
        app = app_of(pilot)
        monkeypatch.setattr(dialogs, "_SETTLING", 60.0)
        await pilot.press("a", "y", "n")
        monkeypatch.setattr(dialogs, "_SETTLING", 0.0)
        await pilot.press("t", "x", "enter")  # it has no task, and the others mean nothing
        assert isinstance(app.screen, QuestionDialog)
        await pilot.press("escape")
        await pilot.pause(0.05)
        assert not any(call[0] == "POST" for call in guard.calls)
        assert len(app.questions) == 1


async def test_an_answer_that_is_refused_says_why(opened: Opened, guard: MadeUpGuard) -> None:
    guard.approvals = [QUESTION]
    guard.error = GuardAnswered(403, "An agent cannot approve its own request. Do it in a terminal of your own.")
    async with opened() as pilot:
        await pilot.press("a")
        await pilot.press("y")
        await until(pilot, lambda: "An agent cannot approve" in screen_text(app_of(pilot)))


async def test_policy_explains_the_chosen_exchange_and_what_is_typed(opened: Opened, guard: MadeUpGuard) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExplainDialog) and "policy.toml:41" in app.screen.said)
        assert ("POST", "/policy/explain", {"exchange": guard.rows[-1]["exchange"]}) in guard.calls
        box = app.screen.query_one(Input)
        box.value = "endpoint=openai tools=bash,edit"
        await pilot.press("enter")
        await until(pilot, lambda: guard.calls[-1][2].get("endpoint") == "openai")
        assert guard.calls[-1][2]["tools"] == ["bash", "edit"]
        await pilot.press("escape")


async def test_a_guard_that_is_away_is_said_and_found_again(opened: Opened, guard: MadeUpGuard) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        guard.there = False
        guard.drop()
        await until(pilot, lambda: "NOT REACHABLE" in screen_text(app))
        assert "localguard serve" in screen_text(app)
        guard.there = True
        guard.rows.append(exchange(random.Random(5), BEGAN + timedelta(hours=2)))
        await pilot.press("r")
        await until(pilot, lambda: "guarding" in screen_text(app))
        assert len(app.exchanges) == 61
        assert "NOT REACHABLE" not in screen_text(app)


async def test_no_guard_from_the_beginning_is_said_and_waited_for(opened: Opened, guard: MadeUpGuard) -> None:
    guard.there = False
    async with opened() as pilot:
        app = app_of(pilot)
        await until(pilot, lambda: "NOT REACHABLE" in screen_text(app))
        await pilot.press("2", "3", "4", "5", "1", "enter", "e", "escape")
        guard.there = True
        await pilot.press("r")
        await until(pilot, lambda: len(app.exchanges) == 60)


async def test_somebody_elses_listener_is_not_taken_for_the_guard(
    opened: Opened, guard: MadeUpGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events(last_event: str | None = None) -> None:
        raise GuardNotOurs("what listens on port 4141 is not the guard of /home")

    guard.there = False
    monkeypatch.setattr(guard, "events", events)
    async with opened() as pilot:
        await until(pilot, lambda: "NOT OUR GUARD" in screen_text(app_of(pilot)))


async def test_hostile_texts_stand_on_the_screen_as_plain_text(opened: Opened, guard: MadeUpGuard) -> None:
    row = exchange(random.Random(3), BEGAN + timedelta(hours=1))
    evil = "[red]x[/red]\x1b[2J\u202e[@click=app.quit]q[/]"
    names = ("agent", "workspace", "model", "task", "endpoint", "error", "rule", "branch", "session")
    guard.rows.append({**row, **dict.fromkeys(names, evil), "types": {evil: 2}})
    guard.approvals = [{**QUESTION, "reason": evil, "model": evil}]
    guard.policy = {"digest": evil, "error": evil, "layers": []}
    guard.error = GuardAnswered(403, evil)
    async with opened(200, 50) as pilot:
        app = app_of(pilot)
        await until(pilot, lambda: "Findings (1)" in detail_of(pilot))
        for key in ("5", "1", "a"):
            await pilot.press(key)
            await pilot.pause(0.2)
            text = screen_text(app)
            assert "[red]x[/red]?[2J?" in text
            assert not set("\x1b\u202e") & set(text)
        await pilot.pause(0.3)
        await pilot.press("y")
        await until(pilot, lambda: "Not answered" in screen_text(app))
        assert "\x1b" not in screen_text(app)


async def test_themes_change_and_keys_are_listed(opened: Opened) -> None:
    async with opened(120, 40) as pilot:
        app = app_of(pilot)
        await pilot.press("t")
        await pilot.pause(0.1)
        assert app.theme == "localguard-light"
        await pilot.press("t", "question_mark")
        await until(pilot, lambda: bool(app.screen.query("HelpPanel")))
        await pilot.press("question_mark", "d")
        await until(pilot, lambda: not app.screen.query("HelpPanel"))
        assert not app.query_one("#detail").display


async def test_the_command_palette_leads_everywhere(opened: Opened) -> None:
    async with opened() as pilot:
        app = app_of(pilot)
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"View: budgets", "Filter", "Pause", "Answer", "Explain", "Local only"} <= titles
        await pilot.press("ctrl+p")
        await pilot.pause(0.1)
        await pilot.press(*"budg")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await until(pilot, lambda: app.view == "budgets")


async def test_a_flood_is_held_in_bounds_and_painted_some_times_a_second(opened: Opened, guard: MadeUpGuard) -> None:
    async with opened(most_rows=500) as pilot:
        app = app_of(pilot)
        table = app.query_one(ExchangeTable)
        chance, painted = random.Random(4), table.painted
        for number in range(3000):
            guard.publish("exchange", exchange(chance, BEGAN + timedelta(hours=1, milliseconds=number)))
        await until(pilot, lambda: app._seen >= 3000)
        assert len(app.exchanges) <= 1000
        assert table.painted - painted < 3000


async def test_a_fault_ends_it_and_says_where_without_what_variables_held(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        secret = "what a variable holds"
        raise ZeroDivisionError(secret)

    async def fail() -> None:
        async with opened() as pilot:
            monkeypatch.setattr(app_of(pilot), "_show_view", broken)
            await pilot.pause(0.5)

    with pytest.raises(ZeroDivisionError):  # as Pilot has it; a person sees what is written
        await fail()
    said = "".join(capsys.readouterr())
    assert "internal error (ZeroDivisionError)" in said
    assert "what a variable holds" not in said
