"""Documents: what a reader of them could see is read, and what cannot be read is said to be so."""

import io
import zipfile
import zlib

import pytest

from localguard.detect.documents import OFFICE, PDF, DocumentUnreadable, document_kind, read_document
from tests.detect.documents import docx, pdf, xlsx


def test_text_metadata_and_links_of_a_pdf_are_read() -> None:
    read = read_document(pdf("a page says HELLO-7", title="the TITLE-8", link="https://x.test/LINK-9"))
    assert all(word in read.text for word in ("HELLO-7", "TITLE-8", "LINK-9"))
    assert not read.has_pictures


def test_pictures_in_a_pdf_are_told() -> None:
    assert read_document(pdf("x", picture=True)).has_pictures


def test_words_that_word_cut_into_runs_are_put_together() -> None:
    assert "one-WORD-cut" in read_document(docx(["one-", "WORD", "-cut"])).text


def test_headers_comments_links_and_properties_of_office_documents_are_read() -> None:
    parts = {
        "word/header1.xml": "<w:hdr xmlns:w='w'><w:p><w:r><w:t>HEADER-1</w:t></w:r></w:p></w:hdr>",
        "word/comments.xml": "<w:comments xmlns:w='w'><w:comment w:author='AUTHOR-2'><w:p/></w:comment></w:comments>",
        "word/_rels/document.xml.rels": "<r><l Target='https://x.test/LINK-3'/></r>",
        "docProps/core.xml": "<c xmlns:d='d'><d:creator>CREATOR-4</d:creator></c>",
    }
    text = read_document(docx(["body"], **parts)).text
    assert all(word in text for word in ("HEADER-1", "AUTHOR-2", "LINK-3", "CREATOR-4"))


def test_cells_of_a_sheet_stand_on_lines_of_their_own() -> None:
    lines = read_document(xlsx(["name", "4111"])).text.split("\n")
    assert "name" in lines
    assert "4111" in lines


def test_names_and_comments_of_parts_are_read_and_fonts_pass() -> None:
    made = io.BytesIO(docx(["x"], **{"word/fonts/a.odttf": "x", "mimetype": "a/b", "customXml/named-so.xml": "<a/>"}))
    with zipfile.ZipFile(made, "a") as archive:
        archive.comment = b"said at the end"
    text = read_document(made.getvalue()).text
    assert "named-so" in text
    assert "said at the end" in text


def test_pictures_in_office_documents_are_told() -> None:
    assert read_document(docx(["x"], **{"word/media/a.png": "x"})).has_pictures
    assert not read_document(docx(["x"])).has_pictures


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\nnothing of a document",
        b"PK\x03\x04 no archive",
        b"\x89PNG\r\n\x1a\n",
        pdf("x")[: len(pdf("x")) // 3],
        docx(["x"], **{"word/embeddings/a.bin": "x"}),
        docx(["x"], **{"word/afchunk.html": "<p>another text</p>"}),
        docx(["x"], **{"notes.txt": "another text"}),
        docx(["x"], **{"word/embeddings/a.pdf": "x"}),
        docx(["x"], **{"word/a.xml": "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}),
        docx(["x"], **{"word/a.xml": "<a><b></a>"}),
    ],
    ids=["pdf", "zip", "png", "cut", "embedded", "page", "note", "pdf inside", "entities", "xml"],
)
def test_what_cannot_be_read_whole_is_not_read_at_all(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable):
        read_document(data)


def test_an_archive_that_unpacks_to_too_much_is_refused() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<a/>")
        archive.writestr("word/document.xml", b"<a>" + b" " * (130 * 1024 * 1024) + b"</a>")
    with pytest.raises(DocumentUnreadable, match="too large"):
        read_document(made.getvalue())


def test_an_encrypted_pdf_is_refused() -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("x"))))
    writer.encrypt("made up", algorithm="RC4-128")
    made = io.BytesIO()
    writer.write(made)
    with pytest.raises(DocumentUnreadable, match="encrypted"):
        read_document(made.getvalue())


def test_kinds_are_told_by_their_first_bytes() -> None:
    assert document_kind(pdf("x")[:64]) == PDF
    assert document_kind(docx(["x"])[:64]) == OFFICE
    assert document_kind(zlib.compress(b"x")) is None
