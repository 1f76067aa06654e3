"""The texts of a body: where each stands, which leaves are opaque, and how a replacement gets back into the bytes.

A *boundary text* is a leaf as the agent sees it: one decoded string of the body, one decoded string inside a tool
call's JSON arguments, one header value. Placeholders stand for exact slices of boundary texts, so that turning them
back gives exactly those slices. A JSON text inside a boundary text is looked into for detection only.
"""

import base64
import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from localguard.detect.documents import OFFICE, PDF, document_kind
from localguard.detect.finding import Finding
from localguard.exchange.member_names import with_context
from localguard.redact.views import hides
from localguard.wire.json_edit import Document, JsonInvalid, Leaf, LeafKind, PathLink, parse, path_text
from localguard.wire.table import BASE64, DATA_URL, IDENTIFIER, INSIDE, SEALED, Kind, Node

_STRUCTURAL = re.compile(r"[A-Za-z_][A-Za-z_-]{0,31}")
MAX_NESTING = 6
"""JSON texts inside JSON texts that are looked into; deeper ones are scanned as plain text."""
NUMBER_DIGITS = 9
"""Digits that a number needs to be a phone or card number."""
_MOST_DIGITS = 40
"""Of a whole number that is written out; longer ones are no number that anybody has."""
_LEAST_BASE64 = 8
_LEAST_EIGHT_BIT = 24
_ASCII = bytes(range(128))
_WITHOUT_HIGH = _ASCII + b"?" * 128
"""Text in a character set that is not named, byte for byte: what its letters beyond ASCII are cannot be told."""
_HEAD_BASE64 = 1024
_CONTROLS = bytes((*range(9), *range(14, 27), *range(28, 32), 127))
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MEDIA_MEMBERS = ("data", "images", "file_data")
_SNIFFED = 1400
_TO_STANDARD = str.maketrans("-_", "+/")
_SPOKEN = frozenset({"content", "text", "output", "prompt", "input"})
"""Members that hold what a user, a model or a tool says."""
_MAX_TOKEN = 400
"""Characters. No issuer's token is longer, and most signatures and media are."""


_SPELLED_OTHERWISE = re.compile(rb"(?<!\\)(?:\\\\)*+\\(?:/|u00[2-7])")


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
    canonical: bool = False
    """Known to be spelled as orjson spells JSON."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Text in base64: where in the decoded string token it stands, and how it is spelled."""

    start: int
    end: int
    url_safe: bool
    padded: bool
    wide: str | None = None
    """The coding of two or four bytes a letter that it came in, while it is worked on as UTF-8."""

    def spell(self, raw: bytes) -> bytes:
        """`raw` as base64 in the spelling that it came in."""
        raw = raw if self.wide is None else raw.decode("utf-8").encode(self.wide)
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
    _collect(
        found,
        document,
        Container(raw, canonical=document.canonical),
        node is not None and node.inherited.kind is Kind.INPUT,
        0,
    )
    return found


def is_plain(texts: Texts) -> bool:
    """Whether every value in the texts stands with the same letters and digits in their bytes."""
    return not any(
        one.encoded or (not one.canonical and _is_spelled_otherwise(one.raw)) or hides(one.raw)
        for one in texts.containers
    )


def _is_spelled_otherwise(raw: bytes) -> bool:
    r"""Whether a JSON text writes something as an escape that needs none: `\/`, or `\u0041` for a letter."""
    return (b"\\/" in raw or b"\\u00" in raw) and _SPELLED_OTHERWISE.search(raw) is not None


def _collect(found: Texts, document: Document, container: Container, free: bool, depth: int) -> None:
    found.containers.append(container)
    for leaf, context in with_context(document):
        kind = leaf.place.kind
        if leaf.kind is LeafKind.KEY:
            if len(leaf.text) > 3:
                found.texts.append(Text(container, leaf, leaf.text.encode(), b"", free))
        elif leaf.kind is LeafKind.NUMBER:
            digits = _plain_number(leaf.text)
            if sum(character.isdigit() for character in digits) >= NUMBER_DIGITS:
                found.texts.append(Text(container, leaf, digits.encode(), context, free or kind is Kind.INPUT))
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
            sealed = leaf.place.grammar is SEALED
            readable = None if blind else _text_in_base64(leaf.text, eight_bit=not sealed)
            if readable is None or sealed:
                spelled = readable[0].decode() if readable else ""
                found.opaque.append(Opaque(leaf, signed=False, readable=spelled, attachment=attachment))
            else:
                text, encoded = readable
                inner_container = Container(text, container, leaf.start, encoded)
                found.containers.append(inner_container)
                shown = text if _is_utf8(text) else text.translate(_WITHOUT_HIGH)
                found.texts.append(Text(inner_container, leaf, shown, b"", free))
        elif kind is Kind.ARGUMENTS and depth < MAX_NESTING and leaf.text.lstrip()[:1] in ("{", "["):
            text = leaf.text.encode()
            try:
                inner = parse(text, INSIDE, leaf.path)
            except JsonInvalid:
                found.texts.append(Text(container, leaf, text, b"", True))
                continue
            inner_container = Container(text, container, leaf.start, canonical=inner.canonical)
            _collect(found, inner, inner_container, True, depth + 1)
        elif leaf.text:
            found.texts.append(Text(container, leaf, leaf.text.encode(), context, free or kind is Kind.INPUT))


def _plain_number(text: str) -> str:
    """A number's digits without point and exponent where it is a whole one: `4.1e3` as `4100`; else its own spelling."""
    if text.isdigit() or not any(mark in text for mark in ".eE"):
        return text
    number = Decimal(text)
    return str(int(number)) if number.adjusted() < _MOST_DIGITS and number == int(number) else text


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_eight_bit(raw: bytes) -> bool:
    """Whether bytes that are no UTF-8 are text in an older character set: mostly ASCII, and not short."""
    return (
        len(raw) >= _LEAST_EIGHT_BIT
        and raw.translate(None, _CONTROLS) == raw
        and 4 * len(raw.translate(None, _ASCII)) < len(raw)
    )


def _text_in_base64(leaf: str, *, eight_bit: bool) -> tuple[bytes, Encoded] | None:
    """The text that base64, bare or in a data URL, spells, or None where it spells no text (media, signatures).

    With `eight_bit` text in a character set of one byte a letter counts, else only UTF-8.
    """
    start = leaf.find(",") + 1 if leaf.startswith("data:") else 0
    body = leaf[start:].rstrip("=")
    url_safe = "-" in body or "_" in body
    alphabet = b"-_" if url_safe else None
    if len(body) < _LEAST_BASE64 or len(body) % 4 == 1:
        return None
    padded = leaf.endswith("=") or len(body) % 4 == 0
    try:
        # the beginning tells nearly all media apart; an exact end is only looked for where that is text
        head = base64.b64decode(body[: _HEAD_BASE64 - _HEAD_BASE64 % 4][: len(body) // 4 * 4], alphabet)
        wide = _wide_coding(head)
        if wide is None and _is_binary(head):
            return None
        text = base64.b64decode(body + "=" * (-len(body) % 4), alphabet, validate=True)
        if wide is not None:  # a byte order mark is a character of it like others
            text = text.decode(wide).encode("utf-8")
    except ValueError:
        return None
    if _is_binary(text) or not (_is_utf8(text) or (eight_bit and _is_eight_bit(text))):
        return None
    return text, Encoded(start, len(leaf), url_safe, padded, wide)


def _is_binary(raw: bytes) -> bool:
    """Whether too many control characters stand in `raw` for a text; one among sixteen, where random bytes have two."""
    return len(raw.translate(None, _CONTROLS)) * 16 < len(raw) * 15


def _wide_coding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, by its mark, or by the zeros beside most of its letters; None for what is neither."""
    for mark, coding in _WIDE_MARKS:
        if head.startswith(mark):
            return coding
    half = len(head) // 2
    for first, coding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if half >= 8 and not head[1 - first :: 2].count(0) and head[first::2].count(0) * 8 > half * 7:
            return coding
    return None


def bare_token(opaque: Opaque) -> str:
    """What a short opaque leaf holds beside its data-URL header, empty for a long one: it may be a value as it is."""
    if opaque.signed or len(opaque.leaf.text) > _MAX_TOKEN:
        return ""
    return opaque.leaf.text.rpartition(",")[2]


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


def is_message(text: Text) -> bool:
    """Whether a text is what somebody or a tool says as a whole, as against an argument, an id or a nested JSON text."""
    leaf = text.leaf
    said = leaf.kind is LeafKind.STRING and leaf.place.kind is Kind.TEXT and leaf.key in _SPOKEN
    return said and text.container.parent is None


def widened(text: Text, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings of a text as they are to be replaced: a number can only be replaced as a whole."""
    found = tuple(findings)
    size = len(text.text)
    if text.leaf.kind is not LeafKind.NUMBER or not found or any((one.start, one.end) == (0, size) for one in found):
        return found
    return (Finding(0, size, found[0].type, found[0].data_class, found[0].rule, False), *found)
