"""A request on its way out: read, scanned where new, redacted, put together again.

Steps, in order; each raises RequestRefused rather than let a byte through that was not read:
1. cut the body into pieces; pieces read before are known by digest
2. parse the new ones; collect the texts that were not scanned before
3. take in the findings for those texts
4. say what was found, for policy to decide on
5. redact: findings, values known from elsewhere, opaque leaves looked through
6. put the body together
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from localguard.detect.documents import DocumentText
from localguard.detect.finding import Finding
from localguard.detect.types import TYPE_PRECEDENCE
from localguard.exchange.claims import claims_of
from localguard.exchange.conversation import ITEM_MEMBERS, opening, started_by
from localguard.exchange.facts import (
    Facts,
    asks_for_json,
    instruction_names,
    output_limit,
    small_member,
    text_member,
    tool_names,
)
from localguard.exchange.head import Head
from localguard.exchange.head_reading import HeadReading
from localguard.exchange.history import Held, named_by_items, named_by_members, named_by_path
from localguard.exchange.instructions import Quote, quoted
from localguard.exchange.items import Item, Output, Replaced
from localguard.exchange.memory import WorkspaceMemory
from localguard.exchange.opaque import OpaqueLeaves
from localguard.exchange.prefix import MAX_BYTES, Seen, Totals, Written, covered, extended
from localguard.exchange.refused import RequestRefused
from localguard.exchange.rewriting import beside, restored_in, rewrite
from localguard.exchange.scanning import Scanning
from localguard.exchange.split import Piece, Split, split
from localguard.exchange.texts import Opaque, Texts, is_message, is_plain, read_texts, widened
from localguard.exchange.tool_results import tool_results
from localguard.redact.redactor import Actions, learn, replacements
from localguard.wire.format import WireFormat
from localguard.wire.json_edit import JsonInvalid

__all__ = ["Facts", "Head", "Redacted", "RequestReading", "RequestRefused"]

_INDEX = re.compile(r"\[\d+\]")
_ROUNDS = 12
"""Passes over the whole body until no new value turns up; values that overlap each other make new ones, few times."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A request as it may leave."""

    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    replaced: tuple[Replaced, ...]
    exposed: tuple[Replaced, ...]
    """Values found only now in text that went out before: to be rotated."""


@dataclass(slots=True)
class _Work:
    """One piece of the body in this request."""

    piece: Piece
    digest: bytes
    item: Item | None
    texts: Texts | None = None
    output: Output | None = None
    """What goes upstream under this request's actions. Kept here, for another request may write the item's."""


class RequestReading:
    """One request being read. Use `texts`, then `receive_findings`, then `facts`, then `redact`."""

    def __init__(self, format: WireFormat, memory: WorkspaceMemory, head: Head, body: bytes) -> None:
        self._format = format
        self._memory = memory
        self._head = head
        self._readings = readings = memory.readings
        self._scanning = Scanning(memory, readings)
        self._opaque = OpaqueLeaves(memory, self._scanning)
        self._body = body
        self._new_bytes = 0
        self.quotes: list[Quote] = []
        """What its new pieces quote of instruction files, once the findings are in."""
        self._attached: list[tuple[Opaque, bytes]] = []
        self._split: Split | None = None
        self._works: list[_Work] = []
        self._redacted_under: tuple[str, ...] | None = None
        self._prefixes = readings.prefixes
        self._prefix = self._prefixes.find(format.name, body)
        self._head_reading = HeadReading(memory, readings, self._scanning, head)
        if body:
            self._read_body(body)
        self.texts: list[bytes] = self._scanning.texts()

    def _read_body(self, body: bytes) -> None:
        rest = self._prefix.rest(body, self._format) if self._prefix is not None else None
        if rest is None:
            self._prefix = None
        self._split = rest or split(body, self._format)
        for name in self._split.names:
            self._scanning.want(name.encode(), b"", name)
        for piece in self._split.pieces:
            digest = self._memory.digest(piece.place, piece.raw)
            work = _Work(piece, digest, self._readings.items.get(digest))
            self._works.append(work)
            if work.item is None:
                self._new_bytes += len(piece.raw)
                texts = self._parse(work)
                for text in texts.texts:
                    text.key = self._scanning.want(text.text, text.context, text.leaf.text)
                for opaque in texts.opaque:
                    if watched := self._opaque.watched(opaque):
                        self._scanning.want(watched.encode(), b"", watched)

    def _parse(self, work: _Work) -> Texts:
        try:
            work.texts = read_texts(work.piece.raw, work.piece.node, work.piece.member or None)
            return work.texts
        except JsonInvalid as error:
            raise RequestRefused(
                400,
                "body_invalid",
                "json-strict",
                f"In the request body: {error}." if not work.piece.where else f"At {work.piece.member}: {error}.",
                "Send one valid JSON document.",
            ) from None

    @property
    def documents(self) -> list[bytes]:
        """The attached documents whose text nobody has seen yet, for `receive_documents`."""
        self._attached = [
            (opaque, data)
            for work in self._works
            if work.item is None and work.texts is not None
            for opaque in work.texts.opaque
            if (data := opaque.document) is not None
        ]
        return [data for _, data in self._attached]

    def receive_documents(self, texts: Sequence[DocumentText | None]) -> None:
        """Take in the text of each of `documents`, None for those that cannot be read; it becomes part of `texts`."""
        for (opaque, data), document in zip(self._attached, texts, strict=True):
            self._opaque.receive_document(opaque, data, document)
        self.texts = self._scanning.texts()

    def receive_findings(self, results: Sequence[Sequence[Finding]]) -> None:
        """Take in one sequence of findings for each of `texts`, in order."""
        if len(results) != len(self.texts):
            raise ValueError("one result a text")
        self._scanning.receive(results)
        self._head_reading.receive()
        for work in self._works:
            if work.item is None:
                work.item = self._readings.items.get(work.digest)  # the same bytes may stand in one body twice
            if work.item is None:
                self._complete(work)

    def _complete(self, work: _Work) -> None:
        """All that is to be remembered of a piece that was new."""
        assert work.texts is not None
        found: list[tuple[int, tuple[Finding, ...]]] = []
        types: set[str] = set()
        for index, text in enumerate(work.texts.texts):
            findings = self._scanning.of(text.key, message=is_message(text))
            if findings:
                findings = widened(text, findings)
                found.append((index, findings))
                for finding in findings:
                    types.update((finding.type, str(finding.data_class)))
        raw = work.piece.raw
        unread = self._opaque.look_into(work.texts.opaque, types)
        work.item = Item(
            findings=tuple(found),
            types=frozenset(types),
            plain=is_plain(work.texts),
            leaves=len(work.texts.texts),
            opaque=len(work.texts.opaque),
            attached_bytes=sum(len(one.leaf.text) for one in work.texts.opaque if one.attachment),
            tools=tool_names(work.piece, work.texts.document.value),
            attachments=frozenset(work.texts.attachments),
            unread=unread,
            instructions=self._instructions(raw, work.texts),
            held=self._opaque.held(work.texts.opaque),
            opening=self._opening(work),
            references=named_by_items(self._format.name, work.piece, work.texts.document.value),
            claims=claims_of(raw),
        )
        self._readings.items.put(work.digest, work.item, 400)

    def _opening(self, work: _Work) -> tuple[str, str] | None:
        assert work.texts is not None
        found = opening(work.piece.member, work.texts.document.value)
        return (found[0], self._memory.fingerprint(found[1])) if found is not None and found[1] else None

    def _instructions(self, raw: bytes, texts: Texts) -> tuple[tuple[str, str], ...]:
        names = instruction_names(raw)
        if not names:
            return ()
        digest = self._memory.fingerprint(raw.decode("utf-8", "replace"))
        self.quotes += quoted(names, digest, [text.leaf.text for text in texts.texts])
        return tuple((name, digest) for name in names)

    @property
    def facts(self) -> Facts:
        """What policy decides on; available once the findings are in."""
        members = self._split.members if self._split is not None else {}
        totals = self._prefix.totals if self._prefix is not None else Totals()
        totals = totals.plus([work.item for work in self._works if work.item is not None])
        types = set(totals.types)
        for _, findings in self._head_reading.findings():
            for finding in findings:
                types.update((finding.type, str(finding.data_class)))
        stream = small_member(members.get("stream"))
        started = started_by(totals.openings)
        return Facts(
            model=text_member(members.get("model")),
            stream=stream if isinstance(stream, bool) else None,
            asked_for_json=asks_for_json(members),
            held=(
                *named_by_path(self._head.method, self._head.path),
                *named_by_members(members),
                *(Held("input", id) for id in totals.references),
            ),
            conversation=None if started is None else self._memory.fingerprint(started),
            types=frozenset(types),
            tools=tuple(dict.fromkeys(totals.tools)),
            attachments=totals.attachments,
            unread=totals.unread,
            instructions=tuple(dict.fromkeys(totals.instructions)),
            leaves=totals.leaves,
            opaque=totals.opaque,
            attached_bytes=totals.attached_bytes,
            body_bytes=len(self._body),
            new_bytes=self._new_bytes,
            output_limit=output_limit(members),
            alike=self._alike(started),
            tool_results=tool_results(self._newest_first()),
            claims=totals.claims.plus(claims_of(value.encode()) for _, value in self._head.headers if value[:1] == "{"),
        )

    def _newest_first(self) -> Iterator[object]:
        """What the history's items hold that were not there in an earlier request, up to the first one that was."""
        for work in reversed(self._works):
            if (
                work.piece.member and work.piece.member not in ITEM_MEMBERS
            ):  # tools and the like, which stand behind it in some bodies
                continue
            if work.texts is None:
                return
            yield work.texts.document.value

    def _alike(self, started: str | None) -> bytes:
        items = (work for work in reversed(self._works) if work.piece.member in ITEM_MEMBERS)
        last = next(items, self._works[-1] if self._works else None)
        size, end = len(self._body).to_bytes(8), b"" if last is None else last.digest
        return self._memory.digest(b"alike", size, (started or "").encode("utf-8", "surrogatepass"), end)

    def redact(self, actions: Actions) -> Redacted:
        """The request as it may leave under `actions` (data class -> `redact` or `allow`). May be called again under others.

        Known values learnt while redacting one piece are looked for in all others before anything is put together.
        Raises RequestRefused where a value stands at a place that cannot be rewritten.
        """
        key = tuple(f"{name}={actions[name]}" for name in sorted(actions))
        if self._redacted_under != key:
            for work in self._works:
                work.output = None  # it was redacted under other actions
            self._redacted_under = key
        exposed: list[Replaced] = []
        vault = self._memory.vault
        self._learn(actions)
        for _ in range(_ROUNDS):
            before = vault.generation
            written = self._written(actions, key, exposed)
            for work in self._works:
                self._redact_piece(work, actions, key, exposed)
            path, query, headers, head_replaced = self._head_reading.redact(actions)
            if vault.generation == before:
                break
        else:
            raise RequestRefused(
                503,
                "redaction_unsettled",
                "redact-everywhere",
                "New values kept turning up while this request was redacted.",
                "Try again.",
            )
        self._check_names(actions)
        replaced = [*head_replaced, *(written.replaced if written is not None else ())]
        parts: list[bytes] = []
        for work in self._works:
            assert work.item is not None
            assert work.output is not None
            parts.append(work.piece.raw if work.output.redacted is None else work.output.redacted)
            replaced.extend(work.output.replaced)
            work.item.sent = True
        before_parts: bytes | memoryview = b""
        if written is not None and self._prefix is not None:
            before_parts = self._prefix.raw if written.redacted is None else written.redacted
        body = self._split.join(parts, before_parts) if self._split is not None else b""
        self._keep_prefix(key, before, written, parts, body)
        return Redacted(path, query, headers, body, tuple(replaced), tuple(dict.fromkeys(exposed)))

    def _written(self, actions: Actions, key: tuple[str, ...], exposed: list[Replaced]) -> Written | None:
        """What goes upstream for the prefix, if that can be told for it as a whole; else its pieces are taken up."""
        prefix = self._prefix
        if prefix is None:
            return None
        written = prefix.written.get(key)
        generation = self._memory.vault.generation
        if written is not None and written.generation == generation:
            return written
        if (
            written is not None
            and not self._may_hold(prefix.body, written.generation)
            and all(
                self._stays(prefix.piece(one), one, last, actions, key, exposed)
                for one, last in zip(prefix.doubtful, written.doubtful, strict=True)
            )
        ):
            written = prefix.written[key] = replace(written, generation=generation)
            return written
        assert self._split is not None
        self._split = prefix.whole(self._split)
        pieces = self._split.pieces
        self._works[:0] = [_Work(piece, one.digest, one.item) for piece, one in zip(pieces, prefix.seen, strict=False)]
        self._prefix = None
        return None

    def _stays(
        self,
        piece: Piece,
        seen: Seen,
        last: Output,
        actions: Actions,
        key: tuple[str, ...],
        exposed: list[Replaced],
    ) -> bool:
        """Whether a known piece, whose bytes do not tell what it holds, goes upstream as it `last` did in its prefix."""
        work = _Work(piece, seen.digest, seen.item)
        self._redact_piece(work, actions, key, exposed)
        made = work.output
        return made is not None and (made.redacted, made.replaced) == (last.redacted, last.replaced)

    def _keep_prefix(
        self, key: tuple[str, ...], generation: int, written: Written | None, parts: list[bytes], body: bytes
    ) -> None:
        """Remember the history, its last items aside, as the beginning of the next turn's body."""
        prefix = self._prefix
        cut = covered(self._split, self._format, prefix) if self._split is not None else None
        if self._split is None or cut is None or 2 * len(self._body) > MAX_BYTES:
            if prefix is not None:
                self._prefixes.keep(prefix, prefix)  # used last
            return
        member, taken = cut
        works = self._works[:taken]
        known = [(work.digest, work.item) for work in works if work.item is not None]
        made = extended(prefix, self._split, self._body, self._format, known, member)
        outputs = [work.output for work in works if work.output is not None]
        size = sum(map(len, self._split.between[:taken])) + sum(map(len, parts[:taken]))
        if prefix is not None and written is not None:
            size += prefix.size if written.redacted is None else len(written.redacted)
        before = written.replaced if written is not None else ()
        doubtful = [work.output for work in works if work.output is not None and not (work.item and work.item.plain)]
        changed = (written is not None and written.redacted is not None) or any(
            output.redacted is not None for output in outputs
        )
        replaced = (*before, *(one for output in outputs for one in output.replaced))
        known_doubtful = written.doubtful if written is not None else ()
        made.written[key] = Written(
            generation, memoryview(body)[:size] if changed else None, replaced, (*known_doubtful, *doubtful)
        )
        self._prefixes.keep(made, prefix)

    def _learn(self, actions: Actions) -> None:
        """Make every value of this request known before anything of it is rewritten: found in one field, swept in all."""
        found: list[tuple[bytes, Sequence[Finding]]] = [*self._head_reading.findings()]
        for work in self._works:
            if work.texts is not None and work.item is not None:
                for index, findings in work.item.findings:
                    text = work.texts.texts[index]
                    found.append((text.text, beside(findings, restored_in(self._memory, text) or ())))
        if found:
            learn(found, self._memory.vault, actions, TYPE_PRECEDENCE)

    def _redact_piece(self, work: _Work, actions: Actions, key: tuple[str, ...], exposed: list[Replaced]) -> None:
        item = work.item
        assert item is not None
        vault = self._memory.vault
        generation = vault.generation  # before anything is looked for: what is learnt meanwhile is looked for next
        last = work.output or item.outputs.get(key)
        if last is not None and last.generation == generation:
            work.output = last
            return
        if last is not None and item.plain and not self._may_hold(work.piece.raw, last.generation):
            work.output = replace(last, generation=generation)
        elif last is None and self._is_untouched(work, item):
            work.output = Output(generation, None, ())
        else:
            texts = work.texts if work.texts is not None else self._parse(work)
            redacted, replaced = rewrite(self._memory, work.piece, texts, item, actions)
            if last is not None and item.sent:
                before = {_anywhere(one) for one in last.replaced}
                exposed.extend(one for one in replaced if _anywhere(one) not in before)
            work.output = Output(generation, redacted if redacted != work.piece.raw else None, replaced)
        kept = item.outputs.get(key)
        if kept is None or kept.generation < work.output.generation:
            item.outputs[key] = work.output
            if kept is None or kept.redacted != work.output.redacted:
                weight = 400 + 200 * len(item.findings)
                weight += sum(len(output.redacted or b"") for output in [*item.outputs.values()])
                self._readings.items.put(work.digest, item, weight)

    def _may_hold(self, raw: bytes, generation: int) -> bool:
        """Whether a value learnt after `generation` may stand in `raw`, whose values are spelled plainly."""
        return self._memory.cores_since(generation).may_hold(raw)

    def _is_untouched(self, work: _Work, item: Item) -> bool:
        """Whether a new piece holds nothing to be replaced, told without looking into its texts."""
        if item.findings or item.held or not item.plain or work.texts is None:
            return False
        if any(opaque.readable for opaque in work.texts.opaque):
            return False  # what it holds stands in its bytes as base64
        return not self._memory.vault.may_hold(work.piece.raw) and not self._has_restored(work)

    def _has_restored(self, work: _Work) -> bool:
        """Whether some text of a new piece is one that a reply of this process was turned back into."""
        assert work.texts is not None
        return any(restored_in(self._memory, text) is not None for text in work.texts.texts)

    def _check_names(self, actions: Actions) -> None:
        """Refuse a top-level key that holds a value: keys between the pieces are not rewritten."""
        names = tuple(self._split.names) if self._split is not None else ()
        generation = self._memory.vault.generation
        seen = ("".join(f"{name}={actions[name]};" for name in sorted(actions)), " ".join(names), b"names")
        if not names or self._readings.unchanged.get(seen) == generation:
            return
        for name in names:
            raw = name.encode()
            if len(raw) > 3 and replacements(
                raw, self._scanning.found(raw, b"", name), self._memory.vault, actions, TYPE_PRECEDENCE
            ):
                raise RequestRefused(
                    400,
                    "name_holds_value",
                    "member-name",
                    "The name of a top-level member holds a value that must not leave.",
                    "Send the value inside a message, or leave it out.",
                )
        self._readings.unchanged.put(seen, generation)


def _anywhere(one: Replaced) -> Replaced:
    """The same in whichever item of a history: equal items are remembered once."""
    return one._replace(location=_INDEX.sub("[]", one.location, count=1))
