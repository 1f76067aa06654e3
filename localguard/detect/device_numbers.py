"""Validators for addresses in networks and numbers of devices and vehicles."""

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from localguard.detect.candidate import Candidate, Validator
from localguard.detect.check_digits import luhn, varied
from localguard.detect.words import word_set

# Resolvers that everybody names: they are as little personal as loopback.
_RESOLVERS: Final = word_set("8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 208.67.222.222 208.67.220.220 4.2.2.1 4.2.2.2")
_COUNTING: Final = word_set("1.2.3.4 2.3.4.5 4.3.2.1 5.6.7.8 11.22.33.44 12.34.56.78 123.123.123.123 111.222.33.44")
_OBJECT_IDENTIFIER: Final = re.compile(r"2\.5\.\d+\.\d+|1\.3\.6\.\d+|1\.3\.1[0-4]\.\d+|2\.23\.\d+\.\d+|2\.16\.\d+\.\d+")
_ADDRESS_WORD: Final = re.compile(
    r"(?i)(?<![a-z])(?:ips?|ipv4|addr(?:ess(?:es)?)?|adresse|host(?:name)?|from|peer|client|remote|server|source|src|dst|"
    r"dest|gateway|dns|nameserver|visitor|user|login|ssh|ping|curl|connect(?:ed|ion)?|bann?ed|block(?:ed)?|listen|"
    r"forwarded(?:-for)?|x-real-ip|inet)(?![a-z])|(?:_|[a-z])(?:ip|addr|host)\b|(?:Ip|Addr|Host)(?![a-z])|://\Z|@\Z"
)
_VERSION_WORD: Final = re.compile(
    r"(?i)(?:version|release|build|(?<![a-z])(?:ver|rev)|revision|oid|section|chapter|figure|table|clause|rfc(?: \d+)?,?|step|workflow|"
    r"(?<![a-z])v|==|[<>~!]=|[~^])[\s:\"'=]{0,4}\Z|[A-Za-z][\w.+-]*/\Z|"
    r"(?:upgrad|downgrad|updat|bump|bundl)\w*[^\n]{0,40}(?:to|from|with)\s\Z|\bV8\s(?:to\s)?\Z"
)
# A decimal before it, or a sign and a decimal after it: a path of SVG, in which the zero and the space are left out.
_DECIMAL_BEFORE: Final = re.compile(r"(?<![\d:.])-?\d*\.\d{1,6}[ ,]\Z")
_DECIMAL_AFTER: Final = re.compile(r"[ ,]?-?\d*\.\d+(?![\d.])|-\d*\.\d")


@lru_cache(maxsize=4096)
def _of_the_internet(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, if it is one of the public internet. Kept, because a log names the same few again and again."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    return None if not address.is_global or address.is_multicast or address.is_reserved else address


_PACKAGE_BEFORE: Final = re.compile(r"^[ \t]*(?:[-*+][ \t]+)?[A-Za-z][\w.-]*[ \t]\((?:[=~<>^!]+[ \t]?)?\Z")


def public_ip(candidate: Candidate) -> bool:
    """An address of the public internet, and no version number, object identifier or resolver that all use.

    Private, loopback, documentation, multicast and other special ranges are none (IANA special-purpose registries), nor
    are addresses of a network (`/24`, host part zero). Four small numbers need a word beside them.
    """
    value = candidate.value
    address = _of_the_internet(value)
    if address is None:
        return False
    before, after = candidate.before.rpartition("\n")[2], candidate.after
    if re.match(r"\.[0-9A-Za-z]|-[A-Za-z]|[+~][A-Za-z0-9]", after):
        return False
    network = re.match(r"/(\d{1,3})\b", after)
    if network and int(network[1]) < address.max_prefixlen:
        prefix = int(network[1])
        if int(address) & ((1 << (address.max_prefixlen - prefix)) - 1) == 0:
            return False
    if isinstance(address, ipaddress.IPv6Address):
        return ("::" in value or value.count(":") == 7) and len(value) > 6
    octets = address.packed
    if value in _RESOLVERS or value in _COUNTING or len(set(octets)) == 1 or _OBJECT_IDENTIFIER.fullmatch(value):
        return False
    if _VERSION_WORD.search(before[-64:]):
        return False
    if _DECIMAL_BEFORE.search(before[-16:]) or _DECIMAL_AFTER.match(after):
        return False
    if octets[0] <= 40 and _PACKAGE_BEFORE.search(before) and re.match(r"(?:, [\d., ]+)?\)\s*(?:\n|$)", after):
        return False  # `    selenium (4.1.0.150)` in a lock file
    weak = max(octets) <= 40 or octets[3] == 0
    return not weak or bool(_ADDRESS_WORD.search(before[-20:])) or bool(re.match(r":\d{2,5}\b", after))


_MAC_EXAMPLES: Final = word_set(
    "001122334455 010203040506 0123456789AB 123456789ABC AABBCCDDEEFF 112233445566 A1B2C3D4E5F6"
)


def mac_address(candidate: Candidate) -> bool:
    """The address of one network interface: no group, null, broadcast or documentation address, no counting (RFC 7042)."""
    digits = re.sub(r"[^0-9A-F]", "", candidate.value.upper())
    if len(digits) != 12 or digits in _MAC_EXAMPLES or len(set(digits)) < 4 or int(digits[:2], 16) & 1:
        return False
    if re.match(r"[:-][0-9A-Fa-f]{2}(?![0-9A-Za-z])", candidate.after) or re.search(
        r"(?<![0-9A-Za-z])[0-9A-Fa-f]{2}[:-]\Z", candidate.before
    ):
        return False  # a fingerprint
    labelled = re.search(r"(?i)mac|ether|hwaddr|bssid|wlan|wifi|bluetooth|interface", candidate.before[-60:])
    return not digits.startswith("00005E0053") and (bool(re.search("[A-F]", digits)) or bool(labelled))


def imei(candidate: Candidate) -> bool:
    """A device number of fifteen digits, Luhn (3GPP TS 23.003, annex B)."""
    digits = re.sub(r"\D", "", candidate.value)
    return len(digits) == 15 and luhn(digits) and varied(digits)


_VIN_VALUES: Final = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", "12345678123457923456789" + "0123456789", strict=True)
)


def vin(candidate: Candidate) -> bool:
    """A vehicle identification number: seventeen characters; with the check digit where North America asks for it.

    Its first character tells the region (ISO 3780); 1 to 5 must hold 49 CFR 565.
    """
    value = candidate.value.upper()
    if len(value) != 17 or any(char not in _VIN_VALUES for char in value) or not value[-4:].isdigit():
        return False
    if value[0] not in "12345":
        return len(set(value)) > 5
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(int(_VIN_VALUES[char]) * weight for char, weight in zip(value, weights, strict=True))
    return "0123456789X"[total % 11] == value[8] and len(set(value)) > 3


DEVICE_NUMBERS: Final[Mapping[str, Validator]] = {
    "imei": imei,
    "mac_address": mac_address,
    "public_ip": public_ip,
    "vin": vin,
}
