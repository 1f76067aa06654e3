"""Opaque leaves of a request: what of them is looked at though nothing of them is ever rewritten."""

from collections.abc import Iterable

from localguard.detect.documents import DocumentText
from localguard.detect.finding import DataClass, Finding
from localguard.exchange.memory import WorkspaceMemory
from localguard.exchange.refused import RequestRefused
from localguard.exchange.scanning import Scanning
from localguard.exchange.split import Piece
from localguard.exchange.texts import Opaque, bare_token, is_identifier
from localguard.redact.redactor import Actions

_SURE_IDENTITIES = frozenset({"IBAN", "US_SSN"})
"""Types of personal data that no generated id looks like: checked, or written with their separators."""
_CARD = "CARD"
_ENGINES = ("detect-secrets/", "presidio/")


class OpaqueLeaves:
    """Looks into the opaque leaves of one request, attached documents among them."""

    def __init__(self, memory: WorkspaceMemory, scanning: Scanning) -> None:
        self._memory = memory
        self._scanning = scanning
        self._documents: dict[int, tuple[bytes | None, DocumentText | None]] = {}

    def watched(self, opaque: Opaque) -> str:
        """What of an opaque leaf is scanned too: names, short data, signed text that no reply of this process brought."""
        if opaque.signed:
            return "" if self._memory.has_signed(opaque.signature, opaque.leaf.text) else opaque.leaf.text
        return opaque.leaf.text if is_identifier(opaque) else opaque.readable or bare_token(opaque)

    def held(self, leaves: Iterable[Opaque]) -> frozenset[str]:
        """Classes of what was found in opaque leaves, as far as it cannot be there by chance.

        Signed text that no reply of this process brought is text: all that is found in it counts. A card number that is
        the whole of an id counts too, unless a reply brought it: one random number in some fifty of its length passes
        for one, and no provider known makes its ids of digits alone.
        """
        held: set[str] = set()
        for opaque in leaves:
            watched = self.watched(opaque)
            if not watched:
                continue
            raw = watched.encode()
            own = self._memory.vault.own_spans(raw) if opaque.signed else ()
            for finding in self._scanning.found(raw, b"", watched):
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

    def receive_document(self, opaque: Opaque, data: bytes, document: DocumentText | None) -> None:
        """Have the text of an attached document scanned; None for one that cannot be read."""
        text = document.text if document is not None else ""
        if b"\0" not in data:  # a PDF may be plain text, and what a parser drops of it would still leave
            text += "\n" + data.decode("utf-8", "replace")
        self._documents[id(opaque)] = (self._scanning.want(text.encode(), b"", text), document)

    def look_into(self, leaves: Iterable[Opaque], types: set[str]) -> frozenset[str]:
        """Kinds of attachments that nobody looked through, or in which something was found; what was found is added to `types`."""
        unread: set[str] = set()
        for opaque in leaves:
            if not opaque.attachment:
                continue
            key, document = self._documents.get(id(opaque), (None, None))
            findings = self._scanning.of(key)
            known = self._memory.vault.sweep(document.text.encode()) if document is not None else []
            types.update(name for span in known for name in (span.type, span.data_class))
            if document is None or findings or known:
                unread.add(opaque.attachment)
            elif document.has_pictures:
                unread.add("image")
            for finding in findings:
                types.update((finding.type, str(finding.data_class)))
        return frozenset(unread)


def check_opaque(memory: WorkspaceMemory, piece: Piece, opaque: Opaque, actions: Actions) -> None:
    """Raise RequestRefused where an opaque leaf holds a known value that must not leave."""
    if opaque.signed and memory.has_signed(opaque.signature, opaque.leaf.text):
        return  # the provider wrote it through this process: it holds nothing that the provider does not know
    texts = (opaque.leaf.text, opaque.readable) if opaque.readable else (opaque.leaf.text,)
    passing = [name for name, action in actions.items() if action == "allow"]
    if any(memory.vault.sweep(text.encode(), passing) for text in texts):
        raise opaque_refusal(piece, signed=opaque.signed)


def opaque_refusal(piece: Piece, *, signed: bool) -> RequestRefused:
    """The refusal of a piece whose opaque leaves hold a value."""
    what = "Signed thinking" if signed else "An opaque field (an id, a signature or encoded data)"
    return RequestRefused(
        400,
        "opaque_holds_value",
        "opaque-known-value",
        f"{what} at {piece.member or 'the body'} holds a value that must not leave, and it cannot be rewritten.",
        "Start a new conversation without it.",
    )
