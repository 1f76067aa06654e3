"""Where a failure came from, judged by what was seen of it: status, the code in an error's body, what could not be reached."""

import re
from dataclasses import dataclass
from typing import Final

import orjson

from localguard.audit.fields import FailureOrigin
from localguard.policy.model import Endpoint, EndpointClass
from localguard.proxy.upstream import UpstreamError, UpstreamRefused
from localguard.wire.coding import CodingError, decode_body
from localguard.wire.format import mapping

KEPT: Final = 16 * 1024
"""Bytes of an error's body that are looked at."""
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
"""What providers make codes of. A message holds spaces, and is never written down."""
_RATE: Final = re.compile(r"rate.?limit|too_many_requests|throttl|resource_exhausted", re.IGNORECASE)
_SERVERS: Final = ("ollama", "lmstudio")
_OF_A_GATEWAY: Final = (502, 504)
"""RFC 9110, 15.6.3 and 15.6.5: a gateway or proxy had no valid answer, or none in time, from behind it."""
_OF_THE_REQUEST: Final = (400, 404, 405, 406, 409, 410, 411, 413, 414, 415, 417, 422, 431)


def is_local(endpoint: Endpoint) -> bool:
    """Whether an endpoint is a model server of the developer's own, also where policy takes its model as leaving the machine."""
    return endpoint.endpoint_class is EndpointClass.LOCAL or endpoint.kind in _SERVERS


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What the body of an error reply is: an object of JSON, as every provider sends one, and the code that it names."""

    is_object: bool = False
    code: str | None = None


def read_error(body: bytes, content_encoding: str | None) -> ErrorBody:
    """Read the body of an error reply; what cannot be read is no object. Only what looks like a code is taken out of it."""
    try:
        value = orjson.loads(decode_body(body, content_encoding, 4 * KEPT))
    except (orjson.JSONDecodeError, CodingError):
        return ErrorBody()
    if not isinstance(value, dict):
        return ErrorBody()
    error = value.get("error")
    given = [mapping(error).get(name) for name in ("code", "type", "status")] + [value.get("code"), value.get("type")]
    codes = (one for one in given if isinstance(one, str) and _CODE.fullmatch(one) and one != "error")
    return ErrorBody(True, next(codes, None))


def origin_of_status(status: int, error: ErrorBody, *, local: bool) -> FailureOrigin:
    """Where an error status came from; `local` says that the endpoint is a model server on this machine.

    What the provider does not accept is the agent's, but for a model that a local server does not have. Of the failures of
    servers, 502 and 504 say themselves that a gateway failed, and a body that no provider sends (a page) says it of others.
    """
    if status == 429 or (error.code is not None and _RATE.search(error.code)):
        return "rate limit"
    if local and (status >= 500 or status == 404):
        return "local model"
    if status in _OF_THE_REQUEST:
        return "agent"
    if status in _OF_A_GATEWAY or (status >= 500 and not error.is_object):
        return "gateway"
    return "provider"


def origin_of_error(code: str, *, local: bool) -> FailureOrigin:
    """Where an error inside a reply of status 200 came from, by its code."""
    if code.startswith("localguard_"):
        return "guard"
    if _RATE.search(code):
        return "rate limit"
    return "local model" if local else "provider"


def origin_of_failure(failure: UpstreamError, *, local: bool) -> FailureOrigin:
    """Where a failure to reach an endpoint, or to be answered by it, came from."""
    if isinstance(failure, UpstreamRefused):
        return "policy"
    return "local model" if local else "network"
