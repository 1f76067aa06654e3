"""Giving a request another model: in the body's top-level `model` member, or where the path names it."""

import re
from typing import Final
from urllib.parse import quote

from localguard.wire.json_edit import string_token
from localguard.wire.providers import AZURE_DEPLOYMENT, GEMINI_MODEL

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]]', re.DOTALL)
_NEXT_VALUE: Final = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")


def with_model(body: bytes, model: str) -> bytes | None:
    """Return a JSON object with its top-level `model` text replaced, everything else byte for byte; None if it has none."""
    depth = 0
    for found in _TOKEN.finditer(body):
        token = found[0]
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and token == b'"model"' and (colon := _NEXT_VALUE.match(body, found.end())) is not None:
            value = _TOKEN.match(body, colon.end())
            if value is None or not value[0].startswith(b'"'):
                return None
            return body[: value.start()] + string_token(model) + body[value.end() :]
    return None


def path_with_model(path: str, model: str) -> str | None:
    """Return a raw path that names its model (an Azure deployment, a Gemini model) with another; None if it names none."""
    found = AZURE_DEPLOYMENT.search(path) or GEMINI_MODEL.search(path)
    return path[: found.start(1)] + quote(model, safe="") + path[found.end(1) :] if found else None
