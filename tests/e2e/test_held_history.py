"""History that the provider holds: what did not pass through this process is refused, whatever names it."""

import json
from collections.abc import Iterator

import pytest

from tests.review.harness import Guarded, Provider, token

RESPONSES = "/openai/v1/responses"
ITEMS = [{"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}]


def answer(head: bytes) -> bytes:
    """A new conversation, thread, cache or interaction, a streamed response, or a whole one."""
    path = head.split(b" ")[1].decode().partition("?")[0]
    kind = "application/json"
    if path.endswith("/conversations"):
        body = json.dumps({"id": "conv_here", "object": "conversation"}).encode()
    elif path.endswith("/threads"):
        body = json.dumps({"id": "thread_here", "object": "thread"}).encode()
    elif path.endswith("/threads/runs"):
        kind = "text/event-stream"
        made = {"id": "run_1", "object": "thread.run", "thread_id": "thread_run"}
        body = f"event: thread.run.created\ndata: {json.dumps(made)}\n\ndata: [DONE]\n\n".encode()
    elif path.endswith("/cachedContents"):
        body = json.dumps({"name": "cachedContents/here"}).encode()
    elif b"x-streamed" in head.lower():
        kind = "text/event-stream"
        done = {"type": "response.output_item.done", "output_index": 0, "item": ITEMS[0] | {"id": "msg_streamed"}}
        end = {"type": "response.completed", "response": {"id": "resp_streamed", "output": [done["item"]]}}
        body = b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in (done, end))
    else:
        body = json.dumps({"id": "resp_here", "object": "response", "status": "completed", "output": ITEMS}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind.encode(), len(body)) + body


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(answer) as started:
        yield started


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Guarded]:
    started = Guarded(tmp_path_factory.mktemp("held") / "home", provider)
    yield started
    started.remove()


def ask(more: dict[str, object]) -> dict[str, object]:
    return {"model": "m", "input": "go on", **more}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (RESPONSES, ask({"conversation": "conv_elsewhere"})),
        (RESPONSES, ask({"conversation": {"id": "conv_elsewhere"}})),
        (RESPONSES, ask({"conversation": {"id": ["conv_elsewhere"]}})),
        (RESPONSES, ask({"conversation": {"id": "conv_elsewhere", "pad": "x" * 100_000}})),
        (RESPONSES, ask({"input": [{"type": "item_reference", "id": "msg_elsewhere"}]})),
        (RESPONSES, ask({"input": [{"id": "msg_elsewhere"}, {"role": "user", "content": "go on"}]})),
        ("/openai/v1/conversations/conv_elsewhere/items", {"items": []}),
        ("/openai/v1/threads/thread_elsewhere/runs", {"assistant_id": "asst_1"}),
        ("/openai/v1/threads/thread%5Felsewhere/messages", {"role": "user", "content": "hello"}),
        ("/openai/openai/threads/thread_elsewhere/runs?api-version=1", {"assistant_id": "asst_1"}),
        ("/openai/v1/runs", {"thread_id": "thread_elsewhere"}),
        ("/gemini/v1beta/models/m:generateContent", {"contents": [], "cachedContent": "cachedContents/elsewhere"}),
        ("/gemini/v1beta/interactions", {"input": "go on", "previous_interaction_id": "int_elsewhere"}),
    ],
)
def test_history_that_did_not_pass_through_is_refused(guarded: Guarded, path: str, body: dict[str, object]) -> None:
    status, _, told = guarded.send("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    assert status == 400
    assert b"history-unseen" in told
    assert guarded.post(path, body)[1] == b""


def test_a_previous_response_that_did_not_pass_through_gets_the_providers_own_error(guarded: Guarded) -> None:
    body = json.dumps(ask({"previous_response_id": "resp_elsewhere"})).encode()
    status, _, told = guarded.send("POST", RESPONSES, body, {"Content-Type": "application/json"})
    assert (status, json.loads(told)["error"]["code"]) == (400, "previous_response_not_found")


@pytest.mark.parametrize(
    ("first", "headers", "then"),
    [
        (("/openai/v1/conversations", {}), {}, (RESPONSES, ask({"conversation": {"id": "conv_here"}}))),
        (("/openai/v1/conversations", {}), {}, ("/openai/v1/conversations/conv_here/items", {"items": []})),
        (("/openai/v1/threads", {}), {}, ("/openai/v1/threads/thread_here/runs", {"assistant_id": "asst_1"})),
        (("/openai/v1/threads/runs", {"thread": {}}), {}, ("/openai/v1/threads/thread_run/runs", {})),
        (
            ("/gemini/v1beta/cachedContents", {"contents": []}),
            {},
            ("/gemini/v1beta/models/m:generateContent", {"contents": [], "cachedContent": "cachedContents/here"}),
        ),
        ((RESPONSES, ask({})), {}, (RESPONSES, ask({"previous_response_id": "resp_here"}))),
        ((RESPONSES, ask({})), {}, (RESPONSES, ask({"input": [{"type": "item_reference", "id": "msg_1"}]}))),
        (
            (RESPONSES, ask({"stream": True})),
            {"x-streamed": "1"},
            (
                RESPONSES,
                ask(
                    {
                        "previous_response_id": "resp_streamed",
                        "input": [{"type": "item_reference", "id": "msg_streamed"}],
                    }
                ),
            ),
        ),
    ],
)
def test_history_that_passed_through_may_be_built_on(
    guarded: Guarded,
    first: tuple[str, dict[str, object]],
    headers: dict[str, str],
    then: tuple[str, dict[str, object]],
) -> None:
    assert guarded.post(*first, headers)[0] == 200
    assert guarded.post(*then)[0] == 200


def test_what_was_only_read_did_not_pass_through(guarded: Guarded) -> None:
    assert guarded.get("/openai/v1/threads/thread_read/messages")[0] == 200
    assert guarded.post("/openai/v1/threads/thread_read/runs", {"assistant_id": "asst_1"})[1] == b""


def test_a_stored_prompt_is_no_history_and_its_variables_are_scanned(guarded: Guarded) -> None:
    secret = token()
    name = "pmpt_0123456789abcdef0123456789abcdef"
    prompt = {"id": name, "version": "2", "variables": {"key": secret}}
    status, sent = guarded.post(RESPONSES, ask({"prompt": prompt}))
    assert status == 200
    assert name.encode() in sent
    assert secret.encode() not in sent
