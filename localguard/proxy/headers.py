"""Which headers travel, which hold credentials, and what becomes of them on the way up and down.

The rule of this file: headers are an ordered list of (name, value) pairs with case and duplicates kept; nothing here turns
them into a mapping. Sources: RFC 9110 sections 7.6.1 (hop-by-hop fields), 8.4, 10.1.1 and 12.5.3, read 2026-11-20.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_plus

from localguard.errors import LocalguardError

Headers = tuple[tuple[str, str], ...]
"""Names and values in wire order, as the peer spelt them."""

EXCHANGE = "X-LocalGuard-Exchange"
WORKSPACE = "X-LocalGuard-Workspace"
TASK = "X-LocalGuard-Task"
OWN_PREFIX = "x-localguard-"

HOP_BY_HOP = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that speak about one connection only (RFC 9110 section 7.6.1, RFC 9113 section 8.2.2), lower case."""

CREDENTIALS = frozenset(
    {
        "api-key",  # Azure OpenAI, Foundry
        "authorization",
        "cookie",  # what an origin set goes back to it
        "ocp-apim-subscription-key",  # Azure API Management in front of a provider
        "proxy-authorization",  # never forwarded, still a known value
        "x-api-key",  # Anthropic
        "x-goog-api-key",  # Gemini
    }
)
"""Header names (lower case) whose value is a credential and passes verbatim to its own origin."""

_CREDENTIAL_NAME = re.compile(
    r"(?:api|access|subscription|auth|secret|shared)[-_.]?key|passw|pwd|secret|credential|signature|authorization"
    r"|(?:^|[-_.])(?:token|auth|sig)$|(?:access|auth|bearer|id|refresh|session)[-_.]?token",
    re.IGNORECASE,
)
"""What query parameters are called that hold a credential at some gateways and storage services."""

_LONGEST_COMMON_WORD = 8  # a cookie's `1`, `true` or `en-US` is no secret, and redacting it everywhere would do harm


class HeaderNotText(LocalguardError):
    """A header of a request is not valid UTF-8 and could not be scanned."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Where a request carries credentials.

    `credentials`: their values without scheme (`Bearer`, `Basic`), in order, without duplicates.
    `scanned`: indices of the headers that are to be scanned, because they hold no credential. `Content-Length` is not
    among them: it is a number of the guard's own that goes upstream.
    """

    credentials: tuple[str, ...]
    scanned: tuple[int, ...]


def text_headers(raw_headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Decode a request's headers. Raises HeaderNotText (it names the header, not its value)."""
    pairs = []
    for name, value in raw_headers:
        try:
            pairs.append((name.decode("ascii"), value.decode("utf-8")))
        except UnicodeDecodeError:
            raise HeaderNotText(f"header {name.decode('ascii', 'replace')!r} is not valid UTF-8") from None
    return tuple(pairs)


def named_by_connection(headers: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Name (lower case) the fields that `Connection` makes hop-by-hop."""
    return frozenset(
        option.strip(" \t").lower()
        for name, value in headers
        if name.lower() == "connection"
        for option in value.split(",")
        if option.strip(" \t")
    )


def split_credentials(headers: Sequence[tuple[str, str]], query: str | None, auth_headers: Iterable[str]) -> Positions:
    """Tell the credential positions of a request from everything that is to be scanned.

    `query` is the raw query without `?`, or None; its `key` parameters are credentials. Parameters that are called like
    one (`api_key`, `access_token`) are no credential position, but what they hold is known from then on. `auth_headers`
    are an endpoint's own credential headers, in any case.
    """
    names = CREDENTIALS | {name.lower() for name in auth_headers}
    values: dict[str, None] = {}
    scanned = []
    for index, (name, value) in enumerate(headers):
        if name.lower() in names:
            values.update(dict.fromkeys(_values_of(name.lower(), value)))
        elif name.lower() != "content-length":
            scanned.append(index)
    for name, value in query_parts(query):
        if _is_any_credential(name):
            values[unquote_plus(value)] = None
    values.pop("", None)
    return Positions(tuple(values), tuple(scanned))


def query_parts(query: str | None) -> list[tuple[str, str]]:
    """Split a raw query at `&` and the first `=` into (name, value), both as they stand, still percent-encoded."""
    return [(part.partition("=")[0], part.partition("=")[2]) for part in (query or "").split("&") if part]


def is_credential_parameter(name: str) -> bool:
    """Say whether a query parameter (raw name) holds a credential: `key`, as Google's APIs have it."""
    return unquote_plus(name).lower() == "key"


def without_credentials(query: str) -> str:
    """Answer a raw query without the parameters that hold a credential or are called like one."""
    kept = (part for part in query.split("&") if not _is_any_credential(part.partition("=")[0]))
    return "&".join(kept)


def _is_any_credential(name: str) -> bool:
    return is_credential_parameter(name) or _is_called_credential(name)


def _is_called_credential(name: str) -> bool:
    return _CREDENTIAL_NAME.search(unquote_plus(name)) is not None


def replaced(headers: Sequence[tuple[str, str]], values: Mapping[int, str]) -> Headers:
    """Put `values` (new value by index) in place; names and order stay."""
    return tuple((name, values.get(index, value)) for index, (name, value) in enumerate(headers))


def upstream_headers(headers: Sequence[tuple[str, str]], *, body_length: int | None) -> Headers:
    """Answer the headers that go upstream, `Host` aside (the client sets it from the URL).

    Left out: hop-by-hop fields, those that `Connection` names, `Host`, `Expect`, `Content-Encoding` (bodies go upstream
    decoded) and everything of the guard's own. `Accept-Encoding` becomes `identity`. `Content-Length` becomes `body_length`
    in its place, or at the end; with None (no body) there is none.
    """
    before, name, after = _travelling(tuple(headers))
    return (*before, *after) if body_length is None else (*before, (name, str(body_length)), *after)


@lru_cache(maxsize=64)
def _travelling(headers: Headers) -> tuple[Headers, str, Headers]:
    """The headers that go upstream before the length of the body, what that is called, and those behind it.

    Worked out once for the head that an agent sends with every request.
    """
    dropped = HOP_BY_HOP | named_by_connection(headers) | {"host", "expect", "content-encoding"}
    kept: list[tuple[str, str]] = []
    length = "Content-Length"
    is_identity, at = False, None
    for name, value in headers:
        lowered = name.lower()
        if lowered == "accept-encoding":
            if not is_identity:
                kept.append((name, "identity"))
            is_identity = True
        elif lowered == "content-length":
            if at is None:
                at, length = len(kept), name
        elif lowered not in dropped and not lowered.startswith(OWN_PREFIX):
            kept.append((name, value))
    if not is_identity:
        kept.append(("Accept-Encoding", "identity"))
    at = len(kept) if at is None else at
    return tuple(kept[:at]), length, tuple(kept[at:])


def reply_headers(
    raw_headers: Iterable[tuple[bytes, bytes]], *, exchange: str, rewritten: bool, elsewhere: bool = False
) -> Headers:
    """Answer the headers of a provider's reply as the agent gets them.

    All of them verbatim, with duplicates, but for hop-by-hop fields, `X-LocalGuard-*` and, where the body is `rewritten`
    (decoded or restored), its `Content-Length` and `Content-Encoding`. `X-LocalGuard-Exchange` is added.
    With `elsewhere` (a redirect of a request with a body) there is no `Location`: the agent's client would send the
    body there, past the guard.
    Bytes that are not UTF-8 become U+FFFD.
    """
    pairs = [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in raw_headers]
    dropped = HOP_BY_HOP | named_by_connection(pairs)
    if rewritten:
        dropped |= {"content-length", "content-encoding"}
    if elsewhere:
        dropped |= {"location"}
    kept = [(n, v) for n, v in pairs if n.lower() not in dropped and not n.lower().startswith(OWN_PREFIX)]
    return (*kept, (EXCHANGE, exchange))


def joined(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """Answer the values of all headers called `name` (lower case) joined by ", ", or None if there is none."""
    values = [value for given, value in headers if given.lower() == name]
    return ", ".join(values) if values else None


def bare_credential(value: str) -> str:
    """Strip an authentication scheme: `Bearer abc` and `abc` are both `abc`."""
    scheme, _, rest = value.strip(" \t").partition(" ")
    return rest.strip(" \t") or scheme


def _values_of(name: str, value: str) -> list[str]:
    if name == "cookie":
        cookies = (part.partition("=")[2].strip(' \t"') for part in value.split(";"))
        return [cookie for cookie in cookies if len(cookie) > _LONGEST_COMMON_WORD]
    bare = bare_credential(value)
    if value.strip(" \t").lower().startswith("basic "):
        try:
            pair = base64.b64decode(bare, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return [bare]
        return [bare, pair, pair.partition(":")[2]]
    return [bare]
