"""The head of a request: path, query and headers, scanned and redacted like any text of the body."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_plus

import orjson

from localguard.exchange.member_names import name_context
from localguard.exchange.refused import RequestRefused

_CREDENTIAL_PARAMETER = "key"
"""The query parameter that carries a credential (Google's APIs): it passes verbatim to its own origin."""


@dataclass(frozen=True, slots=True)
class Head:
    """What of a request is not body: the raw path and query behind the endpoint, and headers to be scanned.

    Credentials and hop-by-hop headers are not part of it.
    """

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]


def head_bytes(head: Head) -> bytes:
    """All of the head that is scanned and redacted, as bytes that no other head has. Raises RequestRefused as `head_texts`."""
    try:
        return orjson.dumps([head.method, head.path, head.query, head.headers])
    except orjson.JSONEncodeError:
        raise _not_text() from None


class HeadText(NamedTuple):
    """A text of path, query or headers, decoded, with the name that it stands under where that counts."""

    text: str
    raw: bytes
    context: bytes


def head_texts(head: Head) -> list[HeadText]:
    """What of the head is scanned. Raises RequestRefused for what is no text."""
    texts = [(unquote(part), b"") for part in head.path.split("/")]
    texts.append((unquote(head.path), b""))
    for pair in head.query.split("&") if head.query else ():
        name, _, value = map(unquote_plus, pair.partition("="))
        texts += [(name, b""), (unquote(pair.partition("=")[0]), b"")]  # with `+` as a space, and as it stands
        if name.lower() != _CREDENTIAL_PARAMETER:
            texts.append((value, name_context(name, value)))
            bare = unquote(pair.partition("=")[2])
            texts.append((bare, name_context(name, bare)))
    for name, value in head.headers:
        texts += [(name, b""), (value, name_context(name, value))]
    try:
        return [HeadText(text, text.encode(), context) for text, context in dict.fromkeys(texts) if len(text) > 3]
    except UnicodeEncodeError:
        raise _not_text() from None


def _not_text() -> RequestRefused:
    return RequestRefused(400, "head_invalid", "text-only", "A header or the address is not valid text.", "Send UTF-8.")


def redact_head(head: Head, clean: Callable[[str, str, bytes], str]) -> tuple[str, str, Sequence[tuple[str, str]]]:
    """Path, query and headers with every text passed through `clean(text, where, context)`.

    What it leaves as it is keeps its spelling; what it changes is percent-encoded anew.
    """
    segments = [_recoded(part, clean(unquote(part), "path", b""), plus=False) for part in head.path.split("/")]
    path = "/".join(segments)
    whole = clean(unquote(path), "path", b"")
    if whole != unquote(path):  # a value with a slash in it
        path = quote(whole, safe="/:@!$&'()*+,;=~")
    pairs = []
    for pair in head.query.split("&") if head.query else ():
        name, equals, value = pair.partition("=")
        plain_name, plain_value = unquote_plus(name), unquote_plus(value)
        new_name = _recoded(name, clean(plain_name, "query", b""), plus=True)
        new_name = _recoded(new_name, clean(unquote(new_name), "query", b""), plus=False)
        if plain_name.lower() != _CREDENTIAL_PARAMETER:
            context = name_context(plain_name, plain_value)
            value = _recoded(value, clean(plain_value, "query", context), plus=True)
            bare = unquote(value)
            value = _recoded(value, clean(bare, "query", name_context(plain_name, bare)), plus=False)
        pairs.append(new_name + equals + value)
    headers = [
        (clean(name, "header name", b""), clean(value, "header", name_context(name, value)))
        for name, value in head.headers
    ]
    return path, "&".join(pairs), headers


def _recoded(original: str, text: str, *, plus: bool) -> str:
    """`text` percent-encoded if it differs from what `original` says, else `original` as it came."""
    said = unquote_plus(original) if plus else unquote(original)
    return original if said == text else quote(text, safe="")
