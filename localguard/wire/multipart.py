"""Forms with files (`multipart/form-data`, RFC 7578 and RFC 2046 section 5.1) as JSON of their own, and back.

A form is read into `{"model": …, "stream": …, "parts": [{"headers": …, "name": …, "value": …}]}`, so that it is scanned, decided
about and redacted like any other body: fields and text files are text, whatever else is an attachment in base64. What goes
upstream is put together anew, under a boundary of the guard's own; header lines and contents keep their bytes, replacements
aside. Read strictly: what two readers could cut in two ways is refused.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from localguard.errors import LocalguardError
from localguard.wire.format import WireFormat, mapping
from localguard.wire.generic import GenericStream, observe
from localguard.wire.table import DATA_URL, Kind, Row, compile_reply, compile_table

BOUNDARY: Final = "localguard-form-boundary"
CONTENT_TYPE: Final = f"multipart/form-data; boundary={BOUNDARY}"

_MAX_PARTS = 1000
_MAX_HEADERS = 8192
"""Bytes of one part's header lines."""
_PARAMETER = re.compile(r";\s*boundary=(?:\"([^\"\\]{1,70})\"|([^\s\";,]{1,70}))\s*(?=;|\Z)", re.IGNORECASE)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}:[^\r\n\x00]*")
_DISPOSED = re.compile(r";\s*([\w-]+\*?)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\";]*))")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MEDIA = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")

MULTIPART = WireFormat(
    "multipart-form",
    compile_table([Row("parts[].data", Kind.OPAQUE, DATA_URL)]),
    compile_reply([]),
    frozenset({"parts"}),
    GenericStream,
    observe,
)
"""Uploads and audio: replies are JSON of any shape."""


class MultipartInvalid(LocalguardError):
    """A form that cannot be read without doubt. The message holds nothing of it."""


@dataclass(frozen=True, slots=True)
class _Part:
    headers: str
    content: bytes

    @property
    def lines(self) -> Mapping[str, str]:
        return {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in self.headers.split("\n"))
        }


def boundary_of(content_type: str) -> str:
    """The boundary that a Content-Type names. Raises MultipartInvalid for none, several, or one that is not allowed."""
    found = _PARAMETER.findall(content_type)
    boundary = "".join(found[0]) if len(found) == 1 else ""
    if not _BOUNDARY.fullmatch(boundary) or content_type.lower().count("boundary=") != 1:
        raise MultipartInvalid("its Content-Type names no boundary, or not one")
    return boundary


def to_json(body: bytes, boundary: str) -> bytes:
    """A form as JSON. Raises MultipartInvalid."""
    parts = _parts(body, boundary.encode("ascii"))
    made: dict[str, object] = {}
    written: list[dict[str, str]] = []
    for part in parts:
        lines = part.lines
        disposed = _DISPOSED.findall(lines.get("content-disposition", ""))
        said = [parameter.lower() for parameter, _, _ in disposed]
        if len(set(said)) != len(said) or "name*" in said:
            raise MultipartInvalid("a part is called in two ways")
        name = next((quoted or bare for parameter, quoted, bare in disposed if parameter.lower() == "name"), "")
        entry = {"headers": part.headers}
        if not _is_text(part.content):
            media = lines.get("content-type", "").partition(";")[0].strip()
            media = media if _MEDIA.fullmatch(media) else "application/octet-stream"
            entry["data"] = f"data:{media};base64,{base64.b64encode(part.content).decode('ascii')}"
        elif "filename" in said or "filename*" in said:
            entry["text"] = part.content.decode("utf-8")
        else:
            entry |= {"name": name, "value": part.content.decode("utf-8")}
            if name in made:
                raise MultipartInvalid(f"it names its {name} twice")
            if name == "model":
                made["model"] = entry["value"]
            elif name == "stream":
                made["stream"] = entry["value"].strip().lower() in ("true", "1")
        written.append(entry)
    return orjson.dumps(made | {"parts": written})


def from_json(raw: bytes) -> bytes:
    """The form that `to_json` read, as it may leave, under `BOUNDARY`. Raises MultipartInvalid."""
    delimiter = b"--" + BOUNDARY.encode("ascii")
    out: list[bytes] = []
    for entry in mapping(orjson.loads(raw)).get("parts", ()):
        if "data" in entry:
            content = base64.b64decode(entry["data"].partition(",")[2])
        else:
            content = entry.get("text", entry.get("value", "")).encode("utf-8")
        headers = entry["headers"].encode("utf-8").replace(b"\n", b"\r\n")
        if delimiter in content or delimiter in headers:
            raise MultipartInvalid("it holds the boundary that the guard puts between parts")
        out.append(delimiter + b"\r\n" + headers + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(out) + delimiter + b"--\r\n"


def _is_text(content: bytes) -> bool:
    if _CONTROL.search(content):
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parts(body: bytes, boundary: bytes) -> list[_Part]:
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 2 or pieces[0] or pieces[-1] not in (b"--", b"--\r\n"):
        raise MultipartInvalid("it does not begin and end with its boundary")
    if len(pieces) - 2 > _MAX_PARTS:
        raise MultipartInvalid(f"it has more than {_MAX_PARTS} parts")
    if any(b"\n--" + boundary in piece for piece in pieces):
        raise MultipartInvalid("its boundary stands behind a bare line feed too")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> _Part:
    if not piece.startswith(b"\r\n"):
        raise MultipartInvalid("something stands on the line of a boundary")
    head, separator, content = piece.partition(b"\r\n\r\n")
    lines = head[2:].split(b"\r\n")
    if not separator or len(head) > _MAX_HEADERS or not all(_HEADER.fullmatch(line) for line in lines):
        raise MultipartInvalid("the header lines of a part cannot be read")
    names = [line.partition(b":")[0].lower() for line in lines]
    if len(set(names)) != len(names) or b"content-disposition" not in names:
        raise MultipartInvalid("a part repeats a header line, or does not say what it is")
    try:
        part = _Part("\n".join(line.decode("utf-8") for line in lines), content)
    except UnicodeDecodeError:
        raise MultipartInvalid("the header lines of a part are not UTF-8") from None
    if part.lines.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise MultipartInvalid("a part has a transfer encoding of its own")
    if part.lines.get("content-type", "").lower().startswith(("multipart/", "message/")):
        raise MultipartInvalid("a part has parts of its own")
    return part
