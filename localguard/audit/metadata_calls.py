"""Bodiless calls (model lists, versions, `HEAD /`), which are counted together instead of recorded one by one."""

import time
from collections import Counter
from typing import NamedTuple

from localguard.audit.fields import ControlMetadata, MetadataCall


class MetadataCallKind(NamedTuple):
    """What calls that are counted together have in common. `path` is a template."""

    endpoint: str
    method: str
    path: str
    status: int
    workspace: str | None


class MetadataCalls:
    """The counts of one interval. Not for several threads: its owner holds a lock. Times are seconds of `time.monotonic`."""

    def __init__(self, *, every: float, most_kinds: int) -> None:
        self._every = every
        self._most_kinds = most_kinds
        self._counts: Counter[MetadataCallKind] = Counter()
        self.since = ""
        """Time of the first call, RFC 3339."""
        self.due = float("inf")
        """When they are to be recorded."""

    def count(self, call: MetadataCallKind, now: str) -> bool:
        """Count one; kinds beyond the most are counted together. Returns whether it is the first of its interval."""
        if call not in self._counts and len(self._counts) >= self._most_kinds:
            known = call.endpoint in {kind.endpoint for kind in self._counts}
            call = MetadataCallKind(call.endpoint if known else "*", "*", "*", call.status, None)
        first = not self._counts
        if first:
            self.since = now
            self.due = time.monotonic() + self._every
        self._counts[call] += 1
        return first

    def take(self, *, last: bool) -> "tuple[Counter[MetadataCallKind], str]":
        """The counts and their time, if they are due or this is the last chance; else none."""
        if not self._counts or not (last or time.monotonic() >= self.due):
            return Counter(), ""
        counts, self._counts, self.due = self._counts, Counter(), float("inf")
        return counts, self.since

    def give_back(self, counts: "Counter[MetadataCallKind]", since: str) -> None:
        """Keep counts that could not be recorded for the next interval."""
        self._counts.update(counts)
        self.since = since
        self.due = time.monotonic() + self._every


def metadata_of(counts: "Counter[MetadataCallKind]", since: str) -> ControlMetadata:
    """The metadata of their record."""
    calls: list[MetadataCall] = [{**kind._asdict(), "count": count} for kind, count in counts.items()]  # type: ignore[typeddict-item]
    return {"event": "metadata-calls", "since": since, "calls": calls}
