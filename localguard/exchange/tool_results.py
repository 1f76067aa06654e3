"""What came back from tools since the model spoke last: how many results, how many of them failed, and what became of tests.

Only what an agent says in a field, or at the beginning of a result in the words of a shell, counts as a failure; a result that tells of
its failure in other words is one that came back. Of tests the runner's own last words count too (`test_runs`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from localguard.exchange.calls import ToolCall, command_texts
from localguard.exchange.test_runs import exit_code, passed, runs_tests
from localguard.wire.format import mapping

_MOST_JSON = 65_536


@dataclass(frozen=True, slots=True)
class ToolResults:
    """Counts. `tests_unknown` are runs of tests of which nobody says how they ended."""

    returned: int = 0
    failed: int = 0
    tests_passed: int = 0
    tests_failed: int = 0
    tests_unknown: int = 0

    @property
    def tests(self) -> dict[str, int]:
        """Runs of tests by what became of them; empty for none."""
        counts = {"passed": self.tests_passed, "failed": self.tests_failed, "unknown": self.tests_unknown}
        return {name: count for name, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class _Result:
    """One result: of which call, whether it says that it failed (None: it does not say), and its text."""

    call: str
    bad: bool | None
    code: int | None
    text: str


def tool_results(values: Iterable[object]) -> ToolResults:
    """What came back. `values` are a body's items, the newest first, or the whole body; behind the results stand the calls."""
    results: list[_Result] = []
    commands: dict[str, list[str]] = {}
    spoken = False
    for value in values:
        for item in _items(value):
            if _is_models(item):
                spoken = True
                commands.update(_commands(item))
            elif spoken:
                return _counted(results, commands)
            else:
                results += _results(item)
    return _counted(results, commands)


def _counted(results: Iterable[_Result], commands: Mapping[str, list[str]]) -> ToolResults:
    counts: Counter[str] = Counter()
    for one in results:
        counts["returned"] += 1
        counts["failed"] += bool(one.bad)
        command = next(filter(runs_tests, commands.get(one.call, ())), None)
        if command is not None:
            code = one.code if one.code is not None or one.bad is None else int(one.bad)
            ended = passed(command, code, one.text)
            counts["tests_unknown" if ended is None else "tests_passed" if ended else "tests_failed"] += 1
    return ToolResults(**counts)


def _items(value: object) -> Iterator[object]:
    """The items of a whole body, the newest first, or the one that is given."""
    whole = mapping(value)
    for name in ("messages", "input", "contents"):
        items = whole.get(name)
        if isinstance(items, list):
            yield from reversed(items)
            return
    yield value


def _is_models(item: object) -> bool:
    one = mapping(item)
    kind = str(one.get("type", ""))
    return one.get("role") in ("assistant", "model") or kind.endswith("_call") or kind == "reasoning"


def _commands(item: object) -> dict[str, list[str]]:
    """The command lines in an item of the model's, by the id of the call: Chat, Responses, Messages, Gemini."""
    one = mapping(item)
    found: list[tuple[object, object, object]] = [(one.get("call_id"), one.get("name"), one.get("arguments"))]
    found += [(one.get("call_id"), "local_shell", one.get("action")), (one.get("call_id"), "shell", one.get("action"))]
    for call in _list(one.get("tool_calls")):
        function = mapping(mapping(call).get("function"))
        found.append((mapping(call).get("id"), function.get("name"), function.get("arguments")))
    for block in _list(one.get("content")):
        if mapping(block).get("type") == "tool_use":
            found.append((mapping(block).get("id"), mapping(block).get("name"), mapping(block).get("input")))
    for part in _list(one.get("parts")):
        call = mapping(mapping(part).get("functionCall") or mapping(part).get("function_call"))
        found.append((call.get("id") or call.get("name"), call.get("name"), call.get("args")))
    return {
        str(id): texts
        for id, tool, arguments in found
        if id and arguments and (texts := command_texts(ToolCall(str(tool), _as_json(arguments))))
    }


def _as_json(arguments: object) -> str:
    return arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()


def _results(item: object) -> Iterator[_Result]:
    """The results in an item of the agent's: Chat, Responses, Messages, Gemini (references read November 2026)."""
    one = mapping(item)
    if one.get("role") == "tool":
        yield _result(one.get("tool_call_id"), one.get("content"), None)
    elif str(one.get("type", "")).endswith("_call_output"):
        yield _result(one.get("call_id"), one.get("output"), None)
    for block in _list(one.get("content")):
        if mapping(block).get("type") == "tool_result":
            said = mapping(block).get("is_error")
            yield _result(mapping(block).get("tool_use_id"), mapping(block).get("content"), said)
    for part in _list(one.get("parts")):
        answer = mapping(part).get("functionResponse") or mapping(part).get("function_response")
        if isinstance(answer, dict):
            response = mapping(answer.get("response"))
            yield _result(
                answer.get("id") or answer.get("name"), response.get("output"), bool(response.get("error")) or None
            )


def _result(call: object, content: object, said: object) -> _Result:
    """A result with what `said` it failed (a flag, or None), and what its text says."""
    if isinstance(content, list):
        content = next((mapping(part).get("text") for part in content if mapping(part).get("text")), None)
    text = content if isinstance(content, str) else ""
    if text[:1] == "{" and len(text) <= _MOST_JSON:
        try:
            content = orjson.loads(text)
        except orjson.JSONDecodeError:
            content = None
    if isinstance(content, dict):
        stated = mapping(content.get("metadata")).get("exit_code", content.get("exit_code"))
        code = stated if isinstance(stated, int) else None
        text = str(content.get("output") or content.get("stdout") or text)
    else:
        code = exit_code(text)
    bad = True if said is True or (code is not None and code != 0) else said if isinstance(said, bool) else None
    return _Result(str(call), bad, code, text)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
