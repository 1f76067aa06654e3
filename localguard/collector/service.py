"""The collector's addresses: stateless, so that any number of processes stand side by side in front of one PostgreSQL.

    POST /v1/enrol     {"token", "key"}: a device becomes known, once a token; signed by the key
    GET  /v1/cursor    what is held of the device: size and the last cosigned checkpoint
    POST /v1/batches   a batch (zstd); answered with the cosigned checkpoint once it is committed
    GET  /v1/policy    the newest signed organisation policy, with an ETag
    GET  /healthz, /metrics

Errors are {"error": {"code", "message"}}. What is refused for good is 4xx with a code, what may be tried again is 429 or 503.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, ParamSpec, TypeVar

import asyncpg
from aiohttp import web

from localguard.audit.checkpoint import CheckpointInvalid, DeviceKey, cosign, public_key
from localguard.collector import database
from localguard.collector.continuity import Accepted, Discontinuous, Duplicate, judge
from localguard.collector.database import CursorMoved, Device
from localguard.collector.limits import Rates
from localguard.collector.metrics import Metrics
from localguard.collector.rows import Origin, Rows, RowsInvalid, rows_of
from localguard.sync.batch import MAX_BYTES, BatchInvalid, Opened, open_batch
from localguard.sync.directory import decompressed
from localguard.sync.request_signature import RequestUnsigned, check_request, device_of

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_ATTEMPTS = 5

_RETRY_AFTER = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """How a collector behaves."""

    records_per_second: float = 5_000.0
    burst: float = 120_000.0
    """Of one device."""
    enrolments_per_minute: float = 60.0
    body_seconds: float = 30.0
    """Within which a body has to be here."""
    at_once: int = 4
    """Batches that are verified or stored at the same time; others wait."""


class Answer(Exception):
    """Ends a request with an error."""

    def __init__(self, status: int, code: str, message: str, **more: object) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.more = more

    def response(self) -> web.Response:
        """As the client gets it."""
        headers = {"Retry-After": str(self.more.get("after", _RETRY_AFTER))} if self.status in (429, 503) else {}
        error = {"code": self.code, "message": self.message, **self.more}
        return web.json_response({"error": error}, status=self.status, headers=headers)


class Collector:
    """Answers devices. `key` cosigns checkpoints and is the same for all processes of one store."""

    def __init__(
        self,
        pool: database.Pool,
        key: DeviceKey,
        *,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pool = pool
        self._key = key
        self._settings = settings or Settings()
        self._clock = clock
        self._rates = Rates(per_second=self._settings.records_per_second, burst=self._settings.burst)
        enrolments = self._settings.enrolments_per_minute
        self._enrolments = Rates(per_second=enrolments / 60, burst=enrolments)
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="verify")
        """Verifying is work: health and small requests go on beside it."""
        self._busy = asyncio.Semaphore(self._settings.at_once)
        self._days: set[Any] = set()
        self.metrics = Metrics()

    def application(self) -> web.Application:
        """What aiohttp serves."""
        application = web.Application(client_max_size=MAX_BYTES, middlewares=[self._guarded])
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/v1/policy", self._policy)
        application.router.add_get("/v1/cursor", self._cursor)
        application.router.add_post("/v1/enrol", self._enrol)
        application.router.add_post("/v1/batches", self._batches)
        return application

    @web.middleware
    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Every failure becomes an answer that says whether to try again; its text holds nothing of the request."""
        try:
            response = await handler(request)
        except Answer as answer:
            response = answer.response()
        except web.HTTPRequestEntityTooLarge:
            response = Answer(413, "oversize", f"A batch has at most {MAX_BYTES} bytes.").response()
        except web.HTTPException:
            response = Answer(404, "address", "There is no such address.").response()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("the store failed: %s", type(error).__name__)
            response = Answer(503, "store", "The store cannot be reached or written now. Try again.").response()
        path = request.match_info.route.resource.canonical if request.match_info.route.resource else "other"
        self.metrics.count("requests", f'path="{path}",status="{response.status}"')
        return response

    async def _health(self, _: web.Request) -> web.StreamResponse:
        async with asyncio.timeout(5):
            await self._pool.fetchval("SELECT 1")
        return web.json_response({"status": "ok", "collector": self._key.public.encoded()})

    async def _metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text=self.metrics.text(), content_type="text/plain", charset="utf-8")

    async def _policy(self, request: web.Request) -> web.StreamResponse:
        found = await database.policy(self._pool)
        if found is None:
            raise Answer(404, "policy", "The organisation has published no policy here.")
        etag = f'"{found[0]}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=found[1], content_type="application/toml", headers={"ETag": etag})

    async def _enrol(self, request: web.Request) -> web.StreamResponse:
        if wait := self._enrolments.wait("", 1, time.monotonic()):
            raise Answer(429, "rate", "Too many machines at once. Try again.", after=int(wait) + 1)
        body = await self._body(request)
        try:
            given = json.loads(body)
            key, token = public_key(str(given["key"])), str(given["token"])
        except (ValueError, KeyError, TypeError, CheckpointInvalid):
            raise Answer(400, "form", "An enrolment is a JSON object with token and key.") from None
        self._check(request.headers, key, request, body)
        team = await database.enrol(self._pool, hashlib.sha256(token.encode("utf-8", "replace")).digest(), key)
        if team is None:
            raise Answer(403, "token", "The token is unknown, used or expired. Ask for a new one.")
        log.info("device %s enrolled", key.device)
        return web.json_response({"device": key.device, "team": team, "collector": self._key.public.encoded()})

    async def _cursor(self, request: web.Request) -> web.StreamResponse:
        device = await self._authenticated(request, b"")
        return web.json_response(self._told(device.known.size if device.known else None, device.note))

    async def _batches(self, request: web.Request) -> web.StreamResponse:
        await self._named(request)  # megabytes are read of those only who are known
        body = await self._body(request)
        began = time.perf_counter()
        device = await self._authenticated(request, body)
        async with self._busy:
            try:
                opened = await self._work(_opened, body, device)
            except BatchInvalid as invalid:
                self.metrics.count("batches", f'result="{invalid.code}"')
                raise Answer(400, invalid.code, f"{invalid}".capitalize() + ".") from None
            wait = self._rates.wait(device.device, max(1, len(opened.lines)), time.monotonic())
            if wait:
                self.metrics.count("batches", 'result="rate"')
                raise Answer(429, "rate", "The device sends too much. Try again.", after=int(wait) + 1)
            told = await self._stored(device, opened)
        self.metrics.seconds += time.perf_counter() - began
        return web.json_response(told)

    async def _stored(self, device: Device, opened: Opened) -> Mapping[str, object]:
        """Judge a batch and store it, anew where another process moved the cursor meanwhile. Raises Answer."""
        for _ in range(_ATTEMPTS):
            try:
                return await self._store_once(device, opened)
            except CursorMoved:
                again = await database.device(self._pool, device.device)
                if again is None or again.epoch != device.epoch:
                    break
                device = again
            except Discontinuous as broken:
                self.metrics.count("alarms", f'code="{broken.code}"')
                await database.raise_alarm(self._pool, device, broken.code, str(broken))
                raise Answer(409, broken.code, str(broken)) from None
            except RowsInvalid as invalid:
                raise Answer(400, "form", str(invalid)) from None
        raise Answer(503, "busy", "The device's history is being written by others. Try again.")

    async def _store_once(self, device: Device, opened: Opened) -> Mapping[str, object]:
        head = opened.head
        cosigned = None
        if device.known is not None and head.last < device.known.size:
            cosigned = await database.cosigned_root(self._pool, device, head.last)
        verdict = judge(device.known, opened, cosigned)
        if isinstance(verdict, Duplicate):
            self.metrics.count("batches", 'result="duplicate"')
            return self._told(head.last, cosign(head.note, self._key).decode())
        rows, received = await self._rows(device, opened, verdict)
        note = cosign(head.note, self._key).decode()
        await database.ingest(self._pool, device, opened, note, rows, received)
        self.metrics.count("batches", 'result="stored"')
        self.metrics.count("records", amount=len(rows.records))
        return self._told(head.last, note)

    async def _rows(self, device: Device, opened: Opened, verdict: Accepted) -> tuple[Rows, datetime]:
        received = datetime.fromtimestamp(self._clock(), UTC)
        origin = Origin(device.device, device.epoch, device.team)
        rows = await self._work(rows_of, opened.lines[verdict.skip :], origin, received, device.waiting)
        days = {row[4] for row in rows.records} - self._days
        if days:
            await database.open_days(self._pool, days)
            self._days = (self._days | days) if len(self._days) < 1000 else days
        return rows, received

    async def _work(self, function: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *given, **named))

    def _told(self, size: int | None, note: str | None) -> Mapping[str, object]:
        return {"size": size, "checkpoint": note, "collector": self._key.public.encoded()}

    async def _body(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                return await request.read()
        except TimeoutError:
            raise Answer(408, "slow", "The body did not come.") from None

    async def _named(self, request: web.Request) -> Device:
        """The device that a request says it is from. Raises Answer for a stranger."""
        try:
            id = device_of(request.headers)
        except RequestUnsigned as unsigned:
            raise Answer(401, unsigned.code, "The request is not signed by a device.") from None
        device = await database.device(self._pool, id)
        if device is None:
            raise Answer(401, "unknown", "This machine is not enrolled. `localguard sync enable --token` does it.")
        return device

    async def _authenticated(self, request: web.Request, body: bytes) -> Device:
        """The device that signed the request. Raises Answer for a stranger, a revoked one, and one whose history broke."""
        device = await self._named(request)
        self._check(request.headers, device.key, request, body)
        if device.revoked:
            raise Answer(403, "revoked", "This machine's key was revoked. Ask for a new token.")
        if device.alarm is not None:
            raise Answer(
                409, device.alarm, "The machine's log broke with what was cosigned; somebody has to look at it."
            )
        return device

    def _check(self, headers: Mapping[str, str], key: Any, request: web.Request, body: bytes) -> None:
        try:
            check_request(headers, key, request.method, request.path, body, self._clock())
        except RequestUnsigned as unsigned:
            now = {"time": int(self._clock())} if unsigned.code == "clock" else {}
            raise Answer(
                401, unsigned.code, "The request's signature is missing, wrong or of another time.", **now
            ) from None


def _opened(body: bytes, device: Device) -> Opened:
    opened = open_batch(decompressed(body), device.key)
    if not hmac.compare_digest(opened.head.device, device.device):
        raise BatchInvalid("signature", "the batch is another device's")
    return opened
