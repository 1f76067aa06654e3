"""Checks that a matched value must pass, looked up by the name that rule files use.

A validator takes a `Candidate` and answers whether it is a finding. All are pure and bounded by the value's length.
"""

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from localguard.detect.candidate import Candidate, Validator, shannon_entropy
from localguard.detect.context_validators import generated_marks, not_placeholder, random_or_mixed, told
from localguard.detect.issued import drawn, issued, literal_wifi
from localguard.detect.literals import literal_value
from localguard.detect.randomness import looks_random
from localguard.detect.tokens import (
    basic_credentials,
    checked_token,
    credential_name,
    generated,
    gitlab_token,
    jwt,
    mixed,
    pem_body,
    random_looking,
)
from localguard.detect.wallets import private_key_der, secp256k1_scalar, solana_array, solana_base58, stellar_seed
from localguard.detect.words import PLACEHOLDER_VALUES, is_common, word_set, words_of


def luhn(digits: str) -> bool:
    """The Luhn checksum of ISO/IEC 7812 over a string of ASCII digits."""
    total = 0
    for position, char in enumerate(reversed(digits)):
        digit = ord(char) - 48
        if position % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return total % 10 == 0


# Numbers that card networks and payment services publish for tests.
_TEST_CARDS: Final = frozenset(
    hashlib.sha256(number.encode()).hexdigest()[:16]
    for number in (
        "4" + "242" * 5,
        "4" + "1" * 15,
        "4" + "0" * 14 + "2",
        "4" + "01288888888" + "1881",
        "42" * 8,
        "4000056655665556",
        "5" * 15 + "4",
        "5105105105105100",
        "5200828282828210",
        "2223003122003222",
        "378282246310005",
        "371449635398431",
        "378734493671000",
        "6011111111111117",
        "6011000990139424",
        "3056930009020004",
        "30569309025904",
        "38520000023237",
        "3530111333300000",
        "3566002020360505",
        "6200000000000005",
        "4012888888881881",
        "4222222222222",
        "5424000000000015",
        "4007000000027",
        "6759649826438453",
    )
)

_CARD_LENGTHS: Final = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"3(?:0[0-5]|09|[689])"), (14, 16)),
    (re.compile(r"35(?:2[89]|[3-8])"), (16, 17, 18, 19)),
    (re.compile(r"6(?:011|4[4-9]|5)"), (16, 19)),
    (re.compile(r"62|81"), (16, 17, 18, 19)),
    (re.compile(r"5[06-8]|6"), (16, 18, 19)),
    (re.compile(r"220[0-4]"), (16,)),
)


def card_number(candidate: Candidate) -> bool:
    """A payment card: a known issuer range with its length, grouped evenly or not at all, Luhn, and no test number."""
    value = candidate.value
    digits = re.sub(r"\D", "", value)
    if not any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in _CARD_LENGTHS):
        return False
    separators = set(re.sub(r"\d", "", value))
    if len(separators) > 1:
        return False
    if separators and [len(group) for group in re.split(r"\D", value)] not in (
        [4, 4, 4, 4],
        [4, 6, 5],
        [4, 6, 4],
        [4, 4, 4, 4, 3],
        [4, 4, 4, 1],
        [4, 5, 6],
    ):
        return False
    if len(set(digits)) < 4 or not luhn(digits):
        return False
    return hashlib.sha256(digits.encode()).hexdigest()[:16] not in _TEST_CARDS


# Length of an IBAN by country: SWIFT, IBAN registry, release 99.
_IBAN_LENGTHS: Final[Mapping[str, int]] = {
    country: int(length)
    for country, length in (
        entry.split(":")
        for entry in sorted(
            word_set(
                "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DJ:27 "
                "DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22 "
                "IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 "
                "MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 "
                "SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30"
            )
        )
    )
}


def iban(candidate: Candidate) -> bool:
    """An IBAN of a registered country, of that country's length, whose check digits hold (ISO 13616, mod 97)."""
    value = candidate.value.replace(" ", "").replace("-", "").upper()
    if _IBAN_LENGTHS.get(value[:2]) != len(value) or not value.isascii() or not value.isalnum():
        return False
    number = "".join(str(int(char, 36)) for char in value[4:] + value[:4])
    return int(number) % 97 == 1 and len(set(value[4:])) > 2


def us_ssn(candidate: Candidate) -> bool:
    """A US social security number in an assignable range, none of the famous invalid ones."""
    digits = re.sub(r"\D", "", candidate.value)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if len(digits) != 9 or area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000":
        return False
    return digits not in ("078051120", "219099999", "123456789", "111111111") and len(set(digits)) > 2


_NO_MAIL_DOMAIN: Final = re.compile(
    r"(?:^|\.)(?:example\.(?:com|org|net|edu|invalid)|example|test|invalid|localhost|local|localdomain|internal|lan|"
    r"users\.noreply\.github\.com|noreply\.github\.com|domain\.(?:com|tld)|yourdomain\.com|company\.com|acme\.(?:com|org)|"
    r"email\.com|mail\.test|sentry\.io|foo\.com|bar\.com|foo\.bar|host\.com|server\.com|s3\.amazonaws\.com)$",
    re.IGNORECASE,
)
_NO_MAIL_USER: Final = re.compile(
    r"^(?:git|hg|svn|no-?reply|do-?not-?reply|user(?:name)?|your[._-]?(?:name|email)|you|me|foo|bar|name|email|someone|"
    r"somebody|nobody|test|x+|security|postmaster|mailer-daemon)$",
    re.IGNORECASE,
)
_FILE_ENDINGS: Final = word_set(
    "png jpg jpeg gif svg webp ico bmp js ts tsx jsx mjs cjs css scss less html htm json yaml yml toml xml md txt py rb rs "
    "go java kt c h cc cpp hpp cs sh bash zsh fish ps1 bat exe dll so dylib zip gz tar tgz bz2 xz whl jar war log lock "
    "map service socket timer target mount slice scope device conf cfg ini sql db pdf doc csv tsv mp4 mp3 wav woff ttf "
    "vue svelte php pl lua el vim test spec"
)


def email(candidate: Candidate) -> bool:
    """A person's address: not `git@host`, not noreply or documentation domains, not a file name, not part of a URL."""
    user, _, domain = candidate.value.rpartition("@")
    if _NO_MAIL_USER.match(user) or _NO_MAIL_DOMAIN.search(domain):
        return False
    ending = domain.rsplit(".", 1)[-1].lower()
    if ending in _FILE_ENDINGS or not ending.isalpha() or len(user) > 64 or len(set(user)) < 2:
        return False
    if ".." in candidate.value or user.startswith(".") or user.endswith("."):
        return False
    lead = re.split(r"[\s\"'<>(),;]", candidate.before)[-1]
    if "://" in lead and "?" not in lead:
        return False  # userinfo of a URL: the rules for DSN passwords look at it
    return not (candidate.after.startswith(":") and re.match(r":[\w~./-]+\.git\b|:[\w.-]+/", candidate.after))


def phone(candidate: Candidate) -> bool:
    """A number that the numbering plan of its country knows; national ones (no `+`) by the context word that led here."""
    import phonenumbers

    value = candidate.value
    digits = re.sub(r"\D", "", value)
    if len(set(digits)) < 4 or not 7 <= len(digits) <= 15:
        return False
    if re.match(r"[.,]\d|\s?[%*/=]", candidate.after):
        return False  # a number of another kind
    if "555" in digits and re.search(r"555[^\d]?01\d\d$", value):
        return False  # numbers reserved for fiction (NANPA 555-0100 to 555-0199)
    for region in (None,) if value.lstrip(" (").startswith("+") else ("US", "GB", "DE", "FR", "IN", "ES", "IT"):
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(value, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def public_ip(candidate: Candidate) -> bool:
    """An address of the public internet; private, loopback, documentation and multicast ranges are none."""
    try:
        address = ipaddress.ip_address(candidate.value)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast


_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58check(candidate: Candidate) -> bool:
    """A base58check string whose last four bytes are the double SHA-256 of the rest (Bitcoin addresses and keys)."""
    number = 0
    for char in candidate.value:
        digit = _BASE58.find(char)
        if digit < 0:
            return False
        number = number * 58 + digit
    zeros = len(candidate.value) - len(candidate.value.lstrip("1"))
    raw = b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
    return len(raw) > 8 and hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(candidate: Candidate) -> bool:
    """A bech32 or bech32m string whose checksum holds (BIP 173, BIP 350)."""
    value = candidate.value.lower()
    prefix, separator, data = value.rpartition("1")
    if not separator or len(data) < 6 or any(char not in _BECH32 for char in data):
        return False
    checksum = 1
    symbols = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32.index(c) for c in data]
    for symbol in symbols:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ symbol
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum in (1, 0x2BC830A3)


_AFTER_COMMA: Final = re.compile(r",\s*[a-z@$]{0,2}\\*[\"'`]\Z")


def literal(candidate: Candidate) -> bool:
    """A literal value where its syntax quotes values: no reference, no placeholder, no name of a type."""
    value = candidate.value
    if _AFTER_COMMA.search(candidate.before) and not (any(char.isdigit() for char in value) and value.isascii()):
        return False  # a list of names, or a call such as `getattr(self.password, 'hash')`
    return literal_value(value, candidate.key, "quoted")


def literal_env(candidate: Candidate) -> bool:
    """A literal value in `KEY=value` without quotes: environment files, shell exports, properties."""
    return literal_value(candidate.value, candidate.key, "env")


def literal_bare(candidate: Candidate) -> bool:
    """A literal value after `key: ` or `key = ` without quotes: YAML, INI, notes. Code is told from it by shape."""
    return literal_value(candidate.value, candidate.key, "bare")


def literal_inline(candidate: Candidate) -> bool:
    """A literal in `key=value` inside a line: as for environment files, but calls with keyword arguments are likelier."""
    value = candidate.value
    if not (any(char.isdigit() for char in value) or re.search(r"[^\w.\[\]-]", value)):
        return False  # `f(password=password)`, `--token string`
    return literal_value(value, candidate.key, "env") and literal_value(value, candidate.key, "bare")


def literal_query(candidate: Candidate) -> bool:
    """The value of a query parameter that was generated, not typed: long, with letters and digits."""
    value = candidate.value
    return len(value) >= 12 and mixed(candidate) and not is_common(value) and literal_value(value, "token", "env")


def literal_token(candidate: Candidate) -> bool:
    """The token of a header: generated, or at least no word."""
    return literal_value(candidate.value.rstrip(".,:"), "token", "env")


def cookie(candidate: Candidate) -> bool:
    """Cookies of which at least one value is long and random enough to stand for a session."""
    values = [pair.partition("=")[2] for pair in candidate.value.split(";")]
    return any(
        len(value) >= 16 and shannon_entropy(value) > 3.0 and any(c.isdigit() for c in value) for value in values
    )


def userinfo_password(candidate: Candidate) -> bool:
    """The password of `scheme://user:password@host`, unless it is a reference, a mask or the word for itself."""
    value = candidate.value
    if re.match(r"\d{1,5}[/?#]", value):
        return False  # a port and a path: the `@` comes later
    if value.lower() in PLACEHOLDER_VALUES or re.fullmatch(
        r"[x*.\-_]+|\$.*|%[\w]+%|[<{\[(].*|\{\{?.*", value, re.IGNORECASE
    ):
        return False
    return words_of(value) not in (["your", "password"], ["my", "password"])


VALIDATORS: Final[Mapping[str, Validator]] = {
    "base58check": base58check,
    "basic_credentials": basic_credentials,
    "bech32": bech32,
    "card_number": card_number,
    "checked_token": checked_token,
    "cookie": cookie,
    "credential_name": credential_name,
    "drawn": drawn,
    "email": email,
    "generated": generated,
    "gitlab_token": gitlab_token,
    "generated_marks": lambda candidate: generated_marks(candidate.value),
    "iban": iban,
    "issued": issued,
    "jwt": jwt,
    "literal": literal,
    "literal_bare": literal_bare,
    "literal_env": literal_env,
    "literal_inline": literal_inline,
    "literal_query": literal_query,
    "literal_token": literal_token,
    "literal_wifi": literal_wifi,
    "mixed": mixed,
    "not_placeholder": lambda candidate: not_placeholder(candidate.value),
    "pem_body": pem_body,
    "phone": phone,
    "private_key_der": private_key_der,
    "public_ip": public_ip,
    "random": lambda candidate: looks_random(candidate.value),
    "random_looking": random_looking,
    "random_or_mixed": lambda candidate: random_or_mixed(candidate.value, candidate.key),
    "told": lambda candidate: told(candidate.value),
    "secp256k1_scalar": secp256k1_scalar,
    "solana_array": solana_array,
    "solana_base58": solana_base58,
    "stellar_seed": stellar_seed,
    "us_ssn": us_ssn,
    "userinfo_password": userinfo_password,
}
