"""What a reply shows that the provider wrote itself: it may come back as it is, for it tells the provider nothing.

Signed thinking is remembered with its signature. So are numbers that stand alone in a string: some servers number tool
calls with as many digits as a card number has.
"""

import re
from collections.abc import Hashable

from localguard.exchange.memory import WorkspaceMemory
from localguard.wire.chat import CHAT
from localguard.wire.format import JsonObject, WireFormat, integer, mapping, objects, position
from localguard.wire.messages import MESSAGES

_NUMBER = re.compile(rb'"([0-9]{12,19})"')


class Provenance:
    """Gathers what one reply shows, event by event or whole."""

    def __init__(self, format: WireFormat, memory: WorkspaceMemory) -> None:
        self._format = format
        self._memory = memory
        self._signed: dict[Hashable, tuple[list[str], list[str]]] = {}  # signature and text, in pieces

    def read_event(self, value: JsonObject, data: bytes) -> None:
        """One event of a stream, parsed and as it came."""
        self._note_numbers(data)
        if self._format is MESSAGES:
            self._read_messages(value)
        elif self._format is CHAT and b"reasoning_details" in data:
            self._read_chat(value)

    def read_whole(self, value: JsonObject, data: bytes) -> None:
        """A reply that is not streamed, or one of several in it."""
        self._note_numbers(data)
        blocks = [block for _, block in objects(value.get("content"))]
        for _, choice in objects(value.get("choices")):
            blocks += [block for _, block in objects(mapping(choice.get("message")).get("reasoning_details"))]
        for block in blocks:
            signature, text = block.get("signature"), block.get("thinking", block.get("text"))
            if isinstance(signature, str) and isinstance(text, str):
                self._memory.note_signed(signature, text)

    def _note_numbers(self, data: bytes) -> None:
        for number in _NUMBER.findall(data):
            self._memory.numbers.put(number, True)

    def _read_messages(self, value: JsonObject) -> None:
        kind, index = value.get("type"), position(value.get("index"))
        if kind in ("content_block_delta", "content_block_start"):
            part = mapping(value.get("delta") or value.get("content_block"))
            self._gather(index, part.get("signature"), part.get("thinking"))
        elif kind == "content_block_stop":
            self._note(index)
            self._signed.pop(index, None)

    def _read_chat(self, value: JsonObject) -> None:
        """A signature ends its block, but nothing says that it is whole: what is there so far is noted each time."""
        for _, choice in objects(value.get("choices")):
            for place, detail in objects(mapping(choice.get("delta")).get("reasoning_details")):
                block = (integer(choice.get("index")), position(detail.get("index", place)))
                self._gather(block, detail.get("signature"), detail.get("text"))
                if detail.get("signature"):
                    self._note(block)

    def _gather(self, block: Hashable, signature: object, text: object) -> None:
        for number, piece in enumerate((signature, text)):
            if isinstance(piece, str):
                self._signed.setdefault(block, ([], []))[number].append(piece)

    def _note(self, block: Hashable) -> None:
        signature, text = self._signed.get(block, ((), ()))
        if any(signature):
            self._memory.note_signed("".join(signature), "".join(text))
