"""What agents do when the guard says no: they send once, and show the guard's own words."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.guard import Guard, policy
from tests.e2e.opencode import Opencode
from tests.e2e.planted import github_token
from tests.e2e.sdks import STREAMED, WHOLE, Way
from tests.provider.server import Provider

if os.name != "posix":
    pytest.skip("limits and signals of POSIX", allow_module_level=True)
import resource

DENY = """
[[rules]]
id = "nothing-leaves-today"
effect = "deny"
reason = "Nothing may leave while the incident lasts."
"""
SENT = {"openai chat", "openai responses", "azure chat", "anthropic messages", "ollama chat"}


@pytest.fixture(scope="module")
def denying(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard whose policy denies everything."""
    home: Path = tmp_path_factory.mktemp("denying") / "home"
    with Guard(home, policy(running_provider.port, DENY)) as started:
        yield started


@pytest.fixture(scope="module")
def faulty(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard that things are done to."""
    home: Path = tmp_path_factory.mktemp("faulty") / "home"
    with Guard(home, policy(running_provider.port)) as started:
        yield started


@contextmanager
def full_disk(guard: Guard) -> Iterator[None]:
    """The guard cannot make any file longer."""
    before = resource.prlimit(guard.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(guard.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(guard.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def dying_scanner(guard: Guard) -> Iterator[None]:
    """Whatever the scanner's workers are asked, they die over it."""
    stop, held_one = threading.Event(), threading.Event()

    def kill() -> None:
        held: dict[int, float] = {}
        while not stop.wait(0.02):
            for worker in _workers(guard):
                try:
                    if worker.pid not in held:
                        worker.suspend()
                        held[worker.pid] = time.monotonic() + 1.0
                        held_one.set()
                    elif time.monotonic() > held[worker.pid]:
                        worker.send_signal(signal.SIGKILL)
                except psutil.NoSuchProcess:
                    continue

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        assert held_one.wait(20)
        yield
    finally:
        stop.set()
        thread.join()
        for worker in _workers(guard):
            worker.resume()


def _workers(guard: Guard) -> list[psutil.Process]:
    """The children of the guard's fork server."""
    return [worker for child in psutil.Process(guard.pid).children() for worker in child.children()]


def refusal(call: Any, name: str, way: Way, text: str) -> tuple[int, str]:
    """Status and text of the error that an SDK raises."""
    try:
        call[name](way, text)
    except Exception as error:
        return int(getattr(error, "status_code", 0)), str(error)
    raise AssertionError("not refused")


def assert_told(text: str, rule: str, reason: str, next_step: str) -> None:
    assert rule in text
    assert reason in text
    assert next_step in text
    assert "localguard explain x" in text


@pytest.mark.parametrize("name", sorted(SENT))
def test_a_denied_request_is_sent_once_and_says_rule_reason_and_next_step(
    name: str, denying: Guard, provider: Provider
) -> None:
    before = denying.counters()["refused"]
    status, text = refusal(WHOLE, name, Way.guarded(denying.url, retries=2), "hello")
    assert status == 403
    assert_told(text, "nothing-leaves-today", "Nothing may leave while the incident lasts.", "")
    assert denying.counters()["refused"] - before == 1
    assert [one for one in provider.content if one.path != "/api/show"] == []


@pytest.mark.parametrize("name", sorted(SENT))
def test_a_body_that_cannot_be_read_is_sent_once(name: str, faulty: Guard, provider: Provider) -> None:
    before = faulty.counters()["refused"]
    way = Way.guarded(faulty.url, retries=2, content_encoding="x-odd")
    status, text = refusal(WHOLE, name, way, "hello")
    assert status == 400
    assert_told(text, "content-coding", "content coding is not known", "Send it uncompressed or as gzip.")
    assert faulty.counters()["refused"] - before == 1
    assert provider.content == []


@pytest.mark.parametrize("name", sorted(SENT))
def test_without_a_log_nothing_leaves_and_nobody_asks_twice(name: str, faulty: Guard, provider: Provider) -> None:
    before = faulty.counters()["refused"]
    with full_disk(faulty):
        status, text = refusal(WHOLE, name, Way.guarded(faulty.url, retries=2), "hello")
    assert status == 503
    assert_told(text, "audit-before-egress", "nothing leaves without a record", "localguard doctor")
    assert faulty.counters()["refused"] - before == 1
    assert [one for one in provider.content if one.path != "/api/show"] == []
    assert WHOLE[name](Way.guarded(faulty.url), "hello again")


@pytest.mark.parametrize("name", sorted(SENT))
def test_without_a_scanner_nothing_leaves_and_nobody_asks_twice(name: str, faulty: Guard, provider: Provider) -> None:
    before = faulty.counters()["refused"]
    prompt = f"the token is {github_token(sum(name.encode()))}"
    with dying_scanner(faulty):
        status, text = refusal(WHOLE, name, Way.guarded(faulty.url, retries=2), prompt)
    assert status == 503
    assert_told(text, "scan-first", "nothing leaves unscanned", "localguard doctor")
    assert faulty.counters()["refused"] - before == 1
    assert [one for one in provider.content if one.path != "/api/show"] == []
    assert WHOLE[name](Way.guarded(faulty.url), prompt)


@pytest.mark.parametrize("name", sorted(SENT))
def test_a_refused_stream_is_an_error_before_it_begins(name: str, denying: Guard, provider: Provider) -> None:
    got = STREAMED[name](Way.guarded(denying.url, retries=2), "hello")
    assert got.failed in ("PermissionDeniedError", "ResponseError")
    assert (got.text, got.calls) == ("", {})


def test_opencode_asks_once_and_shows_why_policy_says_no(denying: Guard, provider: Provider, tmp_path: Path) -> None:
    before = denying.counters()["refused"]
    done = Opencode.at(tmp_path).run("Say hello.", denying)
    assert done.returncode != 0
    assert_told(done.stdout + done.stderr, "nothing-leaves-today", "Nothing may leave while the incident lasts.", "")
    assert denying.counters()["refused"] - before <= 2  # the prompt, and a title for it
    assert provider.content == []


def test_opencode_asks_once_when_its_body_cannot_be_read(faulty: Guard, provider: Provider, tmp_path: Path) -> None:
    before = faulty.counters()["refused"]
    done = Opencode.at(tmp_path).run("Say hello.", faulty, content_encoding="x-odd")
    assert done.returncode != 0
    assert_told(
        done.stdout + done.stderr, "content-coding", "content coding is not known", "Send it uncompressed or as gzip."
    )
    assert faulty.counters()["refused"] - before <= 2
    assert provider.content == []


def test_opencode_asks_once_when_the_log_cannot_be_written(faulty: Guard, provider: Provider, tmp_path: Path) -> None:
    agent = Opencode.at(tmp_path)
    before = faulty.counters()["refused"]
    with full_disk(faulty):
        done = agent.run("Say hello.", faulty)
    assert done.returncode != 0
    assert_told(
        done.stdout + done.stderr, "audit-before-egress", "nothing leaves without a record", "localguard doctor"
    )
    assert faulty.counters()["refused"] - before <= 2
    assert provider.content == []


def test_a_guard_that_cannot_write_its_first_key_says_so(provider: Provider, tmp_path: Path) -> None:
    with Guard(tmp_path / "home", policy(provider.port)) as fresh:
        until = time.monotonic() + 20
        while (
            not _workers(fresh) and time.monotonic() < until
        ):  # the scanner starts behind the port, and keeps its limits
            time.sleep(0.05)
        with full_disk(fresh):
            status, text = refusal(WHOLE, "openai chat", Way.guarded(fresh.url, retries=2), "hello")
        assert status == 503
        assert_told(text, "keys", "cannot be written", "localguard doctor")
        assert provider.content == []
        assert WHOLE["openai chat"](Way.guarded(fresh.url), "hello again")
