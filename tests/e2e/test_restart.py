"""What a restart and a changed policy file do to requests: nothing that an agent would notice."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.bodies import PLACES
from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token, made
from tests.provider.script import Turn
from tests.provider.server import Provider

DENY = """
[[rules]]
id = "no-second-model"
effect = "deny"
when = { models = ["stub-2"] }
reason = "The second model is not for this work."
[[rules]]
id = "everything-else"
effect = "allow"
"""


@pytest.fixture
def own_guard(provider: Provider, tmp_path: Path) -> Iterator[Guard]:
    with Guard(tmp_path / "home", policy(provider.port)) as started:
        yield started


def ask(guard: Guard, model: str = "stub-1", *, stream: bool = False, timeout: float = 20) -> httpx.Response:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
    return httpx.post(f"{guard.url}/openai/v1/chat/completions", json=body, timeout=timeout)


def until(true: Callable[[], bool], within: float = 10) -> None:
    """Wait until something is so. Fails if it does not come to be."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "it does not come to be"
        time.sleep(0.05)


def test_the_same_input_gives_the_same_bytes_upstream_after_a_restart(own_guard: Guard, provider: Provider) -> None:
    text = "\n".join(
        [
            f"token {github_token(1)}",
            *(made(t, 2)[0] for t in ("DB_PASSWORD=⟦{password}⟧", "<⟦jo.{word:6}@{word:7}.io⟧>")),
        ]
    )
    runs = []
    for _ in range(2):
        provider.requests.clear()
        with httpx.Client(base_url=own_guard.url, timeout=30, headers={"x-note": text.split("\n")[0]}) as client:
            for path, body in PLACES.values():
                client.post(path, json=body(text), params={"q": text})
        runs.append([(one.path, one.target, one.header("x-note"), one.body) for one in provider.requests])
        own_guard.stop()
        own_guard.start()
    assert len(runs[0]) >= len(PLACES)
    assert [one for one in runs[1] if one[0] != "/api/show"] == [one for one in runs[0] if one[0] != "/api/show"]


@contextmanager
def traffic(guard: Guard) -> Iterator[list[str]]:
    """Requests one after the other on four connections, streamed and not; what went wrong with any of them."""
    problems: list[str] = []
    stop = threading.Event()

    def load(stream: bool) -> None:
        with httpx.Client(base_url=guard.url, timeout=20) as client:
            while not stop.is_set():
                body = {"model": "stub-1", "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
                try:
                    reply = client.post("/openai/v1/chat/completions", json=body)
                    if reply.status_code != 200 or (stream and "[DONE]" not in reply.text):
                        problems.append(f"{reply.status_code}: {reply.text[:300]}")
                except httpx.HTTPError as error:
                    problems.append(repr(error))

    threads = [threading.Thread(target=load, args=(number % 2 == 0,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield problems
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_changed_policy_file_applies_without_dropping_a_request(own_guard: Guard, provider: Provider) -> None:
    with traffic(own_guard) as problems:
        assert ask(own_guard, "stub-2").status_code == 200
        own_guard.write_policy(policy(provider.port, DENY))
        until(lambda: ask(own_guard, "stub-2").status_code == 403)
        own_guard.write_policy(policy(provider.port))
        until(lambda: ask(own_guard, "stub-2").status_code == 200)
    assert problems == []
    changes = [record for record in own_guard.records("control") if (record.metadata or {})["event"] == "policy-change"]
    assert len(changes) == 2


@pytest.mark.parametrize(
    "broken",
    [
        "version = 1\n[[rules]\n",
        "version = 1\n[[rules]]\nid = 'x'\neffect = 'permit'\n",
        "",
        "\x00\x01",
        "version = 2\n",
    ],
    ids=["half-written", "wrong word", "empty", "binary", "newer version"],
)
def test_a_broken_policy_file_leaves_the_last_good_one_in_force(
    broken: str, own_guard: Guard, provider: Provider
) -> None:
    own_guard.write_policy(policy(provider.port, DENY))
    until(lambda: ask(own_guard, "stub-2").status_code == 403)
    with traffic(own_guard) as problems:
        own_guard.write_policy(broken)
        until(lambda: _error(own_guard) is not None)
        assert ask(own_guard, "stub-2").status_code == 403
        assert "no-second-model" in ask(own_guard, "stub-2").text
        own_guard.write_policy(policy(provider.port))
        until(lambda: ask(own_guard, "stub-2").status_code == 200)
        assert _error(own_guard) is None
    assert problems == []


def _error(guard: Guard) -> object:
    return guard.status()["policy"]["error"]


def test_a_stream_that_began_under_the_old_policy_ends_under_it(own_guard: Guard, provider: Provider) -> None:
    began, go_on = threading.Event(), threading.Event()
    provider.brain = lambda asked: Turn(text="word " * 50, piece=5)
    provider.pause = (began, go_on)
    replies: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: replies.append(ask(own_guard, "stub-2", stream=True, timeout=60)))
    thread.start()
    assert began.wait(20)
    own_guard.write_policy(policy(provider.port, DENY))
    time.sleep(1)
    go_on.set()
    thread.join()
    assert replies[0].status_code == 200
    assert replies[0].text.endswith("data: [DONE]\n\n")
    until(lambda: ask(own_guard, "stub-2").status_code == 403)
