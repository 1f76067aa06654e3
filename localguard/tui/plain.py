"""The guard's exchanges a line each, for screen readers, pipes and dumb terminals: no cursor is moved and nothing is coloured."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from localguard.display import one_line
from localguard.errors import LocalguardError
from localguard.proxy.control_client import GuardAnswered
from localguard.tui.connection import Client, clean
from localguard.tui.figures import clock, duration, money, number, text, tokens
from localguard.tui.filters import EVERYTHING, Filter
from localguard.tui.rows import CLASSES, STATES, row_from

Document = Mapping[str, Any]

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_MISSED = 1000
_REMEMBERED = 5000


def sentence(document: Document) -> str:
    """One exchange in words: time, state, who sent what where, what was replaced, what it cost."""
    state, group = text(document, "state"), text(document, "endpoint_class")
    where = f"{text(document, 'endpoint')} ({CLASSES.get(group, ('', group or 'unknown class'))[1]})"
    parts = [
        clock(text(document, "time")),
        STATES.get(state, ("", state))[1],
        f"{text(document, 'agent') or 'unknown agent'} to {where}",
        text(document, "model") and f"model {text(document, 'model')}",
        text(document, "workspace") and f"workspace {text(document, 'workspace')}",
        text(document, "task") and f"task {text(document, 'task')}",
        text(document, "error") and f"because {text(document, 'error')}",
        document.get("paused") is True and "REDACTION PAUSED",
        _count(document, "replaced", "redacted"),
        _count(document, "withheld", "withheld"),
        _count(document, "exposed", "sent in clear before"),
        tokens(document.get("usage")) and f"{tokens(document.get('usage')).replace('>', ' tokens in, ')} out",
        money(document.get("cost_usd")) and f"{money(document.get('cost_usd'))} USD",
        duration(document.get("total_ms")) and f"took {duration(document.get('total_ms'))}",
        text(document, "exchange"),
    ]
    return ", ".join(part for part in parts if part)


def _count(document: Document, name: str, word: str) -> str:
    count = number(document, name)
    return f"{count} {word}" if count else ""


class Teller:
    """Tells of exchanges, each once it has ended, and only once.

    `write` gets an exchange's line, `remark` what is none: questions, and that the guard cannot be reached.
    """

    def __init__(
        self,
        client: Client,
        write: Callable[[str], None],
        remark: Callable[[str], None],
        *,
        as_json: bool = False,
        only: Filter = EVERYTHING,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._write = write
        self._remark = remark
        self._as_json = as_json
        self._only = only
        self._pause = pause
        self._told: OrderedDict[str, None] = OrderedDict()
        self._last_event: str | None = None

    def last(self, count: int) -> None:
        """Tell of the last `count` exchanges. Raises LocalguardError."""
        if count:
            self._tell_listed(f"/exchanges?limit={count}")

    def follow(self, count: int) -> None:
        """Tell of the last `count` exchanges and of each that ends from now on; ends when writing fails, or by an interrupt.

        Raises LocalguardError where the guard cannot be reached in the beginning; later that is tried again and again.
        """
        self._client.call("GET", "/status")
        wait = _FIRST_PAUSE
        gone = False
        while True:
            try:
                for name, document in self._events():
                    if gone:
                        self._remark("The guard is there again.")
                    wait, gone = _FIRST_PAUSE, False
                    self._take(name, document, count)
            except GuardAnswered:
                raise
            except LocalguardError as error:
                if not gone:
                    self._remark(f"{one_line(error)}. Trying again until it is there.")
                gone = True
                self._pause(wait)
                wait = min(_LONGEST_PAUSE, wait * 1.7)

    def _take(self, name: str, document: Document, count: int) -> None:
        if name == "ready" and not document.get("resumed"):
            newest = next(reversed(self._told), None)
            if newest is not None:
                self._tell_listed(f"/exchanges?limit={_MISSED}&after={newest}")
            else:
                self.last(count)
        elif name == "exchange":
            self._tell(document)
        elif name == "question":
            asked = f"{text(document, 'reason')} localguard approve {text(document, 'id')}"
            self._remark(f"A request waits for your answer: {asked}")

    def _events(self) -> Iterator[tuple[str, Document]]:
        """Name and data of each event. Raises LocalguardError once the stream is over."""
        stream = self._client.events(self._last_event)
        try:
            while True:
                for event in stream.batch():
                    yield event.name, clean(event.data)
                    self._last_event = event.id
        finally:
            stream.close()

    def _tell_listed(self, path: str) -> None:
        for one in self._client.call("GET", path)["exchanges"]:
            self._tell(clean(one))

    def _tell(self, document: Document) -> None:
        id = text(document, "exchange")
        if text(document, "state") == "running" or id in self._told:
            return
        self._told[id] = None
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        if not self._only or self._only(row_from(document)):
            self._write(json.dumps(document) if self._as_json else sentence(document))
