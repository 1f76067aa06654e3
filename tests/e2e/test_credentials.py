"""Whose key goes where: the agent's to its own origin only, the guard's instead of it, and neither into a body."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.review.harness import ROOT, Guarded, Provider, chat, letters, token

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def own_key() -> str:
    return "k" + letters(30)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, own_key: str) -> Iterator[Guarded]:
    """A guard with an endpoint `lent`, whose key is the guard's own."""
    provider = Provider()
    lent = (
        '[[endpoints]]\nname = "lent"\nkind = "openai"\ncredential = "keyring:work"\nauth_headers = ["x-gateway-pass"]\n'
        f'base_url = "http://127.0.0.1:{provider.port}"\n'
    )
    started = Guarded(tmp_path_factory.mktemp("credentials") / "home", provider, lent)
    command(started, "key", "set", "work", data=own_key)
    yield started
    started.remove()
    provider.close()


def command(guarded: Guarded, *arguments: str, data: str = "") -> str:
    return subprocess.run(
        [sys.executable, "-m", "localguard.cli.main", *arguments],
        cwd=ROOT,
        env=guarded.environment(),
        input=data,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def address(guarded: Guarded) -> str:
    """The prefix of addresses that name a workspace."""
    return f"/w/{json.loads(command(guarded, 'workspace', 'token', '--json'))['token']}"


@pytest.mark.parametrize(
    "name", ["Authorization", "x-api-key", "api-key", "x-goog-api-key", "Cookie", "X-Gateway-Pass"]
)
def test_an_agents_own_header_credential_stays_here_where_the_guard_lends_its_key(
    guarded: Guarded, address: str, own_key: str, name: str
) -> None:
    value = letters(30)
    status, sent = guarded.post(f"{address}/lent{CHAT}", chat("hello"), {name: value})
    assert status == 200
    assert f"Bearer {own_key}".encode() in sent
    assert value.encode() not in sent


@pytest.mark.parametrize("name", ["key", "Key", "k%65y", "api_key", "api-key", "apikey", "access_token", "sig"])
def test_an_agents_own_query_credential_stays_here_where_the_guard_lends_its_key(
    guarded: Guarded, address: str, own_key: str, name: str
) -> None:
    value = letters(30)
    status, sent = guarded.post(f"{address}/lent{CHAT}?api-version=1&{name}={value}&alt=sse", chat("hello"))
    assert status == 200
    assert f"Bearer {own_key}".encode() in sent
    assert f"POST {CHAT}?api-version=1&alt=sse HTTP/1.1".encode() in sent
    assert value.encode() not in sent


def test_a_query_that_was_a_credential_only_is_gone_with_it(guarded: Guarded, address: str) -> None:
    _, sent = guarded.post(f"{address}/lent{CHAT}?key={letters(30)}", chat("hello"))
    assert f"POST {CHAT} HTTP/1.1".encode() in sent


def test_a_google_key_in_the_query_goes_to_its_own_origin_and_into_no_body(guarded: Guarded) -> None:
    value = letters(30)
    path = f"/gemini/v1beta/models/m:generateContent?key={value}"
    status, sent = guarded.post(path, {"contents": [{"parts": [{"text": f"why is {value} refused?"}]}]})
    head, _, body = sent.partition(b"\r\n\r\n")
    assert status == 200
    assert f"?key={value} ".encode() in head
    assert value.encode() not in body


@pytest.mark.parametrize(
    "name", ["api_key", "api-key", "apikey", "subscription-key", "access_token", "sig", "X-Amz-Signature"]
)
@pytest.mark.parametrize("made", [token, lambda: letters(30), lambda: letters(12) + "%2B" + letters(6) + "9a"])
def test_a_query_value_that_is_called_a_credential_is_known_and_leaves_nowhere(
    guarded: Guarded, name: str, made: Callable[[], str]
) -> None:
    value = made()
    plain = value.replace("%2B", "+")
    status, sent = guarded.post(f"/openai{CHAT}?{name}={value}", chat(f"why is {plain} refused?"))
    assert status == 200
    assert value.encode() not in sent
    assert plain.encode() not in sent


@pytest.mark.parametrize("query", ["api-version=2024-10-21", "alt=sse&foo=key", "keyword=abc&tokens=20", "beta=true"])
def test_other_parameters_keep_their_bytes(guarded: Guarded, query: str) -> None:
    _, sent = guarded.post(f"/openai{CHAT}?{query}", chat("hello"))
    assert f"?{query} HTTP".encode() in sent
