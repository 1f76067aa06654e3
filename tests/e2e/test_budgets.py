"""Budgets through a real guard: reserved, settled, refused with words, warned of, kept over restarts."""

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from localguard.config.home import Home
from localguard.config.workspace_tokens import Tokens
from localguard.proxy.control_client import ControlClient
from tests.e2e.guard import ROOT, Guard, policy
from tests.e2e.money import ask, intent, outcome
from tests.provider.script import Turn
from tests.provider.server import Provider

WORKSPACES = """
[[workspaces]]
name = "payments"
match = { paths = ["/nowhere/payments"] }
cost_bucket = "payments-eng"

[[workspaces]]
name = "website"
match = { paths = ["/nowhere/website"] }
cost_bucket = "web"

[[prices]]
models = ["cent"]
input = 0
output = 0
per_request = 0.01
"""


ASKING = """
import json, sys, urllib.request
body = json.dumps({"model": "cent", "messages": [{"role": "user", "content": "more"}]}).encode()
request = urllib.request.Request(sys.argv[1] + "/compatible/v1/chat/completions", body, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request).status)
"""


def budget(**more: Any) -> str:
    scope = {} if more.keys() & {"bucket", "workspace", "identity", "models"} else {"models": ["*"]}
    lines = {**scope, "limit_usd": 0.02, "period": "month", "on_exceed": "deny", **more}
    return "[[budgets]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())


def guard_with(home: Path, provider: Provider, *tables: str) -> Guard:
    return Guard(home, policy(provider.port, WORKSPACES, *tables))


def prefix(guard: Guard, workspace: str) -> str:
    """The address under which work of a workspace comes."""
    return "/w/" + Tokens(Home(guard.home)).create(workspace=workspace, now="2026-11-28T00:00:00+00:00")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def standings(guard: Guard) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = guard.status()["budgets"]
    return found


def test_a_bucket_that_is_used_up_refuses_with_limit_spending_end_and_what_to_do(
    home: Path, provider: Provider
) -> None:
    with guard_with(home, provider, budget(bucket="payments-eng")) as guard:
        payments, website = prefix(guard, "payments"), prefix(guard, "website")
        assert [ask(guard, "compatible", "cent", prefix=payments).status for _ in range(2)] == [200, 200]
        refused = ask(guard, "compatible", "cent", prefix=payments)
        assert refused.status == 402
        error = refused.json["error"]
        assert error["code"] == error["type"] == "localguard_budget_exceeded"
        for words in (
            "budget payments-eng",
            "0.02 USD a month",
            "0.02 USD spent",
            "begins on 20",
            "UTC",
            "local model",
        ):
            assert words in error["message"], words
        assert ask(guard, "compatible", "cent", prefix=website).status == 200, "another bucket's money"
        assert ask(guard, "ollama", "qwen3", prefix=payments).status == 200, "what costs nothing goes on"
        record = guard.records("refusal")[-1].metadata or {}
        assert (record["origin"], record["code"], record["cost_bucket"]) == (
            "budget",
            "localguard_budget_exceeded",
            "payments-eng",
        )
    assert len([one for one in provider.content if b'"cent"' in one.body]) == 3


@pytest.mark.parametrize(
    ("wire", "read"),
    [
        ("chat", lambda body: body["error"]["message"]),
        ("responses", lambda body: body["error"]["message"]),
        ("messages", lambda body: body["error"]["message"]),
        ("azure", lambda body: body["error"]["message"]),
    ],
)
def test_a_refusal_comes_in_the_error_shape_of_each_wire_format(
    home: Path, provider: Provider, wire: str, read: Any
) -> None:
    with guard_with(home, provider, budget(limit_usd=0)) as guard:
        refused = ask(guard, wire, "cent")
        assert refused.status == 402
        assert refused.headers["x-should-retry"] == "false"
        assert "budget all models" in read(refused.json)
        assert (refused.json.get("type") == "error") is (wire == "messages")
        codex = ask(guard, wire, "cent", headers={"User-Agent": "codex_cli_rs/0.169.0"})
        assert codex.status == 400, "on 402 Codex sends five times"
    assert provider.content == []


@pytest.mark.parametrize(
    ("scope", "hit", "missed"),
    [
        ({"workspace": "payments"}, ("payments", "cent"), ("website", "cent")),
        ({"models": ["ce*"]}, ("payments", "cent"), ("payments", "gpt-5")),
        ({"bucket": "web", "period": "day"}, ("website", "cent"), ("payments", "cent")),
        ({"bucket": "web", "period": "week", "timezone": "Asia/Tokyo"}, ("website", "cent"), ("payments", "cent")),
    ],
)
def test_budgets_count_by_workspace_model_bucket_and_period(
    home: Path, provider: Provider, scope: Any, hit: tuple[str, str], missed: tuple[str, str]
) -> None:
    with guard_with(home, provider, budget(limit_usd=0.01, **scope)) as guard:
        for (workspace, model), expected in ((hit, [200, 402]), (missed, [200, 200])):
            place = prefix(guard, workspace)
            assert [ask(guard, "compatible", model, prefix=place).status for _ in range(2)] == expected


def test_budgets_count_by_identity(home: Path, provider: Provider) -> None:
    text = policy(provider.port, WORKSPACES, budget(limit_usd=0.01, identity="personal"))
    text = text.replace('name = "openai"', 'name = "openai"\nidentity = "personal"')
    with Guard(home, text) as guard:
        assert [ask(guard, "chat", "cent").status for _ in range(2)] == [200, 402]
        assert [ask(guard, "compatible", "cent").status for _ in range(2)] == [200, 200]


def test_a_budget_over_a_model_group_counts_its_deployments_too(home: Path, provider: Provider) -> None:
    tables = """
[[models]]
name = "gpt-5"
aliases = ["prod-deployment"]

[[model_groups]]
name = "large"
models = ["gpt-5"]
"""
    with guard_with(home, provider, tables, budget(limit_usd=0.0001, models=["group:large"])) as guard:
        first = ask(guard, "azure", "prod-deployment")
        assert intent(guard, first.exchange)["price_source"].endswith("azure/gpt-5")
        outcome(guard, first.exchange)
        assert ask(guard, "azure", "prod-deployment").status == 402
        assert ask(guard, "azure", "gpt-5").status == 402
        assert ask(guard, "compatible", "cent").status == 200


def test_warnings_come_at_the_thresholds_in_record_and_header(home: Path, provider: Provider) -> None:
    one = budget(limit_usd=0.1, bucket="web", warn_at=[0.5, 0.9], on_exceed="warn")
    with guard_with(home, provider, one) as guard:
        place = prefix(guard, "website")
        replies = [ask(guard, "compatible", "cent", prefix=place) for _ in range(12)]
        headers = [reply.headers.get("x-localguard-budget") for reply in replies]
        assert headers[:5] == [None] * 5
        assert headers[5] == "web: 50% of 0.10 USD a month"
        assert headers[11] == "web: 110% of 0.10 USD a month"
        assert {reply.status for reply in replies} == {200}
        guard.outcomes(12)
        told = [one.metadata or {} for one in guard.records("control")]
        warned = [one["detail"]["percent"] for one in told if one["event"] == "budget-warning"]
    assert warned == [50, 90, 100]


def test_warnings_come_over_the_live_feed(home: Path, provider: Provider) -> None:
    with guard_with(home, provider, budget(limit_usd=0.01, on_exceed="warn")) as guard:
        token = Home(guard.home).control_token.read_text("ascii").strip()
        feed = http.client.HTTPConnection("127.0.0.1", guard.port, timeout=10)
        feed.request("GET", "/-/events", headers={"Authorization": f"Bearer {token}"})
        stream = feed.getresponse()
        lines = iter(stream.readline, b"")
        assert b"event: ready\n" in iter(lines.__next__, b"\n")
        ask(guard, "compatible", "cent")
        assert next(line for line in lines if line.startswith(b"event: budget")) == b"event: budget-warning\n"
        assert json.loads(next(lines).removeprefix(b"data: "))["spent_usd"] == "0.01"
        feed.close()


def test_ask_lets_a_person_spend_more(home: Path, provider: Provider) -> None:
    with guard_with(home, provider, budget(limit_usd=0, on_exceed="ask")) as guard:
        agent = subprocess.Popen(  # what asks is another process than what answers
            [sys.executable, "-c", ASKING, guard.url], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        client = ControlClient(Home(guard.home), guard.port, timeout=10)
        until = time.monotonic() + 30
        while not (waiting := client.call("GET", "/approvals")["approvals"]) and time.monotonic() < until:
            time.sleep(0.05)
        assert "budget all models of 0.00 USD a month is used up" in waiting[0]["reason"]
        assert provider.content == []
        guard.run("approve", waiting[0]["id"], "--port", str(guard.port))
        assert agent.communicate(timeout=30)[0].strip() == "200"
        assert standings(guard)[0]["spent_usd"] == "0.01"


def test_spending_and_what_was_under_way_survive_a_kill(home: Path, provider: Provider) -> None:
    guard = guard_with(home, provider, budget(limit_usd=0.03))
    with guard:
        assert ask(guard, "compatible", "cent").status == 200
        guard.outcomes(1)
        provider.pause = (reached, release) = (threading.Event(), threading.Event())
        stuck = threading.Thread(target=lambda: _quietly(guard))
        stuck.start()
        assert reached.wait(20)
        os.kill(guard.pid, signal.SIGKILL)
        assert guard.process is not None
        guard.process.wait()
        release.set()
        stuck.join(20)
        guard.start()
        assert standings(guard)[0]["spent_usd"] == "0.02", "one that ended, one that was reserved"
        unknown = [one.metadata or {} for one in guard.records("outcome")][-1]
        assert (unknown["state"], unknown["cost_usd"], unknown["cost_basis"]) == ("unknown", "0.01", "reservation")
        assert [ask(guard, "compatible", "cent").status for _ in range(2)] == [200, 402]


def _quietly(guard: Guard) -> None:
    try:
        ask(guard, "compatible", "cent", stream=True)
    except OSError:
        return


def test_a_new_limit_counts_what_was_spent_before_it(home: Path, provider: Provider) -> None:
    with guard_with(home, provider) as guard:
        assert [ask(guard, "compatible", "cent").status for _ in range(3)] == [200] * 3
        guard.write_policy(policy(provider.port, WORKSPACES, budget(limit_usd=0.03)))
        while not guard.status()["budgets"]:
            pass
        assert ask(guard, "compatible", "cent").status == 402


def test_two_hundred_requests_at_once_overrun_by_less_than_one_reservation(home: Path, provider: Provider) -> None:
    """Half of them are streams that the provider cuts off; each reserves 0.02 USD and costs a part of that."""
    provider.brain = lambda asked: Turn(text="word " * 400, piece=100, cut=9 if "cut" in asked.user else None)
    limit, reservation = Decimal("0.5"), Decimal("0.022")
    with guard_with(home, provider, budget(limit_usd=float(limit))) as guard:

        def one(number: int) -> int:
            stream = number % 2 == 1
            text = "cut" if number % 4 == 1 else "whole"
            return ask(guard, "chat", "gpt-5", text=text, stream=stream, max_completion_tokens=2000).status

        with ThreadPoolExecutor(50) as pool:
            statuses = list(pool.map(one, range(200)))
        admitted = statuses.count(200)
        assert statuses.count(402) == 200 - admitted
        assert admitted >= 25
        guard.outcomes(admitted, within=10)
        reserved = [Decimal((one.metadata or {})["reserved_usd"]) for one in guard.records("intent")]
        assert max(reserved) < reservation
        costs = [Decimal((one.metadata or {})["cost_usd"]) for one in guard.records("outcome")]
        spent = Decimal(standings(guard)[0]["spent_usd"])
        assert spent == sum(costs)
        assert spent < limit + reservation
        assert standings(guard)[0]["reserved_usd"] == "0"
        basis = {(one.metadata or {})["cost_basis"] for one in guard.records("outcome")}
        assert basis == {"usage", "estimate"}
    with closing(sqlite3.connect(guard.database)) as database:
        rows = database.execute("SELECT cost FROM charges").fetchall()
    assert sum(Decimal(cost) for (cost,) in rows) == spent


def test_reservations_hold_while_requests_run(home: Path, provider: Provider) -> None:
    """All of a limit is under way: the next one is refused until one ends, and then goes."""
    provider.pause = (reached, release) = (threading.Event(), threading.Event())
    with guard_with(home, provider, budget(limit_usd=0.01)) as guard:
        running = threading.Thread(target=lambda: ask(guard, "compatible", "cent", stream=True))
        running.start()
        assert reached.wait(20)
        assert standings(guard)[0]["reserved_usd"] == "0.01"
        refused = ask(guard, "compatible", "cent")
        assert refused.status == 402
        assert "0.01 USD reserved by requests under way" in refused.json["error"]["message"]
        release.set()
        running.join(20)
        provider.pause = None


def test_an_agent_that_hangs_up_leaves_no_reservation(home: Path, provider: Provider) -> None:
    provider.pause = (reached, release) = (threading.Event(), threading.Event())
    with guard_with(home, provider, budget(limit_usd=1)) as guard:
        connection = http.client.HTTPConnection("127.0.0.1", guard.port, timeout=10)
        body = json.dumps({"model": "cent", "stream": True, "messages": [{"role": "user", "content": "x"}]})
        connection.request("POST", "/compatible/v1/chat/completions", body, {"Content-Type": "application/json"})
        assert reached.wait(20)
        assert connection.sock is not None
        connection.sock.close()
        connection.close()
        guard.outcomes(1)
        assert standings(guard)[0]["reserved_usd"] == "0"
        assert standings(guard)[0]["spent_usd"] == "0.01"
        release.set()


def test_a_question_about_one_budget_passes_no_other(home: Path, provider: Provider) -> None:
    asks, denies = budget(limit_usd=0, on_exceed="ask", models=["cent"]), budget(limit_usd=0)
    with guard_with(home, provider, asks, denies) as guard:
        refused = ask(guard, "compatible", "cent")
        assert (refused.status, refused.json["error"]["code"]) == (402, "localguard_budget_exceeded")
        assert provider.content == []
