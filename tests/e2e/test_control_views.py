"""The same exchange with the same figures: as a live event, in the list, by itself, in its session and in the log."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from localguard.audit.queries import Record
from localguard.audit.rows import row_of
from localguard.config.home import Home
from localguard.proxy.control_client import ControlClient, Event, EventStream, GuardAnswered
from tests.e2e.guard import Guard
from tests.provider.server import Provider


@pytest.fixture
def client(guard: Guard) -> ControlClient:
    return ControlClient(Home(guard.home), guard.port, timeout=10)


@pytest.fixture
def stream(client: ControlClient) -> Iterator[EventStream]:
    opened = client.events()
    yield opened
    opened.close()


def send(guard: Guard, text: str, *, endpoint: str = "openai", session: str = "views-1") -> str:
    """One request; the exchange's id."""
    body = {"model": "stub-1", "messages": [{"role": "user", "content": text}]}
    headers = {"Content-Type": "application/json", "session-id": session, "User-Agent": "codex_cli_rs/0.50"}
    request = urllib.request.Request(f"{guard.url}/{endpoint}/v1/chat/completions", json.dumps(body).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as reply:
            reply.read()
            return str(reply.headers["X-LocalGuard-Exchange"])
    except urllib.error.HTTPError as refused:
        return str(refused.headers["X-LocalGuard-Exchange"])


def until(stream: EventStream, exchange: str, state: str) -> list[Event]:
    """The events up to that of an exchange in this state."""
    seen: list[Event] = []
    while True:
        for event in stream.batch():
            seen.append(event)
            if (event.data.get("exchange"), event.data.get("state")) == (exchange, state):
                return seen


def settled(guard: Guard, exchange: str) -> list[Record]:
    """The records of an exchange once it has ended: outcomes are in the log within a second."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        records = [one for one in guard.records() if one.exchange == exchange]
        if any(one.kind == "outcome" for one in records):
            return records
        time.sleep(0.05)
    raise AssertionError("no outcome")


def test_live_listed_explained_and_logged_it_is_the_same_exchange(
    guard: Guard, provider: Provider, client: ControlClient, stream: EventStream
) -> None:
    exchange = send(guard, "write to jane.roe@northmill.io about it")
    seen = until(stream, exchange, "completed")
    assert (seen[0].name, seen[0].data) == ("ready", {"resumed": False})
    states = [one.data["state"] for one in seen if one.data.get("exchange") == exchange]
    assert states == ["running", "completed"]
    live = seen[-1].data
    listed = {one["exchange"]: one for one in client.exchanges(50)}[exchange]
    records = settled(guard, exchange)
    told = client.call("GET", f"/exchanges/{exchange}")
    logged = row_of(records)
    assert logged is not None
    assert live == listed == told["exchange"] == dict(logged)
    assert (live["replaced"], live["types"]) == (1, {"EMAIL": 1})
    assert told["findings"][0]["shape"].startswith("LG_EMAIL_")
    assert told["coverage"]["leaves"] > 0
    assert told["timing"][-1]["ends_ms"] == live["total_ms"]
    assert told["decision"]["rules"]
    assert "jane.roe" not in json.dumps([live, told])


def test_a_refusal_is_seen_with_its_reason(guard: Guard, client: ControlClient, stream: EventStream) -> None:
    exchange = send(guard, "hello", endpoint="nowhere")
    row = until(stream, exchange, "refused")[-1].data
    assert row["error"].startswith("localguard_")
    told = client.call("GET", f"/exchanges/{exchange}")
    assert told["refusal"]["reason"]
    assert told["exchange"] == row


def test_exchanges_are_read_in_windows_by_id(guard: Guard, provider: Provider, client: ControlClient) -> None:
    sent = [send(guard, f"number {number}", session="windows") for number in range(4)]
    assert sent == sorted(sent)
    window = client.call("GET", f"/exchanges?limit=2&before={sent[3]}")
    assert [one["exchange"] for one in window["exchanges"]] == sent[1:3]
    window = client.call("GET", f"/exchanges?limit=2&after={sent[0]}")
    assert [one["exchange"] for one in window["exchanges"]] == sent[1:3]
    assert client.call("GET", f"/exchanges?limit=9&after={sent[3]}") == {"exchanges": [], "more": False}
    between = client.call("GET", f"/exchanges?after={sent[0]}&before={sent[3]}")
    assert [one["exchange"] for one in between["exchanges"]] == sent[1:3]


def test_exchanges_of_an_earlier_run_are_read_from_the_log(
    guard: Guard, provider: Provider, client: ControlClient
) -> None:
    before = send(guard, "before the restart", session="restart")
    settled(guard, before)
    row = client.call("GET", f"/exchanges/{before}")["exchange"]
    guard.stop()
    guard.start()
    assert {one["exchange"]: one for one in client.exchanges(1000)}[before] == row
    assert client.call("GET", f"/exchanges/{before}")["exchange"] == row


def test_a_session_is_listed_and_told(guard: Guard, provider: Provider, client: ControlClient) -> None:
    for number in range(2):
        settled(guard, send(guard, f"session turn {number}", session="told"))
    rows = {one["session"]: one for one in client.call("GET", "/sessions")["sessions"]}
    assert (rows["told"]["exchanges"], rows["told"]["agent"]) == (2, "codex")
    told = client.call("GET", "/sessions/told")
    assert (told["exchanges"], told["cost_usd"]) == (2, rows["told"]["cost_usd"])
    older = client.call("GET", f"/sessions?before_seq={rows['told']['seq']}")["sessions"]
    assert "told" not in {one["session"] for one in older}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/exchanges/x0", 404),
        ("/sessions/none", 404),
        ("/exchanges?limit=-1", 400),
        ("/exchanges?limit=x", 400),
        ("/exchanges?limit=9999999", 400),
        ("/exchanges?lmit=1", 400),
        ("/sessions?before_seq=-1", 400),
    ],
)
def test_a_call_that_cannot_be_answered_says_why(client: ControlClient, path: str, status: int) -> None:
    with pytest.raises(GuardAnswered) as caught:
        client.call("GET", path)
    assert caught.value.status == status
    assert len(str(caught.value)) > 20


def test_endpoints_tell_how_they_do(guard: Guard, provider: Provider, client: ControlClient) -> None:
    send(guard, "used", endpoint="compatible", session="health")
    told = client.call("GET", "/endpoints")
    endpoints = {one["name"]: one for one in told["endpoints"]}
    assert (told["mode"], endpoints["openai"]["class"], endpoints["openai"]["on"]) == ("policy", "hosted", True)
    assert endpoints["compatible"]["health"]["state"] == "ok"
    assert endpoints["foundry"]["health"]["state"] == "unused"


def test_policy_is_shown_as_it_is_in_force(guard: Guard, client: ControlClient) -> None:
    told = client.call("GET", "/policy")
    assert told["layers"][-1]["name"] == "user"
    assert told["layers"][-1]["text"] == (guard.home / "policy.toml").read_text()
    assert told["error"] is None


def test_policy_is_asked_about_work_and_about_a_recorded_exchange(
    guard: Guard, provider: Provider, client: ControlClient
) -> None:
    said = client.call("POST", "/policy/explain", endpoint="openai", model="stub-1", task="docs")
    assert said["effect"] == "allow"
    assert said["rules"]
    exchange = send(guard, "ask later", session="asked")
    settled(guard, exchange)
    assert client.call("POST", "/policy/explain", exchange=exchange)["effect"] == "allow"
    for wrong, status in (
        ({}, 400),
        ({"endpoint": "nowhere"}, 400),
        ({"endpoint": "openai", "sensitivity": "odd"}, 400),
        ({"exchange": "x0"}, 404),
        ({"endpiont": "openai"}, 400),
    ):
        with pytest.raises(GuardAnswered) as caught:
            client.call("POST", "/policy/explain", **(wrong or {"model": "m"}))
        assert caught.value.status == status


def test_a_stream_goes_on_where_it_broke_off(guard: Guard, provider: Provider, client: ControlClient) -> None:
    first = client.events()
    last = until(first, send(guard, "seen", session="stream"), "completed")[-1].id
    first.close()
    missed = send(guard, "missed", session="stream")
    again = client.events(last)
    seen = until(again, missed, "completed")
    again.close()
    assert seen[0].data == {"resumed": True}
    assert [one.data["state"] for one in seen if one.data.get("exchange") == missed] == ["running", "completed"]


def test_a_page_of_another_site_gets_nothing(guard: Guard, client: ControlClient) -> None:
    token = Home(guard.home).control_token.read_text()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    foreign: list[dict[str, Any]] = [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Origin": "null"},
    ]
    for path in ("/-/events", "/-/api/exchanges", "/-/api/openapi.json"):
        for headers in foreign:
            request = urllib.request.Request(guard.url + path, headers={"Authorization": f"Bearer {token}", **headers})
            with pytest.raises(urllib.error.HTTPError) as caught:
                opener.open(request, timeout=10)
            assert caught.value.code == 403
