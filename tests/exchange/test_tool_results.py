"""Results of tools that say of themselves that they failed are counted, once, since the model spoke last."""

import json
from typing import Any

import pytest

from localguard.exchange.tool_results import ToolResults, tool_results
from localguard.wire.messages import MESSAGES
from tests.exchange.driver import Workspace

CODEX = json.dumps({"output": "no such file", "metadata": {"exit_code": 2, "duration_seconds": 0.1}})
ITEMS: list[tuple[Any, tuple[int, int]]] = [
    ({"role": "tool", "tool_call_id": "c", "content": "all is well"}, (1, 0)),
    ({"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "Exit code: 1\nno"}]}, (1, 1)),
    ({"type": "function_call_output", "call_id": "c", "output": CODEX}, (1, 1)),
    ({"type": "function_call_output", "call_id": "c", "output": CODEX.replace(": 2", ": 0")}, (1, 0)),
    ({"type": "function_call_output", "call_id": "c", "output": "Chunk\nProcess exited with code 127\nOutput:"}, (1, 1)),
    ({"type": "function_call_output", "call_id": "c", "output": "Process exited with code 0\nOutput:"}, (1, 0)),
    ({"role": "user", "content": [{"type": "tool_result", "is_error": True, "content": "denied"}]}, (1, 1)),
    ({"role": "user", "content": [{"type": "tool_result", "content": "x"}, {"type": "text", "text": "Exit code: 1"}]}, (1, 0)),
    ({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"error": "no"}}}]}, (1, 1)),
    ({"role": "user", "content": "the exit code 1 of yesterday"}, (0, 0)),
    ({"role": "tool", "content": "{" * 10}, (1, 0)),
    ("text", (0, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("item", "expected"), ITEMS)
def test_a_result_counts_as_failed_where_it_says_so_itself(item: Any, expected: tuple[int, int]) -> None:
    for values in ([item], [{"messages": [{"role": "assistant", "content": "x"}, item]}]):
        found = tool_results(values)
        assert (found.returned, found.failed) == expected


def test_what_came_before_the_model_spoke_was_counted_then() -> None:
    bad = {"role": "tool", "content": "exit_code: 1"}
    spoken: list[Any] = [
        {"role": "assistant", "content": ""},
        {"type": "function_call"},
        {"role": "model", "parts": []},
    ]
    for one in spoken:
        assert tool_results([bad, bad, one, bad]) == ToolResults(returned=2, failed=2)
        assert tool_results([{"input": [bad, one, bad]}]) == ToolResults(returned=1, failed=1)


def conversation(shape: str, command: str, output: str, *, error: bool | None = None) -> list[Any]:
    """A call and its result as an agent sends them, oldest first."""
    arguments = json.dumps({"command": command})
    if shape == "chat":
        call = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": arguments}}
        return [
            {"role": "user", "content": "make it green"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": output},
        ]
    if shape == "responses":
        call = {
            "type": "function_call",
            "call_id": "c1",
            "name": "exec_command",
            "arguments": json.dumps({"cmd": command}),
        }
        return [{"type": "reasoning"}, call, {"type": "function_call_output", "call_id": "c1", "output": output}]
    if shape == "gemini":
        part = {"functionCall": {"name": "run_shell_command", "args": {"command": command}}}
        answer = {"functionResponse": {"name": "run_shell_command", "response": {"output": output}}}
        return [{"role": "model", "parts": [part]}, {"role": "user", "parts": [answer]}]
    use = {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": command}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": output} | (
        {} if error is None else {"is_error": error}
    )
    return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]


CODEX_TEXT = "Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code {}\nOutput:\n{}"


@pytest.mark.parametrize(
    ("items", "tests"),
    [
        (conversation("responses", "pytest -q", CODEX_TEXT.format(0, "..")), {"passed": 1}),
        (conversation("responses", "cd src && cargo test", CODEX_TEXT.format(101, "..")), {"failed": 1}),
        (conversation("responses", "cargo build", CODEX_TEXT.format(101, "..")), {}),
        (conversation("chat", "npm test", CODEX.replace(": 2", ": 1")), {"failed": 1}),
        (conversation("messages", "make test", "Exit code 2\nmake: *** [test]", error=True), {"failed": 1}),
        (conversation("messages", "make test", "all is well", error=False), {"passed": 1}),
        (conversation("messages", "make test", "all is well"), {"unknown": 1}),
        (conversation("messages", "pytest -q | tail -3", "2 failed, 5 passed in 0.2s", error=False), {"failed": 1}),
        (conversation("messages", "pytest -q; true", "5 passed in 0.2s", error=False), {"passed": 1}),
        (conversation("gemini", "go test ./...", "ok  \texample.com/a\t0.01s"), {"passed": 1}),
        (conversation("gemini", "cat pytest.ini", "1 failed"), {}),
    ],
)
def test_what_became_of_tests_is_told_by_the_exit_code_or_the_runner(items: list[Any], tests: dict[str, int]) -> None:
    assert tool_results(reversed(items)).tests == tests
    name = "contents" if "parts" in items[-1] else "input" if "type" in items[-1] else "messages"
    assert tool_results([{name: items}]).tests == tests


def test_tests_of_an_earlier_turn_are_not_counted_again() -> None:
    items = conversation("chat", "pytest", CODEX_TEXT.format(1, ""))
    assert tool_results([{"messages": [*items, {"role": "assistant", "content": "sorry"}]}]).tests == {}
    assert tool_results([{"messages": [*items, *items]}]).tests == {"failed": 1}


@pytest.mark.parametrize("behind", [True, False])
def test_results_are_counted_once_wherever_tools_stand_in_the_body(behind: bool) -> None:
    """opencode sends them behind the messages, and moves its marks for the prompt cache from turn to turn."""
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("bash", "edit")]

    def body(messages: list[Any]) -> bytes:
        before, after = ({}, {"tools": tools}) if behind else ({"tools": tools}, {})
        return json.dumps({"model": "m", **before, "messages": messages, **after}).encode()

    workspace = Workspace()
    said: list[Any] = [{"role": "user", "content": "make it green"}]
    counted = []
    workspace.send(MESSAGES, body(said))
    for number, output in enumerate(("1 failed in 0.1s", "2 passed in 0.1s", "2 passed in 0.1s")):
        use, result = conversation("messages", "pytest -q | tail -1", output)
        use["content"][0]["id"] = result["content"][0]["tool_use_id"] = f"toolu_{number}"
        said += [use, {**result, "content": [{**result["content"][0], "cache_control": {"type": "ephemeral"}}]}]
        workspace.send(MESSAGES, body(said))
        assert workspace.reading is not None
        counted.append(workspace.reading.facts.tool_results.tests)
        del said[-1]["content"][0]["cache_control"]
    assert counted == [{"failed": 1}, {"passed": 1}, {"passed": 1}]
