"""The guard's live events: a bounded ring that readers follow, each at its own pace, while traffic waits for none of them.

A reader holds a place in the ring and no buffer of its own. Whoever has been away comes back with the id of the last event that
it got; where the ring no longer reaches back so far, or the guard was started anew, it is told so and reads the state again.
"""

import asyncio
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import orjson

MOST_EVENTS: Final = 4000
MOST_BYTES: Final = 2 * 1024 * 1024
MOST_READERS: Final = 32
_ONE_READ: Final = 64 * 1024
_ID: Final = re.compile(r"([0-9a-f]{16})-(\d{1,18})")


class FellBehind(Exception):
    """The events that a reader has not had yet are gone."""


class TooManyReaders(Exception):
    """As many follow as may."""


class Feed:
    """The latest events of one daemon. Lives in its event loop."""

    def __init__(self, *, events: int = MOST_EVENTS, size: int = MOST_BYTES, readers: int = MOST_READERS) -> None:
        self._most_events = events
        self._most_bytes = size
        self._most_readers = readers
        self._run = secrets.token_hex(8)
        self._frames: dict[int, bytes] = {}
        self._bytes = 0
        self._first = 1
        self._next = 1
        self._readers: set[Reader] = set()

    @property
    def readers(self) -> int:
        """How many follow now."""
        return len(self._readers)

    @property
    def held(self) -> tuple[int, int]:
        """How many events are held, and how many bytes they take."""
        return len(self._frames), self._bytes

    def publish(self, event: str, data: Mapping[str, object]) -> None:
        """Add an event and wake who follows. Never waits. `data` must hold no content of a request."""
        number = self._next
        frame = b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (
            self._run.encode(),
            number,
            event.encode(),
            orjson.dumps(dict(data), default=str),
        )
        self._next = number + 1
        self._frames[number] = frame
        self._bytes += len(frame)
        while len(self._frames) > self._most_events or (self._bytes > self._most_bytes and self._first < number):
            self._bytes -= len(self._frames.pop(self._first))
            self._first += 1
        for reader in self._readers:
            reader.news.set()

    @contextmanager
    def reader(self, last_event: str | None) -> Iterator["Reader"]:
        """Somebody who follows, from behind the event with this id, or from now on. Raises TooManyReaders."""
        if len(self._readers) >= self._most_readers:
            raise TooManyReaders
        reader = Reader(self, *self._place(last_event))
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def _place(self, last_event: str | None) -> tuple[int, bool]:
        """The number of the next event for a reader, and whether it misses none."""
        known = _ID.fullmatch(last_event or "")
        if known is None or known[1] != self._run:
            return self._next, False
        following = int(known[2]) + 1
        return (following, True) if self._first <= following <= self._next else (self._next, False)


class Reader:
    """One who follows. `resumed` says whether it misses nothing since the event that it named; `news` is set when more comes."""

    def __init__(self, feed: Feed, following: int, resumed: bool) -> None:
        self._feed = feed
        self._following = following
        self.resumed = resumed
        self.news = asyncio.Event()
        if following < feed._next:
            self.news.set()

    @property
    def last(self) -> str:
        """Id of the event before the next one, to come back with."""
        return f"{self._feed._run}-{self._following - 1}"

    def take(self) -> bytes:
        """What came since, as Server-Sent Events, about 64 KB at most; empty where nothing did. Raises FellBehind."""
        feed = self._feed
        if self._following < feed._first:
            raise FellBehind
        frames: list[bytes] = []
        size = 0
        while self._following < feed._next and size < _ONE_READ:
            frames.append(feed._frames[self._following])
            size += len(frames[-1])
            self._following += 1
        if self._following == feed._next:
            self.news.clear()
        return b"".join(frames)
