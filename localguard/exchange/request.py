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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

import orjson

from localguard.detect.finding import DataClass, Finding
from localguard.detect.types import TYPE_PRECEDENCE
from localguard.errors import LocalguardError
from localguard.exchange.memory import Item, Output, Replaced, Restored, WorkspaceMemory
from localguard.exchange.split import Piece, Split, node_key, split
from localguard.exchange.texts import (
    Opaque,
    Scan,
    Text,
    Texts,
    is_identifier,
    locate_all,
    read_texts,
    scans_of,
)
from localguard.redact.redactor import Actions, Replacement, learn, replacements
from localguard.wire.format import WireFormat, mapping
from localguard.wire.json_edit import JsonInvalid, LeafKind, lift, splice

_UNPLAIN = re.compile(rb"\\(?:u00[0-7]|/)")
_INSTRUCTIONS = re.compile(
    rb"\b(AGENTS\.md|CLAUDE\.md|GEMINI\.md|copilot-instructions\.md|\.cursorrules|\.windsurfrules|CONVENTIONS\.md)\b"
)
_MIN_SWEPT = 8
"""Bytes. No distinctive value is shorter (P4), so a shorter text holds none."""
_ROUNDS = 4


class RequestRefused(LocalguardError):
    """The request may not be passed on. `code` and `status` follow the refusal table; no raw value in `reason`."""

    def __init__(self, status: int, code: str, rule: str, reason: str, next_step: str) -> None:
        super().__init__(f"{rule}: {reason}")
        self.status = status
        self.code = code
        self.rule = rule
        self.reason = reason
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class Head:
    """What of a request is not body: the raw path and query behind the endpoint, and headers to be scanned.

    Credentials and hop-by-hop headers are not part of it.
    """

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request says and holds, for policy and log. No raw values."""

    model: str | None
    stream: bool | None
    previous_response: str | None
    types: frozenset[str]
    tools: tuple[str, ...]
    attachments: frozenset[str]
    instructions: tuple[tuple[str, str], ...]
    leaves: int
    opaque: int
    body_bytes: int
    new_bytes: int
    client_metadata: Mapping[str, str]


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
        self._split: Split | None = None
        self._works: list[_Work] = []
        self._head_texts = [*_head_texts(head)]
        for text in self._head_texts:
            self._want(text.encode(), b"", text)
        if body:
            self._read_body(body)
        self.texts: list[bytes] = [scan.text for waiting in self._waiting.values() for scan in waiting.scans]

    def _read_body(self, body: bytes) -> None:
        self._split = split(body, self._format)
        for piece in self._split.pieces:
            digest = self._memory.digest(node_key(piece), piece.raw)
            work = _Work(piece, digest, self._memory.items.get(digest))
            self._works.append(work)
            if work.item is None:
                self._new_bytes += len(piece.raw)
                self._parse(work)
                assert work.texts is not None
                for text in work.texts.texts:
                    clean = text.leaf.text if not text.context else None
                    self._want(text.text, text.context, clean)
                for opaque in work.texts.opaque:
                    if self._is_watched(opaque):
                        self._want(opaque.leaf.text.encode(), b"", opaque.leaf.text)

    def _parse(self, work: _Work) -> None:
        try:
            work.texts = read_texts(work.piece.raw, work.piece.node)
        except JsonInvalid as error:
            raise RequestRefused(
                400,
                "body_invalid",
                "json-strict",
                f"The request body is {error}." if not work.piece.where else f"At {work.piece.member}: {error}.",
                "Send one valid JSON document.",
            ) from None

    def _is_watched(self, opaque: Opaque) -> bool:
        """Opaque leaves that are scanned too: names, and signed text that no reply of this process brought."""
        if opaque.signed:
            return self._memory.digest(opaque.signature.encode()) not in self._memory.signatures
        return is_identifier(opaque)

    def _want(self, text: bytes, context: bytes, clean: str | None) -> None:
        """Have a boundary text scanned unless that was done before."""
        memory = self._memory
        if clean is not None and len(clean) <= 64 and memory.clean.get(clean):
            return
        key = memory.digest(context, text)
        if key in self._waiting or key in self._findings:
            return
        known = memory.texts.get(key)
        if known is not None:
            self._findings[key] = known
            return
        self._waiting[key] = _Waiting(key, scans_of(text, context), clean)

    def _found(self, text: bytes, context: bytes, clean: str | None) -> tuple[Finding, ...]:
        if clean is not None and len(clean) <= 64 and self._memory.clean.get(clean):
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
            if not findings and waiting.clean is not None and len(waiting.clean) <= 64:
                memory.clean.put(waiting.clean, True)
            else:
                memory.texts.put(waiting.key, findings)
        self._waiting.clear()
        for work in self._works:
            if work.item is None:
                self._complete(work)

    def _complete(self, work: _Work) -> None:
        """All that is to be remembered of a piece that was new."""
        assert work.texts is not None
        found: list[tuple[int, tuple[Finding, ...]]] = []
        types: set[str] = set()
        for index, text in enumerate(work.texts.texts):
            findings = self._found(text.text, text.context, text.leaf.text if not text.context else None)
            if findings:
                found.append((index, findings))
                for finding in findings:
                    types.update((finding.type, str(finding.data_class)))
        self._check_watched(work)
        raw = work.piece.raw
        work.item = Item(
            findings=tuple(found),
            types=frozenset(types),
            plain=_UNPLAIN.search(raw) is None,
            leaves=len(work.texts.texts),
            opaque=len(work.texts.opaque),
            tools=_tool_names(work.piece, work.texts.document.value),
            attachments=frozenset(work.texts.attachments),
            instructions=self._instructions(raw),
        )
        self._memory.items.put(work.digest, work.item, 400)

    def _instructions(self, raw: bytes) -> tuple[tuple[str, str], ...]:
        names = {match.decode() for match in _INSTRUCTIONS.findall(raw[:262_144])}
        if not names:
            return ()
        digest = self._memory.fingerprint(raw.decode("utf-8", "replace"))
        return tuple((name, digest) for name in sorted(names))

    def _check_watched(self, work: _Work) -> None:
        assert work.texts is not None
        for opaque in work.texts.opaque:
            if not self._is_watched(opaque):
                continue
            for finding in self._found(opaque.leaf.text.encode(), b"", opaque.leaf.text):
                if finding.data_class is DataClass.SECRET and finding.distinctive:
                    raise _opaque_refusal(work.piece, opaque)

    @property
    def facts(self) -> Facts:
        """What policy decides on; available once the findings are in."""
        members = self._split.members if self._split is not None else {}
        types = {name for work in self._works if work.item for name in work.item.types}
        for text in self._head_texts:
            for finding in self._found(text.encode(), b"", text):
                types.update((finding.type, str(finding.data_class)))
        items = [work.item for work in self._works if work.item is not None]
        stream = _small(members.get("stream"))
        return Facts(
            model=_text(members.get("model")),
            stream=stream if isinstance(stream, bool) else None,
            previous_response=_text(members.get("previous_response_id")),
            types=frozenset(types),
            tools=tuple(dict.fromkeys(name for item in items for name in item.tools)),
            attachments=frozenset(name for item in items for name in item.attachments),
            instructions=tuple(dict.fromkeys(pair for item in items for pair in item.instructions)),
            leaves=sum(item.leaves for item in items),
            opaque=sum(item.opaque for item in items),
            body_bytes=len(self._body),
            new_bytes=self._new_bytes,
            client_metadata={
                name: value
                for name, value in mapping(_small(members.get("client_metadata"))).items()
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
            for work in self._works:
                self._redact_piece(work, actions, key, exposed)
            path, query, headers, head_replaced = self._redact_head(actions)
            if vault.generation == before:
                break
        replaced = list(head_replaced)
        parts: list[bytes] = []
        for work in self._works:
            assert work.item is not None
            output = work.item.outputs[key]
            parts.append(work.piece.raw if output.redacted is None else output.redacted)
            replaced.extend(output.replaced)
            work.item.sent = True
        body = self._split.join(parts) if self._split is not None else b""
        return Redacted(path, query, headers, body, tuple(replaced), tuple(dict.fromkeys(exposed)))

    def _learn(self, actions: Actions) -> None:
        """Make every value of this request known before anything of it is rewritten: found in one field, swept in all."""
        found: list[tuple[bytes, tuple[Finding, ...]]] = []
        for text in self._head_texts:
            if findings := self._found(text.encode(), b"", text):
                found.append((text.encode(), findings))
        for work in self._works:
            if work.texts is not None and work.item is not None:
                found += [
                    (work.texts.texts[index].text, findings)
                    for index, findings in work.item.findings
                    if self._restored(work.texts.texts[index]) is None
                ]
        if found:
            learn(found, self._memory.vault, actions, TYPE_PRECEDENCE)

    def _redact_piece(self, work: _Work, actions: Actions, key: tuple[str, ...], exposed: list[Replaced]) -> None:
        item = work.item
        assert item is not None
        vault = self._memory.vault
        output = item.outputs.get(key)
        if output is not None:
            if output.generation == vault.generation:
                return
            cores = vault.cores_since(output.generation)
            if item.plain and not any(core in work.piece.raw for core in cores):
                output.generation = vault.generation
                return
        elif not item.findings and item.plain and work.texts is not None and not work.texts.opaque:
            if not any(core in work.piece.raw for core in vault.cores_since(0)) and not self._has_restored(work):
                item.outputs[key] = Output(vault.generation, None, ())
                return
        generation = vault.generation
        redacted, replaced = self._rewrite(work, item, actions)
        if output is not None and item.sent:
            exposed.extend(set(replaced) - set(output.replaced))
        item.outputs[key] = Output(generation, redacted if redacted != work.piece.raw else None, replaced)
        weight = 400 + sum(len(out.redacted or b"") for out in item.outputs.values())
        self._memory.items.put(work.digest, item, weight)

    def _has_restored(self, work: _Work) -> bool:
        """Whether some text of a new piece is one that a reply of this process was turned back into."""
        assert work.texts is not None
        return any(self._restored(text) is not None for text in work.texts.texts)

    def _rewrite(self, work: _Work, item: Item, actions: Actions) -> tuple[bytes, tuple[Replaced, ...]]:
        if work.texts is None or any(container.edits for container in work.texts.containers):
            self._parse(work)
        assert work.texts is not None
        found = dict(item.findings)
        replaced: list[Replaced] = []
        for opaque in work.texts.opaque:
            self._check_opaque(work.piece, opaque)
        for index, text in enumerate(work.texts.texts):
            for one in self._replacements(text, found.get(index, ()), actions):
                if text.leaf.kind is LeafKind.NUMBER and not text.free:
                    raise RequestRefused(
                        400,
                        "number_not_replaceable",
                        "number-in-schema",
                        f"A number at {work.piece.member or 'the body'} is sensitive, and the API wants a number there.",
                        "Send it as text inside a message, or leave it out.",
                    )
                text.replace(one.start, one.end, one.placeholder)
                replaced.append(self._record(text.text[one.start : one.end], one, _join(work.piece.where, text)))
        for container in reversed(work.texts.containers[1:]):
            if container.edits and container.parent is not None:
                container.parent.edits.extend(lift(container.parent.raw, container.token, container.edits))
        return splice(work.piece.raw, work.texts.containers[0].edits), tuple(dict.fromkeys(replaced))

    def _restored(self, text: Text) -> tuple[Restored, ...] | None:
        """The values that a reply of this process put into this very text, if it is one."""
        memory = self._memory
        return memory.restored.get(memory.digest(b"restored", text.text)) if len(memory.restored) else None

    def _replacements(self, text: Text, findings: tuple[Finding, ...], actions: Actions) -> list[Replacement]:
        """What of a text is replaced.

        A text that a reply was turned back into goes upstream as it came: its values get the placeholders that they came
        from, whatever the scanner would make of them now. The provider wrote everything else in it.
        """
        vault = self._memory.vault
        restored = self._restored(text)
        if restored is None:
            if not findings and len(text.text) < _MIN_SWEPT:
                return []
            return replacements(text.text, findings, vault, actions, TYPE_PRECEDENCE)
        made = [Replacement(one.start, one.end, one.placeholder, None) for one in restored]
        for span in vault.sweep(text.text):
            if actions.get(span.data_class) != "allow" and all(
                span.end <= one.start or span.start >= one.end for one in restored
            ):
                made.append(Replacement(span.start, span.end, span.placeholder, None))
        return sorted(made, key=lambda one: one.start)

    def _check_opaque(self, piece: Piece, opaque: Opaque) -> None:
        if opaque.signed and self._memory.digest(opaque.signature.encode()) in self._memory.signatures:
            return  # the provider wrote it through this process: it holds nothing that the provider does not know
        if self._memory.vault.sweep(opaque.leaf.text.encode()):
            raise _opaque_refusal(piece, opaque)

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

        def clean(text: str, where: str) -> str:
            raw = text.encode()
            findings = self._found(raw, b"", text)
            if not findings and len(raw) < _MIN_SWEPT:
                return text
            ordered = replacements(raw, findings, self._memory.vault, actions, TYPE_PRECEDENCE)
            if not ordered:
                return text
            parts: list[bytes] = []
            position = 0
            for one in ordered:
                parts += [raw[position : one.start], one.placeholder.encode()]
                position = one.end
                replaced.append(self._record(raw[one.start : one.end], one, where))
            return b"".join([*parts, raw[position:]]).decode()

        segments = [_recoded(part, clean(unquote(part), "path"), plus=False) for part in self._head.path.split("/")]
        pairs = []
        for pair in self._head.query.split("&") if self._head.query else ():
            name, equals, value = pair.partition("=")
            plain_name, plain_value = unquote(name.replace("+", " ")), unquote(value.replace("+", " "))
            pairs.append(
                _recoded(name, clean(plain_name, "query"), plus=True)
                + equals
                + _recoded(value, clean(plain_value, "query"), plus=True)
            )
        headers = [(name, clean(value, "header")) for name, value in self._head.headers]
        return "/".join(segments), "&".join(pairs), headers, replaced


def _head_texts(head: Head) -> list[str]:
    texts = [unquote(part) for part in head.path.split("/")]
    for pair in head.query.split("&") if head.query else ():
        name, _, value = pair.partition("=")
        texts += [unquote(name.replace("+", " ")), unquote(value.replace("+", " "))]
    texts += [value for _, value in head.headers]
    return [text for text in dict.fromkeys(texts) if len(text) > 3]


def _recoded(original: str, text: str, *, plus: bool) -> str:
    """`text` percent-encoded if it differs from what `original` says, else `original` as it came."""
    said = unquote(original.replace("+", " ")) if plus else unquote(original)
    return original if said == text else quote(text, safe="")


def _join(where: str, text: Text) -> str:
    location = text.location
    if not location:
        return where
    return f"{where}{location}" if location.startswith("[") or not where else f"{where}.{location}"


def _opaque_refusal(piece: Piece, opaque: Opaque) -> RequestRefused:
    what = "Signed thinking" if opaque.signed else "An opaque field (an id, a signature or encoded data)"
    return RequestRefused(
        400,
        "opaque_holds_value",
        "opaque-known-value",
        f"{what} at {piece.member or 'the body'} holds a value that must not leave, and it cannot be rewritten.",
        "Start a new conversation without it.",
    )


def _tool_names(piece: Piece, value: object) -> tuple[str, ...]:
    if piece.member not in ("tools", "functions") or not isinstance(value, dict):
        return ()
    function = mapping(value.get("function"))
    declared = value.get("functionDeclarations") or value.get("function_declarations")
    if isinstance(declared, list):
        return tuple(str(mapping(one).get("name", "")) for one in declared)
    name = value.get("name") or function.get("name") or value.get("type")
    return (str(name),) if name else ()


def _small(raw: bytes | None) -> object:
    """The value of a small top-level member."""
    if raw is None or len(raw) > 65_536:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _text(raw: bytes | None) -> str | None:
    value = _small(raw)
    return value if isinstance(value, str) else None
