"""A lean HTTP/1.1 client: requests are bytes made beforehand, so that the client's own work hardly shows in a time."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply. `head` is the status line and headers as they came; times are seconds."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name, or None."""
        for line in self.head.split(b"\r\n")[1:]:
            given, _, value = line.partition(b":")
            if given.strip().lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return None


class Broken(ConnectionError):
    """The connection ended before the reply did."""


class Connection:
    """One kept-alive connection to a port of this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect to 127.0.0.1."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 22))

    async def ask(self, request: bytes, on_piece: Callable[[bytes], None] | None = None) -> Answer:
        """Send one request and read its reply whole; `on_piece` sees each chunk of a chunked body as it arrives."""
        self._writer.write(request)
        try:
            await self._writer.drain()
            head = await self._reader.readuntil(b"\r\n\r\n")
            low = head.lower()
            if b"transfer-encoding: chunked" in low:
                body = await self._chunked(on_piece)
            else:
                at = low.find(b"content-length:")
                length = int(low[at + 15 : low.index(b"\r\n", at)]) if at >= 0 else 0
                body = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Broken("the connection ended before the reply did") from error
        return Answer(int(head[9:12]), head, body)

    async def timed(self, request: bytes) -> float:
        """Seconds from the first byte sent to the last byte of the reply. Raises AssertionError unless it is a 200."""
        began = time.perf_counter()
        answer = await self.ask(request)
        elapsed = time.perf_counter() - began
        assert answer.status == 200, answer.head + answer.body[:500]
        return elapsed

    async def _chunked(self, on_piece: Callable[[bytes], None] | None) -> bytes:
        pieces: list[bytes] = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            piece = (await self._reader.readexactly(size + 2))[:-2]
            if on_piece is not None:
                on_piece(piece)
            pieces.append(piece)
        await self._reader.readexactly(2)
        return b"".join(pieces)

    def close(self) -> None:
        """Close the connection without waiting."""
        self._writer.close()


def post(path: str, body: bytes, **headers: str) -> bytes:
    """The bytes of a POST of JSON. Underscores in names of headers become dashes."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", "User-Agent: bench/1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def get(path: str) -> bytes:
    """The bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
