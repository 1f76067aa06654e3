"""How a known value is spelled in texts that encode it: the forms that a sweep looks for beside the plain one.

Bounded on purpose: one level of encoding, in the alphabets and with the escapes that common encoders write. Not found
are base64 with line breaks inside the value, hex with separators, and encodings of encodings.
Sources: RFC 4648 sections 4, 5 and 8, RFC 3986 section 2.1, HTML standard section 13.5 (read November 2026).
"""

import base64
import html
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

LEAST = 8
"""Bytes. The base64 of a shorter value leaves too few characters that are the same whatever stands beside it."""
MOST = 4096
"""Bytes. Longer values are files; hex would double them."""
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_UNESCAPED = ("", "/", "!'()*", ";,/?:@&=+$#!'()*")
"""What percent-encoders leave beside letters, digits and `-._~`: form and query encoders, path encoders, and
JavaScript's two."""
_ENTITIES = str.maketrans({"'": "&#39;", "/": "&#x2F;", "`": "&#x60;", "=": "&#x3D;"})


class Embedded(NamedTuple):
    """A spelling that may stand in the middle of a longer one.

    `before` and `after` count the base64 characters beside it that hold bits of the value and bits of its neighbours.
    """

    text: bytes
    before: int
    after: int


def embedded_spellings(value: bytes) -> Iterator[Embedded]:
    """The value in hex, and in base64 at each of three alignments: without what depends on the bytes beside it."""
    if not LEAST <= len(value) <= MOST:
        return
    for digits in dict.fromkeys((value.hex().encode(), value.hex().upper().encode())):
        yield Embedded(digits, 0, 0)
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + value).rstrip(b"=")
        cut = (shift + len(value)) % 3 != 0
        core = whole[(8 * shift + 5) // 6 : len(whole) - cut]
        for text in dict.fromkeys((core, core.replace(b"+", b"-").replace(b"/", b"_"))):
            yield Embedded(text, int(shift > 0), int(cut))


def token_spellings(value: str) -> tuple[str, ...]:
    """The value percent-encoded and in HTML, where that differs from the value: these stand as tokens of their own."""
    if not LEAST <= len(value) <= MOST or value.isalnum():
        return ()
    spelled: dict[str, None] = {}
    for safe in _UNESCAPED:
        upper = quote(value, safe=safe, errors="replace")
        spelled |= dict.fromkeys((upper, upper.replace("%20", "+"), _lower_escapes(upper)))
    for quotes in (True, False):
        escaped = html.escape(value, quote=quotes)
        spelled |= dict.fromkeys((escaped, escaped.replace("&#x27;", "&#39;"), escaped.replace("&#x27;", "&apos;")))
    spelled[html.escape(value).replace("&#x27;", "&#39;").translate(_ENTITIES)] = None
    spelled.pop(value, None)
    return tuple(spelled)


def widened(text: bytes, start: int, end: int, spelling: Embedded, low: int, high: int) -> tuple[int, int]:
    """`start` and `end` of a spelling in `text[low:high]`, with the characters beside it that hold some of the value."""
    if spelling.before and start > low and text[start - 1] in _ALPHABET:
        start -= 1
    if spelling.after and end < high and text[end] in _ALPHABET:
        end += 1
    return start, end


def _lower_escapes(text: str) -> str:
    head, *parts = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in parts)])
