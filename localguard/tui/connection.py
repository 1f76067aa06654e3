"""The terminal UI's line to the guard: follows its events in a thread, comes back when it breaks, and reads the state anew if it must.

Whatever the guard says goes through `display.cleaned` here, and nowhere else: behind this door no text can do anything.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from localguard.display import cleaned, lines, one_line
from localguard.errors import LocalguardError
from localguard.proxy.control_client import Event, GuardNotOurs, GuardNotReachable

Document = Mapping[str, Any]

MOST_WAITING = 20_000
"""Events that wait to be shown; beyond that the state is read anew."""
_FIRST = 80
"""Exchanges that are read at once: more than a screen shows."""
_MORE = 900
"""Older ones that are read behind them."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_MOST_TEXT = 600
_MOST_REASON = 6000
"""Characters of what somebody is asked: a whole command, as nobody can allow what is not shown."""


class Stream(Protocol):
    """What is asked of `EventStream`."""

    def batch(self) -> list[Event]:
        """Wait for events."""

    def close(self) -> None:
        """End it."""


class Client(Protocol):
    """What is asked of `ControlClient`."""

    def call(self, method: str, path: str, **given: object) -> dict[str, Any]:
        """One call of the control API."""

    def events(self, last_event: str | None = None) -> Stream:
        """The live events."""


@dataclass(frozen=True, slots=True)
class Link:
    """How the line to the guard is: `state` is `connecting`, `up`, or why not (`down`, `not ours`, `refused`)."""

    state: str
    why: str = ""
    retry_at: float = 0.0
    """Monotonic time of the next attempt."""

    @property
    def up(self) -> bool:
        """Whether what is shown is what is."""
        return self.state == "up"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state as it was read: what is shown is to be replaced by it."""

    status: Document
    exchanges: list[Document]
    approvals: list[Document]
    connected: float
    """Monotonic time at which the connection stood."""


@dataclass(slots=True)
class News:
    """What came since the last look."""

    snapshot: Snapshot | None = None
    events: list[tuple[str, Document]] = field(default_factory=list)


class Connection:
    """Follows the guard in a thread of its own from `start` to `stop`. `on_news` is called from that thread, seldom.

    `take` hands over what came, for the thread that shows it.
    """

    def __init__(self, client: Client, on_news: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._on_news = on_news
        self._link = Link("connecting")
        self._snapshot: Snapshot | None = None
        self._waiting: deque[tuple[str, Document]] = deque()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._hurry = threading.Event()
        self._stream: Stream | None = None
        self._last_event: str | None = None
        self._thread = threading.Thread(target=self._run, name="localguard events", daemon=True)

    @property
    def link(self) -> Link:
        """How the line is now."""
        return self._link

    def start(self) -> None:
        """Connect, and stay connected."""
        self._thread.start()

    def stop(self) -> None:
        """Let go. Returns at once; the thread ends soon after."""
        self._ended.set()
        self._hurry.set()
        if self._stream is not None:
            self._stream.close()

    def retry(self) -> None:
        """Try again now."""
        self._hurry.set()

    def take(self) -> News:
        """What came since the last call."""
        with self._lock:
            news = News(self._snapshot, list(self._waiting))
            self._snapshot = None
            self._waiting.clear()
        return news

    def call(self, method: str, path: str, **given: object) -> Document:
        """One call, its answer made fit to be shown. Raises LocalguardError, with a message that is, too."""
        try:
            return clean(self._client.call(method, path, **given))
        except LocalguardError as error:
            raise CallFailed(one_line(error, _MOST_TEXT)) from None

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._ended.is_set():
            try:
                self._follow()
            except GuardNotOurs as error:
                why = Link("not ours", one_line(error, _MOST_TEXT))
            except GuardNotReachable as error:
                why = Link("down", one_line(error, _MOST_TEXT))
            except LocalguardError as error:
                why = Link("refused", one_line(error, _MOST_TEXT))
            except Exception as error:  # said by its type alone, and tried again like everything else
                why = Link("refused", f"a fault of the terminal UI ({type(error).__name__})")
            if self._ended.is_set():
                return
            if self._link.up:
                pause = _FIRST_PAUSE
            wait = pause * random.uniform(0.8, 1.2)  # noqa: S311 - so that not all clients come back at once
            self._tell(Link(why.state, why.why, time.monotonic() + wait))
            self._hurry.wait(wait)
            self._hurry.clear()
            pause = min(_LONGEST_PAUSE, pause * 1.7)

    def _follow(self) -> None:
        """Follow until the stream breaks. Raises LocalguardError, always."""
        self._stream = stream = self._client.events(self._last_event)
        connected = time.monotonic()
        try:
            while not self._ended.is_set():
                for event in stream.batch():
                    self._take_in(event, connected)
        finally:
            stream.close()
        raise GuardNotReachable("the terminal UI ends")

    def _take_in(self, event: Event, connected: float) -> None:
        if event.name == "ready":
            resumed = event.data.get("resumed")
            oldest = None if resumed else self._load(connected)
            self._last_event = event.id
            self._tell(Link("up"))
            if oldest is not None:
                self._load_older(oldest)
            return
        document = clean(event.data)
        with self._lock:
            self._waiting.append((event.name, document))
            full = len(self._waiting) > MOST_WAITING
        self._last_event = event.id
        if full:
            self._load(connected)
            self._on_news()

    def _load(self, connected: float) -> str | None:
        """Read the state, and return the oldest exchange that was read if there may be older ones.

        What the events said before is in it; what they say after comes on top.
        """
        status = clean(self._client.call("GET", "/status"))
        listed = self._client.call("GET", f"/exchanges?limit={_FIRST}")["exchanges"]
        approvals = self._client.call("GET", "/approvals")["approvals"]
        snapshot = Snapshot(status, [clean(one) for one in listed], [clean(one) for one in approvals], connected)
        with self._lock:
            self._waiting.clear()
            self._snapshot = snapshot
        return str(listed[0]["exchange"]) if len(listed) == _FIRST else None

    def _load_older(self, oldest: str) -> None:
        """Read what went before, for whoever looks back. What it says was so before everything else that waits."""
        listed = self._client.call("GET", f"/exchanges?limit={_MORE}&before={oldest}")["exchanges"]
        older = [("listed", clean(one)) for one in listed]
        with self._lock:
            self._waiting.extendleft(reversed(older))
        self._on_news()

    def _tell(self, link: Link) -> None:
        self._link = link
        self._on_news()


class CallFailed(LocalguardError):
    """A call could not be made, or was refused; the message says why."""


def clean(document: Mapping[str, Any]) -> Document:
    """What the guard said, with every text in it made fit to be shown, and the text of a policy as its lines."""
    layers = document.get("layers")
    made = cleaned(document, _MOST_TEXT)
    assert isinstance(made, dict)
    if isinstance(reason := document.get("reason"), str):
        made["reason"] = one_line(reason, _MOST_REASON)
    if isinstance(layers, list):
        for given, shown in zip(layers, made["layers"], strict=False):
            if isinstance(given, Mapping) and isinstance(given.get("text"), str):
                shown["text"] = lines(given["text"])
    return made
