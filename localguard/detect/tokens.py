"""Checks of credentials: what generators of keys and tokens emit, and what their issuers built into them.

Issuers' checksums are no filter: a token with a typo or with masked characters is still worth hiding, and redacting it
costs nothing. They only overrule the signs of a placeholder.
"""

import base64
import binascii
import itertools
import json
import re
import zlib
from typing import Final

from localguard.detect.candidate import Candidate
from localguard.detect.words import word_set, words_of


def _json_object(segment: str) -> dict[str, object] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def jwt(candidate: Candidate) -> bool:
    """A JSON web token: its first segment decodes to a JSON object that names an algorithm or a type (RFC 7515)."""
    header = _json_object(candidate.value.split(".", 1)[0])
    return header is not None and bool({"alg", "typ", "enc", "kid"} & header.keys())


_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62_crc32(text: str) -> str:
    """The CRC-32 of `text` as six base62 digits: how GitHub and npm close their tokens.

    Source: GitHub blog, "Behind GitHub's new authentication token formats", 2021-04-05.
    """
    number, digits = zlib.crc32(text.encode()), ""
    while number:
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return digits.rjust(6, "0")


def checked_token(candidate: Candidate) -> bool:
    """A token after `prefix_` that ends in the base62 CRC-32 of the characters before it, or else looks random."""
    body = candidate.value.split("_", 1)[-1]
    return base62_crc32(body[:-6]) == body[-6:] or random_looking(candidate)


_ROUTABLE: Final = re.compile(r"(gl[a-z]+-(?:t\d_)?[0-9A-Za-z_-]+\.[0-9a-z]{2}\.?[0-9a-z]{2})([0-9a-z]{7})")


def gitlab_token(candidate: Candidate) -> bool:
    """A GitLab token: routable ones by their CRC-32 in base 36, others by looking random.

    Source: GitLab handbook, "Cells: routable tokens" (payload, `.`, length in base 36, CRC-32 in base 36), 2025.
    """
    routable = _ROUTABLE.fullmatch(candidate.value)
    if routable and zlib.crc32(routable[1].encode()) == int(routable[2], 36):
        return True
    return random_looking(candidate)


# The last word of a name that says that what follows names, counts or places a thing, and gives no access to it.
NO_CREDENTIAL: Final = word_set(
    """
    id ids uuid guid sha sha1 sha256 md5 hash hashes digest checksum integrity commit revision rev ref version ver tag
    build branch image name username user email url uri host hostname endpoint region zone project site app
    application account org organization organisation team tenant workspace group folder database db table bucket
    cluster instance server node service resource object file path dir directory module package release run job pipeline
    workflow trace span request session event message page layout widget size port etag nonce color colour width height
    fingerprint thumbprint kid serial date time timestamp count total index number template model
    """
)
_NAME_BEFORE: Final = re.compile(
    r"([A-Za-z][\w.-]{0,80})[\\\"'`\])]{0,6}\s{0,8}(?:=>|:=|[=:,(>]|\bis\b)?\s{0,8}[\\\"'`(]{0,6}\Z"
)


def credential_name(candidate: Candidate) -> bool:
    """A value whose nearest name before it does not say that it is an identifier, a digest or a place."""
    name = _NAME_BEFORE.search(candidate.before)
    if name is None:
        return True
    words = [word for word in words_of(name[1]) if not word.isdigit()]
    return not words or words[-1] not in NO_CREDENTIAL


def generated(candidate: Candidate) -> bool:
    """A value that a generator made: `mixed`, `random_looking`, and no name made of words and short numbers.

    Names in camel case change their kind of character at the start of words only; what a generator emits does so at
    about every second character.
    """
    if not (mixed(candidate) and random_looking(candidate)):
        return False
    value = _PREFIX.sub("", candidate.value)
    kinds = "".join("d" if c.isdigit() else "u" if c.isupper() else "l" if c.isalpha() else " " for c in value)
    changes = sum(a + b in ("lu", "ld", "dl", "ud", "du") for a, b in itertools.pairwise(kinds))
    return changes >= 0.2 * len(value)


_BASE64_RUN: Final = re.compile(r"[A-Za-z0-9+/=_-]{16,}")
# What may stand between the lines of a key that was pasted from somewhere: line numbers, diff marks, quotes, `\n`.
_KEY_NOISE: Final = re.compile(r"\\[nrt]|[\s\"'+|>→,;:.\\-]|(?m:^[ \t]*\d{1,6}(?=\s*[|→:\t ]))")


def pem_body(candidate: Candidate) -> bool:
    """A private-key block with a body: mostly base64 between its marks, not two constants of a program that parses PEM."""
    if len(candidate.value) > 32768:
        return False
    body = re.sub(r"-{4,5} ?(?:BEGIN|END)[A-Z0-9 ]{0,60}-{4,5}", "", candidate.value)
    body = re.sub(r"(?m)^[^\n]{0,16}?[A-Za-z][A-Za-z0-9-]{2,24}: [^\n]*$", "", body)
    encoded = sum(len(run) for run in _BASE64_RUN.findall(body))
    return encoded >= 40 and encoded >= 0.6 * len(_KEY_NOISE.sub("", body)) and len(set(body)) > 12


def mixed(candidate: Candidate) -> bool:
    """Letters and digits, at least 8 different characters, no run of one character: what generators of secrets emit."""
    value = candidate.value
    if len(set(value)) < min(8, len(value) // 2 + 1) or re.search(r"(.)\1{5}", value):
        return False
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


_PREFIX: Final = re.compile(r"^[A-Za-z0-9]{1,12}[-_.]")


def random_looking(candidate: Candidate) -> bool:
    """Not made of repeated characters or a counting sequence: `xxxxxxxx` and `0123456789` after an issuer's prefix."""
    value = candidate.value
    tail = _PREFIX.sub("", value)
    if len(set(tail)) < min(6, len(tail)) or re.search(
        r"(?i)(.)\1{7}|x{6}|example|placeholder|your[-_]?(?:key|token|api)", tail
    ):
        return False
    return not re.search(r"(?i)(?:0?123456789a|abcdefghijkl|1234567890[a-z])", tail)


def basic_credentials(candidate: Candidate) -> bool:
    """The base64 of `user:password` (RFC 7617), both printable."""
    try:
        decoded = base64.b64decode(candidate.value + "=" * (-len(candidate.value) % 4), validate=True).decode()
    except (ValueError, binascii.Error):
        return False
    return ":" in decoded and decoded.isprintable() and len(decoded) > 3
