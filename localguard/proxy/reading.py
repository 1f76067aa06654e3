"""A request read: its body taken in and decoded, parsed, and what is new in it scanned."""

import asyncio
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from aiohttp import web

from localguard.config.instruction_files import instruction_files
from localguard.detect.finding import Finding
from localguard.detect.rules import RuleInvalid
from localguard.exchange.instructions import Quote, matches
from localguard.exchange.memory import WorkspaceMemory
from localguard.exchange.request import Head, RequestReading, RequestRefused
from localguard.proxy import refusals
from localguard.proxy.connection import BodyError, Limits, read_body
from localguard.proxy.knowledge import Knowledge
from localguard.proxy.known_heads import body_headers, positions_of
from localguard.proxy.live import Exchange
from localguard.proxy.refusals import Refused
from localguard.proxy.scan_pool import ScannerFailed, ScanPool, ScanTimeout
from localguard.wire import multipart
from localguard.wire.coding import CodingError, decode_body
from localguard.wire.providers import model_in_path

T = TypeVar("T")

_INLINE_BYTES: Final = 256 * 1024
"""Bodies up to this size are read on the event loop (a millisecond); longer ones in a thread."""
_JUDGING_SECONDS: Final = 10.0
"""For the rules of a repository, which are linear, and may be slow all the same."""
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE)
_CHARSETS: Final = ("utf-8", "utf8", "us-ascii", "ascii")
"""In which JSON's bytes mean what the guard reads in them."""
_FORM: Final = "multipart/form-data"
_UNSCANNED_TYPES: Final = ("multipart/", "application/x-www-form-urlencoded")


class Reader:
    """Reads requests within `limits`. Every fault is a Refused; lives in one event loop."""

    def __init__(self, scan_pool: ScanPool, limits: Limits) -> None:
        self._scan_pool = scan_pool
        self._limits = limits
        self._knowledge = Knowledge(lambda text: scan_pool.scanner.by_rules(text))

    async def body(self, request: web.BaseRequest, exchange: Exchange) -> bytes:
        """The decoded request body, within bounds and of a kind that the guard reads."""
        coding, declared = body_headers(exchange.admitted.headers)
        try:
            raw = await read_body(request, self._limits)
            body = await off_loop(lambda: decode_body(raw, coding, self._limits.body_bytes), len(raw) if coding else 0)
        except (BodyError, CodingError) as error:
            raise Refused(refusals.of_body(error)) from None
        kind = declared.partition(";")[0].strip().lower()
        if body and kind == _FORM:
            return await self._form(exchange, body, declared)
        for unscanned in _UNSCANNED_TYPES if body else ():
            if kind.startswith(unscanned):
                raise Refused(refusals.of_content_type(unscanned.rstrip("/")))
        if body and any(name.lower() not in _CHARSETS for name in _CHARSET.findall(declared)):
            raise Refused(refusals.CHARSET)
        exchange.has_body = bool(body)
        return body

    @staticmethod
    async def _form(exchange: Exchange, body: bytes, declared: str) -> bytes:
        """A form with files, as the JSON that it is scanned as."""
        try:
            boundary = multipart.boundary_of(declared)
            made = await off_loop(lambda: multipart.to_json(body, boundary), len(body))
        except multipart.MultipartInvalid as error:
            raise Refused(refusals.of_form(error)) from None
        kept = [pair for pair in exchange.admitted.headers if pair[0].lower() != "content-type"]
        headers = (*kept, ("Content-Type", multipart.CONTENT_TYPE))
        exchange.admitted = replace(exchange.admitted, headers=headers)
        exchange.format, exchange.has_body = multipart.MULTIPART, True
        return made

    async def read(self, exchange: Exchange, body: bytes) -> RequestReading:
        """Parse and scan what is new in this request."""
        admitted, memory = exchange.admitted, exchange.memory
        positions = positions_of(admitted.headers, admitted.query, exchange.caller.endpoint.auth_headers)
        exchange.positions = positions
        for value in (*positions.credentials, admitted.workspace_token or ""):
            memory.know_credential(value)
        scanned = [admitted.headers[index] for index in positions.scanned]
        head = Head(exchange.method, admitted.path, admitted.query or "", scanned)

        def read() -> RequestReading:
            return RequestReading(exchange.format, memory, head, body)

        try:
            for workspace in exchange.caller.workspace.candidates:
                await self._knowledge.refresh(memory, workspace.roots, exchange.caller.layers)
            new = len(body) - memory.readings.prefixes.length(exchange.format.name, body)
            self._scan_pool.expect(new)
            reading = await off_loop(read, new)
            found = await self._scan(memory, reading)
            await off_loop(lambda: reading.receive_findings(found), sum(map(len, reading.texts)))
        except RequestRefused as refused:
            raise Refused(refusals.of_request(refused)) from None
        except RuleInvalid as invalid:
            raise Refused(refusals.of_rules(invalid)) from None
        except TimeoutError:
            raise Refused(refusals.of_scanner(ScanTimeout("the repository's rules take too long"))) from None
        except (ScanTimeout, ScannerFailed) as error:
            raise Refused(refusals.of_scanner(error)) from None
        if reading.quotes:
            await asyncio.to_thread(_compare, exchange, reading.quotes)
        facts = reading.facts
        exchange.facts = replace(facts, model=facts.model or model_in_path(admitted.path))
        return reading

    async def _scan(self, memory: WorkspaceMemory, reading: RequestReading) -> Sequence[tuple[Finding, ...]]:
        """What is found in each text that is new, attached documents included, by all rules and the workspace's own."""
        if documents := reading.documents:
            reading.receive_documents(await self._scan_pool.read_documents(documents))
        found = await self._scan_pool.scan(reading.texts)
        if not memory.judges:
            return found
        over = threading.Event()  # others' rules, at any length: the thread ends with its time
        judging = asyncio.to_thread(memory.judged, reading.texts, found, over.is_set)
        try:
            return await asyncio.wait_for(judging, _JUDGING_SECONDS)
        finally:
            over.set()


def _compare(exchange: Exchange, quotes: Sequence[Quote]) -> None:
    """Remember which instruction files that the request quotes for the first time are those of its work tree."""
    workspace, peer = exchange.caller.workspace, exchange.caller.peer
    if workspace.root is None:
        return
    cwd = peer.cwd if peer is not None else None
    for quote in quotes:
        same = matches(quote, instruction_files(workspace.root, Path(cwd) if cwd else None, quote.name))
        if same is not None:
            exchange.memory.instructions.put((quote.name, quote.digest), same)


async def off_loop(step: Callable[[], T], size: int) -> T:
    """Run `step` in a thread if it has much to read, else here."""
    return step() if size <= _INLINE_BYTES else await asyncio.to_thread(step)
