"""Whether an address, as written, leads to this machine and nowhere else."""

import re

LOOPBACK_HOST = r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]|\[0:0:0:0:0:0:0:1\])"
_URL = re.compile(rf"[a-z][a-z0-9+.-]*://{LOOPBACK_HOST}(?::[0-9]{{1,5}})?(?:[/?#][^\\]*)?", re.IGNORECASE)
_URL_WITH_LOGIN = re.compile(
    rf"[a-z][a-z0-9+.-]*://[^@/?#\\\s]*@{LOOPBACK_HOST}(?::[0-9]{{1,5}})?(?:[/?#][^\\@]*)?", re.IGNORECASE
)
_FILE = re.compile(r"file://(?:localhost)?/[^/\\].*", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(rf"(?:{LOOPBACK_HOST}|::1)(?::[0-9]{{1,5}})?(?:[/?#][^\\]*)?", re.IGNORECASE)


def is_this_machine(address: str) -> bool:
    """Say whether `address`, a URL or `host[:port][/path]`, names loopback or a local file.

    Only the spellings that every client reads alike: an unusual form of an address (`127.1`, a backslash, a second URL
    within the first) is not this machine.
    """
    address = address.strip()
    if _FILE.fullmatch(address):
        return True
    if address.count("://") > 1:
        return False
    return any(form.fullmatch(address) is not None for form in (_URL, _URL_WITH_LOGIN, _HOST))


def is_loopback_host(host: str) -> bool:
    """Say whether `host`, without a port, is a spelling of loopback."""
    return host.lower() in ("localhost", "::1", "[::1]") or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None
