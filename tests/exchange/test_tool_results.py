"""Results of tools that say of themselves that they failed are counted, once, since the model spoke last."""

import json
from typing import Any

import pytest

from localguard.exchange.tool_results import tool_results

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
    assert tool_results([item]) == expected
    assert tool_results([{"messages": [{"role": "assistant", "content": "x"}, item]}]) == expected


def test_what_came_before_the_model_spoke_was_counted_then() -> None:
    bad = {"role": "tool", "content": "exit_code: 1"}
    spoken: list[Any] = [
        {"role": "assistant", "content": ""},
        {"type": "function_call"},
        {"role": "model", "parts": []},
    ]
    for one in spoken:
        assert tool_results([bad, bad, one, bad]) == (2, 2)
        assert tool_results([{"input": [bad, one, bad]}]) == (1, 1)
