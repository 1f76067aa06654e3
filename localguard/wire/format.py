"""What a wire format is: two place tables, the members that hold the history, and a reader of streamed replies."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from localguard.wire.table import Kind, Node

Path = tuple[str | int, ...]
JsonObject = dict[str, Any]


class Delta(NamedTuple):
    """One string leaf of a stream event that continues a channel (a content block, a call's arguments)."""

    path: Path
    channel: Hashable
    kind: Kind
    tool: str = ""


@dataclass(slots=True)
class Reading:
    """What one stream event carries: leaves that continue channels, and the channels that end with it."""

    deltas: Sequence[Delta] = ()
    closes: Sequence[Hashable] = ()
    closes_all: bool = False


@dataclass(slots=True)
class Usage:
    """Tokens of one exchange as the provider counted them. `input` includes no cache reads or writes."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    """Of `cache_write`, what is kept for an hour (Messages), at a price of its own."""
    reasoning: int = 0
    seen: bool = False

    def as_record(self) -> dict[str, int]:
        """The fields by name, for a log record."""
        return {
            "input": self.input,
            "output": self.output,
            "cache_read": self.cache_read,
            "cache_write": self.cache_write,
            "cache_write_1h": self.cache_write_1h,
            "reasoning": self.reasoning,
        }


@dataclass(slots=True)
class Observed:
    """What a reply says of itself, streamed or whole: never any of its text, tool calls aside."""

    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    response_id: str | None = None
    stop: str | None = None
    error: str | None = None
    """Type or code of an error that came inside a 200 reply."""
    thinking_bytes: int = 0
    """Of signed thinking in a stream, which nobody restores."""
    complete: bool = False
    """The stream's own end mark was seen, or the reply was whole."""


class StreamReader(Protocol):
    """Reads the events of one streamed reply, in order."""

    observed: Observed

    def read(self, event: JsonObject) -> Reading:
        """The leaves and channel ends of one event. Never raises for an unknown shape: unknown is `Reading()`."""

    def tail(self, event: JsonObject, delta: Delta, text: str) -> JsonObject:
        """An event that carries `text` as one more piece of `delta`'s channel, made after `event`, its last one."""


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One API's bodies. `framing` says how streamed replies are cut: `sse` or `ndjson`."""

    name: str
    request: Node = field(repr=False)
    reply: Node = field(repr=False)
    history: frozenset[str]
    """Top-level members whose array items are sent again on every turn: scanned and redacted once an item."""
    reader: Callable[[], StreamReader]
    observe: Callable[[JsonObject, Observed], None]
    """Fills an Observed from a whole (not streamed) reply."""
    framing: str = "sse"
    streams_by_default: bool = False
    whole_calls: bytes = b""
    """What marks a stream event that carries a tool call whole, with its arguments as an object."""
    errors: str = "openai"
    """Whose error shape refusals take: openai, anthropic, ollama or gemini."""


def get_path(value: object, path: Path) -> Any:
    """What stands at `path`, or None."""
    for step in path:
        try:
            value = value[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def position(value: object) -> int | str:
    """An index that a stream event gives, as something that can name a channel."""
    return value if isinstance(value, int | str) else 0


def scalars(event: JsonObject, *without: str) -> JsonObject:
    """The plain members of an event, for a made one: nested ones may be large, deep or somebody else's."""
    return {name: value for name, value in event.items() if name not in without and not isinstance(value, dict | list)}


def integer(value: object) -> int:
    """A token count, or 0 for anything that is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def mapping(value: object) -> Mapping[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def texts(value: object, without: Collection[str] = ()) -> Iterator[str]:
    """The strings of parsed JSON in order, whatever holds them, but for the members named in `without`."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            pending += reversed(one)
        elif isinstance(one, dict):
            pending += [inner for name, inner in reversed(one.items()) if name not in without]


def objects(value: object) -> list[tuple[int, JsonObject]]:
    """The objects of an array with their index."""
    return [(i, item) for i, item in enumerate(value) if isinstance(item, dict)] if isinstance(value, list) else []
