"""Check digits and structure of numbers of persons outside Europe and the Americas: identity, tax, social security, health.

As in `national_ids_europe`: the number comes compacted, and the sources stand at the rules.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from localguard.detect.check_digits import luhn, month_day, varied, verhoeff, weighted

_BASE36: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NHI: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_CN_PROVINCES: Final = [
    "11",
    "12",
    "13",
    "14",
    "15",
    "21",
    "22",
    "23",
    "31",
    "32",
    "33",
    "34",
    "35",
    "36",
    "37",
    "41",
    "42",
    "43",
    "44",
    "45",
    "46",
    "50",
    "51",
    "52",
    "53",
    "54",
    "61",
    "62",
    "63",
    "64",
    "65",
    "71",
    "81",
    "82",
    "83",
]


def ae_id(number: str) -> bool:
    """Emirates ID: 784, year of birth, serial, Luhn."""
    return number.startswith(("78419", "78420")) and luhn(number)


def au_abn(number: str) -> bool:
    """Australian business number (sole traders have one): mod 89."""
    total = weighted(number, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) - 10
    return number[0] != "0" and total % 89 == 0 and varied(number)


def au_medicare(number: str) -> bool:
    """Australian Medicare card number, with or without the reference digit of the person."""
    return number[0] in "23456" and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(number[8]) and varied(number)


def au_tfn(number: str) -> bool:
    """Australian tax file number of nine digits."""
    return weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and varied(number)


def cn_resident_id(number: str) -> bool:
    """Chinese resident identity number of 18 characters (GB 11643-1999): province, date, serial, mod 11-2."""
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number) or number[:2] not in _CN_PROVINCES:
        return False
    dated = number[6:8] in ("18", "19", "20") and month_day(int(number[10:12]), int(number[12:14]))
    return (
        dated
        and "10X98765432"[weighted(number, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11] == number[17]
    )


def eg_id(number: str) -> bool:
    """Egyptian national number: century, date of birth, governorate."""
    return number[0] in "23" and month_day(int(number[3:5]), int(number[5:7])) and 1 <= int(number[7:9]) <= 88


def hk_id(number: str) -> bool:
    """Hong Kong identity card: one or two letters, six digits, check character."""
    if not re.fullmatch(r"[A-Z]{1,2}[0-9]{6}[0-9A]", number):
        return False
    values = [36] * (9 - len(number)) + [int(char, 36) for char in number]  # a missing letter counts as a space
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def il_id(number: str) -> bool:
    """Israeli identity number: Luhn over nine digits from the left."""
    return luhn(number) and varied(number)


def in_aadhaar(number: str) -> bool:
    """Indian Aadhaar number: Verhoeff, first digit above 1, no palindrome."""
    return number[0] > "1" and number != number[::-1] and verhoeff(number) and varied(number)


def in_pan(number: str) -> bool:
    """Indian permanent account number: its fourth letter is a kind of holder."""
    return bool(re.fullmatch(r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", number)) and number[5:9] != "0000"


def in_gstin(number: str) -> bool:
    """Indian goods and services tax number: state, PAN, entity, Z, check character."""
    if not re.fullmatch(r"[0-3][0-9][A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]", number):
        return False
    total = 0
    for position, char in enumerate(number[:14]):
        total += sum(divmod(_BASE36.index(char) * (1 + position % 2), 36))
    return in_pan(number[2:12]) and _BASE36[-total % 36] == number[14]


def jp_my_number(number: str) -> bool:
    """Japanese individual number: eleven digits and a check digit."""
    rest = weighted(number, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == int(number[11]) and varied(number)


def kr_rrn(number: str) -> bool:
    """Korean resident or alien registration number: date, sex and century; numbers since 2020 have no check digit."""
    return number[6] in "12345678" and month_day(int(number[2:4]), int(number[4:6])) and varied(number[6:])


def kz_iin(number: str) -> bool:
    """Kazakh individual identification number."""
    check = weighted(number, range(1, 12)) % 11
    if check == 10:
        check = weighted(number, (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)) % 11
    return month_day(int(number[2:4]), int(number[4:6])) and number[6] in "0123456" and check == int(number[11])


def my_nric(number: str) -> bool:
    """Malaysian identity card: date of birth, place, serial (no check digit)."""
    return month_day(int(number[2:4]), int(number[4:6])) and number[6:8] not in ("00", "17", "18", "19", "20")


def nz_ird(number: str) -> bool:
    """New Zealand tax number of eight or nine digits."""
    digits = number.rjust(9, "0")
    check = -weighted(digits, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
    if check == 10:
        check = -weighted(digits, (7, 4, 3, 2, 5, 2, 7, 6)) % 11
    return check == int(digits[8]) and 10_000_000 < int(digits) < 150_000_000 and varied(number)


def nz_nhi(number: str) -> bool:
    """New Zealand health index number, in its old (three letters, four digits) or new form."""
    if not re.fullmatch(r"[A-HJ-NP-Z]{3}(?:[0-9]{4}|[0-9]{2}[A-HJ-NP-Z]{2})", number):
        return False
    values = [_NHI.index(char) + 1 if char.isalpha() else int(char) for char in number]
    total = sum(value * weight for value, weight in zip(values, range(7, 1, -1), strict=False))
    if number[6].isalpha():
        return _NHI[22 - total % 23] == number[6]
    return total % 11 != 0 and (11 - total % 11) % 10 == int(number[6])


def ru_inn(number: str) -> bool:
    """Russian tax number of a person: two check digits."""
    first = weighted(number, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    second = weighted(number, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    return number[10:] == f"{first}{second}" and varied(number)


def ru_snils(number: str) -> bool:
    """Russian pension insurance number."""
    return weighted(number, range(9, 0, -1)) % 101 % 100 == int(number[9:]) and varied(number)


def sa_id(number: str) -> bool:
    """Saudi national or resident identity number: first digit 1 or 2, Luhn."""
    return number[0] in "12" and luhn(number) and varied(number)


def sg_nric(number: str) -> bool:
    """Singaporean NRIC or FIN: seven digits and the letter of its series."""
    if not re.fullmatch(r"[STFGM][0-9]{7}[A-Z]", number):
        return False
    rest = weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(number[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "KLJNPQRTUWX"}.get(number[0], "XWUTRQPNMLK")
    index = 10 - rest % 11 if number[0] == "M" else rest % 11
    return letters[index] == number[8] and len(set(number[1:8])) > 2


def th_id(number: str) -> bool:
    """Thai identity number of 13 digits."""
    return number[0] in "12345678" and (11 - weighted(number, range(13, 1, -1)) % 11) % 10 == int(number[12])


def tr_id(number: str) -> bool:
    """Turkish identity number: two check digits."""
    digits = [int(char) for char in number]
    tenth = (sum(digits[0:9:2]) * 7 - sum(digits[1:8:2])) % 10
    return digits[0] != 0 and tenth == digits[9] and sum(digits[:10]) % 10 == digits[10] and varied(number)


def tw_id(number: str) -> bool:
    """Taiwanese identity or resident certificate number: a letter, nine digits, check digit."""
    if not re.fullmatch(r"[A-Z][1289][0-9]{8}", number):
        return False
    region = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(number[0]) + 10
    digits = f"{region}{number[1:]}"
    return weighted(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0 and varied(number[1:])


def ua_rnokpp(number: str) -> bool:
    """Ukrainian tax number of a person."""
    return weighted(number, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == int(number[9]) and varied(number)


def za_id(number: str) -> bool:
    """South African identity number: date of birth, serial, citizenship, Luhn."""
    return month_day(int(number[2:4]), int(number[4:6])) and number[10] in "012" and luhn(number)


WORLD: Final[Mapping[str, tuple[Callable[[str], bool], tuple[int, ...]]]] = {
    # name: check, lengths of the compacted number
    "ae_id": (ae_id, (15,)),
    "au_abn": (au_abn, (11,)),
    "au_medicare": (au_medicare, (10, 11)),
    "au_tfn": (au_tfn, (9,)),
    "cn_resident_id": (cn_resident_id, (18,)),
    "eg_id": (eg_id, (14,)),
    "hk_id": (hk_id, (8, 9)),
    "il_id": (il_id, (9,)),
    "in_aadhaar": (in_aadhaar, (12,)),
    "in_gstin": (in_gstin, (15,)),
    "in_pan": (in_pan, (10,)),
    "jp_my_number": (jp_my_number, (12,)),
    "kr_rrn": (kr_rrn, (13,)),
    "kz_iin": (kz_iin, (12,)),
    "my_nric": (my_nric, (12,)),
    "nz_ird": (nz_ird, (8, 9)),
    "nz_nhi": (nz_nhi, (7,)),
    "ru_inn": (ru_inn, (12,)),
    "ru_snils": (ru_snils, (11,)),
    "sa_id": (sa_id, (10,)),
    "sg_nric": (sg_nric, (9,)),
    "th_id": (th_id, (13,)),
    "tr_id": (tr_id, (11,)),
    "tw_id": (tw_id, (10,)),
    "ua_rnokpp": (ua_rnokpp, (10,)),
    "za_id": (za_id, (13,)),
}
