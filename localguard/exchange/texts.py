"""The texts of a body: where each stands, what of it is scanned, and how a replacement gets back into the bytes.

A *boundary text* is a leaf as the agent sees it: one decoded string of the body, one decoded string inside a tool
call's JSON arguments, one header value. Placeholders stand for exact slices of boundary texts, so that turning them
back gives exactly those slices. A JSON text inside a boundary text is looked into for detection only.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from localguard.detect.documents import OFFICE, PDF, document_kind
from localguard.detect.finding import Finding
from localguard.detect.words import word_set
from localguard.wire.json_edit import Document, JsonInvalid, Leaf, LeafKind, PathLink, lift_spans, parse, path_text
from localguard.wire.table import BASE64, DATA_URL, IDENTIFIER, INSIDE, SEALED, Kind, Node

_STRUCTURAL = re.compile(r"[A-Za-z_][A-Za-z_-]{0,31}")
MAX_NESTING = 6
"""JSON texts inside JSON texts that are looked into; deeper ones are scanned as plain text."""
_NUMBER_DIGITS = 9
"""Digits that a number needs to be a phone or card number."""
_SENSITIVE_KEY = re.compile(
    r"pass|pwd|secret|token|key|cred|auth|dsn|conn|cookie|session|salt|pin\b|cvv|card|account|iban|ssn|social|"
    r"phone|mobile|tel\b|fax|mail|user",
    re.IGNORECASE,
)
_NAMED = re.compile(r"[\w.$@/ -]{2,64}")
_DRAWN = re.compile(r"[A-Za-z0-9_+/=.~-]{12}|(?:\d\D?){6}")
_PROSE = word_set(
    "content text input output arguments message prompt description instructions system thinking reasoning summary reason "
    "query command cmd script code body data patch diff stdout stderr result error old_string new_string old_str new_str"
)
"""Members that hold a text of their own: their name explains nothing in it."""
_MAX_DRAWN = 400
_MAX_SPACES = 6
_SECRET_NAME = re.compile(
    r"passw|pwd|secret|token|credential|authorization|(?:api|access|auth|subscription)[-_.]?key", re.IGNORECASE
)
_MAX_KEYED = 4096
"""Characters. Longer values are files and prose: their key says nothing about them."""
_ASSIGNS = re.compile(rb"[:=]")
_KEY_TYPE = "kty"
_PRIVATE_MEMBERS = frozenset({"d", "k", "p", "q", "dp", "dq", "qi"})
"""What makes an object a JSON web key, and its members that are private or symmetric (RFC 7518 section 6)."""
_NAMING = word_set(
    "name key variable var env field header param parameter property setting option id "
    "parameterkey parametername optionname envname varname env_name var_name"
)
"""Members (lower case) whose text names what another member of the same object holds."""
_HOLDING = word_set(
    "value val default defaultvalue default_value plain plaintext raw current previous old new prod production dev "
    "development staging stage test primary secondary parametervalue string_value stringvalue #text $value _"
)
"""Members (lower case) that hold what a neighbour, or else the object's own name, says."""
_LEAST_BASE64 = 8
_HEAD_BASE64 = 1024
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MEDIA_MEMBERS = ("data", "images", "file_data")
_SNIFFED = 1400
_TO_STANDARD = str.maketrans("-_", "+/")
_MAX_TOKEN = 400
"""Characters. No issuer's token is longer, and most signatures and media are."""
_NAME = re.compile(r"[\w.$/ -]{1,80}")
_FLAG = re.compile(r"--?[\w-]{1,60}")


def location_of(path: PathLink | None) -> str:
    """A path as text for the log: a member name that may be more than structure is written as `*`."""
    safe: PathLink | None = None
    steps: list[str | int] = []
    while path is not None:
        steps.append(path.step)
        path = path.parent
    for step in reversed(steps):
        known = isinstance(step, int) or _STRUCTURAL.fullmatch(step) is not None
        safe = PathLink(safe, step if known else "*")
    return path_text(safe)


@dataclass(frozen=True, slots=True)
class Container:
    """Bytes that edits are applied to: a JSON text, standing alone or decoded from a string of another one."""

    raw: bytes
    parent: "Container | None" = None
    token: int = 0
    """Where this text's string token begins in the parent's bytes."""
    encoded: "Encoded | None" = None
    """Set for a text that stands in the parent's string token as base64."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Text in base64: where in the decoded string token it stands, and how it is spelled."""

    start: int
    end: int
    url_safe: bool
    padded: bool

    def spell(self, raw: bytes) -> bytes:
        """`raw` as base64 in the spelling that it came in."""
        made = base64.urlsafe_b64encode(raw) if self.url_safe else base64.b64encode(raw)
        return made if self.padded else made.rstrip(b"=")


@dataclass(slots=True)
class Text:
    """One boundary text."""

    container: Container
    leaf: Leaf
    text: bytes
    context: bytes
    """The member name where it is part of what is scanned, else empty."""
    free: bool
    """A number here may become a string (tool input, free-form JSON)."""
    key: bytes | None = None
    """Digest under which its findings are kept; None for a short text that is known to be clean."""

    @property
    def location(self) -> str:
        """Where it stands, with member names that say nothing but the structure."""
        return location_of(self.leaf.path)


@dataclass(slots=True)
class Opaque:
    """A leaf that must travel byte for byte: looked through for known values, never rewritten."""

    leaf: Leaf
    signed: bool
    signature: str = ""
    readable: str = ""
    """The text that a sealed leaf spells in base64: nothing that a provider seals does, so it is looked at."""
    attachment: str = ""
    """The kind of attachment that the leaf is, e.g. `image` or `application/pdf`; empty for what is none."""

    @property
    def document(self) -> bytes | None:
        """The attached document that the leaf spells in base64, if it is of a kind that can be read."""
        if self.attachment not in (PDF, OFFICE):
            return None
        body = self.leaf.text[self.leaf.text.find(",") + 1 :].rstrip("=").translate(_TO_STANDARD)
        try:
            return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
        except ValueError:
            return None


@dataclass(slots=True)
class Texts:
    """The boundary texts and opaque leaves of one JSON text, arguments looked into."""

    document: Document
    containers: list[Container]
    """The JSON text itself first, every other one behind the one that holds it."""
    texts: list[Text]
    opaque: list[Opaque]
    attachments: set[str]


def read_texts(raw: bytes, node: Node | None = None, member: str | None = None) -> Texts:
    """All texts of a JSON text whose root stands at `node`, under the name `member`. Raises JsonInvalid."""
    document = parse(raw, node, None, member)
    found = Texts(document, [], [], [], set())
    _collect(found, document, Container(raw), node is not None and node.inherited.kind is Kind.INPUT, 0)
    return found


def _collect(found: Texts, document: Document, container: Container, free: bool, depth: int) -> None:
    found.containers.append(container)
    for leaf, context in _with_context(document):
        kind = leaf.place.kind
        if leaf.kind is LeafKind.KEY:
            if len(leaf.text) > 3:
                found.texts.append(Text(container, leaf, leaf.text.encode(), b"", free))
        elif leaf.kind is LeafKind.NUMBER:
            if sum(character.isdigit() for character in leaf.text) >= _NUMBER_DIGITS:
                found.texts.append(Text(container, leaf, leaf.text.encode(), context, free or kind is Kind.INPUT))
        elif kind is Kind.SIGNED:
            found.opaque.append(Opaque(leaf, signed=True, signature=_signature(document.value, leaf)))
        elif kind is Kind.OPAQUE and leaf.place.grammar is not None and leaf.place.grammar.fullmatch(leaf.text):
            attachment = _attachment(leaf)
            if attachment:
                found.attachments.add(attachment)
            blind = leaf.place.grammar is IDENTIFIER or attachment in (
                PDF,
                OFFICE,
            )  # a document is not rewritten as text
            readable = None if blind else _text_in_base64(leaf.text)
            if readable is None or leaf.place.grammar is SEALED:
                spelled = readable[0].decode() if readable else ""
                found.opaque.append(Opaque(leaf, signed=False, readable=spelled, attachment=attachment))
            else:
                text, encoded = readable
                inner_container = Container(text, container, leaf.start, encoded)
                found.containers.append(inner_container)
                found.texts.append(Text(inner_container, leaf, text, b"", free))
        elif kind is Kind.ARGUMENTS and depth < MAX_NESTING and leaf.text.lstrip()[:1] in ("{", "["):
            text = leaf.text.encode()
            try:
                inner = parse(text, INSIDE, leaf.path)
            except JsonInvalid:
                found.texts.append(Text(container, leaf, text, b"", True))
                continue
            _collect(found, inner, Container(text, container, leaf.start), True, depth + 1)
        elif leaf.text:
            found.texts.append(Text(container, leaf, leaf.text.encode(), context, free or kind is Kind.INPUT))


def _text_in_base64(leaf: str) -> tuple[bytes, Encoded] | None:
    """The text that base64, bare or in a data URL, spells, or None where it spells no text (media, signatures)."""
    start = leaf.find(",") + 1 if leaf.startswith("data:") else 0
    body = leaf[start:].rstrip("=")
    url_safe = "-" in body or "_" in body
    alphabet = b"-_" if url_safe else None
    if len(body) < _LEAST_BASE64 or len(body) % 4 == 1:
        return None
    try:
        # the beginning tells nearly all media apart; an exact end is only looked for where that is text
        if _BINARY.search(base64.b64decode(body[: _HEAD_BASE64 - _HEAD_BASE64 % 4][: len(body) // 4 * 4], alphabet)):
            return None
        text = base64.b64decode(body + "=" * (-len(body) % 4), alphabet, validate=True)
        text.decode("utf-8")
    except ValueError:
        return None
    if _BINARY.search(text):
        return None
    return text, Encoded(start, len(leaf), url_safe, leaf.endswith("=") or len(body) % 4 == 0)


def bare_token(opaque: Opaque) -> str:
    """What a short opaque leaf holds beside its data-URL header, empty for a long one: it may be a value as it is."""
    if opaque.signed or len(opaque.leaf.text) > _MAX_TOKEN:
        return ""
    return opaque.leaf.text.rpartition(",")[2]


def name_context(name: str, text: str) -> bytes:
    """The name of a query parameter or header where it makes its value a secret, else empty."""
    return name.encode() if len(text) <= _MAX_KEYED and _SECRET_NAME.search(name) else b""


def _with_context(document: Document) -> Iterator[tuple[Leaf, bytes]]:
    """Each leaf with the name that says what it holds, where that makes it a secret, else empty.

    The name is its member's, that of a neighbour (`{"name": "DB_PASSWORD", "value": …}`), of the object that holds it
    (`{"db_password": {"value": …}}`) or the flag before it (`["--password", …]`). A JSON web key's private members are
    keys by the company they keep.
    """
    named: dict[int, str] = {}  # by the object's path, which its members share
    for leaf in document.leaves:
        if leaf.kind is LeafKind.STRING and leaf.key and len(leaf.text) <= 80 and leaf.key.lower() in _NAMING:
            named[id(leaf.parent)] = leaf.text
        elif leaf.key == _KEY_TYPE:
            named[id(leaf.parent)] = _KEY_TYPE
    before: Leaf | None = None
    for leaf in document.leaves:
        context = b""
        if leaf.kind is not LeafKind.KEY and len(leaf.text) <= _MAX_KEYED:
            context = _context(leaf, named, before)
        yield leaf, context
        before = leaf


def _context(leaf: Leaf, named: dict[int, str], before: Leaf | None) -> bytes:
    key = leaf.key
    if isinstance(leaf.step, int):
        if before is not None and before.parent is leaf.parent and _FLAG.fullmatch(before.text):
            key = before.text
    elif key is not None and key.lower() in _HOLDING:
        name = named.get(id(leaf.parent)) or _holder_name(leaf)
        key = name if name is not None and _NAME.fullmatch(name) else key
    elif key in _PRIVATE_MEMBERS and named.get(id(leaf.parent)) == _KEY_TYPE:
        key = "private_key"
    if key is None or not (_SENSITIVE_KEY.search(key) or _may_need_key(key, leaf.text)):
        return b""
    return key.encode()


def _may_need_key(key: str, text: str) -> bool:
    """Whether a short text may be a value that only its key explains: an issuer's token, or the number of a person."""
    short = len(text) <= _MAX_DRAWN and text.count(" ") <= _MAX_SPACES and "\n" not in text
    return short and key not in _PROSE and _NAMED.fullmatch(key) is not None and _DRAWN.search(text) is not None


def _holder_name(leaf: Leaf) -> str | None:
    """The member name of the object that `leaf` is a member of."""
    link = leaf.parent
    while link is not None and isinstance(link.step, int):
        link = link.parent
    return str(link.step) if link is not None else None


def _signature(value: object, leaf: Leaf) -> str:
    steps = []
    path = leaf.path
    while path is not None and path.parent is not None:
        path = path.parent
        steps.append(path.step)
    holder = value
    for step in reversed(steps):
        holder = holder[step]  # type: ignore[index]
    return str(holder.get("signature") or "") if isinstance(holder, dict) else ""


def _attachment(leaf: Leaf) -> str:
    """The kind of attachment that an opaque leaf is, by its first bytes, else by what is said of it."""
    grammar = leaf.place.grammar
    if grammar is not DATA_URL and not (grammar is BASE64 and leaf.key in _MEDIA_MEMBERS):
        return ""
    start = leaf.text.find(",") + 1 if grammar is DATA_URL else 0
    head = leaf.text[start : start + _SNIFFED].translate(_TO_STANDARD)
    try:
        kind = document_kind(base64.b64decode(head[: len(head) // 4 * 4]))
    except ValueError:
        kind = None
    if kind is not None:
        return kind
    if grammar is DATA_URL:
        said = leaf.text[5:].split(";", 1)[0].split(",", 1)[0].lower()
        return said[:60] if said.startswith("application/") else said.split("/", 1)[0][:20]
    return "image" if leaf.key == "images" else "media"


def is_identifier(opaque: Opaque) -> bool:
    """Whether an opaque leaf is a short name rather than a blob."""
    return not opaque.signed and opaque.leaf.place.grammar is IDENTIFIER


@dataclass(frozen=True, slots=True)
class Scan:
    """One text as detectors see it, and the way back: levels of decoding between it and the boundary text."""

    text: bytes
    shift: int
    """Bytes of context before the value."""
    size: int
    """Bytes of the value; findings outside it are context's."""
    whole: bool
    """The value is spelled otherwise here: a finding in it means the whole of it."""
    levels: tuple[tuple[bytes, int], ...]
    """Raw JSON text and token offset of each decoding, innermost first; -1 - offset for a number's token."""
    bare: int
    """Bytes of the value in its own text, where `whole`."""

    def locate(self, findings: Sequence[Finding]) -> list[tuple[int, int] | None]:
        """Where in the boundary text each finding stands, or None if it is context's."""
        spans: list[tuple[int, int]] = []
        kept: list[int] = []
        for index, finding in enumerate(findings):
            start, end = max(finding.start - self.shift, 0), min(finding.end - self.shift, self.size)
            if start < end:
                spans.append((0, self.bare) if self.whole else (start, end))
                kept.append(index)
        for raw, token in self.levels:
            if token < 0:  # a number's token: no quotes, no escapes
                spans = [(start - token - 1, end - token - 1) for start, end in spans]
            else:
                spans = lift_spans(raw, token, spans)
        located: list[tuple[int, int] | None] = [None] * len(findings)
        for index, span in zip(kept, spans, strict=True):
            located[index] = span
        return located


def scans_of(text: bytes, context: bytes) -> list[Scan]:
    """What of a boundary text is scanned: itself, or the decoded texts of the JSON that it is."""
    found: list[Scan] = []
    _add_scans(found, text, context, (), 0)
    return found


def _add_scans(
    found: list[Scan], text: bytes, context: bytes, levels: tuple[tuple[bytes, int], ...], depth: int
) -> None:
    if depth < MAX_NESTING and (head := text.lstrip()[:1]) and head in b"{[":
        try:
            document = parse(text)
        except JsonInvalid:
            document = None
        if document is not None and document.leaves:
            for leaf, name in _with_context(document):
                if leaf.kind is LeafKind.NUMBER:
                    if leaf.end - leaf.start >= _NUMBER_DIGITS:
                        _add_keyed(found, leaf.text.encode(), name, ((text, -leaf.start - 1), *levels))
                elif len(leaf.text) > 3:
                    _add_scans(found, leaf.text.encode(), name, ((text, leaf.start), *levels), depth + 1)
            return
    _add_keyed(found, text, context, levels)


def _add_keyed(found: list[Scan], text: bytes, context: bytes, levels: tuple[tuple[bytes, int], ...]) -> None:
    if not context or len(text) > _MAX_KEYED:
        found.append(Scan(text, 0, len(text), False, levels, len(text)))
        return
    # A member's name is part of what makes its value a secret: scanned as the member that it is.
    plain = not re.search(rb'["\\\x00-\x1f]', text)
    head = b'"' + context + b'": "'
    if plain:
        found.append(Scan(head + text + b'"', len(head), len(text), False, levels, len(text)))
        if _ASSIGNS.search(text):  # an assignment of its own, which may count at the beginning of a line only
            found.append(Scan(text, 0, len(text), False, levels, len(text)))
        return
    safe = re.sub(rb'["\\\x00-\x1f]', b"_", text)
    if b"\n" not in text:
        found.append(Scan(head + safe + b'"', len(head), len(safe), True, levels, len(text)))
    found.append(Scan(text, 0, len(text), False, levels, len(text)))


def locate_all(scans: Sequence[Scan], results: Sequence[Sequence[Finding]]) -> tuple[Finding, ...]:
    """Findings of all scans of one boundary text, in its offsets, in order."""
    located: dict[tuple[int, int, str], Finding] = {}
    for scan, findings in zip(scans, results, strict=True):
        if not findings:
            continue
        for finding, span in zip(findings, scan.locate(findings), strict=True):
            if span is not None and span[0] < span[1]:
                located.setdefault(
                    (*span, finding.type),
                    Finding(*span, finding.type, finding.data_class, finding.rule, finding.distinctive),
                )
    return tuple(sorted(located.values(), key=lambda one: (one.start, -one.end)))


def widened(text: Text, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings of a text as they are to be replaced: a number can only be replaced as a whole."""
    found = tuple(findings)
    size = len(text.text)
    if text.leaf.kind is not LeafKind.NUMBER or not found or any((one.start, one.end) == (0, size) for one in found):
        return found
    return (Finding(0, size, found[0].type, found[0].data_class, found[0].rule, False), *found)
