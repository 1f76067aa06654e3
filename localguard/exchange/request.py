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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from localguard.detect.documents import DocumentText
from localguard.detect.finding import DataClass, Finding
from localguard.detect.types import TYPE_PRECEDENCE
from localguard.exchange.conversation import opening, started_by
from localguard.exchange.facts import Facts, asks_for_json, instruction_names, small_member, text_member, tool_names
from localguard.exchange.head import Head, head_bytes, head_texts, redact_head
from localguard.exchange.history import Held, named_by_items, named_by_members, named_by_path
from localguard.exchange.items import Item, Output, Replaced
from localguard.exchange.memory import Restored, WorkspaceMemory
from localguard.exchange.prefix import MAX_BYTES, Totals, Written, covered, extended
from localguard.exchange.refused import RequestRefused
from localguard.exchange.split import Piece, Split, split
from localguard.exchange.texts import (
    Opaque,
    Scan,
    Text,
    Texts,
    bare_token,
    is_identifier,
    locate_all,
    read_texts,
    scans_of,
    widened,
)
from localguard.redact.redactor import Actions, Replacement, learn, replacements
from localguard.wire.format import WireFormat, mapping
from localguard.wire.json_edit import Edit, JsonInvalid, LeafKind, lift, splice

__all__ = ["Facts", "Head", "Redacted", "RequestReading", "RequestRefused"]

_SPELLED_OTHERWISE = re.compile(rb"(?<!\\)(?:\\\\)*+\\(?:/|u00[2-7])")
_INDEX = re.compile(r"\[\d+\]")
_SHORT = 64
"""Characters of texts that are remembered as clean by themselves; longer ones by digest."""
_MAX_UNCHANGED = 512
_MIN_SWEPT = 8
"""Bytes. No distinctive value is shorter (P4), so a shorter text holds none."""
_SURE_IDENTITIES = frozenset({"IBAN", "US_SSN"})
"""Types of personal data that no generated id looks like: checked, or written with their separators."""
_CARD = "CARD"
_ENGINES = ("detect-secrets/", "presidio/")
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


Span = TypeVar("Span", Finding, Replacement)


@dataclass(slots=True)
class _Waiting:
    """A boundary text whose scans are out: where its findings go."""

    key: bytes
    scans: list[Scan]
    clean: str | None


class RequestReading:
    """One request being read. Use `texts`, then `receive_findings`, then `facts`, then `redact`."""

    def __init__(self, format: WireFormat, memory: WorkspaceMemory, head: Head, body: bytes) -> None:
        self._format = format
        self._memory = memory
        self._head = head
        self._waiting: dict[bytes, _Waiting] = {}
        self._findings: dict[bytes, tuple[Finding, ...]] = {}
        self._body = body
        self._new_bytes = 0
        self._attached: list[tuple[Opaque, bytes]] = []
        self._read_documents: dict[int, tuple[bytes | None, DocumentText | None]] = {}
        self._split: Split | None = None
        self._works: list[_Work] = []
        self._prefixes = memory.prefixes
        self._prefix = self._prefixes.find(format.name, body)
        self._heads = memory.heads
        self._head_digest = memory.digest(b"head", head_bytes(head))
        self._clean_head = self._heads.get(self._head_digest)
        self._head_texts = head_texts(head) if self._clean_head is None else []
        for text in self._head_texts:
            self._want(text.raw, text.context, text.text)
        if body:
            self._read_body(body)
        self.texts: list[bytes] = [scan.text for waiting in self._waiting.values() for scan in waiting.scans]

    def _read_body(self, body: bytes) -> None:
        rest = self._prefix.rest(body, self._format) if self._prefix is not None else None
        if rest is None:
            self._prefix = None
        self._split = rest or split(body, self._format)
        for name in self._split.names:
            self._want(name.encode(), b"", name)
        for piece in self._split.pieces:
            digest = self._memory.digest(piece.place, piece.raw)
            work = _Work(piece, digest, self._memory.items.get(digest))
            self._works.append(work)
            if work.item is None:
                self._new_bytes += len(piece.raw)
                texts = self._parse(work)
                for text in texts.texts:
                    text.key = self._want(text.text, text.context, text.leaf.text)
                for opaque in texts.opaque:
                    if watched := self._watched(opaque):
                        self._want(watched.encode(), b"", watched)

    def _parse(self, work: _Work) -> Texts:
        try:
            work.texts = read_texts(work.piece.raw, work.piece.node, work.piece.member or None)
            return work.texts
        except JsonInvalid as error:
            raise RequestRefused(
                400,
                "body_invalid",
                "json-strict",
                f"The request body is {error}." if not work.piece.where else f"At {work.piece.member}: {error}.",
                "Send one valid JSON document.",
            ) from None

    def _watched(self, opaque: Opaque) -> str:
        """What of an opaque leaf is scanned too: names, short data, signed text that no reply of this process brought."""
        if opaque.signed:
            return "" if self._memory.has_signed(opaque.signature, opaque.leaf.text) else opaque.leaf.text
        return opaque.leaf.text if is_identifier(opaque) else opaque.readable or bare_token(opaque)

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
            text = document.text if document is not None else ""
            if b"\0" not in data:  # a PDF may be plain text, and what a parser drops of it would still leave
                text += "\n" + data.decode("utf-8", "replace")
            self._read_documents[id(opaque)] = (self._want(text.encode(), b"", text), document)
        self.texts = [scan.text for waiting in self._waiting.values() for scan in waiting.scans]

    def _look_into(self, texts: Texts, types: set[str]) -> frozenset[str]:
        """Kinds of attachments that nobody looked through, or in which something was found; what was found is added to `types`."""
        unread: set[str] = set()
        for opaque in texts.opaque:
            if not opaque.attachment:
                continue
            key, document = self._read_documents.get(id(opaque), (None, None))
            findings = self._findings.get(key, ()) if key is not None else ()
            known = self._memory.vault.sweep(document.text.encode()) if document is not None else []
            types.update(name for span in known for name in (span.type, span.data_class))
            if document is None or findings or known:
                unread.add(opaque.attachment)
            elif document.has_pictures:
                unread.add("image")
            for finding in findings:
                types.update((finding.type, str(finding.data_class)))
        return frozenset(unread)

    def _want(self, text: bytes, context: bytes, clean: str) -> bytes | None:
        """Have a boundary text scanned unless that was done before; `clean` is the text again, as `str`.

        Answers the key of its findings, None where it is known to have none.
        """
        memory = self._memory
        short = not context and len(clean) <= _SHORT
        if short and memory.clean.get(clean):
            return None
        key = memory.digest(context, text)
        if key in self._waiting or key in self._findings:
            return key
        known = memory.texts.get(key)
        if known is not None:
            self._findings[key] = known
            return key
        self._waiting[key] = _Waiting(key, scans_of(text, context), clean if short else None)
        return key

    def _found(self, text: bytes, context: bytes, clean: str) -> tuple[Finding, ...]:
        if not context and len(clean) <= _SHORT and self._memory.clean.get(clean):
            return ()
        return self._findings.get(self._memory.digest(context, text), ())

    def receive_findings(self, results: Sequence[Sequence[Finding]]) -> None:
        """Take in one sequence of findings for each of `texts`, in order."""
        if len(results) != len(self.texts):
            raise ValueError("one result a text")
        position = 0
        memory = self._memory
        for waiting in self._waiting.values():
            mine = results[position : position + len(waiting.scans)]
            position += len(waiting.scans)
            findings = locate_all(waiting.scans, mine)
            self._findings[waiting.key] = findings
            if not findings and waiting.clean is not None:
                memory.clean.put(waiting.clean, True)
            else:
                memory.texts.put(waiting.key, findings, 1 + len(findings))
        self._waiting.clear()
        if not any(self._found(text.raw, text.context, text.text) for text in self._head_texts):
            self._head_texts = []
            if self._clean_head is None:
                self._clean_head = {}
                self._heads.put(self._head_digest, self._clean_head)
        for work in self._works:
            if work.item is None:
                self._complete(work)

    def _complete(self, work: _Work) -> None:
        """All that is to be remembered of a piece that was new."""
        assert work.texts is not None
        found: list[tuple[int, tuple[Finding, ...]]] = []
        types: set[str] = set()
        for index, text in enumerate(work.texts.texts):
            findings = self._findings.get(text.key, ()) if text.key is not None else ()
            if findings:
                findings = widened(text, findings)
                found.append((index, findings))
                for finding in findings:
                    types.update((finding.type, str(finding.data_class)))
        raw = work.piece.raw
        unread = self._look_into(work.texts, types)
        work.item = Item(
            findings=tuple(found),
            types=frozenset(types),
            plain=not any(one.encoded or _is_spelled_otherwise(one.raw) for one in work.texts.containers),
            leaves=len(work.texts.texts),
            opaque=len(work.texts.opaque),
            tools=tool_names(work.piece, work.texts.document.value),
            attachments=frozenset(work.texts.attachments),
            unread=unread,
            instructions=self._instructions(raw),
            held=self._held(work.texts),
            opening=self._opening(work),
            references=named_by_items(self._format.name, work.piece, work.texts.document.value),
        )
        self._memory.items.put(work.digest, work.item, 400)

    def _opening(self, work: _Work) -> tuple[str, str] | None:
        assert work.texts is not None
        found = opening(work.piece.member, work.texts.document.value)
        return (found[0], self._memory.fingerprint(found[1])) if found is not None and found[1] else None

    def _instructions(self, raw: bytes) -> tuple[tuple[str, str], ...]:
        names = instruction_names(raw)
        if not names:
            return ()
        digest = self._memory.fingerprint(raw.decode("utf-8", "replace"))
        return tuple((name, digest) for name in names)

    def _held(self, texts: Texts) -> frozenset[str]:
        """Classes of what was found in opaque leaves, as far as it cannot be there by chance.

        Signed text that no reply of this process brought is text: all that is found in it counts. A card number that is
        the whole of an id counts too, unless a reply brought it: one random number in some fifty of its length passes
        for one, and no provider known makes its ids of digits alone.
        """
        held: set[str] = set()
        for opaque in texts.opaque:
            watched = self._watched(opaque)
            if not watched:
                continue
            raw = watched.encode()
            own = self._memory.vault.own_spans(raw) if opaque.signed else ()
            for finding in self._found(raw, b"", watched):
                whole = (finding.start, finding.end) == (0, len(raw))
                if opaque.signed:
                    sure = all(finding.end <= start or finding.start >= end for start, end in own)
                elif opaque.readable or is_identifier(opaque):
                    sure = finding.data_class is not DataClass.PII or (whole and self._is_sure_identity(raw, finding))
                else:  # data looks random, which is what some detectors look for
                    sure = whole and not finding.rule.startswith(_ENGINES)
                if sure and (finding.distinctive or opaque.signed):
                    held.add(str(finding.data_class))
        return frozenset(held)

    def _is_sure_identity(self, raw: bytes, finding: Finding) -> bool:
        if finding.type == _CARD:
            return raw not in self._memory.numbers
        return finding.type in _SURE_IDENTITIES

    @property
    def facts(self) -> Facts:
        """What policy decides on; available once the findings are in."""
        members = self._split.members if self._split is not None else {}
        totals = self._prefix.totals if self._prefix is not None else Totals()
        totals = totals.plus([work.item for work in self._works if work.item is not None])
        types = set(totals.types)
        for text in self._head_texts:
            for finding in self._found(text.raw, text.context, text.text):
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
            body_bytes=len(self._body),
            new_bytes=self._new_bytes,
            client_metadata={
                name: value
                for name, value in mapping(small_member(members.get("client_metadata"))).items()
                if isinstance(value, str)
            },
        )

    def redact(self, actions: Actions) -> Redacted:
        """The request as it may leave under `actions` (data class -> `redact` or `allow`).

        Known values learnt while redacting one piece are looked for in all others before anything is put together.
        Raises RequestRefused where a value stands at a place that cannot be rewritten.
        """
        key = tuple(f"{name}={actions[name]}" for name in sorted(actions))
        exposed: list[Replaced] = []
        vault = self._memory.vault
        self._learn(actions)
        for _ in range(_ROUNDS):
            before = vault.generation
            written = self._written(key)
            for work in self._works:
                self._redact_piece(work, actions, key, exposed)
            path, query, headers, head_replaced = self._redact_head(actions)
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
        body = self._split.join(parts) if self._split is not None else b""
        if written is not None and self._prefix is not None:
            body = (self._prefix.raw if written.redacted is None else written.redacted) + body
        self._keep_prefix(key, before, written, parts, body)
        return Redacted(path, query, headers, body, tuple(replaced), tuple(dict.fromkeys(exposed)))

    def _written(self, key: tuple[str, ...]) -> Written | None:
        """What goes upstream for the prefix, if that can be told for it as a whole; else its pieces are taken up."""
        prefix = self._prefix
        if prefix is None:
            return None
        written = prefix.written.get(key)
        generation = self._memory.vault.generation
        if written is not None and written.generation == generation:
            return written
        if written is not None and prefix.plain and not self._may_hold(prefix.raw, written.generation):
            written = prefix.written[key] = replace(written, generation=generation)
            return written
        assert self._split is not None
        self._split = prefix.whole(self._split)
        pieces = self._split.pieces
        self._works[:0] = [_Work(piece, one.digest, one.item) for piece, one in zip(pieces, prefix.seen, strict=False)]
        self._prefix = None
        return None

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
            size += len(prefix.raw if written.redacted is None else written.redacted)
        before = written.replaced if written is not None else ()
        changed = (written is not None and written.redacted is not None) or any(
            output.redacted is not None for output in outputs
        )
        replaced = (*before, *(one for output in outputs for one in output.replaced))
        made.written[key] = Written(generation, body[:size] if changed else None, replaced)
        self._prefixes.keep(made, prefix)

    def _learn(self, actions: Actions) -> None:
        """Make every value of this request known before anything of it is rewritten: found in one field, swept in all."""
        found: list[tuple[bytes, Sequence[Finding]]] = []
        for head in self._head_texts:
            if findings := self._found(head.raw, head.context, head.text):
                found.append((head.raw, findings))
        for work in self._works:
            if work.texts is not None and work.item is not None:
                for index, findings in work.item.findings:
                    text = work.texts.texts[index]
                    found.append((text.text, _beside(findings, self._restored(text) or ())))
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
            redacted, replaced = self._rewrite(work, item, actions)
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
                self._memory.items.put(work.digest, item, weight)

    def _may_hold(self, raw: bytes, generation: int) -> bool:
        """Whether a value learnt after `generation` may stand in `raw`, whose values are spelled plainly."""
        return self._memory.cores_since(generation).may_hold(raw)

    def _is_untouched(self, work: _Work, item: Item) -> bool:
        """Whether a new piece holds nothing to be replaced, told without looking into its texts."""
        if item.findings or item.held or not item.plain or work.texts is None:
            return False
        if any(opaque.readable for opaque in work.texts.opaque):
            return False  # what it holds stands in its bytes as base64
        return not self._may_hold(work.piece.raw, 0) and not self._has_restored(work)

    def _has_restored(self, work: _Work) -> bool:
        """Whether some text of a new piece is one that a reply of this process was turned back into."""
        assert work.texts is not None
        return any(self._restored(text) is not None for text in work.texts.texts)

    def _rewrite(self, work: _Work, item: Item, actions: Actions) -> tuple[bytes, tuple[Replaced, ...]]:
        texts = work.texts if work.texts is not None else self._parse(work)
        if any(actions.get(data_class) != "allow" for data_class in item.held):
            raise _opaque_refusal(work.piece, signed=False)
        for opaque in texts.opaque:
            self._check_opaque(work.piece, opaque, actions)
        found = dict(item.findings)
        replaced: list[Replaced] = []
        edits: dict[int, list[Edit]] = {id(container): [] for container in texts.containers}
        for index, text in enumerate(texts.texts):
            ones = self._replacements(work.piece, text, found.get(index, ()), actions)
            if not ones:
                continue
            leaf = text.leaf
            if leaf.kind is LeafKind.NUMBER:
                lifted = [Edit(leaf.start, leaf.end, b'"' + ones[0].placeholder.encode() + b'"')]
            else:
                made = [Edit(one.start, one.end, one.placeholder.encode()) for one in ones]
                lifted = made if text.container.encoded else lift(text.container.raw, leaf.start, made)
            edits[id(text.container)] += lifted
            location = _join(work.piece.where, text)
            replaced += [self._record(text.text[one.start : one.end], one, location) for one in ones]
        for container in reversed(texts.containers[1:]):
            inner = edits[id(container)]
            if inner and container.parent is not None:
                if container.encoded is not None:
                    spelled = container.encoded.spell(splice(container.raw, inner))
                    inner = [Edit(container.encoded.start, container.encoded.end, spelled)]
                edits[id(container.parent)] += lift(container.parent.raw, container.token, inner)
        return splice(work.piece.raw, edits[id(texts.containers[0])]), tuple(dict.fromkeys(replaced))

    def _restored(self, text: Text) -> tuple[Restored, ...] | None:
        """The values that a reply of this process put into this very text, if it is one."""
        memory = self._memory
        return memory.restored.get(memory.digest(b"restored", text.text)) if len(memory.restored) else None

    def _replacements(
        self, piece: Piece, text: Text, findings: tuple[Finding, ...], actions: Actions
    ) -> list[Replacement]:
        """What of a text is replaced.

        A text that a reply was turned back into goes upstream as it came: its values get the placeholders that they came
        from, whatever the scanner would make of them now. Of a number all is replaced, or nothing.
        """
        vault = self._memory.vault
        restored = self._restored(text)
        if restored is None:
            if not findings and len(text.text) < _MIN_SWEPT:
                return []
            return self._fit_number(
                piece, text, replacements(text.text, findings, vault, actions, TYPE_PRECEDENCE), actions
            )
        made = replacements(text.text, _beside(findings, restored), vault, actions, TYPE_PRECEDENCE)
        made = _beside(made, restored)
        for one in restored:
            known = vault.resolve(one.placeholder)
            if known is None or actions.get(known.data_class) != "allow":
                made.append(Replacement(one.start, one.end, one.placeholder, None))
        return sorted(made, key=lambda one: one.start)

    def _fit_number(self, piece: Piece, text: Text, ones: list[Replacement], actions: Actions) -> list[Replacement]:
        vault = self._memory.vault
        if text.leaf.kind is not LeafKind.NUMBER or not ones:
            return ones
        if not text.free:
            raise RequestRefused(
                400,
                "number_not_replaceable",
                "number-in-schema",
                f"A number at {piece.member or 'the body'} is sensitive, and the API wants a number there.",
                "Send it as text inside a message, or leave it out.",
            )
        if (ones[0].start, ones[0].end) == (0, len(text.text)):
            return ones
        known = vault.resolve(ones[0].placeholder)
        data_class = DataClass(known.data_class) if known is not None else DataClass.SECRET
        whole = Finding(0, len(text.text), ones[0].placeholder[3:-17], data_class, "known-value", False)
        return replacements(text.text, [whole], vault, actions, TYPE_PRECEDENCE)

    def _check_opaque(self, piece: Piece, opaque: Opaque, actions: Actions) -> None:
        if opaque.signed and self._memory.has_signed(opaque.signature, opaque.leaf.text):
            return  # the provider wrote it through this process: it holds nothing that the provider does not know
        texts = (opaque.leaf.text, opaque.readable) if opaque.readable else (opaque.leaf.text,)
        for span in [span for text in texts for span in self._memory.vault.sweep(text.encode())]:
            if actions.get(span.data_class) != "allow":
                raise _opaque_refusal(piece, signed=opaque.signed)

    def _check_names(self, actions: Actions) -> None:
        """Refuse a top-level key that holds a value: keys between the pieces are not rewritten."""
        names = tuple(self._split.names) if self._split is not None else ()
        generation = self._memory.vault.generation
        seen = ("".join(f"{name}={actions[name]};" for name in sorted(actions)), " ".join(names), b"names")
        if not names or self._memory.unchanged.get(seen) == generation:
            return
        for name in names:
            raw = name.encode()
            if len(raw) > 3 and replacements(
                raw, self._found(raw, b"", name), self._memory.vault, actions, TYPE_PRECEDENCE
            ):
                raise RequestRefused(
                    400,
                    "name_holds_value",
                    "member-name",
                    "The name of a top-level member holds a value that must not leave.",
                    "Send the value inside a message, or leave it out.",
                )
        self._memory.unchanged.put(seen, generation)

    def _record(self, value: bytes, one: Replacement, location: str) -> Replaced:
        finding = one.finding
        placeholder = one.placeholder
        known = self._memory.vault.resolve(placeholder)
        return Replaced(
            type=placeholder[3:-17],
            data_class=str(known.data_class) if known is not None else "secret",
            rule=finding.rule if isinstance(finding, Finding) else "known-value",
            location=location,
            fingerprint=self._memory.fingerprint(value.decode("utf-8", "replace")),
            sweep=finding is None,
        )

    def _redact_head(self, actions: Actions) -> tuple[str, str, Sequence[tuple[str, str]], list[Replaced]]:
        replaced: list[Replaced] = []
        unchanged = self._memory.unchanged
        under = "".join(f"{name}={actions[name]};" for name in sorted(actions))
        generation = self._memory.vault.generation
        if self._clean_head is not None and self._clean_head.get(under) == generation:
            return self._head.path, self._head.query, self._head.headers, []  # heads are the same on every turn

        def clean(text: str, where: str, context: bytes) -> str:
            if unchanged.get((under, text, context)) == generation:
                return text
            raw = text.encode()
            findings = self._found(raw, context, text)
            if not findings and len(raw) < _MIN_SWEPT:
                return text
            ordered = replacements(raw, findings, self._memory.vault, actions, TYPE_PRECEDENCE)
            if not ordered:
                if len(text) <= _MAX_UNCHANGED:
                    unchanged.put((under, text, context), generation)
                return text
            parts: list[bytes] = []
            position = 0
            for one in ordered:
                parts += [raw[position : one.start], one.placeholder.encode()]
                position = one.end
                replaced.append(self._record(raw[one.start : one.end], one, where))
            return b"".join([*parts, raw[position:]]).decode()

        path, query, headers = redact_head(self._head, clean)
        if self._clean_head is not None and not replaced:
            self._clean_head[under] = generation
        return path, query, headers, replaced


def _anywhere(one: Replaced) -> Replaced:
    """The same in whichever item of a history: equal items are remembered once."""
    return one._replace(location=_INDEX.sub("[]", one.location, count=1))


def _is_spelled_otherwise(raw: bytes) -> bool:
    r"""Whether a JSON text writes something as an escape that needs none: `\/`, or `\u0041` for a letter."""
    return (b"\\/" in raw or b"\\u00" in raw) and _SPELLED_OTHERWISE.search(raw) is not None


def _beside(spans: Sequence[Span], restored: Sequence[Restored]) -> list[Span]:
    """What of `spans` does not touch a restored value."""
    return [span for span in spans if all(span.end <= one.start or span.start >= one.end for one in restored)]


def _join(where: str, text: Text) -> str:
    location = text.location
    if not location:
        return where
    return f"{where}{location}" if location.startswith("[") or not where else f"{where}.{location}"


def _opaque_refusal(piece: Piece, *, signed: bool) -> RequestRefused:
    what = "Signed thinking" if signed else "An opaque field (an id, a signature or encoded data)"
    return RequestRefused(
        400,
        "opaque_holds_value",
        "opaque-known-value",
        f"{what} at {piece.member or 'the body'} holds a value that must not leave, and it cannot be rewritten.",
        "Start a new conversation without it.",
    )
