"""The reply of an exchange on its way to the agent: decoded, restored, given as it comes in, and how it ended."""

import asyncio
import time

from aiohttp import web

from localguard.audit.fields import FailureOrigin
from localguard.exchange.reply import Framing, ReplyRestorer
from localguard.proxy.asking import Asking
from localguard.proxy.connection import Limits, Reply
from localguard.proxy.headers import joined, reply_headers
from localguard.proxy.live import Exchange
from localguard.proxy.origins import KEPT, is_local, origin_of_error, origin_of_status, read_error
from localguard.proxy.upstream import UpstreamReply
from localguard.wire.coding import StreamDecoder, coding_of
from localguard.wire.generic import GENERIC
from localguard.wire.multipart import MULTIPART
from localguard.wire.sse import StreamTooLong

_MAX_REPLY = 1024 * 1024 * 1024
_WITHOUT_END = frozenset({GENERIC.name, MULTIPART.name})
"""Formats whose streams have no end mark that is known."""
_KEEP_ALIVE = 10.0
"""Seconds between two signs of life while a person is asked; clients give up after 60 without any, at the soonest."""
_REDIRECTS = (301, 302, 307, 308)


async def give_reply(
    request: web.BaseRequest, exchange: Exchange, upstream_reply: UpstreamReply, limits: Limits, asking: Asking
) -> web.StreamResponse:
    """Give the agent the reply as it comes in, restored; `exchange` keeps what was seen of it.

    Raises UpstreamError, CodingError, StreamTooLong and ReplyRefused; what was written before stays written.
    """
    facts = exchange.facts
    assert facts is not None
    restorer = ReplyRestorer(
        exchange.format,
        exchange.memory,
        stream=facts.stream,
        exchange=exchange.id,
        asked_for_json=facts.asked_for_json,
        kept=exchange.decision.obligations.kept if exchange.decision is not None else frozenset(),
        asks=exchange.decision is not None and exchange.decision.obligations.asks,
    )
    exchange.reply = restorer
    given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in upstream_reply.raw_headers]
    framing = restorer.start(upstream_reply.status, joined(given, "content-type") or "")
    if exchange.method == "HEAD":
        framing = Framing.VERBATIM
    rewritten = framing is not Framing.VERBATIM
    response = Reply(
        upstream_reply.status,
        upstream_reply.reason,
        (
            *reply_headers(
                upstream_reply.raw_headers,
                exchange=exchange.id,
                rewritten=rewritten,
                elsewhere=exchange.has_body and upstream_reply.status in _REDIRECTS,
            ),
            *exchange.notices,
        ),
    )
    decoder = StreamDecoder(coding_of(joined(given, "content-encoding")), _MAX_REPLY) if rewritten else None
    whole = framing in (Framing.JSON, Framing.UNDECIDED)
    if not whole:
        await response.prepare(request)
    failure = bytearray()
    async for chunk in upstream_reply.chunks():
        if exchange.first_byte is None:
            exchange.first_byte = time.monotonic()
        exchange.reply_bytes += len(chunk)
        if upstream_reply.status >= 400 and len(failure) < KEPT:
            failure += chunk
        made = restorer.feed(decoder.feed(chunk)) if decoder is not None else chunk
        if whole and restorer.framing not in (Framing.JSON, Framing.UNDECIDED):
            whole = False  # what came is a stream after all
            await response.prepare(request)
        if whole and exchange.reply_bytes > limits.body_bytes:
            raise StreamTooLong("the reply is longer than the guard reads at once")
        if restorer.wanted:
            made = await _asked(exchange, restorer, made, response, asking)
        if made:
            await response.write(made)
        if restorer.ended:
            break
    if decoder is not None and not restorer.ended:
        decoder.finish()
    rest = restorer.finish() if rewritten else b""
    if restorer.wanted:
        rest = await _asked(exchange, restorer, rest, response, asking)
    if whole:
        response.whole(len(rest))
        await response.prepare(request)
    if failure:
        exchange.error = read_error(bytes(failure), joined(given, "content-encoding"))
    if exchange.method == "POST" and upstream_reply.status < 300:
        for name in restorer.held:
            exchange.memory.responses.put(name, True)  # what it stands for passed through here
    await response.write_eof(rest)
    return response


async def _asked(
    exchange: Exchange, restorer: ReplyRestorer, made: bytes, response: web.StreamResponse, asking: Asking
) -> bytes:
    """Give what was made, wait for the answers that the rest of it needs, and return that.

    A stream is kept alive meanwhile, as far as its format has something for that. If the client hangs up, the questions are
    withdrawn.
    """
    begun = response.prepared
    while restorer.wanted:
        if made and begun:
            await response.write(made)
        answers = [asyncio.create_task(asking.values(exchange, one)) for one in restorer.wanted]
        waiting = set(answers)
        try:
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=_KEEP_ALIVE)
                if waiting and begun and restorer.keep_alive:
                    await response.write(restorer.keep_alive)
        finally:
            for one in answers:
                one.cancel()
            await asyncio.gather(*answers, return_exceptions=True)
        more = restorer.answer([one.result() for one in answers])
        made = more if begun else made + more
    return made


def judge(exchange: Exchange, reply: UpstreamReply) -> tuple[str, FailureOrigin | None, str | None]:
    """State, origin and code of an exchange whose reply was given to its end."""
    status, local = reply.status, is_local(exchange.caller.endpoint)
    if status >= 400:
        return "failed", origin_of_status(status, exchange.error, local=local), exchange.error.code or str(status)
    observed = exchange.reply.observed if exchange.reply is not None else None
    if observed is not None and observed.error is not None:
        return "failed", origin_of_error(observed.error, local=local), observed.error[:80]
    if observed is not None and exchange.reply is not None and not observed.complete:
        streamed = exchange.reply.framing in (Framing.SSE, Framing.NDJSON)
        if streamed and reply.close_delimited and exchange.format.name not in _WITHOUT_END:
            return "cut", "local model" if local else "provider", "no-end-mark"
    return "completed", None, None
