"""What a workspace remembers over turns: each text is scanned once, the prefix stays byte for byte, nothing comes back in clear."""

import json
import threading
from typing import Any

import orjson
import pytest

from localguard.exchange.cores import CoreFilter
from localguard.exchange.head import Head
from localguard.exchange.memory import Bounded
from localguard.exchange.request import RequestReading, RequestRefused
from localguard.wire.chat import CHAT, EMBEDDINGS
from localguard.wire.messages import MESSAGES
from localguard.wire.responses import RESPONSES
from tests.exchange.driver import ALLOW, REDACT, VALUES, Workspace, leaks, new_memory, scan
from tests.exchange.streams import DIALECTS, chat, messages, responses


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def body(*history: Any, **members: Any) -> dict[str, Any]:
    return {"model": "m", "tools": [{"name": "t", "description": "a tool"}], **members, "messages": list(history)}


def prefix(redacted: bytes) -> bytes:
    """A request up to the end of its history."""
    return redacted.removesuffix(b"]}")


def test_a_turn_scans_only_its_new_text() -> None:
    workspace = Workspace()
    history = [user(f"question {number} {VALUES[number % 5]}") for number in range(6)]
    workspace.send(CHAT, body(*history[:5]))
    workspace.send(CHAT, body(*history))
    assert workspace.texts == [history[5]["content"].encode()]
    workspace.send(CHAT, body(*history))
    assert workspace.texts == []


def test_a_text_inside_a_changed_item_is_not_scanned_again() -> None:
    workspace = Workspace()
    arguments = {
        "old_string": VALUES[0],
        "new_string": "something rather long, longer than sixty-four characters in all.",
    }
    block = {"type": "tool_use", "id": "toolu_1", "name": "Edit", "input": arguments}
    workspace.send(MESSAGES, {"messages": [{"role": "assistant", "content": [block]}]})
    again = {**block, "input": {**arguments, "replace_all": False}, "cache_control": {"type": "ephemeral"}}
    workspace.send(MESSAGES, {"messages": [{"role": "assistant", "content": [again]}]})
    assert set(workspace.texts) <= {b"replace_all", b"cache_control", b"type", b"ephemeral"}


def test_a_header_sent_before_is_swept_of_what_was_learnt_since() -> None:
    workspace = Workspace()
    named = "S3CR-plain123"  # nothing is found in it by itself
    headers = [("X-Ticket", f"about {named}"), ("Accept", "*/*")]
    for _ in range(2):
        assert list(workspace.send(CHAT, body(), headers=headers).headers) == headers
    workspace.memory.vault.add_known(named, "API_KEY", distinctive=True)
    for _ in range(2):
        sent = workspace.send(CHAT, body(), headers=headers)
        assert named not in str(sent.headers)
        assert [one.location for one in sent.replaced] == ["header"]


def test_a_head_in_which_something_was_found_is_redacted_every_time() -> None:
    workspace = Workspace()
    headers = [("X-Ticket", VALUES[0])]
    for actions, leaves in [(ALLOW, True), (REDACT, False), (ALLOW, True), (REDACT, False)]:
        sent = workspace.send(CHAT, body(), headers=headers, actions=actions)
        assert (VALUES[0] in str(sent.headers)) == leaves
        assert workspace.reading is not None
        assert "API_KEY" in workspace.reading.facts.types


def test_a_head_that_was_read_before_needs_no_scan_and_another_one_does() -> None:
    workspace = Workspace()
    headers = [("X-Agent", "a header rather long, longer than the sixty-four characters of short texts")]
    workspace.send(CHAT, body(), headers=headers)
    workspace.send(CHAT, body(), headers=headers)
    assert workspace.texts == []
    workspace.send(CHAT, body(), headers=[("X-Agent", headers[0][1] + "!")])
    assert workspace.texts == [(headers[0][1] + "!").encode()]


def test_a_credential_seen_before_is_known_again_in_a_memory_that_forgot_it() -> None:
    memory = new_memory()
    value = "S3CR" + "a1" * 10
    for _ in range(2):
        memory.know_credential(value)
        assert memory.vault.sweep(value.encode())
    memory.allow(frozenset({memory.fingerprint(value)}))
    memory.allow(frozenset())
    memory.know_credential(value)
    assert memory.vault.sweep(value.encode())


def test_what_a_request_read_under_an_old_allow_list_is_not_known_under_the_new_one() -> None:
    workspace = Workspace()
    memory, value = workspace.memory, VALUES[0]
    sent = body(user(f"the value is {value}"))
    memory.allow(frozenset({memory.fingerprint(value)}))
    under_way = RequestReading(CHAT, memory, Head("POST", "/v1/x", "", []), orjson.dumps(sent))
    found = memory.judged(under_way.texts, [tuple(scan(text)) for text in under_way.texts])
    memory.allow(frozenset())
    under_way.receive_findings(found)
    assert value.encode() in under_way.redact(dict[str, Any](REDACT)).body  # it began while that was allowed
    assert value.encode() not in workspace.send(CHAT, sent).body
    assert workspace.texts


@pytest.mark.parametrize("spaced", [False, True])
def test_the_prefix_stays_byte_for_byte_over_turns_and_restarts(spaced: bool) -> None:
    def spell(value: Any) -> bytes:
        return json.dumps(value).encode() if spaced else orjson.dumps(value)

    workspace = Workspace()
    history: list[Any] = []
    before = b""
    for number in range(8):
        history.append(user(f"turn {number}: {VALUES[number % 5]} and {'é' * number}"))
        redacted = workspace.send(CHAT, spell(body(*history))).body
        assert redacted.startswith(before)
        assert Workspace().send(CHAT, spell(body(*history))).body == redacted
        before = prefix(redacted)


def test_a_value_found_in_one_field_is_replaced_in_all() -> None:
    for first, second in ((0, 1), (1, 0)):
        texts = ["it is hunter2Hunter2, plainly", "K=S3CR-hunter2Hunter2~ here"]
        workspace = Workspace()
        workspace.memory.vault.add_known("hunter2Hunter2", "PASSWORD")
        redacted = workspace.send(CHAT, body(user(texts[first]), user(texts[second]))).body
        assert b"hunter2Hunter2" not in redacted


def test_a_value_found_late_is_swept_from_earlier_items_and_reported_as_exposed() -> None:
    workspace = Workspace()
    early = user("the value is Abcdef1234567890 as text")
    first = workspace.send(CHAT, body(early))
    assert b"Abcdef1234567890" in first.body
    assert first.exposed == ()
    workspace.memory.vault.placeholder_for("Abcdef1234567890", "API_KEY", data_class="secret", distinctive=True)
    second = workspace.send(CHAT, body(early, user("hm")))
    assert b"Abcdef1234567890" not in second.body
    assert [(one.type, one.location, one.sweep) for one in second.exposed] == [("API_KEY", "messages[0].content", True)]
    third = workspace.send(CHAT, body(early, user("hm")))
    assert third.body == second.body
    assert third.exposed == ()


def test_a_value_that_was_never_sent_is_not_exposed() -> None:
    workspace = Workspace()
    redacted = workspace.send(CHAT, body(user("joe@corp.com"), user("S3CR-abcdefgh1~"), user("joe@corp.com")))
    assert redacted.exposed == ()
    workspace.send(CHAT, body(user("known Qwertz1234567890 soon")), actions=ALLOW)
    workspace.memory.vault.add_known("Qwertz1234567890", "CREDENTIAL")
    assert workspace.send(CHAT, body(user("known Qwertz1234567890 soon"))).exposed == ()


def test_values_in_other_spellings_of_an_earlier_item_are_swept() -> None:
    workspace = Workspace()
    raw = b'{"messages":[{"content":"is \\u0041bcdef1234567890 plain"},{"content":"in {\\"k\\": \\"\\\\u0041bcdef1234567890\\"}"}]}'
    assert workspace.send(CHAT, raw).body == raw
    workspace.memory.vault.add_known("Abcdef1234567890", "CREDENTIAL")
    assert b"bcdef1234567890 plain" not in workspace.send(CHAT, raw).body


def test_values_that_are_not_distinctive_are_replaced_only_where_they_were_found() -> None:
    workspace = Workspace()
    redacted = workspace.send(CHAT, body(user("weak=production"), user("deploy to production")))
    assert b"weak=LG_PASSWORD_" in redacted.body
    assert b"deploy to production" in redacted.body


def test_two_workspaces_share_nothing() -> None:
    one, other = Workspace(), Workspace(new_memory(b"o" * 32))
    first, second = one.send(CHAT, body(user(VALUES[0]))).body, other.send(CHAT, body(user(VALUES[0]))).body
    assert first != second
    again = other.send(CHAT, first).body
    assert again == first  # a stranger's placeholder is ordinary text
    assert other.memory.vault.resolve(json.loads(first)["messages"][0]["content"]) is None


def test_own_placeholders_in_a_request_are_left_alone() -> None:
    workspace = Workspace()
    redacted = workspace.send(CHAT, body(user(VALUES[0]))).body
    assert workspace.send(CHAT, redacted).body == redacted
    assert Workspace().send(CHAT, redacted).body == redacted


# what a reply was turned back into


def restored_content(workspace: Workspace, text: str) -> str:
    return DIALECTS["openai-chat"].read(workspace.receive(CHAT, chat([text[:7], text[7:]]))[0])[0]


def test_a_value_restored_into_prose_comes_back_as_the_placeholder_where_no_scanner_finds_it() -> None:
    workspace = Workspace()
    workspace.send(CHAT, body(user("weak=hunter")))
    placeholder = workspace.memory.vault.placeholder_for("hunter", "PASSWORD", data_class="secret", distinctive=False)
    said = f"the password is {placeholder}, and a hunter hunts"
    content = restored_content(workspace, said)
    assert content == "the password is hunter, and a hunter hunts"
    redacted = workspace.send(CHAT, body(user("weak=hunter"), {"role": "assistant", "content": content}))
    assert json.loads(redacted.body)["messages"][1]["content"] == said


def test_a_value_restored_into_tool_arguments_comes_back_as_the_placeholder() -> None:
    for name in ("openai-chat", "openai-responses", "anthropic-messages"):
        workspace, dialect = Workspace(), DIALECTS[name]
        placeholder = workspace.memory.vault.placeholder_for(
            "hunter", "PASSWORD", data_class="secret", distinctive=False
        )
        written = {"path": "a", "content": f"x {placeholder}\ny"}
        arguments = dialect.read(
            workspace.receive(dialect.format, dialect.make([], [("write_file", [json.dumps(written)])]))[0]
        )[1]
        assert json.loads(arguments[0])["content"] == "x hunter\ny"
        respelled = json.dumps({**json.loads(arguments[0]), "replace_all": False}, indent=1)
        if name == "openai-chat":
            history: Any = body({"role": "assistant", "tool_calls": [{"function": {"arguments": respelled}}]})
        elif name == "openai-responses":
            history = {"input": [{"type": "function_call", "name": "write_file", "arguments": respelled}]}
        else:
            history = {"messages": [{"content": [{"type": "tool_use", "input": json.loads(respelled)}]}]}
        redacted = workspace.send(dialect.format, history).body
        assert b"hunter" not in redacted
        assert placeholder.encode() in redacted


def test_what_is_found_beside_a_restored_value_is_replaced_too() -> None:
    workspace = Workspace()
    placeholder = workspace.memory.vault.placeholder_for("hunter", "PASSWORD", data_class="secret", distinctive=False)
    content = restored_content(workspace, f"pass {placeholder} of joe@corp.com")
    redacted = workspace.send(CHAT, body({"role": "assistant", "content": content})).body
    assert b"hunter" not in redacted
    assert b"joe@corp.com" not in redacted


def test_the_same_edit_said_by_a_whole_reply_is_known_again() -> None:
    workspace = Workspace()
    placeholder = workspace.memory.vault.placeholder_for("hunter", "PASSWORD", data_class="secret", distinctive=False)
    reply = {
        "content": [{"type": "tool_use", "name": "Edit", "input": {"edits": [{"new_string": f"a {placeholder}"}]}}]
    }
    made, _ = workspace.receive(MESSAGES, orjson.dumps(reply), stream=False)
    assert b"a hunter" in made
    redacted = workspace.send(MESSAGES, {"messages": [json.loads(made)]}).body
    assert b"hunter" not in redacted


def test_a_conversation_of_many_turns_is_what_the_model_saw() -> None:
    """The history that goes upstream holds every earlier reply exactly as the model wrote it."""
    for dialect, make in ((DIALECTS["openai-chat"], chat), (DIALECTS["anthropic-messages"], messages)):
        workspace = Workspace()
        history: list[Any] = []
        upstream = b""
        for number in range(6):
            history.append(user(f"here is {VALUES[number % 5]}"))
            redacted = workspace.send(dialect.format, {"messages": history}).body
            assert leaks(redacted) == []
            assert redacted.startswith(prefix(upstream))
            upstream = redacted
            said = f"You gave me {workspace.placeholder(VALUES[number % 5])}, I `use` it."
            content = dialect.read(workspace.receive(dialect.format, make([said[:9], said[9:]]))[0])[0]
            assert VALUES[number % 5] in content
            history.append({"role": "assistant", "content": content})
            echoed = json.loads(workspace.send(dialect.format, {"messages": history}).body)["messages"][-1]["content"]
            assert echoed == said


def test_a_responses_reply_is_known_again_by_its_items() -> None:
    workspace = Workspace()
    said = f"it is {workspace.placeholder(VALUES[1])}!"
    content = DIALECTS["openai-responses"].read(workspace.receive(RESPONSES, responses([said]))[0])[0]
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": content}]}
    redacted = json.loads(workspace.send(RESPONSES, {"input": [item]}).body)
    assert redacted["input"][0]["content"][0]["text"] == said


# facts


def test_facts_speak_of_new_and_known_items_alike() -> None:
    workspace = Workspace()
    request = body(user("S3CR-abcdefgh1~ joe@corp.com"), model="gpt", stream=True)
    for _ in range(2):
        workspace.send(CHAT, request)
        assert workspace.reading is not None
        facts = workspace.reading.facts
        assert facts.types == {"API_KEY", "secret", "EMAIL", "pii"}
        assert (facts.model, facts.stream, facts.tools) == ("gpt", True, ("t",))
    assert facts.new_bytes == 0


def test_locations_name_structure_and_no_values() -> None:
    replaced = (
        Workspace()
        .send(CHAT, body(user("x"), metadata={"S3CR-abcdefgh1~": {"S3CR-abcdefgh2~": "S3CR-abcdefgh3~"}}))
        .replaced
    )
    assert {one.location for one in replaced} == {"metadata.*", "metadata.*.*"}
    assert "S3CR" not in repr(replaced)


# bounds and threads


def test_a_bounded_memory_forgets_what_was_used_least_recently() -> None:
    memory: Bounded[str, int] = Bounded(10)
    for number, name in enumerate("abcde"):
        memory.put(name, number, 3)
        memory.get("a")
    assert "a" in memory
    assert "b" not in memory
    assert len(memory) == 3


def test_many_threads_on_one_memory_leave_it_whole() -> None:
    workspace = Workspace()
    known = [f"Value{number}Abcdef{number * 7919}" for number in range(40)]
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        mine = Workspace(workspace.memory)
        try:
            for number in range(40):
                value = known[(number * seed) % 40]
                mine.memory.vault.add_known(value, "CREDENTIAL")
                redacted = mine.send(CHAT, body(*[user(f"{one} {seed % 3}") for one in known])).body
                assert value.encode() not in redacted
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 3, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_thousands_of_known_values_do_not_slow_a_turn_down() -> None:
    workspace = Workspace()
    for number in range(5000):
        workspace.memory.vault.add_known(f"Known{number}Abcdefgh{number * 7919}", "CREDENTIAL")
    history = [user(f"text {number} " + "word " * 400) for number in range(300)]
    workspace.send(CHAT, body(*history))
    history.append(user(f"now Known77Abcdefgh{77 * 7919}"))
    assert b"Known77Abcdefgh" not in workspace.send(CHAT, body(*history)).body


@pytest.mark.parametrize("count", [0, 1, 40, 5000])
def test_a_filter_of_cores_misses_nothing(count: int) -> None:
    cores = [f"core{number}x".encode() for number in range(count)] + [b"abc"]
    found = CoreFilter(cores)
    assert all(found.may_hold(b"... " + core + b" ...") for core in cores)
    assert not found.may_hold(b"nothing of that kind")
    assert not found.may_hold(b"." * 600_000)
    for core in cores[::1500]:
        for before in (300_000, *range(256 * 1024 - 10, 256 * 1024 + 2)):
            assert found.may_hold(b"." * before + core)
            assert found.may_hold(b"." * before + core + b"." * 300_000)
    assert CoreFilter([b""]).may_hold(b"x")


def test_embeddings_and_refused_requests_leave_nothing_behind() -> None:
    workspace = Workspace()
    with pytest.raises(RequestRefused):
        workspace.send(CHAT, {"messages": [user(VALUES[0])], "seed": 4111111111111111})
    assert leaks(workspace.send(CHAT, body(user(VALUES[0]))).body) == []
    assert leaks(workspace.send(EMBEDDINGS, {"input": [VALUES[0], "a"]}).body) == []
