"""Small real documents, made as their formats say (ISO 32000-1; ECMA-376)."""

import io
import zipfile


def pdf(text: str, *, title: str = "", link: str = "", picture: bool = False) -> bytes:
    """A PDF of one page that shows `text` (ASCII without parentheses)."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    annotations = (
        f"/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI ({link}) >> >>]" if link else ""
    )
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
            f"/Resources << /Font << /F1 5 0 R >> {'/XObject << /I 7 0 R >>' if picture else ''} >> {annotations} >>"
        ).encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Title ({title}) >>".encode(),
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>\n"
        b"stream\n0\nendstream",
    ]
    made = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    made += b"trailer << /Size %d /Root 1 0 R /Info 6 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(made)


def docx(runs: list[str], **parts: str) -> bytes:
    """A Word document of one paragraph in runs, with more parts by name."""
    body = "".join(f"<w:r><w:t>{run}</w:t></w:r>" for run in runs)
    return _archive({"word/document.xml": f"<w:document xmlns:w='w'><w:p>{body}</w:p></w:document>", **parts})


def xlsx(cells: list[str]) -> bytes:
    """An Excel workbook of one row."""
    row = "".join(f"<c t='inlineStr'><is><t>{cell}</t></is></c>" for cell in cells)
    return _archive({"xl/worksheets/sheet1.xml": f"<worksheet><sheetData><row>{row}</row></sheetData></worksheet>"})


def _archive(parts: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"[Content_Types].xml": "<Types/>", **parts}.items():
            archive.writestr(name, text)
    return made.getvalue()
