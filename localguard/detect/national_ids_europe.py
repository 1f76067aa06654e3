"""Check digits and structure of European numbers of persons: identity, tax, social security, health.

Every function takes the number compacted to upper-case letters and digits, and answers whether its state could have
issued it. Sources stand at the rules that use them (`rules/person-*.toml`).
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from localguard.detect.check_digits import (
    icao_7_3_1,
    iso_7064_mod_11_10,
    luhn,
    month_day,
    varied,
    weighted,
)

_DNI: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_CIF: Final = "JABCDEFGHI"
_IT_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        b"\1\0\5\7\11\15\17\21\23\25\1\0\5\7\11\15\17\21\23\25\2\4\22\24\13\3\6\10\14\16\20\12\26\31\30\27",
        strict=True,
    )
)
_IT_DIGITS: Final = str.maketrans("LMNPQRSTUV", "0123456789")
_HETU: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_IE: Final = "WABCDEFGHIJKLMNOPQRSTUV"


def _ddmmyy(digits: str) -> bool:
    return month_day(int(digits[2:4]), int(digits[:2]))


def at_svnr(number: str) -> bool:
    """Austrian social security number: serial, check digit, date of birth."""
    check = weighted(number, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
    return number[0] != "0" and check == int(number[3]) and 1 <= int(number[4:6]) <= 31 and 1 <= int(number[6:8]) <= 15


def be_register(number: str) -> bool:
    """Belgian national register number (also bis numbers): 97 less the remainder, births from 2000 with a 2 before."""
    month, day = int(number[2:4]), int(number[4:6])
    body, check = number[:9], int(number[9:])
    valid = check in (97 - int(body) % 97, 97 - int("2" + body) % 97)
    return valid and month % 20 <= 12 and month < 60 and day <= 31 and varied(number)


def bg_egn(number: str) -> bool:
    """Bulgarian uniform civil number."""
    month = int(number[2:4])
    dated = month_day(month - (40 if month > 40 else 20 if month > 20 else 0), int(number[4:6]))
    return dated and weighted(number, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(number[9])


def ch_ahv(number: str) -> bool:
    """Swiss (and Liechtenstein) AHV number: EAN-13 under the country code 756."""
    return number.startswith("756") and weighted(number, (1, 3) * 6 + (1,)) % 10 == 0 and varied(number[3:])


def cz_rodne_cislo(number: str) -> bool:
    """Czech and Slovak birth number of ten digits: a date (women: month + 50; +20 where numbers ran out), mod 11."""
    month = int(number[2:4]) % 50
    dated = month_day(month - 20 if month > 20 else month, int(number[4:6]))
    return dated and (int(number) % 11 == 0 or (int(number[:9]) % 11 == 10 and number[9] == "0"))


def de_tax_id(number: str) -> bool:
    """German tax identification number: one digit twice or three times among the first ten, ISO 7064 MOD 11,10."""
    counts = sorted(number[:10].count(digit) for digit in set(number[:10]))
    repeated = counts[-1] in (2, 3) and counts[-2] == 1
    return number[0] != "0" and repeated and "000" not in number[:10] and iso_7064_mod_11_10(number)


def de_pension(number: str) -> bool:
    """German pension insurance number: area, date of birth, initial, serial, check digit."""
    if not re.fullmatch(r"[0-9]{8}[A-Z][0-9]{3}", number):
        return False
    digits = number[:8] + f"{ord(number[8]) - 64:02d}" + number[9:11]
    products = (int(d) * w for d, w in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    check = sum(product // 10 + product % 10 for product in products) % 10
    return check == int(number[11]) and 1 <= int(number[4:6]) <= 12 and int(number[2:4]) % 50 <= 31


def de_health(number: str) -> bool:
    """German health insurance number, its unchangeable part: a letter, eight digits, check digit."""
    if not re.fullmatch(r"[A-Z][0-9]{9}", number):
        return False
    digits = f"{ord(number[0]) - 64:02d}" + number[1:9]
    products = (int(d) * w for d, w in zip(digits, (1, 2) * 5, strict=True))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(number[9])


def de_id_card(number: str) -> bool:
    """German identity card or passport number with its check digit: nine characters and one digit, weights 7-3-1."""
    shaped = re.fullmatch(r"[CFGHJKLMNPRTVWXYZ0-9]{9}[0-9]", number)
    return bool(shaped) and icao_7_3_1(number[:9]) == int(number[9]) and varied(number)


def dk_cpr(number: str) -> bool:
    """Danish CPR number: a date and a serial (since 2007 without a check digit)."""
    return _ddmmyy(number) and number[6:] != "0000" and varied(number)


def ee_isikukood(number: str) -> bool:
    """Estonian or Lithuanian personal code."""
    if not ("1" <= number[0] <= "8" and month_day(int(number[3:5]), int(number[5:7]))):
        return False
    check = weighted(number, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(number, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return check == int(number[10])


def es_dni(number: str) -> bool:
    """Spanish DNI (eight digits) or NIE (X, Y or Z and seven digits) with its letter."""
    if not re.fullmatch(r"[XYZ0-9][0-9]{7}[A-Z]", number):
        return False
    digits = number[:8].translate(str.maketrans("XYZ", "012"))
    return _DNI[int(digits) % 23] == number[8] and int(digits) > 9999


def es_cif(number: str) -> bool:
    """Spanish tax number of an organisation or of a person without DNI."""
    if not re.fullmatch(r"[ABCDEFGHJKLMNPQRSUVW][0-9]{7}[0-9A-J]", number):
        return False
    odd = sum(sum(divmod(int(digit) * 2, 10)) for digit in number[1:8:2])
    check = -(odd + sum(map(int, number[2:8:2]))) % 10
    return number[8] in (str(check), _CIF[check])


def es_nuss(number: str) -> bool:
    """Spanish social security number: province, serial, mod 97."""
    serial = number[2:10]
    body = number[:2] + (serial if int(serial) >= 10_000_000 else serial[1:])
    return 1 <= int(number[:2]) <= 66 and int(body) % 97 == int(number[10:])


def fi_hetu(number: str) -> bool:
    """Finnish personal identity code, its century sign left out: date, serial, mod 31 letter."""
    if not re.fullmatch(r"[0-9]{6}[A-FU-Y]?[0-9]{3}[0-9A-Y]", number):
        return False
    digits = number[:6] + number[-4:-1]
    return _ddmmyy(number) and _HETU[int(digits) % 31] == number[-1] and int(number[-4:-1]) >= 2


def fr_nir(number: str) -> bool:
    """French social security number with its key: sex, year, month, place (also 2A, 2B), serial, 97 less the remainder."""
    if not re.fullmatch(r"[1-478][0-9]{4}[0-9][0-9AB][0-9]{8}", number):
        return False
    month = int(number[3:5])
    body = number[:13].replace("2A", "19", 1) if number[5:7] == "2A" else number[:13]
    body = body.replace("2B", "18", 1) if number[5:7] == "2B" else body
    if not body.isdigit() or not (1 <= month <= 12 or 20 <= month <= 42 or month >= 50):
        return False
    return 97 - int(body) % 97 == int(number[13:])


def fr_spi(number: str) -> bool:
    """French tax number (SPI): ten digits and their remainder by 511."""
    return number[0] in "0123" and int(number[:10]) % 511 == int(number[10:])


def gb_nhs(number: str) -> bool:
    """NHS number: mod 11 over nine digits."""
    check = 11 - weighted(number, range(10, 1, -1)) % 11
    return check != 10 and check % 11 == int(number[9]) and varied(number)


def gb_nino(number: str) -> bool:
    """National Insurance number: two letters of those in use, six digits, suffix A to D."""
    shaped = re.fullmatch(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]?", number)
    return bool(shaped) and number[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ") and varied(number[2:8])


def gb_utr(number: str) -> bool:
    """UK unique taxpayer reference: its first digit checks the nine others."""
    return "21987654321"[weighted(number[1:], (6, 7, 8, 9, 10, 5, 4, 3, 2)) % 11] == number[0] and varied(number)


def gb_driving_licence(number: str) -> bool:
    """British driving licence: surname, decade, month (women: + 50), day, year, initials, check characters."""
    if not re.fullmatch(r"[A-Z]{1,5}9{0,4}[0-9]{6}[A-Z][A-Z9][0-9A-Z]{3}", number) or len(number) != 16:
        return False
    return month_day(int(number[6:8]) % 50, int(number[8:10]))


def gr_afm(number: str) -> bool:
    """Greek tax number."""
    return weighted(number, (256, 128, 64, 32, 16, 8, 4, 2)) % 11 % 10 == int(number[8]) and varied(number)


def gr_amka(number: str) -> bool:
    """Greek social security number: date of birth, serial, Luhn."""
    return _ddmmyy(number) and luhn(number)


def hr_oib(number: str) -> bool:
    """Croatian personal identification number."""
    return iso_7064_mod_11_10(number) and varied(number)


def hu_taj(number: str) -> bool:
    """Hungarian social security number."""
    return weighted(number, (3, 7) * 4) % 10 == int(number[8]) and varied(number)


def hu_tax(number: str) -> bool:
    """Hungarian tax identification of a person."""
    return number[0] == "8" and weighted(number, range(1, 10)) % 11 == int(number[9])


def ie_pps(number: str) -> bool:
    """Irish PPS number: seven digits, check letter, and since 2013 a second letter."""
    if not re.fullmatch(r"[0-9]{7}[A-W][A-IW]?", number):
        return False
    total = weighted(number[:7], range(8, 1, -1)) + 9 * (_IE.index(number[8]) if len(number) == 9 else 0)
    return _IE[total % 23] == number[7] and varied(number[:7])


def is_kennitala(number: str) -> bool:
    """Icelandic identification number of a person."""
    check = -weighted(number, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return _ddmmyy(number) and check == int(number[8]) and number[9] in "890"


def it_fiscal_code(number: str) -> bool:
    """Italian codice fiscale of a person, digits also in their letters for equal codes (omocodia)."""
    if not re.fullmatch(r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]", number):
        return False
    total = sum(
        _IT_ODD[char] if position % 2 == 0 else (int(char, 36) - 10 if char.isalpha() else int(char))
        for position, char in enumerate(number[:15])
    )
    day = int(number[9:11].translate(_IT_DIGITS)) % 40
    return chr(65 + total % 26) == number[15] and 1 <= day <= 31


def it_vat(number: str) -> bool:
    """Italian VAT number, also of one person's business: province, Luhn."""
    digits = number.removeprefix("IT")
    return len(digits) == 11 and 1 <= int(digits[7:10]) <= 201 and luhn(digits) and varied(digits)


def lu_matricule(number: str) -> bool:
    """Luxembourg identification number: date of birth, serial, Luhn and Verhoeff digits."""
    dated = 1850 <= int(number[:4]) <= 2099 and month_day(int(number[4:6]), int(number[6:8]))
    return dated and luhn(number[:12])


def lv_personal_code(number: str) -> bool:
    """Latvian personal code: date form with its check digit, or the form that begins with 32 and has none."""
    if number.startswith("32"):
        return varied(number)
    check = (1101 - weighted(number, (1, 6, 3, 7, 9, 10, 5, 8, 4, 2))) % 11
    return _ddmmyy(number) and check == int(number[10])


def nl_bsn(number: str) -> bool:
    """Dutch citizen service number: the eleven test with the last weight negative."""
    return weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and varied(number) and int(number) > 9_999_999


def no_fnr(number: str) -> bool:
    """Norwegian national identity number (also D- and H-numbers): date, two check digits."""
    day, month = int(number[:2]) % 40, int(number[2:4]) % 40
    if not month_day(month, day):
        return False
    first = -weighted(number, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return first == int(number[9]) and second == int(number[10])


def pl_pesel(number: str) -> bool:
    """Polish PESEL: date with the century in the month, check digit."""
    dated = month_day(int(number[2:4]) % 20, int(number[4:6]))
    return dated and -weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 == int(number[10])


def pl_nip(number: str) -> bool:
    """Polish tax number."""
    return weighted(number, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(number[9]) and varied(number)


def pl_id_card(number: str) -> bool:
    """Polish identity card: three letters, check digit, five digits."""
    if not re.fullmatch(r"[A-Z]{3}[0-9]{6}", number):
        return False
    values = [int(char, 36) for char in number]
    weights = (7, 3, 1, 0, 7, 3, 1, 7, 3)
    return sum(v * w for v, w in zip(values, weights, strict=True)) % 10 == values[3]


def pt_nif(number: str) -> bool:
    """Portuguese tax number."""
    check = -weighted(number, range(9, 1, -1)) % 11
    return number[0] in "1235689" and check % 10 == int(number[8]) and varied(number)


def pt_citizen_card(number: str) -> bool:
    """Portuguese citizen card: eight digits, a check digit, two letters or digits, a check digit."""
    if not re.fullmatch(r"[0-9]{9}[A-Z0-9]{2}[0-9]", number):
        return False
    values = [int(char, 36) for char in number]
    doubled = [value * 2 if position % 2 == 0 else value for position, value in enumerate(values)]
    return sum(value - 9 if value > 9 and i % 2 == 0 else value for i, value in enumerate(doubled)) % 10 == 0


def pt_niss(number: str) -> bool:
    """Portuguese social security number of a person."""
    return number[0] in "12" and 9 - weighted(number, (29, 23, 19, 17, 13, 11, 7, 5, 3, 2)) % 10 == int(number[10])


def ro_cnp(number: str) -> bool:
    """Romanian personal numeric code."""
    dated = number[0] in "123456789" and month_day(int(number[3:5]), int(number[5:7]))
    check = weighted(number, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return dated and (1 if check == 10 else check) == int(number[12])


def se_personnummer(number: str) -> bool:
    """Swedish personal or coordination number (day + 60): date, serial, Luhn over the last ten digits."""
    short = number[-10:]
    if len(number) == 12 and number[:2] not in ("18", "19", "20"):
        return False
    day = int(short[4:6])
    return month_day(int(short[2:4]), day - 60 if day > 60 else day) and luhn(short)


def yu_jmbg(number: str) -> bool:
    """Unique master citizen number of Serbia, Slovenia, Bosnia, Montenegro, North Macedonia."""
    check = -weighted(number, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return _ddmmyy(number) and check % 10 == int(number[12]) and number[4] in "09"


EUROPE: Final[Mapping[str, tuple[Callable[[str], bool], tuple[int, ...]]]] = {
    # name: check, lengths of the compacted number
    "at_svnr": (at_svnr, (10,)),
    "be_register": (be_register, (11,)),
    "bg_egn": (bg_egn, (10,)),
    "ch_ahv": (ch_ahv, (13,)),
    "cz_rodne_cislo": (cz_rodne_cislo, (10,)),
    "de_health": (de_health, (10,)),
    "de_id_card": (de_id_card, (10,)),
    "de_pension": (de_pension, (12,)),
    "de_tax_id": (de_tax_id, (11,)),
    "dk_cpr": (dk_cpr, (10,)),
    "ee_isikukood": (ee_isikukood, (11,)),
    "es_cif": (es_cif, (9,)),
    "es_dni": (es_dni, (9,)),
    "es_nuss": (es_nuss, (12,)),
    "fi_hetu": (fi_hetu, (10, 11)),
    "fr_nir": (fr_nir, (15,)),
    "fr_spi": (fr_spi, (13,)),
    "gb_driving_licence": (gb_driving_licence, (16,)),
    "gb_nhs": (gb_nhs, (10,)),
    "gb_nino": (gb_nino, (8, 9)),
    "gb_utr": (gb_utr, (10,)),
    "gr_afm": (gr_afm, (9,)),
    "gr_amka": (gr_amka, (11,)),
    "hr_oib": (hr_oib, (11,)),
    "hu_taj": (hu_taj, (9,)),
    "hu_tax": (hu_tax, (10,)),
    "ie_pps": (ie_pps, (8, 9)),
    "is_kennitala": (is_kennitala, (10,)),
    "it_fiscal_code": (it_fiscal_code, (16,)),
    "it_vat": (it_vat, (11, 13)),
    "lu_matricule": (lu_matricule, (13,)),
    "lv_personal_code": (lv_personal_code, (11,)),
    "nl_bsn": (nl_bsn, (9,)),
    "no_fnr": (no_fnr, (11,)),
    "pl_id_card": (pl_id_card, (9,)),
    "pl_nip": (pl_nip, (10,)),
    "pl_pesel": (pl_pesel, (11,)),
    "pt_citizen_card": (pt_citizen_card, (12,)),
    "pt_nif": (pt_nif, (9,)),
    "pt_niss": (pt_niss, (11,)),
    "ro_cnp": (ro_cnp, (13,)),
    "se_personnummer": (se_personnummer, (10, 12)),
    "yu_jmbg": (yu_jmbg, (13,)),
}
