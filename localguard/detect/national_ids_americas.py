"""Check digits and structure of numbers of persons in the Americas: identity, tax, social security, health.

As in `national_ids_europe`: the number comes compacted, and the sources stand at the rules.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from localguard.detect.check_digits import luhn, luhn_sum, month_day, varied, weighted

_CURP: Final = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
_RFC: Final = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ Ñ"
_MX_STATES: Final = [
    "AS",
    "BC",
    "BS",
    "CC",
    "CL",
    "CM",
    "CS",
    "CH",
    "DF",
    "DG",
    "GT",
    "GR",
    "HG",
    "JC",
    "MC",
    "MN",
    "MS",
    "NT",
    "NL",
    "OC",
    "PL",
    "QT",
    "QR",
    "SP",
    "SL",
    "SR",
    "TC",
    "TS",
    "TL",
    "VZ",
    "YN",
    "ZS",
    "NE",
]


def ar_cuit(number: str) -> bool:
    """Argentine CUIT or CUIL."""
    check = -weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    known = number[:2] in ("20", "23", "24", "25", "26", "27", "30", "33", "34")
    return known and (9 if check == 10 else check) == int(number[10]) and varied(number[2:10])


def ar_cbu(number: str) -> bool:
    """Argentine bank account number: two blocks, each with its check digit."""
    first = -weighted(number, (7, 1, 3, 9, 7, 1, 3)) % 10 == int(number[7])
    return first and -weighted(number[8:], (3, 9, 7, 1) * 3 + (3,)) % 10 == int(number[21]) and varied(number)


def br_cpf(number: str) -> bool:
    """Brazilian taxpayer number of a person: two check digits."""
    first = -weighted(number, range(10, 1, -1)) % 11 % 10
    second = -weighted(number, range(11, 1, -1)) % 11 % 10
    return number[9:] == f"{first}{second}" and varied(number)


def br_cnpj(number: str) -> bool:
    """Brazilian taxpayer number of an organisation, digits or (from July 2026) letters: two check digits."""
    if not re.fullmatch(r"[0-9A-Z]{12}[0-9]{2}", number):
        return False
    values = [ord(char) - 48 for char in number]

    def check(size: int) -> int:
        weights = [(position % 8) + 2 for position in range(size)][::-1]
        rest = sum(v * w for v, w in zip(values[:size], weights, strict=True)) % 11
        return 0 if rest < 2 else 11 - rest

    return check(12) == values[12] and check(13) == values[13] and varied(number)


def br_pis(number: str) -> bool:
    """Brazilian PIS, PASEP or NIS number."""
    return -weighted(number, (3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) % 11 % 10 == int(number[10]) and varied(number)


def ca_sin(number: str) -> bool:
    """Canadian social insurance number: Luhn, first digit neither 0 nor 8."""
    return number[0] not in "08" and luhn(number) and varied(number)


def ca_ohip(number: str) -> bool:
    """Ontario health card number, with or without its version code."""
    return bool(re.fullmatch(r"[1-9][0-9]{9}[A-Z]{0,2}", number)) and luhn(number[:10]) and varied(number[:10])


def cl_rut(number: str) -> bool:
    """Chilean RUN or RUT: mod 11, K for ten."""
    if not re.fullmatch(r"[0-9]{7,8}[0-9K]", number):
        return False
    check = -sum(int(digit) * (position % 6 + 2) for position, digit in enumerate(reversed(number[:-1]))) % 11
    return "0123456789K"[check] == number[-1] and varied(number[:-1])


def co_nit(number: str) -> bool:
    """Colombian tax number with its check digit."""
    weights = (3, 7, 13, 17, 19, 23, 29, 37, 41, 43, 47, 53, 59, 67, 71)
    rest = weighted(number[-2::-1], weights) % 11
    return (rest if rest < 2 else 11 - rest) == int(number[-1]) and varied(number)


def ec_cedula(number: str) -> bool:
    """Ecuadorian identity card: province, Luhn."""
    return (1 <= int(number[:2]) <= 24 or number[:2] == "30") and number[2] < "6" and luhn(number)


def mx_curp(number: str) -> bool:
    """Mexican population registry code: name letters, date, sex, state, consonants, check digit."""
    if not re.fullmatch(r"[A-Z][AEIOUX][A-Z]{2}[0-9]{6}[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[0-9A-Z][0-9]", number):
        return False
    if number[11:13] not in _MX_STATES or not month_day(int(number[6:8]), int(number[8:10])):
        return False
    total = sum(_CURP.index(char) * (18 - position) for position, char in enumerate(number[:17]))
    return -total % 10 == int(number[17])


def mx_rfc(number: str) -> bool:
    """Mexican tax code of a person: name letters, date, two characters and a check character."""
    if not re.fullmatch(r"[A-ZÑ&]{4}[0-9]{6}[0-9A-Z]{2}[0-9A]", number):
        return False
    total = sum(_RFC.index(char) * (13 - position) for position, char in enumerate(number[:12]))
    check = -total % 11
    return month_day(int(number[6:8]), int(number[8:10])) and ("A" if check == 10 else str(check)) == number[12]


def mx_nss(number: str) -> bool:
    """Mexican social security number: Luhn."""
    return luhn(number) and varied(number)


def mx_clabe(number: str) -> bool:
    """Mexican bank account number: weights 3-7-1, each product modulo 10."""
    total = sum(int(digit) * (3, 7, 1)[position % 3] % 10 for position, digit in enumerate(number[:17]))
    return -total % 10 == int(number[17]) and varied(number)


def pe_ruc(number: str) -> bool:
    """Peruvian tax number of eleven digits."""
    check = (11 - weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 10
    return number[:2] in ("10", "15", "16", "17", "20") and check == int(number[10])


def us_npi(number: str) -> bool:
    """US national provider identifier: Luhn over 80840 and its ten digits."""
    return number[0] in "12" and (luhn_sum(number) + 24) % 10 == 0


def us_dea(number: str) -> bool:
    """US DEA registration: two letters, six digits, check digit."""
    if not re.fullmatch(r"[ABCDEFGHJKLMPRSTUX][A-Z9][0-9]{7}", number):
        return False
    digits = [int(char) for char in number[2:]]
    return (digits[0] + digits[2] + digits[4] + 2 * (digits[1] + digits[3] + digits[5])) % 10 == digits[6]


def us_mbi(number: str) -> bool:
    """US Medicare beneficiary identifier: eleven characters of fixed kinds, no S, L, O, I, B, Z."""
    letter = "[AC-HJKMNP-RT-Y]"
    either = "[0-9AC-HJKMNP-RT-Y]"
    return bool(re.fullmatch(f"[1-9]{letter}{either}[0-9]{letter}{either}[0-9]{letter}{letter}[0-9]{{2}}", number))


def uy_ci(number: str) -> bool:
    """Uruguayan identity card."""
    return -weighted(number.rjust(8, "0"), (2, 9, 8, 7, 6, 3, 4)) % 10 == int(number[-1]) and varied(number)


AMERICAS: Final[Mapping[str, tuple[Callable[[str], bool], tuple[int, ...]]]] = {
    # name: check, lengths of the compacted number
    "ar_cbu": (ar_cbu, (22,)),
    "ar_cuit": (ar_cuit, (11,)),
    "br_cnpj": (br_cnpj, (14,)),
    "br_cpf": (br_cpf, (11,)),
    "br_pis": (br_pis, (11,)),
    "ca_ohip": (ca_ohip, (10, 12)),
    "ca_sin": (ca_sin, (9,)),
    "cl_rut": (cl_rut, (8, 9)),
    "co_nit": (co_nit, (10,)),
    "ec_cedula": (ec_cedula, (10,)),
    "mx_clabe": (mx_clabe, (18,)),
    "mx_curp": (mx_curp, (18,)),
    "mx_nss": (mx_nss, (11,)),
    "mx_rfc": (mx_rfc, (13,)),
    "pe_ruc": (pe_ruc, (11,)),
    "us_dea": (us_dea, (9,)),
    "us_mbi": (us_mbi, (11,)),
    "us_npi": (us_npi, (10,)),
    "uy_ci": (uy_ci, (7, 8)),
}
