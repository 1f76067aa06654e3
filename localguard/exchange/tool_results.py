"""What came back from tools since the model spoke last: how many results, and how many that say of themselves that they failed.

Only what an agent says in a field, or at the beginning of a result in the words of a shell, counts; a result that tells of its
failure in other words is one that came back.
"""

import re
from collections.abc import Iterable, Iterator

import orjson

from localguard.wire.format import mapping

_EXIT = re.compile(r"^(?:Process exited with code|[Ee]xit[ _]code:?) (-?\d{1,10})\s*$", re.MULTILINE)
_HEAD = 400
"""Characters of a result's beginning that are looked at."""
_MOST_JSON = 65_536


def tool_results(values: Iterable[object]) -> tuple[int, int]:
    """How many results, and how many of them failed. `values` are a body's items, the newest first, or the whole body."""
    returned = failed = 0
    for item in values:
        for one in _items(item):
            if _is_models(one):
                return returned, failed
            for bad in _results(one):
                returned += 1
                failed += bad
    return returned, failed


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


def _results(item: object) -> Iterator[bool]:
    """Whether each result in an item of the agent's failed: Chat, Responses, Messages, Gemini (references read November 2026)."""
    one = mapping(item)
    content, parts = one.get("content"), one.get("parts")
    if one.get("role") == "tool":
        yield _failed(content)
    elif str(one.get("type", "")).endswith("_call_output"):
        yield _failed(one.get("output"))
    for block in content if isinstance(content, list) else ():
        if mapping(block).get("type") == "tool_result":
            yield mapping(block).get("is_error") is True or _failed(mapping(block).get("content"))
    for part in parts if isinstance(parts, list) else ():
        answer = mapping(part).get("functionResponse") or mapping(part).get("function_response")
        if isinstance(answer, dict):
            yield bool(mapping(answer.get("response")).get("error"))


def _failed(content: object) -> bool:
    """Whether a result says that its command ended with another exit code than 0."""
    if isinstance(content, list):
        content = next((mapping(part).get("text") for part in content if mapping(part).get("text")), None)
    if isinstance(content, str) and content[:1] == "{" and len(content) <= _MOST_JSON:
        try:
            content = orjson.loads(content)
        except orjson.JSONDecodeError:
            return False
    if isinstance(content, dict):
        code = mapping(content.get("metadata")).get("exit_code", content.get("exit_code"))
        return isinstance(code, int) and code != 0
    found = _EXIT.search(content[:_HEAD]) if isinstance(content, str) else None
    return found is not None and int(found[1]) != 0
