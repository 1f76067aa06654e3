"""Limits of endpoints and their fallbacks, through a real guard."""

import json
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from localguard.config.home import Home
from localguard.config.workspace_tokens import Tokens
from localguard.proxy.control_client import ControlClient
from tests.e2e.guard import Guard, free_port, policy
from tests.e2e.money import ask
from tests.provider.script import Turn
from tests.provider.server import Provider


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def endpoint(name: str, port: int, **more: Any) -> str:
    fields = {"kind": "openai-compatible", "class": "enterprise", **more}
    lines = [f'name = "{name}"', f'base_url = "http://127.0.0.1:{port}"']
    for key, value in fields.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{one} = {json.dumps(two)}" for one, two in value.items())
            lines.append(f"{key} = {{ {inner} }}")
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    return "[[endpoints]]\n" + "\n".join(lines) + "\n"


def guard_with(home: Path, provider: Provider, compatible: str, *more: str) -> Guard:
    """A guard whose endpoint `compatible` is this one."""
    text = policy(provider.port, *more)
    start = text.index('[[endpoints]]\nname = "compatible"')
    end = text.index("\n\n", start) if "\n\n" in text[start:] else len(text)
    return Guard(home, text[:start] + compatible + text[end:])


LOCAL = 'print("made-up-fallback-key")'


def backup(port: int, **more: Any) -> str:
    return endpoint("backup", port, credential=f"command:{sys.executable} -c '{LOCAL}'", **more)


WORKSPACE = '[[workspaces]]\nname = "w"\nmatch = { paths = ["/nowhere/w"] }\n'
OTHER = '[[workspaces]]\nname = "v"\nmatch = { paths = ["/nowhere/v"] }\n'


def prefix(guard: Guard, name: str = "w") -> str:
    return "/w/" + Tokens(Home(guard.home)).create(workspace=name, now="2026-11-28T00:00:00Z")


def test_an_endpoint_that_is_not_there_is_stood_in_for_by_its_fallback(home: Path, provider: Provider) -> None:
    dead = endpoint("compatible", free_port(), fallback="backup")
    with guard_with(home, provider, dead, backup(provider.port), WORKSPACE) as guard:
        reply = ask(
            guard, "compatible", "m", prefix=prefix(guard), headers={"Authorization": "Bearer agents-own-key-22"}
        )
        assert reply.status == 200
        assert provider.last.header("authorization") == "Bearer made-up-fallback-key"
        guard.outcomes(2)
        records = [one for one in guard.records() if one.exchange == reply.exchange]
        told = [
            (one.kind, (one.metadata or {}).get("endpoint") or (one.metadata or {}).get("error")) for one in records
        ]
        assert sorted(told, key=str) == sorted(
            [
                ("intent", "compatible"),
                ("outcome", "UpstreamUnreachable"),
                ("intent", "backup"),
                ("outcome", None),
            ],
            key=str,
        )
        second = next(one for one in records if (one.metadata or {}).get("endpoint") == "backup")
        assert (second.metadata or {})["fell_back_from"] == "compatible"


RULES = """
[[rules]]
id = "not-there"
effect = "deny"
when = { endpoints = ["backup"] }
reason = "The backup is for others."

[[rules]]
id = "rest"
effect = "allow"
redact = { pii = "allow" }
"""
STRICT = """
[[rules]]
id = "redact-there"
effect = "allow"
when = { endpoints = ["backup"] }
redact = { pii = "redact" }

[[rules]]
id = "rest"
effect = "allow"
redact = { pii = "allow" }
"""


def test_a_fallback_that_policy_does_not_allow_gets_nothing(home: Path, provider: Provider) -> None:
    dead = endpoint("compatible", free_port(), fallback="backup")
    with guard_with(home, provider, dead, backup(provider.port), WORKSPACE, RULES) as guard:
        reply = ask(guard, "compatible", "m", prefix=prefix(guard))
    assert reply.status == 502
    assert "nothing accepts connections" in reply.json["error"]["message"]
    assert "The backup is for others." in reply.json["error"]["message"]
    assert provider.content == []


ROUTED = """
[[rules]]
id = "elsewhere"
effect = "allow"
when = { endpoints = ["other"] }
route = { endpoint = "backup" }

[[rules]]
id = "rest"
effect = "allow"
"""


@pytest.mark.parametrize("way", ["fallback", "route"])
def test_a_token_for_some_endpoints_is_good_for_no_other_by_a_detour(home: Path, provider: Provider, way: str) -> None:
    dead = endpoint("compatible", free_port(), fallback="backup")
    with guard_with(home, provider, dead, backup(provider.port), WORKSPACE, ROUTED.replace("other", "openai")) as guard:
        token = Tokens(Home(guard.home)).create(
            workspace="w", now="2026-11-28T00:00:00Z", endpoints=("compatible", "openai")
        )
        reply = ask(guard, "compatible" if way == "fallback" else "chat", "m", prefix=f"/w/{token}")
        assert reply.status == (502 if way == "fallback" else 403)
        assert "token is not good for endpoint backup" in reply.json["error"]["message"]
        assert ask(guard, "compatible" if way == "fallback" else "chat", "m", prefix=prefix(guard)).status == 200
    assert len(provider.content) == 1


def test_the_fallback_s_own_obligations_bind_there(home: Path, provider: Provider) -> None:
    mail = "jo.doe@" + "northmill.io"
    dead = endpoint("compatible", free_port(), fallback="backup")
    plain = endpoint("other", provider.port)
    with guard_with(home, provider, dead, backup(provider.port), plain, WORKSPACE, STRICT) as guard:
        place = prefix(guard)
        assert ask(guard, "chat", "m", prefix=place, text=mail).status == 200
        assert mail.encode() in provider.last.body, "allowed to leave for the others"
        assert ask(guard, "compatible", "m", prefix=place, text=mail).status == 200
        assert mail.encode() not in provider.last.body


def test_a_request_that_may_have_arrived_is_sent_nowhere_else(home: Path, provider: Provider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept_and_drop() -> None:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()

        threading.Thread(target=accept_and_drop, daemon=True).start()
        port = listener.getsockname()[1]
        broken = endpoint("compatible", port, fallback="backup", limits={"retries": 3})
        with guard_with(home, provider, broken, backup(provider.port), WORKSPACE) as guard:
            assert ask(guard, "compatible", "m", prefix=prefix(guard)).status == 502
    assert provider.content == []


def test_a_connection_is_tried_again_until_somebody_listens(home: Path, provider: Provider) -> None:
    port = free_port()
    late = endpoint("compatible", port, limits={"retries": 4})
    with guard_with(home, provider, late) as guard, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, guard, "compatible", "m")
        time.sleep(0.6)
        forward = socket.create_server(("127.0.0.1", port))
        connection, _ = forward.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        assert asked.result(20).status == 200
        connection.close()
        forward.close()


def test_a_silent_provider_is_given_up_after_the_endpoint_s_own_time(home: Path, provider: Provider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = endpoint("compatible", silent.getsockname()[1], limits={"read_timeout": 0.5})
        with guard_with(home, provider, slow) as guard:
            began = time.monotonic()
            assert ask(guard, "compatible", "m").status == 504
            assert time.monotonic() - began < 10


def test_only_so_many_run_at_once_and_a_quiet_workspace_is_not_held_up(home: Path, provider: Provider) -> None:
    lock, now, most = threading.Lock(), [0], [0]
    order: list[str] = []

    def brain(asked: Any) -> Turn:
        with lock:
            order.append(asked.user[:1])
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.1)  # the provider answers one after the other
        with lock:
            now[0] -= 1
        return Turn(text="done")

    provider.brain = brain
    limited = endpoint("compatible", provider.port, limits={"at_once": 1, "wait": 60})
    with guard_with(home, provider, limited, WORKSPACE, OTHER) as guard:
        busy, quiet = prefix(guard, "w"), prefix(guard, "v")
        with ThreadPoolExecutor(30) as pool:
            many = [pool.submit(ask, guard, "compatible", "m", prefix=busy, text=f"w{n}") for n in range(20)]
            while len(order) < 3:
                time.sleep(0.01)
            one = pool.submit(ask, guard, "compatible", "m", prefix=quiet, text="v")
            assert {reply.result(60).status for reply in [*many, one]} == {200}
    assert most[0] == 1
    assert order.index("v") < 12, "it waits for those before it in its own line only"


def test_the_guard_s_own_limit_is_a_429_in_words(home: Path, provider: Provider) -> None:
    limited = endpoint("compatible", provider.port, limits={"per_minute": 2, "wait": 0.2})
    with guard_with(home, provider, limited) as guard:
        assert [ask(guard, "compatible", "m").status for _ in range(2)] == [200, 200]
        refused = ask(guard, "compatible", "m")
        assert refused.status == 429
        assert refused.json["error"]["code"] == "localguard_rate_limited"
        assert "2 a minute" in refused.json["error"]["message"]
        record = guard.records("refusal")[-1].metadata or {}
        assert record["origin"] == "rate limit"
        assert guard.get("/compatible/v1/models"), "a look at the models takes no turn"
    assert len(provider.content) == 2


def test_a_slow_credential_command_holds_up_nobody_else(home: Path, provider: Provider, tmp_path: Path) -> None:
    go, begun = tmp_path / "go", tmp_path / "begun"
    script = tmp_path / "slow.py"
    script.write_text(
        f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)\nprint('made-up-fallback-key')\n"
    )
    slow = endpoint("compatible", provider.port, credential=f"command:{sys.executable} {script}")
    with guard_with(home, provider, slow, WORKSPACE) as guard, ThreadPoolExecutor(40) as pool:
        place = prefix(guard)
        waiting = [pool.submit(ask, guard, "compatible", "m", prefix=place) for _ in range(40)]
        while not begun.exists():
            time.sleep(0.01)
        time.sleep(0.5)  # all of them are waiting now
        try:
            assert ask(guard, "chat", "m", prefix=place).status == 200
            assert not any(one.done() for one in waiting)
        finally:
            go.touch()
        assert {one.result(30).status for one in waiting} == {200}


def test_who_waits_for_a_person_s_answer_about_money_holds_no_turn(home: Path, provider: Provider) -> None:
    limited = endpoint("compatible", provider.port, limits={"at_once": 1, "wait": 0.5})
    money = '[[budgets]]\nworkspace = "w"\nlimit_usd = 0\nperiod = "day"\non_exceed = "ask"\n'
    with guard_with(home, provider, limited, WORKSPACE, OTHER, money) as guard, ThreadPoolExecutor(1) as pool:
        asks = pool.submit(ask, guard, "compatible", "m", prefix=prefix(guard))
        client = ControlClient(Home(guard.home), guard.port, timeout=10)
        while not (waiting := client.call("GET", "/approvals")["approvals"]):
            time.sleep(0.05)
        assert ask(guard, "compatible", "m", prefix=prefix(guard, "v")).status == 200
        client.call("POST", f"/approvals/{waiting[0]['id']}", allow=False)
        assert asks.result(30).status in (402, 403)
        assert ask(guard, "compatible", "m", prefix=prefix(guard, "v")).status == 200
