"""Requests to a collector, signed by the device's key. Pure.

    Authorization: LocalGuard <device>
    X-LocalGuard-Time: <seconds since 1970>
    X-LocalGuard-Signature: <hex>        Ed25519 over method, path, time and the body's SHA-256, a line each

The time keeps a captured request from being of use later; within the window a second one is harmless, since batches are idempotent.
"""

import hashlib
from collections.abc import Mapping

from localguard.audit.checkpoint import DeviceKey, PublicKey

WINDOW = 300
"""Seconds that clocks may differ."""
_CONTEXT = b"request 1"
_SCHEME = "LocalGuard "


class RequestUnsigned(Exception):
    """A request does not carry what signed ones do. `code` is a word: unsigned, clock, signature."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def signed_headers(key: DeviceKey, method: str, path: str, body: bytes, seconds: int) -> dict[str, str]:
    """The headers of a request that `key` signs now."""
    return {
        "Authorization": _SCHEME + key.public.device,
        "X-LocalGuard-Time": str(seconds),
        "X-LocalGuard-Signature": key.sign_bytes(_CONTEXT, _message(method, path, seconds, body)).hex(),
    }


def device_of(headers: Mapping[str, str]) -> str:
    """The device that a request says it is from. Raises RequestUnsigned."""
    given = headers.get("Authorization", "")
    device = given.removeprefix(_SCHEME)
    if not given.startswith(_SCHEME) or len(device) != 16:
        raise RequestUnsigned("unsigned")
    return device


def check_request(
    headers: Mapping[str, str], key: PublicKey, method: str, path: str, body: bytes, seconds: float
) -> None:
    """Whether the device with this key signed the request, lately. Raises RequestUnsigned."""
    try:
        signature = bytes.fromhex(headers.get("X-LocalGuard-Signature", ""))
        time = int(headers.get("X-LocalGuard-Time", ""))
    except ValueError:
        raise RequestUnsigned("unsigned") from None
    if not key.verify_bytes(_CONTEXT, _message(method, path, time, body), signature):
        raise RequestUnsigned("signature")
    if abs(time - seconds) > WINDOW:
        raise RequestUnsigned("clock")


def _message(method: str, path: str, seconds: int, body: bytes) -> bytes:
    return f"{method}\n{path}\n{seconds}\n{hashlib.sha256(body).hexdigest()}".encode()
