"""The check-digit algorithms that identifiers of persons, accounts and devices share.

All take strings of ASCII digits (letters where said), and are pure and linear in their length.
"""

import re
from collections.abc import Iterable
from typing import Final

_VERHOEFF_PRODUCT: Final = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_VERHOEFF_PERMUTATION: Final = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def luhn(digits: str) -> bool:
    """Whether the Luhn checksum holds (ISO/IEC 7812-1, annex B)."""
    return luhn_sum(digits) % 10 == 0


def luhn_sum(digits: str) -> int:
    """The Luhn sum, every second digit from the right but one doubled."""
    total = 0
    for position, char in enumerate(reversed(digits)):
        digit = ord(char) - 48
        if position % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return total


def verhoeff(digits: str) -> bool:
    """Whether the checksum of J. Verhoeff, Error Detecting Decimal Codes (1969), holds."""
    check = "0"
    for position, char in enumerate(reversed(digits)):
        check = _VERHOEFF_PRODUCT[int(check)][int(_VERHOEFF_PERMUTATION[position % 8][int(char)])]
    return check == "0"


def weighted(digits: str, weights: Iterable[int]) -> int:
    """The sum of the digits times `weights`, from the left, as far as the weights go."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def iso_7064_mod_11_10(digits: str) -> bool:
    """Whether the hybrid system MOD 11,10 of ISO/IEC 7064 holds."""
    product = 10
    for char in digits[:-1]:
        total = (int(char) + product) % 10 or 10
        product = total * 2 % 11
    return (product + int(digits[-1])) % 10 == 1


def mod_97_10(text: str) -> bool:
    """Whether the pure system MOD 97-10 of ISO/IEC 7064 holds over digits and upper-case letters."""
    return int("".join(str(int(char, 36)) for char in text)) % 97 == 1


def icao_7_3_1(text: str) -> int:
    """The check digit of machine-readable travel documents over digits, letters and `<` (ICAO Doc 9303-3, 4.9)."""
    total = 0
    for position, char in enumerate(text):
        value = 0 if char == "<" else int(char, 36)
        total += value * (7, 3, 1)[position % 3]
    return total % 10


def month_day(month: int, day: int) -> bool:
    """Whether there is such a day in some year."""
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


def compact(value: str) -> str:
    """`value` in upper case without anything but ASCII letters and digits."""
    return re.sub(r"[^0-9A-Z]", "", value.upper())


def varied(digits: str) -> bool:
    """More than two different characters, and no plain count up or down: nobody's number looks like that."""
    return len(set(digits)) > 2 and digits not in "01234567890123456789" and digits not in "98765432109876543210"
