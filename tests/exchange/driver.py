"""The exchange driven by hand: a scanner made of one regular expression, one workspace, no socket."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from localguard.detect.finding import DataClass, Finding
from localguard.detect.structured import MESSAGE
from localguard.exchange.memory import WorkspaceMemory
from localguard.exchange.reply import ReplyRestorer
from localguard.exchange.request import Head, Redacted, RequestReading
from localguard.redact.vault import Vault
from localguard.wire.format import WireFormat

KEY = b"k" * 32
REDACT = {"secret": "redact", "pii": "redact", "custom": "redact"}
ALLOW = {"secret": "allow", "pii": "allow", "custom": "allow"}
MARK = "S3CR-"
"""Every planted value begins so and ends in `~`."""
VALUES = ["S3CR-plain123~", 'S3CR-"quo\\te" d~', "S3CR-new\nline\ttab1~", "S3CR-ém\U0001f600oji1~", "S3CR-a/b<c>&1~"]
_FOUND = re.compile(rb"S3CR-[^~]{1,200}~|(?<![0-9])4111111111111111(?![0-9])|(?<=weak=)[a-z]+|[a-z]+@[a-z]+\.com")


def scan(text: bytes) -> list[Finding]:
    """Planted secrets, one card number, weak passwords behind `weak=` (not distinctive), mail addresses; a text that is `4L0NE…`."""
    found = []
    if re.fullmatch(rb"4L0NE[a-z]+", text):
        found.append(Finding(0, len(text), "SECRET", DataClass.SECRET, MESSAGE, True))
    for match in _FOUND.finditer(text):
        value = match.group()
        if value.startswith(b"S3CR-"):
            kind = ("API_KEY", DataClass.SECRET, True)
        elif value.isdigit():
            kind = ("CARD", DataClass.PII, True)
        elif b"@" in value:
            kind = ("EMAIL", DataClass.PII, True)
        else:
            kind = ("PASSWORD", DataClass.SECRET, False)
        found.append(Finding(match.start(), match.end(), kind[0], kind[1], "test/rule", kind[2]))
    return found


def new_memory(key: bytes = KEY) -> WorkspaceMemory:
    return WorkspaceMemory(Vault(key), lambda value: f"fp{len(value)}")


@dataclass
class Workspace:
    """One workspace with what it remembers."""

    memory: WorkspaceMemory = field(default_factory=new_memory)
    texts: Sequence[bytes] = ()
    """What the last request had to have scanned."""
    reading: RequestReading | None = None

    def send(
        self,
        format: WireFormat,
        body: Any,
        *,
        actions: dict[str, Any] = REDACT,
        path: str = "/v1/x",
        query: str = "",
        headers: Sequence[tuple[str, str]] = (),
    ) -> Redacted:
        """Redact one request; `body` is bytes as they came, or what they are the JSON of."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        self.reading = reading = RequestReading(format, self.memory, Head("POST", path, query, headers), raw)
        self.texts = reading.texts
        reading.receive_findings([scan(text) for text in reading.texts])
        assert reading.facts.body_bytes == len(raw)
        return reading.redact(actions)

    def placeholder(self, value: str, type: str = "API_KEY", data_class: str = "secret") -> str:
        return self.memory.vault.placeholder_for(value, type, data_class=data_class, distinctive=True)

    def reply(
        self, format: WireFormat, *, stream: bool | None = True, kept: frozenset[str] = frozenset()
    ) -> ReplyRestorer:
        asked = self.reading is not None and self.reading.facts.asked_for_json
        return ReplyRestorer(format, self.memory, stream=stream, exchange="x1", asked_for_json=asked, kept=kept)

    def receive(
        self,
        format: WireFormat,
        raw: bytes,
        cuts: Sequence[int] = (),
        *,
        content_type: str | None = None,
        stream: bool | None = True,
        kept: frozenset[str] = frozenset(),
    ) -> tuple[bytes, ReplyRestorer]:
        """What the agent gets of a reply that comes cut at `cuts`."""
        reply = self.reply(format, stream=stream, kept=kept)
        kind = "application/x-ndjson" if format.framing == "ndjson" else "text/event-stream"
        reply.start(200, (kind if stream else "application/json") if content_type is None else content_type)
        edges = [0, *cuts, len(raw)]
        made = b"".join(reply.feed(raw[low:high]) for low, high in itertools.pairwise(edges))
        return made + reply.finish(), reply

    def turned_back(self, value: Any, *, key: str = "") -> Any:
        """Parsed JSON with placeholders turned back as the agent's own texts had them."""
        if isinstance(value, str):
            if key == "arguments" and value[:1] in ("{", "["):
                return self.turned_back(json.loads(value))
            vault = self.memory.vault
            raw, parts, position = value.encode(), [], 0
            for start, end in vault.own_spans(raw):
                known = vault.resolve(raw[start:end].decode())
                assert known is not None
                parts += [raw[position:start], known.value.encode()]
                position = end
            return b"".join([*parts, raw[position:]]).decode()
        if isinstance(value, list):
            return [self.turned_back(one, key=key) for one in value]
        if isinstance(value, dict):
            return {self.turned_back(name): self.turned_back(one, key=name) for name, one in value.items()}
        return value


def texts_in(value: Any) -> Iterator[str]:
    """Every key and string of parsed JSON, and of JSON texts inside its strings, to any depth."""
    if isinstance(value, str):
        yield value
        try:
            inner = json.loads(value)
        except ValueError:
            return
        if not isinstance(inner, str) or inner != value:
            yield from texts_in(inner)
    elif isinstance(value, list):
        for one in value:
            yield from texts_in(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from texts_in(one)
    elif isinstance(value, int | float):
        yield str(value)


def leaks(body: bytes) -> list[str]:
    """The texts of a body that hold a planted value."""
    marks = (MARK, "4111111111111111")
    return [text for text in texts_in(json.loads(body)) if any(mark in text for mark in marks)]
