"""Bodies of an API that the guard does not know: every leaf is text, and what is called like arguments is judged.

A streamed reply of unknown shape is restored where a placeholder stands whole inside one leaf; cut over two events it
stays a placeholder, because nothing says which leaves belong together.
"""

from localguard.wire.format import Delta, JsonObject, Observed, Reading, WireFormat
from localguard.wire.table import compile_reply, compile_table


def observe(reply: JsonObject, observed: Observed) -> None:
    """An unknown reply says nothing."""


class GenericStream:
    """Events of a reply of unknown shape: no channels."""

    def __init__(self) -> None:
        self.observed = Observed()

    def read(self, event: JsonObject) -> Reading:
        """See StreamReader."""
        return Reading()

    def tail(self, event: JsonObject, delta: Delta, text: str) -> JsonObject:
        """No channel is ever opened, so no tail is ever asked for."""
        raise AssertionError("a generic stream has no channels")


GENERIC = WireFormat("generic-json", compile_table([]), compile_reply([]), frozenset(), GenericStream, observe)
