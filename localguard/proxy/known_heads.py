"""The heads that agents send again and again, judged and read once.

An agent sends the same head with every request, its length aside. What it says is worked out for the first of them. Kept
in memory only, the latest few: heads hold credentials.
"""

from collections import OrderedDict
from functools import lru_cache
from typing import Final

from aiohttp import web

from localguard.proxy.admission import Admission, Admitted, ControlCall, Head
from localguard.proxy.headers import Headers, Positions, joined, split_credentials, text_headers

_REMEMBERED: Final = 64
_SESSION_HEADERS: Final = (
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "x-session-id",
    "x-session-affinity",
)
_Key = tuple[str, str, tuple[tuple[bytes, bytes], ...]]


class KnownHeads:
    """`Admission.admit` over requests: the same answer, the same object for the same head.

    The value of `Content-Length` is left out of what is admitted: the number that goes upstream is the guard's own.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._known: OrderedDict[_Key, Admitted | ControlCall] = OrderedDict()

    def admit(self, request: web.BaseRequest) -> Admitted | ControlCall:
        """Check and split the address. Raises AdmissionRefused, HeaderNotText."""
        raw = tuple(
            [
                pair if len(pair[0]) != _LENGTH_SIZE or pair[0].lower() != _LENGTH else (pair[0], b"")
                for pair in request.raw_headers
            ]
        )
        key = (request.method, request.raw_path, raw)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
            return found
        made = self._admission.admit(Head(request.method, request.raw_path, text_headers(raw)))
        self._known[key] = made
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return made


_LENGTH: Final = b"content-length"
_LENGTH_SIZE: Final = len(_LENGTH)


@lru_cache(maxsize=_REMEMBERED)
def positions_of(headers: Headers, query: str | None, auth_headers: tuple[str, ...]) -> Positions:
    """`split_credentials`, once for each head."""
    return split_credentials(headers, query, auth_headers)


@lru_cache(maxsize=_REMEMBERED)
def body_headers(headers: Headers) -> tuple[str | None, str]:
    """The content coding that headers name, None where they name none, and the content type as it stands."""
    return joined(headers, "content-encoding"), joined(headers, "content-type") or ""


@lru_cache(maxsize=_REMEMBERED)
def session_of(headers: Headers) -> str | None:
    """The id of an agent's session, where it names one."""
    return next((value for name, value in headers if name.lower() in _SESSION_HEADERS), None)


@lru_cache(maxsize=_REMEMBERED)
def retries_of(headers: Headers) -> int:
    """How often the client says that it has sent this request before (OpenAI's and Anthropic's SDKs); 0 where it says nothing."""
    told = joined(headers, _RETRIES) or ""
    return int(told) if told.isascii() and told.isdigit() and len(told) <= _MAX_DIGITS else 0


_RETRIES: Final = "x-stainless-retry-count"
_MAX_DIGITS: Final = 4
