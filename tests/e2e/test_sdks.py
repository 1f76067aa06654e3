"""The official SDKs through a guard get what they get from the provider itself, and the provider gets no secret."""

import gzip
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.e2e.guard import Guard
from tests.e2e.planted import github_token, made, seen
from tests.e2e.sdks import BODILESS, KEY, OTHER, STREAMED, WHOLE, Way
from tests.provider.script import Answer, Asked, Turn, call
from tests.provider.server import Provider

TOKEN = github_token(1)
PASSWORD = made("DB_PASSWORD=⟦{password}⟧", 2)[1]
PROMPT = f'The token is {TOKEN}, say it back. DB_PASSWORD="{PASSWORD}" — naïve 🙂\n'
SECRETS = (TOKEN, PASSWORD)


@pytest.fixture
def ways(provider: Provider, guard: Guard) -> tuple[Way, Way]:
    """Straight to the provider, and through the guard."""
    return Way.direct(provider.url), Way.guarded(guard.url)


@pytest.fixture(params=[None, 1, 3, 1000], ids=["event by event", "1 byte", "3 bytes", "1000 bytes"])
def cut_into(request: pytest.FixtureRequest, provider: Provider) -> None:
    provider.slice = request.param


def says(asked: Asked) -> Turn:
    """The model repeats what it was told, in prose and in the arguments of two calls."""
    return Turn(
        text=f"You said: {asked.user} (that was all)",
        calls=(call("write", path="a.env", content=asked.user), call("bash", command="echo done")),
        thinking="" if asked.format == "messages" else f"They said {asked.user}",
    )


def assert_no_secret(provider: Provider) -> None:
    """None of the secrets stands in what came through the guard."""
    for recorded in provider.requests:
        assert seen(SECRETS, recorded.everything) == []


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_reply_is_what_the_provider_alone_would_have_given(
    name: str, ways: tuple[Way, Way], provider: Provider
) -> None:
    provider.brain = says
    expected = WHOLE[name](ways[0], PROMPT)
    provider.requests.clear()
    assert WHOLE[name](ways[1], PROMPT) == expected
    assert TOKEN in str(expected)
    assert len([one for one in provider.content if one.path != "/api/show"]) == 1  # the guard's own question
    assert_no_secret(provider)


@pytest.mark.usefixtures("cut_into")
@pytest.mark.parametrize("name", STREAMED)
def test_a_streamed_reply_is_what_the_provider_alone_would_have_given(
    name: str, ways: tuple[Way, Way], provider: Provider
) -> None:
    provider.brain = says
    expected = STREAMED[name](ways[0], PROMPT)
    provider.requests.clear()
    assert STREAMED[name](ways[1], PROMPT) == expected
    assert expected.failed is None
    assert TOKEN in expected.text
    assert PASSWORD in str(expected.calls)
    assert_no_secret(provider)


@pytest.mark.parametrize("name", OTHER)
def test_other_calls_answer_alike_and_carry_no_secret(name: str, ways: tuple[Way, Way], provider: Provider) -> None:
    expected = OTHER[name](ways[0], PROMPT)
    provider.requests.clear()
    assert OTHER[name](ways[1], PROMPT) == expected
    assert len(provider.content) == 1
    assert_no_secret(provider)


@pytest.mark.parametrize("name", BODILESS)
def test_calls_without_a_body_answer_alike(name: str, ways: tuple[Way, Way], provider: Provider) -> None:
    expected = BODILESS[name](ways[0], "")
    direct = provider.last
    assert BODILESS[name](ways[1], "") == expected
    assert (provider.last.method, provider.last.target) == (direct.method, direct.target)


def test_signed_thinking_travels_as_the_provider_wrote_it_both_ways(provider: Provider, guard: Guard) -> None:
    provider.brain = lambda asked: Turn(text="done", thinking=f"They gave me {asked.user}. LG_ is no placeholder.")
    client = Way.guarded(guard.url).anthropic_client()
    first: Any = [{"role": "user", "content": PROMPT}]
    reply = client.messages.create(model="stub-1", max_tokens=100, messages=first)
    with client.messages.stream(model="stub-1", max_tokens=100, messages=first) as stream:
        streamed = stream.get_final_message()
    thinking, said = reply.content[0], provider.last.json["messages"][0]["content"]
    assert thinking.type == "thinking"
    assert thinking.thinking == f"They gave me {said}. LG_ is no placeholder."
    assert streamed.content[0] == thinking
    again = [*first, {"role": "assistant", "content": reply.content}, {"role": "user", "content": "go on"}]
    client.messages.create(model="stub-1", max_tokens=100, messages=again)
    assert provider.last.json["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": thinking.thinking,
        "signature": thinking.signature,
    }
    assert_no_secret(provider)


# errors

RATE_LIMITED = (
    ("Content-Type", "application/json; charset=utf-8"),
    ("retry-after", "7"),
    ("Retry-After-Ms", "7000"),
    ("x-ratelimit-remaining-requests", "0"),
    ("anthropic-ratelimit-tokens-reset", "2026-01-31T12:00:00Z"),
    ("request-id", "req_011CStub"),
    ("x-should-retry", "true"),
)
ERRORS = {
    "429": Answer(
        429, b'{"error": {"message":"slow  down","type":"rate_limit_error","code":null,"n":1.0}}\n', RATE_LIMITED
    ),
    "401": Answer(401, b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'),
    "500": Answer(500, b"<html>it broke</html>", (("Content-Type", "text/html"),)),
    "529": Answer(529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', RATE_LIMITED),
    "404": Answer(404, b'{"error":"model \\"x\\" not found"}'),
    "empty 502": Answer(502, b"", ()),
    "gzip 400": Answer(
        400,
        gzip.compress(b'{"error":{"message":"too long"}}', mtime=0),
        (("Content-Encoding", "gzip"), ("Content-Type", "application/json")),
    ),
}


def _failure(name: str, way: Way) -> tuple[object, ...]:
    try:
        WHOLE[name](way, PROMPT)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        headers = {n: v for n, v in error.response.headers.multi_items() if n not in _OF_THE_CONNECTION}
        return type(error), error.status_code, error.body, error.message, error.response.content, headers
    except Exception as error:
        return type(error), str(error)
    raise AssertionError("no error")


_OF_THE_CONNECTION = ("date", "server", "x-localguard-exchange", "content-length", "connection")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", WHOLE)
def test_an_error_of_the_provider_arrives_verbatim(
    name: str, error: str, ways: tuple[Way, Way], provider: Provider
) -> None:
    provider.brain = lambda asked: ERRORS[error]
    expected = _failure(name, ways[0])
    assert _failure(name, ways[1]) == expected


def test_the_bytes_of_an_error_are_the_providers(provider: Provider, guard: Guard) -> None:
    for given in ERRORS.values():
        provider.brain = lambda asked, given=given: given  # type: ignore[misc]
        with httpx.stream("POST", f"{guard.url}/openai/v1/chat/completions", json={"messages": []}) as reply:
            assert (reply.status_code, b"".join(reply.iter_raw())) == (given.status, given.body)
            for header, value in given.headers:
                assert reply.headers[header] == value


@pytest.mark.parametrize("at", [0, 4])
@pytest.mark.parametrize("fault", ["cut", "error"])
@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_that_breaks_off_breaks_off_alike(
    name: str, fault: str, at: int, ways: tuple[Way, Way], provider: Provider
) -> None:
    broken = Turn("so far so good, and so on", cut=at) if fault == "cut" else Turn("so far so good", error_after=at)
    provider.brain = lambda asked: broken
    expected = STREAMED[name](ways[0], PROMPT)
    got = STREAMED[name](ways[1], PROMPT)
    assert (got.text, got.end, got.failed) == (expected.text, expected.end, expected.failed)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_reply_that_breaks_off_is_an_error(name: str, ways: tuple[Way, Way], provider: Provider) -> None:
    provider.brain = lambda asked: Turn(text="so far so good", cut=1)
    for way in ways:
        with pytest.raises(Exception, match=r".") as failed:
            WHOLE[name](way, PROMPT)
        assert not isinstance(failed.value, AssertionError)


# headers and queries


def test_unknown_headers_and_queries_travel_both_ways(provider: Provider, guard: Guard) -> None:
    provider.reply_headers = (
        ("x-ratelimit-remaining-tokens", "123"),
        ("openai-processing-ms", "5"),
        ("X-Odd_Name", "a, b;q=1"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-localguard-forged", "no"),
    )
    reply = (
        Way.guarded(guard.url)
        .openai_client(organization="org-1", project="proj-1")
        .chat.completions.with_raw_response.create(
            model="stub-1",
            messages=[{"role": "user", "content": "hi"}],
            extra_headers={"X-Team": "blue, green", "x-stainless-retry-count": "0", "X-LocalGuard-Task": "docs"},
            extra_query={"api-version": "2025-01-01", "empty": "", "q": "a b+c/ü&x=y"},
            extra_body={"unknown_field": {"keep": [1.5, None, "ü"]}},
        )
    )
    sent = provider.last
    assert sent.target.startswith("/v1/chat/completions?")
    assert httpx.URL(provider.url + sent.target).params.multi_items() == [
        ("api-version", "2025-01-01"),
        ("empty", ""),
        ("q", "a b+c/ü&x=y"),
    ]
    assert sent.header("x-team") == "blue, green"
    assert sent.header("openai-organization") == "org-1"
    assert sent.header("openai-project") == "proj-1"
    assert sent.header("authorization") == f"Bearer {KEY}"
    assert (
        sent.header(
            "user-agent",
        )
        == reply.http_request.headers["user-agent"]
    )
    assert not [name for name, _ in sent.headers if name.lower().startswith("x-localguard")]
    assert sent.json["unknown_field"] == {"keep": [1.5, None, "ü"]}
    assert reply.headers["x-ratelimit-remaining-tokens"] == "123"
    assert reply.headers["openai-processing-ms"] == "5"
    assert reply.headers["x-odd_name"] == "a, b;q=1"
    assert reply.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "x-localguard-forged" not in reply.headers
    assert reply.headers["x-localguard-exchange"].startswith("x")


def test_beta_headers_and_oauth_bearers_of_anthropic_pass_untouched(provider: Provider, guard: Guard) -> None:
    bearer = made("⟦sk-ant-oat01-{b64url:86}AA⟧", 5)[1]
    client = Way.guarded(guard.url).anthropic_client(auth_token=bearer, api_key=None)
    told = client.beta.messages.with_raw_response.create(
        model="stub-1",
        max_tokens=10,
        messages=[{"role": "user", "content": f"my login is {bearer}"}],
        betas=["oauth-2025-04-20", "context-1m-2025-08-07"],
        extra_query={"beta": "true"},
    )
    sent = provider.last
    assert sent.target.endswith("?beta=true")
    assert sent.target == told.http_request.url.raw_path.decode().removeprefix("/anthropic")
    assert sent.header("authorization") == f"Bearer {bearer}"
    assert sent.header("anthropic-beta") == "oauth-2025-04-20,context-1m-2025-08-07"
    assert sent.header("anthropic-version") == told.http_request.headers["anthropic-version"]
    assert seen([bearer], sent.body) == []


def test_numbers_and_key_order_of_a_request_keep_their_spelling(provider: Provider, guard: Guard) -> None:
    body = (
        '{"z":1.0,"model":"stub-1","a":-0,"big":9223372036854775809,"small":1e-7,'
        f'"messages":[{{"content":"say {TOKEN}","role":"user"}}]}}'
    )
    reply = httpx.post(f"{guard.url}/compatible/v1/chat/completions", content=body)
    assert reply.status_code == 200, reply.text
    sent = provider.last.body.decode()
    placeholder = sent[sent.index("LG_") : sent.index('","role"')]
    assert sent == body.replace(TOKEN, placeholder)
