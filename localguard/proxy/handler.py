"""The main path of a request: admit, locate, read, scan, decide, redact, record, send, restore, record.

Only this file knows both the network and the log. Everything that can go wrong before the first byte leaves becomes a
refusal in the error shape of the wire format that the agent spoke; everything after it ends the reply honestly.
"""

import asyncio
import hmac
import re
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from localguard.audit.record import RecordInvalid
from localguard.audit.schema import LogUnavailable
from localguard.audit.store import Store
from localguard.config.keys import Keys
from localguard.errors import LocalguardError
from localguard.exchange.memory import WorkspaceMemory
from localguard.exchange.reply import Framing, ReplyRefused, ReplyRestorer
from localguard.exchange.request import Facts, Head, Redacted, RequestReading, RequestRefused
from localguard.policy.decide import Decision, decide
from localguard.policy.model import Effect, EndpointClass, Obligation, Work
from localguard.proxy import records
from localguard.proxy.admission import Admission, AdmissionRefused, Admitted, ControlCall
from localguard.proxy.callers import Caller, Callers, PolicyState
from localguard.proxy.connection import BodyError, BodyTooLarge, Limits, Reply, cut, head_of, read_body
from localguard.proxy.control import Control
from localguard.proxy.credentials import credential_headers
from localguard.proxy.headers import EXCHANGE, joined, reply_headers, split_credentials, upstream_headers
from localguard.proxy.ollama_models import OllamaModels
from localguard.proxy.scan_pool import ScannerFailed, ScanPool, ScanTimeout
from localguard.proxy.upstream import (
    Destination,
    Upstream,
    UpstreamError,
    UpstreamRefused,
    UpstreamReply,
    UpstreamTimeout,
    joined_url,
)
from localguard.redact.redactor import Actions
from localguard.redact.vault import TagCollision, Vault
from localguard.wire.coding import CodingError, StreamDecoder, coding_of, decode_body
from localguard.wire.format import WireFormat
from localguard.wire.providers import error_shape, model_in_path, wire_format
from localguard.wire.refusal import HEADERS, Refusal, render, render_unknown_response
from localguard.wire.sse import StreamTooLong

T = TypeVar("T")

_INLINE_BYTES = 256 * 1024
"""Bodies up to this size are read on the event loop (a millisecond); longer ones in a thread."""
_MODEL_NAME = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]{0,79}")
_MAX_WORKSPACES = 64
_MAX_REPLY = 1024 * 1024 * 1024
_SESSION_HEADERS = ("x-claude-code-session-id", "session-id", "session_id", "x-session-id", "x-session-affinity")
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


class Refused(LocalguardError):
    """The request stops here, with what the agent is told."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


@dataclass(slots=True)
class Counters:
    """What this process did, for `status`."""

    exchanges: int = 0
    refused: int = 0
    replaced: int = 0
    restored: int = 0
    withheld: int = 0
    failed: int = 0


@dataclass(slots=True)
class Exchange:
    """One request and its reply, as far as they have come."""

    id: str
    started: float
    method: str
    admitted: Admitted
    format: WireFormat
    caller: Caller
    memory: WorkspaceMemory
    session: str | None = None
    facts: Facts | None = None
    decision: Decision | None = None
    redacted: Redacted | None = None
    recorded: bool = False
    """The intent is durable."""
    first_byte: float | None = None
    reply_bytes: int = 0
    status: int | None = None
    reply: ReplyRestorer | None = None

    @property
    def route(self) -> str:
        """The path as it may be written down."""
        return self.redacted.path if self.redacted is not None else ""


class Guard:
    """Answers every request to the guard's port. Lives in one event loop."""

    def __init__(
        self,
        *,
        store: Store,
        scan_pool: ScanPool,
        upstream: Upstream,
        callers: Callers,
        keys: Keys,
        admission: Admission,
        control: Control,
        limits: Limits,
        policy: PolicyState,
    ) -> None:
        self.policy = policy
        self.counters = Counters()
        self.recent: deque[dict[str, object]] = deque(maxlen=200)
        self._store = store
        self._scan_pool = scan_pool
        self._upstream = upstream
        self._callers = callers
        self._keys = keys
        self._admission = admission
        self._control = control
        self._limits = limits
        self._memories: OrderedDict[str, WorkspaceMemory] = OrderedDict()
        self._ollama = OllamaModels(upstream)

    @property
    def log_writable(self) -> bool:
        """Whether the last record could be written."""
        return self._store.failure is None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: the main path."""
        head = head_of(request)
        admitted = self._admission.admit(head)
        if isinstance(admitted, ControlCall):
            return await self._control.answer(request, admitted)
        exchange_id = _new_id()
        policy = self.policy
        try:
            exchange = await self._locate(request, admitted, policy, exchange_id)
        except AdmissionRefused as refused:
            endpoint = policy.endpoints.get(admitted.endpoint)
            shape = error_shape(endpoint.kind if endpoint else admitted.endpoint, admitted.path)
            return _refusal_response(shape, _of_admission(refused), exchange_id)
        try:
            body = await self._body(request, exchange)
            reading = await self._read(exchange, body)
            await self._decide(exchange)
            redacted = await self._redact(exchange, reading)
            await self._record_intent(exchange, bool(body))
        except Refused as refused:
            return await self._refuse(exchange, refused.refusal)
        return await self._exchange_with_upstream(request, exchange, redacted, bool(body))

    # locate

    async def _locate(
        self, request: web.BaseRequest, admitted: Admitted, policy: PolicyState, exchange_id: str
    ) -> Exchange:
        caller = await self._callers.locate(request, admitted, policy)
        memory = await self._memory(caller.workspace.id)
        return Exchange(
            id=exchange_id,
            started=time.monotonic(),
            method=request.method,
            admitted=admitted,
            format=wire_format(admitted.path),
            caller=caller,
            memory=memory,
            session=next((value for name, value in admitted.headers if name.lower() in _SESSION_HEADERS), None),
        )

    async def _memory(self, workspace_id: str) -> WorkspaceMemory:
        memory = self._memories.get(workspace_id)
        if memory is None:
            key = await asyncio.to_thread(self._keys.workspace_key, workspace_id)
            fingerprint_key = await asyncio.to_thread(self._keys.fingerprint_key, workspace_id)
            memory = self._memories.setdefault(workspace_id, _new_memory(key, fingerprint_key))
            memory.vault.add_known(self._control.token, "CREDENTIAL", distinctive=True)
            while len(self._memories) > _MAX_WORKSPACES:
                self._memories.popitem(last=False)
        self._memories.move_to_end(workspace_id)
        return memory

    # read and scan

    async def _body(self, request: web.BaseRequest, exchange: Exchange) -> bytes:
        """The decoded request body, within bounds and of a kind that the guard reads."""
        try:
            raw = await read_body(request, self._limits)
            body = decode_body(raw, joined(exchange.admitted.headers, "content-encoding"), self._limits.body_bytes)
        except BodyTooLarge as error:
            raise Refused(_unreadable("body_too_large", "body-limit", f"{error}.", "Send less at once.")) from None
        except BodyError as error:
            raise Refused(_unreadable("body_incomplete", "body-complete", f"{error}.", "Send it again.")) from None
        except CodingError as error:
            raise Refused(
                _unreadable("coding", "content-coding", f"{error}.", "Send it uncompressed or as gzip.")
            ) from None
        if body:
            kind = (joined(exchange.admitted.headers, "content-type") or "application/json").partition(";")[0]
            kind = kind.strip().lower()
            if kind.startswith("multipart/") or kind == "application/x-www-form-urlencoded":
                raise Refused(
                    _unreadable(
                        "content_type",
                        "body-kind",
                        f"Bodies of type {kind} are not scanned yet, so they are not passed on.",
                        "Send JSON, or upload the file without the guard if policy allows that.",
                    )
                )
        return body

    async def _read(self, exchange: Exchange, body: bytes) -> RequestReading:
        """Parse and scan what is new in this request."""
        admitted, memory = exchange.admitted, exchange.memory
        positions = split_credentials(admitted.headers, admitted.query, exchange.caller.endpoint.auth_headers)
        for value in (*positions.credentials, admitted.workspace_token or ""):
            memory.vault.add_known(value, "CREDENTIAL")
        scanned = [admitted.headers[index] for index in positions.scanned]
        head = Head(exchange.method, admitted.path, admitted.query or "", scanned)

        def read() -> RequestReading:
            return RequestReading(exchange.format, memory, head, body)

        try:
            reading = await _off_loop(read, len(body))
            if reading.texts:
                found = await self._scan_pool.scan(reading.texts)
                reading.receive_findings(found)
            else:
                reading.receive_findings([])
        except RequestRefused as refused:
            raise Refused(_of_request(refused)) from None
        except ScanTimeout:
            raise Refused(
                Refusal(
                    503,
                    "scan_timeout",
                    "scan-deadline",
                    "Scanning this request took too long, so it was not sent.",
                    "Send less text at once, or report the text that is slow to scan.",
                )
            ) from None
        except ScannerFailed:
            raise Refused(
                Refusal(
                    503,
                    "scanner_failed",
                    "scan-first",
                    "The scanner failed, and nothing leaves unscanned.",
                    "Try again; if it stays so, run `localguard doctor`.",
                )
            ) from None
        facts = reading.facts
        exchange.facts = replace(facts, model=facts.model or model_in_path(admitted.path))
        return reading

    # decide

    async def _decide(self, exchange: Exchange) -> None:
        """Ask policy, with everything that is known now. Raises Refused for anything but allow."""
        caller, facts = exchange.caller, exchange.facts
        assert facts is not None
        endpoint = caller.endpoint
        endpoint_class = endpoint.endpoint_class
        if endpoint.kind == "ollama" and endpoint_class is EndpointClass.LOCAL and facts.model is not None:
            plain = _MODEL_NAME.fullmatch(facts.model) is not None  # it is sent to Ollama before it is redacted
            if (
                not plain
                or await self._ollama.leaves_machine(endpoint.name, endpoint.base_url, facts.model) is not None
            ):
                endpoint_class = EndpointClass.HOSTED
                exchange.caller = caller = replace(caller, endpoint=replace(endpoint, endpoint_class=endpoint_class))
        work = Work(
            workspace=caller.workspace.name,
            sensitivity=caller.workspace.sensitivity,
            task=caller.task,
            endpoint=endpoint.name,
            endpoint_class=endpoint_class,
            # None is "not known" and matches every deny; a call without a body is about no model at all
            model=facts.model if facts.body_bytes else facts.model or "",
            identity=endpoint.identity,
            agent=caller.agent,
            tools=frozenset(facts.tools),
            findings=facts.types,
            attachments=facts.attachments,
        )
        exchange.decision = decision = decide(caller.layers, work)
        rule = decision.deciding[0].id if decision.deciding else "default"
        if decision.effect is Effect.ASK:
            raise Refused(
                Refusal(
                    403,
                    "policy_ask",
                    rule,
                    f"{decision.reason} Policy wants a person to be asked, and asking is not possible yet.",
                    "Use another endpoint or model, or change the rule.",
                    "policy",
                )
            )
        if decision.effect is not Effect.ALLOW:
            raise Refused(Refusal(403, "policy_denied", rule, decision.reason, decision.next_step, "policy"))
        self._check_obligations(decision, facts, rule)
        if endpoint.credential != "client" and not caller.workspace.attributed:
            raise Refused(
                Refusal(
                    403,
                    "unattributed",
                    "keyring-needs-workspace",
                    f"Endpoint {endpoint.name} uses a key of the guard, and this request cannot be attributed to a workspace.",
                    "Start the agent with `localguard run`, or give it a workspace token.",
                    "policy",
                )
            )
        if facts.previous_response is not None and facts.previous_response not in exchange.memory.responses:
            raise Refused(
                Refusal(
                    400,
                    "previous_response",
                    "history-unseen",
                    "The history held by the provider did not pass through this process.",
                    "Send the whole history.",
                )
            )

    @staticmethod
    def _check_obligations(decision: Decision, facts: Facts, rule: str) -> None:
        obligations = decision.obligations
        for name, obligation in (
            ("secret", obligations.secret),
            ("pii", obligations.pii),
            ("custom", obligations.custom),
        ):
            if obligation is Obligation.BLOCK and name in facts.types:
                raise Refused(
                    Refusal(
                        403,
                        f"{name}_blocked",
                        rule,
                        f"The request holds data of class {name}, and policy blocks such requests here.",
                        "Take the data out, or use an endpoint that may have it.",
                        "policy",
                    )
                )
        if obligations.attachments is Obligation.BLOCK and facts.attachments:
            raise Refused(
                Refusal(
                    403,
                    "attachments_blocked",
                    rule,
                    "The request holds attachments, which cannot be scanned, and policy blocks them here.",
                    "Send the text of the attachment instead.",
                    "policy",
                )
            )

    # redact

    async def _redact(self, exchange: Exchange, reading: RequestReading) -> Redacted:
        assert exchange.decision is not None
        assert exchange.facts is not None
        actions = _actions(exchange.decision)
        try:
            redacted = await _off_loop(lambda: reading.redact(actions), exchange.facts.new_bytes)
        except RequestRefused as refused:
            raise Refused(_of_request(refused)) from None
        except TagCollision:
            raise Refused(
                Refusal(
                    400,
                    "tag_collision",
                    "placeholder-unique",
                    "Two values would get the same placeholder, and one of them could come back in the other's place.",
                    "Remove one of the values.",
                )
            ) from None
        exchange.redacted = redacted
        model = exchange.facts.model
        if model is not None and exchange.memory.vault.sweep(model.encode()):
            exchange.facts = replace(exchange.facts, model=None)
        exchange.session = exchange.session and self._opaque_session(exchange, exchange.session)
        self.counters.replaced += len(redacted.replaced)
        return redacted

    @staticmethod
    def _opaque_session(exchange: Exchange, session: str) -> str:
        """A client's session id is kept if it is plainly one, else its fingerprint."""
        plain = len(session) <= 80 and session.replace("-", "").replace("_", "").isalnum()
        if plain and not exchange.memory.vault.sweep(session.encode()):
            return session
        return exchange.memory.fingerprint(session)

    # record

    async def _record_intent(self, exchange: Exchange, has_body: bool) -> None:
        """P1: the intent is durable before a byte that carries content leaves."""
        if not has_body and not exchange.admitted.query:
            return
        assert exchange.redacted is not None
        metadata = records.context(
            exchange.caller,
            exchange.format,
            exchange.facts,
            exchange.decision,
            method=exchange.method,
            route=exchange.route,
            fingerprint=exchange.memory.fingerprint,
        )
        try:
            await asyncio.wrap_future(
                self._store.append(
                    "intent",
                    exchange=exchange.id,
                    session=exchange.session,
                    metadata={
                        **metadata,
                        "upstream_bytes": len(exchange.redacted.body),
                        "exposed": len(exchange.redacted.exposed),
                    },
                    findings=records.findings(exchange.redacted),
                    local=records.local(exchange.caller, exchange.facts, exchange.decision, exchange.route),
                )
            )
        except (LogUnavailable, RecordInvalid) as error:
            raise Refused(
                Refusal(
                    503,
                    "log_unavailable",
                    "audit-before-egress",
                    f"The audit log cannot be written ({error}), and nothing leaves without a record.",
                    "Free disk space or repair the log, see `localguard doctor`.",
                )
            ) from None
        exchange.recorded = True

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        """Tell the agent and the log."""
        self.counters.refused += 1
        metadata = records.context(
            exchange.caller,
            exchange.format,
            exchange.facts,
            exchange.decision,
            method=exchange.method,
            route=exchange.route,
            fingerprint=exchange.memory.fingerprint,
        )
        if exchange.redacted is None and "model" in metadata:
            metadata["model"] = None  # not redacted, so not written down
        self._note(exchange, "refused", refusal.code)
        with suppress(LogUnavailable, RecordInvalid):
            await asyncio.wrap_future(
                self._store.append(
                    "refusal",
                    exchange=exchange.id,
                    session=exchange.session if exchange.redacted is not None else None,
                    metadata={
                        **metadata,
                        "status": refusal.status,
                        "code": f"localguard_{refusal.code}",
                        "origin": refusal.origin,
                        "reason": refusal.reason,
                        "next_step": refusal.next_step,
                        "rule": refusal.rule,
                    },
                    local=records.local(exchange.caller, None, exchange.decision, exchange.route),
                )
            )
        if refusal.code == "previous_response" and exchange.facts is not None:
            previous = exchange.facts.previous_response or ""
            return web.Response(
                status=400,
                body=render_unknown_response(previous),
                headers=[*HEADERS, (EXCHANGE, exchange.id)],
            )
        shape = error_shape(exchange.caller.endpoint.kind, exchange.admitted.path)
        return _refusal_response(shape, refusal, exchange.id)

    # send and restore

    async def _exchange_with_upstream(
        self, request: web.BaseRequest, exchange: Exchange, redacted: Redacted, has_body: bool
    ) -> web.StreamResponse:
        """Send the redacted request, give the restored reply, record how it ended."""
        endpoint = exchange.caller.endpoint
        destination = Destination(
            endpoint.name,
            local=endpoint.endpoint_class is EndpointClass.LOCAL,
            ca_file=Path(endpoint.ca_file) if endpoint.ca_file else None,
        )
        target = redacted.path + (f"?{redacted.query}" if exchange.admitted.query is not None else "")
        state: str = "failed"
        origin: str | None = "guard"
        error: str | None = "internal"
        self.counters.exchanges += 1
        try:
            headers = await self._upstream_headers(exchange, redacted, has_body)
            async with self._upstream.send(
                destination,
                exchange.method,
                joined_url(endpoint.base_url, target),
                headers,
                redacted.body if has_body else None,
            ) as reply:
                exchange.status = reply.status
                response = await self._give_reply(request, exchange, reply)
                state, origin, error = _judge(exchange, reply)
                return response
        except UpstreamError as failure:
            state = "cut" if exchange.first_byte is not None else "failed"
            origin = _origin(failure)
            error = type(failure).__name__
            if request.writer.output_size > 0:
                cut(request)
                raise ConnectionError("the reply was cut off") from None
            return _refusal_response(
                error_shape(endpoint.kind, exchange.admitted.path), _of_upstream(failure), exchange.id
            )
        except (ReplyRefused, CodingError, StreamTooLong) as failure:
            state, origin, error = "failed", "guard", type(failure).__name__
            if request.writer.output_size > 0:
                cut(request)
                raise ConnectionError("the reply could not be finished") from None
            refusal = Refusal(502, "reply_unreadable", "reply-exact", f"{failure}", "Try again.")
            return _refusal_response(error_shape(endpoint.kind, exchange.admitted.path), refusal, exchange.id)
        except (asyncio.CancelledError, ConnectionError):
            state, origin, error = "cancelled", "agent", None
            raise
        finally:
            self._record_outcome(exchange, state, origin, error, has_body)

    async def _upstream_headers(
        self, exchange: Exchange, redacted: Redacted, has_body: bool
    ) -> Sequence[tuple[str, str]]:
        """The agent's headers, scanned ones redacted, credentials verbatim or the guard's own in their place."""
        admitted, endpoint = exchange.admitted, exchange.caller.endpoint
        positions = split_credentials(admitted.headers, admitted.query, endpoint.auth_headers)
        scanned = dict(zip(positions.scanned, redacted.headers, strict=True))
        headers = [scanned.get(index, pair) for index, pair in enumerate(admitted.headers)]
        if endpoint.credential != "client":
            name = endpoint.credential.removeprefix("keyring:")
            key = await asyncio.to_thread(self._keys.get, name)
            headers = [pair for index, pair in enumerate(headers) if index in scanned]
            headers += credential_headers(endpoint.kind, admitted.path, key)
        length = len(redacted.body) if has_body else (0 if exchange.method in ("POST", "PUT", "PATCH") else None)
        return upstream_headers(headers, body_length=length)

    async def _give_reply(
        self, request: web.BaseRequest, exchange: Exchange, upstream_reply: UpstreamReply
    ) -> web.StreamResponse:
        facts = exchange.facts
        assert facts is not None
        restorer = ReplyRestorer(exchange.format, exchange.memory, stream=facts.stream, exchange=exchange.id)
        exchange.reply = restorer
        given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in upstream_reply.raw_headers]
        framing = restorer.start(upstream_reply.status, joined(given, "content-type") or "")
        if exchange.method == "HEAD":
            framing = Framing.VERBATIM
        rewritten = framing is not Framing.VERBATIM
        response = Reply(
            upstream_reply.status,
            upstream_reply.reason,
            reply_headers(upstream_reply.raw_headers, exchange=exchange.id, rewritten=rewritten),
        )
        decoder = StreamDecoder(coding_of(joined(given, "content-encoding")), _MAX_REPLY) if rewritten else None
        whole = framing in (Framing.JSON, Framing.UNDECIDED)
        if not whole:
            await response.prepare(request)
        async for chunk in upstream_reply.chunks():
            if exchange.first_byte is None:
                exchange.first_byte = time.monotonic()
            exchange.reply_bytes += len(chunk)
            made = restorer.feed(decoder.feed(chunk)) if decoder is not None else chunk
            if whole and restorer.framing not in (Framing.JSON, Framing.UNDECIDED):
                whole = False  # what came is a stream after all
                await response.prepare(request)
            if whole and exchange.reply_bytes > self._limits.body_bytes:
                raise StreamTooLong("the reply is longer than the guard reads at once")
            if made:
                await response.write(made)
            if restorer.ended:
                break
        if decoder is not None and not restorer.ended:
            decoder.finish()
        rest = restorer.finish() if rewritten else b""
        if whole:
            response.content_length = len(rest)
            await response.prepare(request)
        if rest:
            await response.write(rest)
        self._learn_reply(exchange, restorer)
        await response.write_eof()
        return response

    def _learn_reply(self, exchange: Exchange, restorer: ReplyRestorer) -> None:
        """Remember the response ids whose history passed through here."""
        if restorer.observed.response_id is not None:
            exchange.memory.responses.put(restorer.observed.response_id, True)
        self.counters.restored += restorer.report.restored.total()
        self.counters.withheld += len(restorer.report.withheld)

    def _record_outcome(
        self, exchange: Exchange, state: str, origin: str | None, error: str | None, has_body: bool
    ) -> None:
        if not exchange.recorded:
            self._store.count_metadata_call(
                exchange.caller.endpoint.name,
                exchange.method,
                exchange.route,
                exchange.status or 0,
                exchange.memory.fingerprint(exchange.caller.workspace.id),
            )
            return
        now = time.monotonic()
        if state == "failed":
            self.counters.failed += 1
        reply = exchange.reply
        metadata = records.outcome(reply, state=state, status=exchange.status, origin=origin, error=error)
        metadata["total_ms"] = int((now - exchange.started) * 1000)
        if exchange.first_byte is not None:
            metadata["first_byte_ms"] = int((exchange.first_byte - exchange.started) * 1000)
        metadata["reply_bytes"] = exchange.reply_bytes
        self._note(exchange, state, error)
        with suppress(LogUnavailable, RecordInvalid):
            self._store.append(
                "outcome",
                exchange=exchange.id,
                session=exchange.session,
                metadata={**metadata},
                findings=records.withheld(reply),
                local=records.commands(reply.tool_calls, self._safe(exchange)) if reply is not None else {},
            )

    @staticmethod
    def _safe(exchange: Exchange) -> "records.Scrub":
        """Known values out of what a model wrote: it may spell one that it never saw as a placeholder."""

        def scrub(text: str) -> str:
            raw = text.encode("utf-8", "replace")
            parts: list[bytes] = []
            position = 0
            for span in exchange.memory.vault.sweep(raw):
                parts += [raw[position : span.start], span.placeholder.encode()]
                position = span.end
            return b"".join([*parts, raw[position:]]).decode("utf-8", "replace")

        return scrub

    def _note(self, exchange: Exchange, state: str, error: str | None) -> None:
        """Keep the last exchanges for `status`: what the log's metadata would say of them."""
        caller = exchange.caller
        note: dict[str, object] = {
            "exchange": exchange.id,
            "endpoint": caller.endpoint.name,
            "agent": caller.agent,
            "workspace": caller.workspace.name,
            "model": exchange.facts.model if exchange.facts and exchange.redacted else None,
            "state": state,
            "error": error,
            "replaced": len(exchange.redacted.replaced) if exchange.redacted else 0,
            "total_ms": int((time.monotonic() - exchange.started) * 1000),
        }
        self.recent.append(note)
        self._control.publish("exchange", note)


async def _off_loop(step: Callable[[], T], size: int) -> T:
    """Run `step` in a thread if it has much to read, else here."""
    return step() if size <= _INLINE_BYTES else await asyncio.to_thread(step)


def _new_id() -> str:
    """An exchange id: 48 bits of time in milliseconds, then 32 random ones, so that ids sort by time."""
    number = (int(time.time() * 1000) << 32) | secrets.randbits(32)
    return "x" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(75, -1, -5))


def _new_memory(key: bytes, fingerprint_key: bytes) -> WorkspaceMemory:
    def fingerprint(value: str) -> str:
        return hmac.digest(fingerprint_key, value.encode("utf-8", "surrogatepass"), "sha256")[:12].hex()

    return WorkspaceMemory(Vault(key), fingerprint)


def _actions(decision: Decision) -> Actions:
    obligations = decision.obligations
    return {
        "secret": "allow" if obligations.secret is Obligation.ALLOW else "redact",
        "pii": "allow" if obligations.pii is Obligation.ALLOW else "redact",
        "custom": "allow" if obligations.custom is Obligation.ALLOW else "redact",
    }


def _refusal_response(shape: str, refusal: Refusal, exchange: str) -> web.Response:
    return web.Response(
        status=refusal.status, body=render(shape, refusal, exchange), headers=[*HEADERS, (EXCHANGE, exchange)]
    )


def _unreadable(code: str, rule: str, reason: str, next_step: str) -> Refusal:
    return Refusal(400, code, rule, reason[:1].upper() + reason[1:], next_step, "agent")


def _of_request(refused: RequestRefused) -> Refusal:
    return Refusal(refused.status, refused.code, refused.rule, refused.reason, refused.next_step, "redaction")


def _of_admission(refused: AdmissionRefused) -> Refusal:
    return Refusal(refused.status, refused.code.removeprefix("localguard_"), "admission", refused.message, "")


def _of_upstream(failure: UpstreamError) -> Refusal:
    if isinstance(failure, UpstreamRefused):
        return Refusal(403, "upstream_refused", "upstream-address", f"{failure}.", "Check the endpoint's base_url.")
    status = 504 if isinstance(failure, UpstreamTimeout) else 502
    return Refusal(
        status, "upstream_failed", "upstream", f"{failure}.", "Check the endpoint, then try again.", "network"
    )


def _origin(failure: UpstreamError) -> str:
    return "policy" if isinstance(failure, UpstreamRefused) else "network"


def _judge(exchange: Exchange, reply: UpstreamReply) -> tuple[str, str | None, str | None]:
    """State, origin and code of an exchange whose reply was given to its end."""
    status = reply.status
    if status == 429:
        return "failed", "rate limit", "429"
    if status >= 400:
        local = exchange.caller.endpoint.endpoint_class is EndpointClass.LOCAL
        return "failed", "local model" if local else "provider", str(status)
    observed = exchange.reply.observed if exchange.reply is not None else None
    if observed is not None and observed.error is not None:
        guard = observed.error.startswith("localguard_")
        return "failed", "guard" if guard else "provider", observed.error[:80]
    if observed is not None and exchange.reply is not None and not observed.complete:
        streamed = exchange.reply.framing in (Framing.SSE, Framing.NDJSON)
        if streamed and reply.close_delimited and exchange.format.name != "generic-json":
            return "cut", "provider", "no-end-mark"
    return "completed", None, None
