"""Made-up personal data with valid check digits: phones, cards, bank accounts, national numbers, addresses."""

import random
import string
from collections.abc import Callable

import phonenumbers

_PUBLIC_FIRST_OCTETS = (8, 23, 31, 46, 52, 63, 77, 81, 85, 91, 94, 104, 134, 145, 151, 178, 185, 195, 212)
_IBANS = {
    "DE": "n18", "FR": "n10n11n2", "GB": "a4n14", "NL": "a4n10", "ES": "n20", "IT": "a1n10n12", "AT": "n16", "BE": "n12",
    "CH": "n5n12", "PL": "n24", "PT": "n21", "SE": "n20", "IE": "a4n14", "DK": "n14", "FI": "n14", "NO": "n11",
}  # fmt: skip
_STREETS = ("Maple", "Oak", "Cedar", "Washington", "Lincoln", "Park", "Elm", "Walnut")


def digits(chance: random.Random, count: int) -> str:
    """Digits, the first of them no zero."""
    return str(chance.randint(1, 9)) + "".join(chance.choices(string.digits, k=count - 1))


def luhn(body: str) -> str:
    """The digit that makes `body` pass the Luhn check (ISO/IEC 7812-1)."""
    total = sum(sum(divmod(int(d) * (2 if i % 2 == 0 else 1), 10)) for i, d in enumerate(reversed(body)))
    return str(-total % 10)


def _card(chance: random.Random, separator: str) -> str:
    body = chance.choice(("4", "51", "52", "53", "54", "55"))
    body += "".join(chance.choices(string.digits, k=15 - len(body)))
    number = body + luhn(body)
    return separator.join(number[i : i + 4] for i in range(0, 16, 4))


def _amex(chance: random.Random) -> str:
    body = chance.choice(("34", "37")) + "".join(chance.choices(string.digits, k=12))
    return body + luhn(body)


def _iban(chance: random.Random, country: str) -> str:
    pattern, bban = _IBANS[country], ""
    for piece in pattern.replace("n", " n").replace("a", " a").split():
        alphabet = string.digits if piece[0] == "n" else string.ascii_uppercase
        bban += "".join(chance.choices(alphabet, k=int(piece[1:])))
    number = int("".join(str(int(c, 36)) for c in bban + country + "00"))
    return f"{country}{98 - number % 97:02d}{bban}"


def _spaced(iban: str) -> str:
    return " ".join(iban[i : i + 4] for i in range(0, len(iban), 4))


def _phone(chance: random.Random, form: str) -> str:
    if form.startswith("us") or form == "e164":
        area = chance.choice(("212", "310", "415", "512", "617", "702", "206", "303"))
        exchange, line = str(chance.randint(220, 540)), "".join(chance.choices(string.digits, k=4))
        forms = {
            "us": f"({area}) {exchange}-{line}",
            "usdash": f"{area}-{exchange}-{line}",
            "usdot": f"{area}.{exchange}.{line}",
        }
        return forms.get(form, f"+1{area}{exchange}{line}")
    region = chance.choice(("DE", "FR", "GB", "IT", "ES", "NL")) if form == "intl" else form.upper().replace("UK", "GB")
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    spelt = str(example.national_number)
    while True:
        tail = "".join(chance.choices(string.digits, k=5))
        number = phonenumbers.PhoneNumber(country_code=example.country_code, national_number=int(spelt[:-5] + tail))
        if phonenumbers.is_valid_number(number):
            break
    style = phonenumbers.PhoneNumberFormat.INTERNATIONAL if form == "intl" else phonenumbers.PhoneNumberFormat.NATIONAL
    return str(phonenumbers.format_number(number, style))


def _ssn(chance: random.Random) -> str:
    return f"{chance.randint(101, 665)}-{chance.randint(10, 99)}-{chance.randint(1000, 9999)}"


def _ip(chance: random.Random) -> str:
    return f"{chance.choice(_PUBLIC_FIRST_OCTETS)}.{chance.randint(1, 250)}.{chance.randint(1, 250)}.{chance.randint(1, 250)}"


def _ipv6(chance: random.Random) -> str:
    return "2a01:4f8:" + ":".join(f"{chance.randrange(0x1000, 0x10000):x}" for _ in range(6))


def _mac(chance: random.Random) -> str:
    return ":".join(f"{byte:02x}" for byte in (chance.choice((0x00, 0x3C, 0xA4)), *chance.randbytes(5)))


def _street(chance: random.Random, country: str) -> str:
    number = chance.randint(11, 980)
    if country == "us":
        return f"{number} {chance.choice(_STREETS)} {chance.choice(('Street', 'Avenue', 'Lane', 'Drive'))}"
    return f"{chance.choice(('Linden', 'Garten', 'Bahnhof', 'Schul'))}straße {number % 120 + 1}"


def _weighted(body: str, weights: tuple[int, ...]) -> int:
    return sum(int(d) * w for d, w in zip(body, weights, strict=True))


def _br_cpf(chance: random.Random) -> str:
    body = digits(chance, 9)
    for length in (9, 10):
        body += str(_weighted(body, tuple(range(length + 1, 1, -1))) * 10 % 11 % 10)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def _es_dni(chance: random.Random) -> str:
    number = digits(chance, 8)
    return number + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


_VERHOEFF_D = tuple(
    tuple((a + b) % 5 if a < 5 and b < 5 else (a + b) % 5 + 5 if a < 5 else (a - b) % 5 + 5 if b < 5 else (a - b) % 5 for b in range(10))
    for a in range(10)
)  # fmt: skip
_VERHOEFF_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _in_aadhaar(chance: random.Random) -> str:
    body, check = chance.choice("23456789") + "".join(chance.choices(string.digits, k=10)), 0
    for place, digit in enumerate(reversed(body), 1):
        moved = int(digit)
        for _ in range(place % 8):
            moved = _VERHOEFF_STEP[moved]
        check = _VERHOEFF_D[check][moved]
    number = body + str((0, 4, 3, 2, 1, 5, 6, 7, 8, 9)[check])
    return f"{number[:4]} {number[4:8]} {number[8:]}"


_CF_ODD = dict(zip(string.digits + string.ascii_uppercase, (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
), strict=True))  # fmt: skip


def _it_cf(chance: random.Random) -> str:
    letters = "".join(chance.choices("BCDFGLMNPRSTV", k=6))
    body = f"{letters}{chance.randint(50, 99)}{chance.choice('ABCDEHLMPRST')}{chance.randint(10, 28)}{chance.choice('FHL')}{chance.randint(100, 799)}"
    even = sum(int(c) if c.isdigit() else ord(c) - 65 for c in body[1::2])
    return body + chr(65 + (even + sum(_CF_ODD[c] for c in body[0::2])) % 26)


def _nl_bsn(chance: random.Random) -> str:
    while True:
        body = digits(chance, 8)
        check = _weighted(body, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
        if check < 10:
            return body + str(check)


def _fr_nir(chance: random.Random) -> str:
    body = f"{chance.choice('12')}{chance.randint(50, 99)}{chance.randint(1, 12):02d}{chance.randint(21, 89)}{chance.randint(1, 899):03d}{chance.randint(1, 899):03d}"
    return body + f"{97 - int(body) % 97:02d}"


def _birth(chance: random.Random) -> str:
    return f"{chance.randint(50, 99)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}"


def _pl_pesel(chance: random.Random) -> str:
    body = _birth(chance) + "".join(chance.choices(string.digits, k=4))
    return body + str(-_weighted(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)


def _uk_nhs(chance: random.Random) -> str:
    while True:
        body = digits(chance, 9)
        check = 11 - _weighted(body, tuple(range(10, 1, -1))) % 11
        if check != 10:
            number = body + str(check % 11)
            return f"{number[:3]} {number[3:6]} {number[6:]}"


def _uk_nino(chance: random.Random) -> str:
    return f"{chance.choice(('AB', 'CE', 'JK', 'PN'))} {' '.join(str(chance.randint(10, 99)) for _ in range(3))} {chance.choice('ABCD')}"


def _ca_sin(chance: random.Random) -> str:
    body = chance.choice("12345679") + "".join(chance.choices(string.digits, k=7))
    number = body + luhn(body)
    return f"{number[:3]} {number[3:6]} {number[6:]}"


def _au_tfn(chance: random.Random) -> str:
    while True:
        body = digits(chance, 9)
        if _weighted(body, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0:
            return f"{body[:3]} {body[3:6]} {body[6:]}"


def _se_pnr(chance: random.Random) -> str:
    body = _birth(chance) + "".join(chance.choices(string.digits, k=3))
    return f"{body[:6]}-{body[6:]}{luhn(body)}"


def _fi_hetu(chance: random.Random) -> str:
    date = f"{chance.randint(1, 28):02d}{chance.randint(1, 12):02d}{chance.randint(50, 99)}"
    serial = f"{chance.randint(2, 899):03d}"
    return f"{date}-{serial}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(date + serial) % 31]}"


def _de_idnr(chance: random.Random) -> str:
    order = chance.sample(string.digits, 10)
    if order[0] == "0":
        order.reverse()
    body = order[:9]
    body.insert(chance.randint(2, 8), order[1])  # exactly one digit twice
    product = 10
    for digit in body:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return "".join(body) + str((11 - product) % 10)


def _be_nn(chance: random.Random) -> str:
    body = _birth(chance) + f"{chance.randint(1, 997):03d}"
    check = 97 - int(body) % 97
    return f"{body[:2]}.{body[2:4]}.{body[4:6]}-{body[6:]}.{check:02d}"


def _pt_nif(chance: random.Random) -> str:
    body = "2" + "".join(chance.choices(string.digits, k=7))
    check = 11 - _weighted(body, tuple(range(9, 1, -1))) % 11
    return body + str(0 if check > 9 else check)


def _ch_ahv(chance: random.Random) -> str:
    body = "756" + "".join(chance.choices(string.digits, k=9))
    check = -_weighted(body, (1, 3) * 6) % 10
    return f"756.{body[3:7]}.{body[7:11]}.{body[11:]}{check}"


def _za_id(chance: random.Random) -> str:
    body = _birth(chance) + f"{chance.randint(0, 9999):04d}08"
    return body + luhn(body)


def _cl_rut(chance: random.Random) -> str:
    body = digits(chance, 8)
    check = 11 - _weighted(body[::-1], (2, 3, 4, 5, 6, 7, 2, 3)) % 11
    return f"{body[:2]}.{body[2:5]}.{body[5:]}-{'0' if check == 11 else 'K' if check == 10 else check}"


def _cn_id(chance: random.Random) -> str:
    body = f"110101{chance.randint(1960, 1999)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}{chance.randint(100, 999)}"
    return body + "10X98765432"[_weighted(body, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11]


def _tr_tckn(chance: random.Random) -> str:
    body = digits(chance, 9)
    tenth = (sum(map(int, body[0::2])) * 7 - sum(map(int, body[1::2]))) % 10
    return f"{body}{tenth}{(sum(map(int, body)) + tenth) % 10}"


def _sg_nric(chance: random.Random) -> str:
    body = digits(chance, 7)
    return "S" + body + "JZIHGFEDCBA"[_weighted(body, (2, 7, 6, 5, 4, 3, 2)) % 11]


_NATIONAL: dict[str, Callable[[random.Random], str]] = {
    "br_cpf": _br_cpf, "es_dni": _es_dni, "in_aadhaar": _in_aadhaar, "it_cf": _it_cf, "nl_bsn": _nl_bsn, "fr_nir": _fr_nir,
    "pl_pesel": _pl_pesel, "uk_nhs": _uk_nhs, "uk_nino": _uk_nino, "ca_sin": _ca_sin, "au_tfn": _au_tfn, "se_pnr": _se_pnr,
    "fi_hetu": _fi_hetu, "de_idnr": _de_idnr, "be_nn": _be_nn, "pt_nif": _pt_nif, "ch_ahv": _ch_ahv, "za_id": _za_id,
    "cl_rut": _cl_rut, "cn_id": _cn_id, "tr_tckn": _tr_tckn, "sg_nric": _sg_nric,
}  # fmt: skip

MAKERS: dict[str, Callable[[random.Random, str], str]] = {
    "card": lambda chance, _: _card(chance, ""),
    "cardspaced": lambda chance, _: _card(chance, " "),
    "carddashed": lambda chance, _: _card(chance, "-"),
    "amex": lambda chance, _: _amex(chance),
    "iban": _iban,
    "ibanspaced": lambda chance, country: _spaced(_iban(chance, country)),
    "phone": _phone,
    "ssn": lambda chance, _: _ssn(chance),
    "ip": lambda chance, _: _ip(chance),
    "ipv6": lambda chance, _: _ipv6(chance),
    "mac": lambda chance, _: _mac(chance),
    "street": _street,
    "nid": lambda chance, country: _NATIONAL[country](chance),
    "lat": lambda chance, _: f"{chance.uniform(35, 59):.6f}",
    "lon": lambda chance, _: f"{chance.uniform(-9, 30):.6f}",
}
"""Per name of a generator: draws one value; the argument is a country or a form."""
