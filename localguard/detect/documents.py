"""Text of documents that agents attach: PDF, and the office formats that are zip archives of XML.

Everything that a reader could see counts, and what only a program sees too: headers, notes, comments, hidden sheets, form
fields, file properties, link targets. Pictures inside are not read; they are named in the answer. Bounded in size. Runs in a
process of its own under a deadline: parsers of such formats have had endless loops.
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

from localguard.errors import LocalguardError

PDF: Final = "application/pdf"
OFFICE: Final = "application/office"

_MAX_TEXT: Final = 16 * 1024 * 1024
"""Characters of text of one document."""
_MAX_UNPACKED: Final = 128 * 1024 * 1024
_MAX_PARTS: Final = 5_000
_MAX_PAGES: Final = 5_000
_PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".emf", ".wmf", ".webp")
_TEXTS: Final = (".xml", ".rels", ".vml", ".rdf", ".psmdcp")
_MUTE: Final = (".odttf", ".ttf", ".otf", ".fntdata", "/mimetype")
"""Parts that hold no text of anybody's: fonts, and the name of the format."""
_BREAKS: Final = frozenset(
    [
        "p",
        "si",
        "c",
        "row",
        "is",
        "comment",
        "text",
        "tr",
        "li",
        "h",
        "title",
        "author",
        "lastModifiedBy",
        "description",
        "subject",
        "keywords",
    ]
)
"""Local names of elements after which another text begins; text runs inside of one belong together."""


class DocumentUnreadable(LocalguardError):
    """The document is encrypted, damaged, too large, or its format needs what is not installed."""


@dataclass(frozen=True, slots=True)
class DocumentText:
    """What a document says. `has_pictures`: it holds pictures, which nobody looked at. `repr` does not show the text."""

    text: str
    has_pictures: bool

    def __repr__(self) -> str:
        return f"<DocumentText of {len(self.text)} characters>"


def document_kind(head: bytes) -> str | None:
    """The kind of a document by its first bytes (at least 8): `PDF`, `OFFICE`, or None for anything else."""
    if b"%PDF-" in head[:1024]:
        return PDF
    return OFFICE if head.startswith(b"PK\x03\x04") else None


def read_document(data: bytes) -> DocumentText:
    """The text of a whole document. Raises DocumentUnreadable."""
    kind = document_kind(data[:1024])
    try:
        if kind == PDF:
            return _read_pdf(data)
        if kind == OFFICE:
            return _read_office(data)
    except DocumentUnreadable:
        raise
    except ImportError:
        raise DocumentUnreadable("reading PDF needs the extra: pip install 'localguard[documents]'") from None
    except Exception as error:  # a damaged document breaks its parser in any way; the message may quote it
        raise DocumentUnreadable(f"the document is damaged ({type(error).__name__})") from None
    raise DocumentUnreadable("this is no kind of document that is read")


def _read_pdf(data: bytes) -> DocumentText:
    from pypdf import PdfReader

    reader: Any = PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise DocumentUnreadable("the document is encrypted")
    if len(reader.pages) > _MAX_PAGES:
        raise DocumentUnreadable(f"the document has more than {_MAX_PAGES} pages")
    collected = _Collected()
    for name, value in (reader.metadata or {}).items():
        collected.add(f"{name}: {value}")
    pictures = False
    for page in reader.pages:
        collected.add(page.extract_text() or "")
        for annotation in page.get("/Annots") or ():
            entry = annotation.get_object()
            for key in ("/Contents", "/V", "/T", "/TU"):
                if key in entry:
                    collected.add(str(entry[key]))
            action = entry.get("/A")
            if action is not None and "/URI" in action.get_object():
                collected.add(str(action.get_object()["/URI"]))
        pictures = pictures or _has_picture(page)
    for name, field in (reader.get_fields() or {}).items():
        collected.add(f"{name}: {field.get('/V', '')}")
    for item in _outline(reader.outline):
        collected.add(item)
    if reader.attachments:
        raise DocumentUnreadable("the document holds other files")
    return DocumentText(collected.text, pictures)


def _has_picture(page: Any) -> bool:
    resources = page.get("/Resources")
    objects = resources.get_object().get("/XObject") if resources is not None else None
    if objects is None:
        return False
    return any(one.get_object().get("/Subtype") in ("/Image", "/Form") for one in objects.get_object().values())


def _outline(entries: Any) -> Iterator[str]:
    pending = [entries]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += one
        elif getattr(one, "title", None):
            yield str(one.title)


def _read_office(data: bytes) -> DocumentText:
    collected = _Collected()
    pictures = False
    unpacked = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        if len(parts) > _MAX_PARTS:
            raise DocumentUnreadable(f"the document has more than {_MAX_PARTS} parts")
        names = {part.filename for part in parts}
        if not names & {"[Content_Types].xml", "content.xml"}:
            raise DocumentUnreadable("this archive is no office document")
        collected.add(archive.comment.decode("utf-8", "replace"))
        for part in parts:
            name = part.filename.lower()
            collected.add(part.filename)
            collected.add(part.comment.decode("utf-8", "replace"))
            if part.is_dir() or name.endswith(_PICTURES):
                pictures = pictures or name.endswith(_PICTURES)
                continue
            if part.flag_bits & 1:
                raise DocumentUnreadable("the document is encrypted")
            if not name.endswith(_TEXTS):
                if not f"/{name}".endswith(_MUTE):
                    raise DocumentUnreadable("the document holds other files or programs")
                continue
            with archive.open(part) as file:
                raw = file.read(_MAX_UNPACKED - unpacked + 1)
            unpacked += len(raw)
            if unpacked > _MAX_UNPACKED:
                raise DocumentUnreadable("the document is too large unpacked")
            _collect_xml(raw, collected)
    return DocumentText(collected.text, pictures)


def _collect_xml(raw: bytes, collected: "_Collected") -> None:
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw or "<!DOCTYPE".encode("utf-16-le") in raw:
        raise DocumentUnreadable("a part of the document declares entities")
    run: list[str] = []
    for event, element in ElementTree.iterparse(io.BytesIO(raw), events=("start", "end")):  # noqa: S314  no DTD, see above
        if event == "start":
            for value in element.attrib.values():
                if len(value) > 3 and not value.startswith("http://schemas."):
                    collected.add(value)
            continue
        run.append(element.text or "")
        if element.tag.rpartition("}")[2] in _BREAKS:
            collected.add("".join(run))
            run.clear()
        if element.tail:
            run.append(element.tail)
        element.clear()
    collected.add("".join(run))


class _Collected:
    """Lines of text, bounded."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0

    def add(self, line: str) -> None:
        if not line.strip():
            return
        self._size += len(line) + 1
        if self._size > _MAX_TEXT:
            raise DocumentUnreadable("the document holds too much text")
        self._lines.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self._lines).encode("utf-8", "replace").decode()
