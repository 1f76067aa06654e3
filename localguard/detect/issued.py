"""Checks for values that have no form of their own: only the name of their issuer, on the same line, gives them away.

The pattern of such a rule says how long the value is and of what it is made. That alone would take commit hashes, UUIDs
and identifiers for keys, so these checks ask what the value looks like and what it is called.
"""

import itertools
import re
from typing import Final

from localguard.detect.candidate import Candidate
from localguard.detect.literals import literal_value
from localguard.detect.words import is_common, words_of

_NEAR: Final = 72  # characters before the value in which it may be called a credential
_CREDENTIAL: Final = re.compile(
    r"key|token|secret|passw|passphrase|pwd|auth|cred|priv|sid\b|dsn|licen[cs]e|bearer|webhook|signing|ingest|hmac|jwt|"
    r"x-[\w-]{2,40}[\"']?[ \t]*:",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(r"([\w.-]*)[\"'`\\\])\s:=>(/|,]*\Z")
_CAMEL_ID: Final = re.compile(r"(?:^|[^A-Za-z])(?i:id|uuid|guid)\Z|[a-z]I[dD]s?\Z")
_NO_SECRET_NAME: Final = re.compile(
    r"(?i)(?:sha-?\d*|md5|hash|hexdigest|digest|checksum|commits?|rev|revision|integrity|etag|fingerprint|crc\d*|tree|"
    r"blob|nonce|version|thumbprint|(?:public|pub|publishable|site)[_.-]?key)\Z"
)
_DIGEST: Final = re.compile(
    r"[0-9a-f]{24,128}|[0-9A-F]{24,128}|[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|\d+", re.ASCII
)
_PLACEHOLDER: Final = re.compile(
    r"(.)\1{5}|x{6}|example|placeholder|your[-_]?|(?:0?123456789a|abcdefghijk|1234567890[a-z]|0123456789)",
    re.IGNORECASE,
)


def looks_drawn(value: str) -> bool:
    """Whether `value` looks as if a machine had drawn it: many different characters, classes that change often, no words.

    Identifiers (`get_user_by_id_v2`), counting sequences and fillers (`xxxxxxxx`, `YOUR_API_KEY`) do not.
    """
    if len(set(value)) < min(8, len(value) // 3 + 1) or _PLACEHOLDER.search(value):
        return False
    classes = ["u" if c.isupper() else "l" if c.islower() else "d" if c.isdigit() else "-" for c in value]
    changes = sum(a != b for a, b in itertools.pairwise(classes))
    if len(set(classes) - {"-"}) < 2 or changes < max(2, len(value) // 9):
        return False
    parts = words_of(value)
    letters = [part for part in parts if part.isalpha()]
    if letters and sum(len(part) for part in letters if len(part) > 2 and is_common(part)) * 2 > len(value):
        return False
    return not is_common(value)


def drawn(candidate: Candidate) -> bool:
    """A value that a machine drew: see `looks_drawn`."""
    return looks_drawn(candidate.value)


def issued(candidate: Candidate) -> bool:
    """A generated value that stands beside its issuer's name as a credential.

    What it is called last must not be the name of a digest, an id or a public key. A value that could be a digest or a
    UUID needs a word such as key, token or secret before it; any other must at least be assigned.
    """
    before = candidate.before[-_NEAR:].rpartition("\n")[2]
    label = _LABEL.search(before)
    name = label[1] if label else ""
    if _NO_SECRET_NAME.search(name) or _CAMEL_ID.search(name):
        return False
    if not looks_drawn(candidate.value):
        return False
    if _CREDENTIAL.search(before):
        return True
    return not _DIGEST.fullmatch(candidate.value) and bool(re.search(r"[:=(][\"'`\\\s]*\Z", before))


def literal_wifi(candidate: Candidate) -> bool:
    """A literal Wi-Fi passphrase of 8 to 63 characters, or 64 hexadecimal digits (IEEE 802.11, annex J)."""
    value = candidate.value
    return 8 <= len(value) <= 64 and not is_common(value) and literal_value(value, "password", "env")
