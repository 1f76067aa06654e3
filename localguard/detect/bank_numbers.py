"""Validators for cards, accounts and banks."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from localguard.detect.candidate import Candidate, Validator
from localguard.detect.check_digits import luhn, mod_97_10, varied, weighted
from localguard.detect.words import word_set

# Numbers that card networks and payment services publish for tests, hashed so that no card number stands here.
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
        "2223000048400011",
        "378282246310005",
        "371449635398431",
        "378734493671000",
        "6011111111111117",
        "6011000990139424",
        "6011000000000012",
        "6011000000000004",
        "3056930009020004",
        "30569309025904",
        "38520000023237",
        "38000000000006",
        "36227206271667",
        "3530111333300000",
        "3566002020360505",
        "3566111111111113",
        "3088000000000017",
        "6200000000000005",
        "6200000000000047",
        "6205500000000000004",
        "4012888888881881",
        "4012000033330026",
        "4000000000000010",
        "4222222222222",
        "5424000000000015",
        "5431111111111111",
        "2222420000001113",
        "4007000000027",
        "6759649826438453",
        "6799990100000000019",
        "5019717010103742",
        "6331101999990016",
        "4917610000000000",
        "4462030000000000",
        "4911830000000",
        "4917300800000000",
        "4484070000000000",
        "4988438843884305",
        "4166676667666746",
        "4646464646464644",
        "5555341244441115",
        "5577000055770004",
        "5136333333333335",
        "5585558555855583",
        "370000000000002",
        "374245455400126",
        "340000000000009",
    )
)

# Issuer ranges and their lengths (ISO/IEC 7812-1; the networks' own pages). The first are believed by themselves, the
# others, whose prefixes say little or whose lengths are those of many ids, only beside a word that says card.
_CERTAIN: Final = (
    (re.compile(r"4"), (16,)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"3(?:0[0-5]|09|[689])"), (14,)),
    (re.compile(r"35(?:2[89]|[3-8])"), (16,)),
    (re.compile(r"6(?:011|4[4-9]|5)"), (16,)),
    (re.compile(r"62"), (16,)),
    (re.compile(r"220[0-4]"), (16,)),
)
_BESIDE_A_WORD: Final = (
    (re.compile(r"4"), (13, 19)),
    (re.compile(r"3(?:0[0-5]|09|[689])"), (16,)),
    (re.compile(r"35(?:2[89]|[3-8])"), (17, 18, 19)),
    (re.compile(r"2131|1800"), (15,)),
    (re.compile(r"6(?:011|4[4-9]|5)"), (19,)),
    (re.compile(r"62|81"), (16, 17, 18, 19)),
    (re.compile(r"50(?:18|20|38)|5[6-8]|6"), (12, 13, 14, 15, 16, 17, 18, 19)),
    (re.compile(r"5081|508[5-9]|60698|60699|607|608|6521|6522"), (16,)),
    (re.compile(r"9792"), (16,)),
)
_CARD_WORD: Final = re.compile(
    r"(?i)card|karte|carte|tarjeta|carta|cartao|cartão|kaart|kort\b|karta|kortti|kredi|credit|debit|visa|master|maestro|"
    r"amex|diners|discover|jcb|unionpay|(?<![a-z])(?:pan|cc|ccn|pay\w*)(?![a-z])|カード|卡|карт"
)
_GROUPS: Final = (
    [4, 4, 4, 4],
    [4, 6, 5],
    [4, 6, 4],
    [4, 4, 4, 4, 3],
    [4, 4, 4, 1],
    [4, 5, 6],
    [4, 4, 4, 4, 2],
    [4, 4, 4, 3],
    [4, 4, 4],
    [6, 13],
    [8, 8],
)


def card_number(candidate: Candidate) -> bool:
    """A payment card: an issuer range with its length, grouped evenly or not at all, Luhn, and no published test number."""
    value = candidate.value
    digits = re.sub(r"\D", "", value)
    separators = set(re.sub(r"\d", "", value))
    groups = [len(group) for group in re.split(r"\D", value)]
    if len(separators) > 1 or (separators and groups not in _GROUPS) or len(set(digits)) < 4 or not luhn(digits):
        return False
    if not _in_range(digits, _CERTAIN) and not (
        _in_range(digits, _BESIDE_A_WORD)
        and (_CARD_WORD.search(candidate.key) or _CARD_WORD.search(candidate.before.rpartition("\n")[2][-80:]))
    ):
        return False
    if re.match(r"[.,]\d|%|\s?[*/^=]\s?\d", candidate.after) or re.search(r"\d[ ,.-]\Z", candidate.before[-2:]):
        return False  # one of a list of plain numbers, or a decimal
    return hashlib.sha256(digits.encode()).hexdigest()[:16] not in _TEST_CARDS


def _in_range(digits: str, ranges: tuple[tuple[re.Pattern[str], tuple[int, ...]], ...]) -> bool:
    return any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in ranges)


# Length of an IBAN by country: SWIFT, IBAN registry, release 99.
_IBAN_LENGTHS: Final[Mapping[str, int]] = {
    country: int(length)
    for country, length in (
        entry.split(":")
        for entry in sorted(
            word_set(
                "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DJ:27 "
                "DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HN:28 HR:21 HU:28 "
                "IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 "
                "MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 "
                "SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30"
            )
        )
    )
}


def iban(candidate: Candidate) -> bool:
    """An IBAN of a registered country, of that country's length, whose check digits hold (ISO 13616, mod 97)."""
    value = re.sub(r"[\s.-]", "", candidate.value).upper()
    if _IBAN_LENGTHS.get(value[:2]) != len(value) or not value.isascii() or not value.isalnum():
        return False
    return mod_97_10(value[4:] + value[:4]) and len(set(value[4:])) > 2


_COUNTRIES: Final = frozenset(_IBAN_LENGTHS) | word_set(
    "AF AG AI AM AO AR AU AW BB BD BF BJ BM BN BO BS BT BW BZ CA CD CF CG CI CK CL CM CN CO CU CV CW DM DZ EC ER ET FJ FM "
    "GA GD GH GM GN GP GQ GU GW GY HK HT ID IN IR JM JP KE KG KH KI KM KN KP KR KY LA LK LR LS MA MG MH ML MM MO MP MQ MS "
    "MV MW MX MY MZ NA NC NE NG NP NZ PA PE PF PG PH PR PY RE RW SB SG SH SL SN SR SS SX SY SZ TC TD TG TH TJ TM TO TT TV "
    "TW TZ UG US UY UZ VC VE VN VU WS ZA ZM ZW"
)


def bic(candidate: Candidate) -> bool:
    """A business identifier code: four letters, a country, two more, and three for a branch (ISO 9362)."""
    value = candidate.value
    return value[4:6] in _COUNTRIES and value.upper() == value and len(value) in (8, 11)


def aba_routing(candidate: Candidate) -> bool:
    """A US routing number: a Federal Reserve prefix in use, and weights 3-7-1 modulo 10."""
    digits = re.sub(r"\D", "", candidate.value)
    prefix = int(digits[:2] or 99)
    known = prefix <= 12 or 21 <= prefix <= 32 or 61 <= prefix <= 72 or prefix == 80
    return len(digits) == 9 and known and weighted(digits, (3, 7, 1) * 3) % 10 == 0 and varied(digits)


def account_number(candidate: Candidate) -> bool:
    """Digits of an account, not all alike and no counting; what no date, time or version is."""
    digits = re.sub(r"\D", "", candidate.value)
    if re.match(r"[.,]\d|\s?[%*/^]", candidate.after) or re.match(r"(?:19|20)\d\d-\d\d-\d\d", candidate.value):
        return False
    return 6 <= len(digits) <= 20 and varied(digits)


BANK_NUMBERS: Final[Mapping[str, Validator]] = {
    "aba_routing": aba_routing,
    "account_number": account_number,
    "bic": bic,
    "card_number": card_number,
    "iban": iban,
}
