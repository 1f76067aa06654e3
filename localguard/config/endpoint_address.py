"""What an endpoint's `base_url` and class may be: the checks that need no connection."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
    }
)


def problem_with_url(url: str, *, allow_http: bool) -> str | None:
    """Return in plain words what is wrong with a base URL, None if nothing is. The URL itself is not repeated.

    Only http and https, no user, query or fragment. Plain http goes to loopback only, unless the endpoint says
    `allow_http = true`: everything that the guard passes on, credentials included, would cross the network readable.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is not an address; write it like https://api.example.com"
    if parts.scheme not in ("http", "https"):
        return "must start with https:// (or http:// for this machine)"
    if not host or any(c.isspace() for c in url):
        return "names no host; write it like https://api.example.com"
    if parts.username is not None or parts.password is not None:
        return "must hold no user or password; use credential"
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        return "must hold no query or fragment"
    if port == 0:
        return "names port 0"
    if any(segment in (".", "..") for segment in parts.path.split("/")):
        return "must hold no . or .. in its path"
    if (address := literal_address(host)) is not None and (address.is_link_local or address.is_multicast):
        return "is a link-local or multicast address, where cloud machines keep their credentials, no model provider"
    if parts.scheme == "http" and not is_loopback(host) and not allow_http:
        return (
            "is plain http to another machine, readable on the way; use https, "
            "or add allow_http = true if you trust the network between"
        )
    return None


def is_loopback(host: str) -> bool:
    """Whether a host, as written, is this machine. The connected address is checked again when connecting (P11)."""
    if host.rstrip(".").lower() == "localhost":
        return True
    address = literal_address(host)
    return address is not None and address.is_loopback


def host_of(url: str) -> str:
    """Return the host of a valid base URL."""
    return urlsplit(url).hostname or ""


def normal_url(url: str) -> str:
    """Return a valid base URL with scheme and host in lower case and no slash at its end."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def problem_with_auth_header(name: str) -> str | None:
    """Return why a header cannot be a credential position, None if it can."""
    if name.lower() in _HOP_BY_HOP:
        return "is a header of the connection or the body, no place for a credential"
    return None


def literal_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that `host` spells, a v4-mapped one as IPv4, its scope left out; None for a name."""
    try:
        address = ipaddress.ip_address(host.split("%", 1)[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address


def origin_of(url: str) -> str:
    """Scheme, host and port of an address: where a credential may go."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
