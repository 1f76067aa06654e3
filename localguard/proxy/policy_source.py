"""The organisation's policy from a collector's address: fetched beside the traffic, verified, and kept as the file in the home.

The rule of this file: what is fetched counts only as the file that it becomes, so an address that is down, slow or hostile
leaves in force what was, until that expires. A start waits for nothing of it, nor does a request. Only the address that a
person named is connected to (`policy trust --from`), and redirects are not followed.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.home import Home
from localguard.config.organisation import Source, Trust, TrustDamaged, store_fetched
from localguard.config.policy_problems import PolicyInvalid
from localguard.errors import LocalguardError
from localguard.policy.model import Layer
from localguard.proxy.upstream import Destination, Upstream, UpstreamError, joined_url

log = logging.getLogger(__name__)

INTERVAL = 900.0
"""Seconds between two looks, give or take a tenth: many machines do not ask at once."""
_SOONEST = 60.0
"""Seconds after a failure; doubled with each one, up to the interval."""
_TIMEOUT = 20.0
"""For a whole fetch."""
_MOST = 1 << 20
"""Bytes, as of any policy file."""
_NAME = "organisation-policy"


class SourceFailed(LocalguardError):
    """The address does not answer, or answers no policy. What was in force stays."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A policy as the address gave it, not verified yet; `data` is None where it is the one that is known."""

    data: bytes | None
    etag: str | None


async def fetch(upstream: Upstream, source: Source, etag: str | None = None) -> Fetched:
    """What an address answers, bounded in size and time. Raises SourceFailed."""
    destination = Destination(
        _NAME, ca_file=Path(source.ca_file) if source.ca_file else None, read_timeout=10.0, connect_timeout=10.0
    )
    headers = [("Accept", "application/toml"), ("Accept-Encoding", "identity")]
    if etag is not None:
        headers.append(("If-None-Match", etag))
    data = bytearray()
    try:
        async with (
            asyncio.timeout(_TIMEOUT),
            upstream.send(destination, "GET", joined_url(source.url, "/v1/policy"), headers, None) as reply,
        ):
            if reply.status == 304 and etag is not None:
                return Fetched(None, etag)
            if reply.status != 200:
                raise SourceFailed(f"it answers with status {reply.status}")
            given = {name.lower(): value for name, value in reply.raw_headers}
            if given.get(b"content-encoding", b"identity").lower() != b"identity":
                raise SourceFailed("it answers in a content coding that was not asked for")
            async for chunk in reply.chunks():
                data += chunk
                if len(data) > _MOST:
                    raise SourceFailed(f"its policy is larger than {_MOST} bytes")
    except TimeoutError:
        raise SourceFailed("it takes too long") from None
    except UpstreamError as error:
        raise SourceFailed(str(error).partition(": ")[2]) from None
    tag = given.get(b"etag", b"").decode("latin-1")
    return Fetched(bytes(data), tag if 0 < len(tag) <= 200 else None)


async def fetch_and_store(home: Home, upstream: Upstream, source: Source, now: datetime) -> Layer | None:
    """Fetch once and keep what comes, if it is newer than what is there. Raises SourceFailed, PolicyInvalid, OSError."""
    fetched = await fetch(upstream, source)
    assert fetched.data is not None
    return await asyncio.to_thread(store_fetched, home, fetched.data, now)


class PolicySource:
    """Looks for a new revision from time to time, for as long as a source is named. Lives in the daemon's event loop."""

    def __init__(
        self,
        home: Home,
        upstream: Upstream,
        store: Store,
        *,
        clock: Callable[[], datetime],
        interval: float = INTERVAL,
        soonest: float = _SOONEST,
    ) -> None:
        self._home = home
        self._upstream = upstream
        self._store = store
        self._clock = clock
        self._interval = interval
        self._soonest = soonest
        self._task: asyncio.Task[None] | None = None
        self._etag: tuple[Source, str] | None = None
        self._failures = 0
        self.fetched: datetime | None = None
        """When the address last answered with a policy that counts."""
        self.error: str | None = None
        """Why the last look brought nothing."""

    async def start(self) -> None:
        """Look from now on; returns at once."""
        self._task = asyncio.create_task(self._follow(), name="policy-source")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await self.look()
            pause = min(self._interval, self._soonest * 2 ** (self._failures - 1)) if self._failures else self._interval
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311 - against crowds, no secret

    async def look(self) -> None:
        """Look once, if a source is named. Never raises; what was wrong is in `error`, and in the log when it changes."""
        try:
            source = await asyncio.to_thread(Trust(self._home).source)
            if source is None:
                self.error, self._failures = None, 0
                return
            await self._look(source)
        except (SourceFailed, PolicyInvalid, TrustDamaged, OSError) as error:
            self._failed(error)
        except Exception as error:
            log.error("looking for the organisation's policy failed: %s", type(error).__name__)
            self._failed(SourceFailed(type(error).__name__))
        else:
            self.error, self._failures, self.fetched = None, 0, self._clock()

    async def _look(self, source: Source) -> None:
        known = self._etag[1] if self._etag is not None and self._etag[0] == source else None
        if known is not None and not await asyncio.to_thread(self._home.organisation_file.exists):
            known = None  # somebody removed it: it is fetched again
        fetched = await fetch(self._upstream, source, known)
        if fetched.data is None:
            return
        self._etag = None
        await asyncio.to_thread(store_fetched, self._home, fetched.data, self._clock())
        if fetched.etag is not None:
            self._etag = source, fetched.etag

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        said = f"{error}" if isinstance(error, LocalguardError) else type(error).__name__
        if said == self.error:
            return
        self.error = said
        log.warning("the organisation's policy could not be fetched: %s", said)
        kind = "refused" if isinstance(error, PolicyInvalid) else "failed"
        with suppress(LogUnavailable, RecordInvalid):
            self._store.note(
                "control", metadata={"event": "policy-source", "reason": said[:500], "detail": {"result": kind}}
            )
