"""The agent sessions at work in a work tree, as trailers for a commit that is being made there. Nothing local stands in them.

A session counts as active for half an hour after its last request from that work tree. That says who was at work, not who
wrote which line.
"""

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from localguard.audit.queries import Log
from localguard.audit.record import timestamp

ACTIVE = timedelta(minutes=30)
_MOST = 3
"""Values of one trailer."""
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
"""An id that is something else, which a client may fill with anything, is left out."""
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,127}")
_ON_DISK = re.compile(r"^[~./\\]|^[A-Za-z]:[/\\]|^file:|\\")
_CLASS = re.compile(r"[a-z-]{1,32}")
_DIGEST = re.compile(r"[0-9a-f]{16,}")


class Work(NamedTuple):
    """What of an intent is told, newest first."""

    session: str | None
    root: str | None
    model: str | None
    endpoint_class: str | None
    policy: str | None


def trailers(work: Iterable[Work]) -> list[str]:
    """The trailers of intents, `Token: value`, each once; empty for none."""
    found: dict[str, dict[str, None]] = {}
    for one in work:
        for token, value in (
            ("Agent-Session", _fitting(_SESSION, one.session)),
            ("Agent-Model", _model(one.model)),
            ("Agent-Endpoint-Class", _fitting(_CLASS, one.endpoint_class)),
            ("Agent-Policy", (_fitting(_DIGEST, one.policy) or "")[:16]),
        ):
            values = found.setdefault(token, {})
            if value and len(values) < _MOST:
                values[value] = None
    return [f"{token}: {value}" for token, values in found.items() for value in values]


def work_in(log: Log, root: Path, now: datetime) -> list[Work]:
    """The intents of the last half hour that came from the work tree at `root`, newest first."""
    own = os.path.realpath(root)
    since = timestamp(now.astimezone(UTC) - ACTIVE)
    return [one for one in map(Work._make, log.intents_since(since)) if one.root and os.path.realpath(one.root) == own]


def _fitting(form: re.Pattern[str], value: str | None) -> str | None:
    return value if value and form.fullmatch(value) else None


def _model(name: str | None) -> str | None:
    """A model's name; of one that is a file of this machine the file's name alone."""
    if name and _ON_DISK.search(name):
        name = re.split(r"[/\\]", name)[-1]
    return _fitting(_MODEL, name)
