"""Bodies of an API that the guard does not know: every leaf is text, and what is called like arguments is judged.

A streamed reply of unknown shape is read by what streams have in common: a text that grows stands in event after event at
the same place, under a name that says that it is text or a piece of one. Such leaves are one channel each, so that a
placeholder may be cut anywhere between them, and an address that begins in one event is known in the next. Pieces of
arguments are no channel: nothing says where they end, so nothing could judge them (see `exchange.leaves`).
"""

import copy
import re
from collections.abc import Hashable, Iterator

from localguard.wire.format import Delta, JsonObject, Observed, Path, Reading, WireFormat
from localguard.wire.table import CALL_MEMBERS, Kind, compile_reply, compile_table

_PIECES = frozenset({"delta", "token", "chunk", "piece", "partial", "text_delta", "content_delta", "token_text"})
"""Members that are called pieces of a text."""
_TEXTS = frozenset(
    {
        "text",
        "content",
        "response",
        "output",
        "output_text",
        "generated_text",
        "completion",
        "answer",
        "reasoning",
        "reasoning_content",
        "thinking",
        "thought",
        "transcript",
    }
)
"""Members that may be: they are where the event is called a piece, has no type, or came with another text before."""
_PIECE_TYPE = re.compile(r"delta|chunk|token|partial|piece|progress", re.IGNORECASE)
_END_TYPE = re.compile(r"end|done|stop|complete|finish|final", re.IGNORECASE)
_END_MARKS = frozenset({"done", "stop", "finished", "final", "is_final", "is_finished", "completed"})
_END_REASONS = frozenset({"finish_reason", "stop_reason", "done_reason", "finishReason", "stopReason"})
_MOST_LEAVES = 64
"""Growing texts of one event that are followed."""
_DEEPEST = 8


def observe(reply: JsonObject, observed: Observed) -> None:
    """An unknown reply says nothing."""


class GenericStream:
    """Events of a reply of unknown shape; a channel is a place in events of one type, with the indices beside it."""

    def __init__(self) -> None:
        self.observed = Observed()
        self._seen: set[Hashable] = set()
        self._open: set[Hashable] = set()

    def read(self, event: JsonObject) -> Reading:
        """See StreamReader."""
        kind = event.get("type", event.get("event"))
        kind = kind if isinstance(kind, str) else ""
        grows = not kind or _PIECE_TYPE.search(kind) is not None
        deltas: list[Delta] = []
        for path, beside in _texts(event, (), (), 0):
            channel: Hashable = (kind, path, beside)
            known = channel in self._seen
            if len(self._seen) < _MOST_LEAVES:
                self._seen.add(channel)
            if known or grows or _called_piece(path):
                deltas.append(Delta(path, channel, Kind.TEXT))
        deltas = deltas[:_MOST_LEAVES]
        if _END_TYPE.search(kind) is not None or _ends(event, 0):
            self._open = set()
            return Reading(deltas, closes_all=True)
        now = {delta.channel for delta in deltas}
        closes = [channel for channel in self._open if channel not in now]
        self._open = now
        return Reading(deltas, closes)

    def tail(self, event: JsonObject, delta: Delta, text: str) -> JsonObject:
        """See StreamReader."""
        made = copy.deepcopy(event)
        for path, _ in _texts(made, (), (), 0):
            holder: object = made
            for step in path[:-1]:
                holder = holder[step]  # type: ignore[index]
            holder[path[-1]] = text if path == delta.path else ""  # type: ignore[index]
        return made


def _texts(
    value: object, path: Path, beside: tuple[object, ...], depth: int
) -> Iterator[tuple[Path, tuple[object, ...]]]:
    """The leaves that may be growing texts, each with the indices and ids that stand beside it and above it."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index), beside, depth + 1)
    elif isinstance(value, dict):
        inner = (*beside, *(one for name, one in value.items() if _is_index(name) and isinstance(one, int | str)))
        for name, one in value.items():
            if isinstance(one, str):
                if name in _PIECES or name in _TEXTS:
                    yield (*path, name), inner
            elif name not in CALL_MEMBERS:
                yield from _texts(one, (*path, name), inner, depth + 1)


def _ends(value: object, depth: int) -> bool:
    """Whether an event says that it is the last one of something."""
    if depth > _DEEPEST:
        return False
    if isinstance(value, list):
        return any(_ends(item, depth + 1) for item in value)
    if not isinstance(value, dict):
        return False
    return any(
        (name in _END_MARKS and one is True) or (name in _END_REASONS and bool(one)) or _ends(one, depth + 1)
        for name, one in value.items()
    )


def _is_index(name: str) -> bool:
    return name in ("index", "channel", "role") or name.endswith(("_index", "_id"))


def _called_piece(path: Path) -> bool:
    return any(step in _PIECES for step in path)


GENERIC = WireFormat("generic-json", compile_table([]), compile_reply([]), frozenset(), GenericStream, observe)
