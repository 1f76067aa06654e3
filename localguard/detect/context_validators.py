"""Checks of values that only their place gives away, by the names that rule files use."""

import re
from typing import Final

from localguard.detect.literals import literal_value, masked
from localguard.detect.randomness import looks_random, mixes_classes, surprise
from localguard.detect.words import drawn_words, is_common

# Names of algorithms, protocols and formats, versions, times, sizes and dates: letters with digits that are no secret.
_KNOWN: Final = re.compile(
    r"(?i)(?:sha|md|aes|des|rsa|ssh|luks|pbkdf|pkcs|psycopg|mysql|google|saml|passlib|ntlm|krb|rc|hs|rs|es|ps|ed|utf|iso|base|oauth|http|ipv|x|p|h|mp|s|ec|k|v|n?vt|win|py(?:thon)?|php|java|node|es|log4j|tls|ssl|"
    r"curve|argon|scrypt|bcrypt|blake|sm|int|uint|float|i|u|f|c|web|p|q|t|r|d|b|a)[-_ ]?v?\d{1,5}(?:[-_./]?\d{1,4})*(?:[-_]?[a-z]{1,5})?|"
    r"v?\d+(?:[.-]\d+)+(?:[-+.]?[a-z]+\.?\d*)?|\d+(?:\.\d+)?\s?(?:[smhdwy]|ms|us|ns|px|em|rem|[kmgt]i?b|[kmg]hz|%|st|nd|rd|th|x|am|pm)|"
    r"\d{1,4}-[a-z]{2,}|[a-z_][\w.]*![rsa]|[a-z]{2}-(?:gov-)?[a-z]+-\d|\d{4}-\d\d-\d\d(?:[T ].*)?|\d{1,2}:\d\d(?::\d\d)?.*|[a-z]+(?:-[a-z]+)*@v?\d+\.\d.*|rfc-?\d+|cve-\d+-\d+|0x[0-9a-f]+|#[0-9a-f]{3,8}|"
    r"(?:step|test|user|phase|part|item|page|section|chapter|node|server|host|issue|line|port|level|day|week|option|table|figure|col|row|"
    r"example|sample|admin|guest|demo|group|team|room|class|type|layer|field|param|arg|value|key|version|release|rev|bug|pr|q)[-_ #]?\d{1,3}|"
    r"[\w-]+\.(?:py|js|ts|tsx|jsx|java|go|rs|rb|php|md|txt|json|ya?ml|toml|cfg|ini|sh|html?|css|sql|xml|csv|log|pem|key|crt|png|jpe?g|svg|"
    r"pdf|zip|gz|tar|com|org|net|io|dev|de|local|internal|example)(?:[:/#?].*)?"
)
_ODD: Final = 4.6  # mean surprise of letter pairs that names do not reach
_NAME: Final = re.compile(r"[A-Za-z]+(?:[-_. /:][A-Za-z]+)*")


def not_placeholder(value: str) -> bool:
    """Anything but a mask, a reference or a common word: where the syntax leaves no doubt that a secret stands there."""
    return len(value) >= 3 and not masked(value) and not is_common(value)


def told(value: str) -> bool:
    """What somebody tells as a password in a sentence: no mask, no word, and something that words do not have."""
    if len(value) < 4 or masked(value) or is_common(value) or _KNOWN.fullmatch(value.rstrip("?!.")):
        return False
    if drawn_words(value) and " " not in value:
        return True
    if len(value) >= 8 and surprise(value) >= _ODD and not (value.isupper() or "." in value):
        return True
    return mixes_classes(value) and not _NAME.fullmatch(value)


def random_or_mixed(value: str, key: str) -> bool:
    """A literal that no program names so: letters and digits, after a telling name and nothing but space."""
    return mixes_classes(value) and any(char.isdigit() for char in value) and literal_value(value, key, "bare")


def generated_marks(value: str) -> bool:
    """Drawn from all printable characters."""
    return looks_random(value) or sum(not char.isalnum() and char != " " for char in value) > len(value) // 5


_PUBLIC: Final = re.compile(
    r"(?i)(?:toolu|call|msg|req|resp|chatcmpl|run|thread|asst|file|step|item|fc|rs|evt|sha\d+|cus|sub|price|prod|pk)[_-].*|"
    r"[0-9a-f]{8}-[0-9a-f]{4}-.*|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}|0x.*|AAAA.*|M[IE][IGE][A-Z].*|/.*|.*/.*/.*/.*|iVBOR.*|[a-z]{2,12}1[02-9ac-hj-np-z]{38,}|01[0-9A-HJKMNP-TV-Z]{24}"
)
_PUBLIC_BEFORE: Final = re.compile(
    r"(?i)\b(?:commit|hash|sha\d*|digest|checksum|revision|rev|version|request|trace|span|etag|image|tag|branch|uuid|guid|ids?|md5|"
    r"integrity|fingerprint|public|signature|file|path|class|method|function|variable|test)\b[^\n]{0,24}$"
)


def handed_over(value: str, before: str) -> bool:
    """Drawn at random, and no digest, id or public key: the last resort, where nothing but an invitation to use it stands."""
    if re.search(r"(?:\bh1|\bsha\d{1,3}|\bmd5)[:-]\Z", before):
        return False
    if _PUBLIC.fullmatch(value) or _PUBLIC_BEFORE.search(before[-60:]) or not looks_random(value):
        return False
    if re.fullmatch(r"[0-9a-f]+", value):
        return len(value) == 32
    mixed = any(c.islower() for c in value) and any(c.isupper() for c in value) and any(c.isdigit() for c in value)
    mixed = mixed or bool(re.fullmatch(r"[a-z0-9]{24,}", value) and re.search(r"[g-z]", value))
    return mixed and value.count("_") + value.count("-") + value.count("/") <= len(value) // 6
