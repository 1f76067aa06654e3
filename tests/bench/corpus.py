"""What an agent sends: real source code as tool results, with planted secrets made up for this run."""

import base64
import random
import string
import sysconfig
import uuid
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import orjson

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PLANT_EVERY = 25_000
"""Characters of source code for each planted line, on average: 60 secrets in a session, 600 in a body of 16 MB."""
_PIECE = 5_000


@cache
def _source() -> str:
    """Python's own standard library, tests and generated tables included, about 30 MB."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [path for path in sorted(root.rglob("*.py")) if "site-packages" not in path.parts]
    return "\n".join(path.read_text("utf-8", "ignore") for path in files)


class Corpus:
    """Texts that no other seed gives. `planted` collects the values that must not go upstream."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._name = f"{seed:x}"
        self.planted: list[str] = []

    def text(self, size: int) -> str:
        """About `size` characters of source code from a random place, with a planted line in every 25,000 on average."""
        source, chance = _source(), self._chance
        start = source.index("\n", chance.randrange(len(source) - 2 * size - 100_000)) + 1
        parts: list[str] = [f"# {self._name} {chance.randrange(1 << 40):x}\n"]
        for begin in range(start, start + size, _PIECE):
            piece = source[begin : min(begin + _PIECE, start + size)]
            at = piece.rfind("\n") + 1
            planted = self._planted_line() if chance.random() < len(piece) / _PLANT_EVERY else ""
            parts += [piece[:at], planted, piece[at:]]
        return "".join(parts)

    def _planted_line(self) -> str:
        chance = self._chance
        if self.planted and chance.random() < 0.3:
            return f"# as before: {chance.choice(self.planted)}\n"
        kind = chance.randrange(5)
        if kind == 0:
            body = "".join(chance.choices(_BASE62, k=30))
            value = "gh" + "p_" + body + _checksum(body)
            line = f"GITHUB_TOKEN = '{value}'\n"
        elif kind == 1:
            value = "".join(chance.choices(_BASE62 + "+/", k=40))
            line = f"aws_secret_access_key = {value}\n"
        elif kind == 2:
            value = "".join(chance.choices(_BASE62, k=20)) + "#7"
            line = f'password = "{value}"\n'
        elif kind == 3:
            value = "".join(chance.choices(_BASE62, k=22))
            line = f"DATABASE_URL=postgres://app:{value}@db-1.internal:5432/orders\n"
        else:
            value = f"{''.join(chance.choices(string.ascii_lowercase, k=9))}.{chance.randrange(1000)}@northmill.io"
            line = f"# maintained by {value}\n"
        self.planted.append(value)
        return line

    def leaks(self, upstream: bytes) -> int:
        """How many of the planted values stand in what the provider saw."""
        return sum(value.encode() in upstream for value in self.planted)


def _checksum(body: str) -> str:
    """The six characters that end a GitHub token."""
    number, digits = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits.rjust(6, "0")


def tools(chance: random.Random, count: int = 25) -> list[dict[str, Any]]:
    """Tool definitions of about 900 bytes each, as coding agents send them on every turn."""
    names = ("read", "write", "edit", "search", "list", "run", "fetch", "plan", "ask")
    made = []
    for number in range(count):
        properties = {
            f"{word}_{number}": {"type": "string", "description": f"The {word} that the tool works on. " + _SENTENCE}
            for word in ("path", "pattern", "content", "mode")
        }
        made.append(
            {
                "name": f"{names[number % len(names)]}_{number}",
                "description": _SENTENCE * 3,
                "parameters": {"type": "object", "properties": properties, "required": list(properties)[:2]},
            }
        )
    chance.shuffle(made)
    return made


_SENTENCE = "Paths are relative to the repository; a missing file is an error and not an empty result. "


class Session:
    """An agent's session: every turn sends the whole history again, as compact JSON like the agents' own encoders."""

    def __init__(self, corpus: Corpus, *, wire: str = "chat", turns: int = 60, last: int = 1_600_000) -> None:
        self._corpus = corpus
        self._wire = wire
        self._chance = random.Random(corpus._name)
        self._tools = tools(self._chance)
        self._history: list[dict[str, Any]] = []
        self._grow = (last - 30_000) // (turns - 1)

    @property
    def path(self) -> str:
        """Where this wire format is sent to."""
        return "/v1/messages" if self._wire == "messages" else "/v1/chat/completions"

    def turn(self) -> bytes:
        """The body of the next request."""
        if not self._history:
            self._history.append({"role": "user", "content": "Find out why the parser loses the last line."})
        else:
            self._add_round()
        system = "You are a coding agent. " + _SENTENCE * 20
        if self._wire == "messages":
            tools_ = [{**tool, "input_schema": tool["parameters"]} for tool in self._tools]
            for tool in tools_:
                del tool["parameters"]
            body = {"model": "bench-1", "max_tokens": 4096, "system": system, "messages": self._history}
            return orjson.dumps({**body, "tools": tools_, "stream": True})
        messages = [{"role": "system", "content": system}, *self._history]
        functions = [{"type": "function", "function": tool} for tool in self._tools]
        return orjson.dumps({"model": "bench-1", "messages": messages, "tools": functions, "stream": True})

    def _add_round(self) -> None:
        """An answer with two tool calls, and their results."""
        texts = [self._corpus.text(self._grow // 2 - 500) for _ in range(2)]
        ids = [f"call_{self._chance.randrange(1 << 60):015x}" for _ in range(2)]
        paths = [f"src/module_{self._chance.randrange(10_000)}.py" for _ in range(2)]
        said = f"I will look at {paths[0]} first. " + _SENTENCE
        if self._wire == "messages":
            uses = [
                {"type": "tool_use", "id": id_, "name": "read_0", "input": {"path_0": path, "offset": 0, "limit": 2000}}
                for id_, path in zip(ids, paths, strict=True)
            ]
            results = [
                {"type": "tool_result", "tool_use_id": id_, "content": [{"type": "text", "text": text}]}
                for id_, text in zip(ids, texts, strict=True)
            ]
            self._history.append({"role": "assistant", "content": [{"type": "text", "text": said}, *uses]})
            self._history.append({"role": "user", "content": results})
            return
        calls = [
            {
                "id": id_,
                "type": "function",
                "function": {"name": "read_0", "arguments": orjson.dumps({"path_0": path, "limit": 2000}).decode()},
            }
            for id_, path in zip(ids, paths, strict=True)
        ]
        self._history.append({"role": "assistant", "content": said, "tool_calls": calls})
        for id_, text in zip(ids, texts, strict=True):
            self._history.append({"role": "tool", "tool_call_id": id_, "content": text})


def cold_body(corpus: Corpus, size: int, result: int = 25_000) -> bytes:
    """A request of about `size` bytes whose tool results nobody has seen before."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Summarise these files."}]
    total = 0
    while total < size:
        text = corpus.text(min(result, size))
        id_ = "call_" + base64.b32encode(uuid.UUID(int=len(messages)).bytes).decode()[:16]
        call = {"id": id_, "type": "function", "function": {"name": "read_0", "arguments": "{}"}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": id_, "content": text})
        total += len(text) * 21 // 20
    return orjson.dumps({"model": "bench-1", "messages": messages})


def small_body(chance: random.Random) -> bytes:
    """A request of about 1 KB with a prompt of its own."""
    words = " ".join(chance.choices(_SENTENCE.split(), k=40))
    messages = [
        {"role": "system", "content": "You are a coding agent. " + _SENTENCE * 5},
        {"role": "user", "content": f"{words} ({chance.randrange(1 << 30)})"},
    ]
    return orjson.dumps({"model": "bench-1", "messages": messages, "temperature": 0.2})
