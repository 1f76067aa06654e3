"""Samples of rule files made concrete: no credential-like literal has to be written down anywhere.

A template is text with generators in braces, and marks around the value that a rule should find: `key=⟦ghp_{alnum:36}⟧`.
Without marks the template is only text. Generators: `{alnum:36}` and the other alphabets, `{repeat:x:36}`, `{uuid}`,
`{password}`, `{word:8}`, `{basic:user}`, `{jwt}`, `{luhn:4:16}`, `{card_grouped}`, `{iban:DE}`, `{iban_grouped:DE}`,
`{btc}`, `{wif}`, `{bech32:bc}` and `{pem:RSA PRIVATE KEY}` with its relatives.
"""

import base64
import hashlib
import json
import random
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_ALPHABETS: Final[Mapping[str, str]] = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "lower": string.ascii_lowercase,
    "lower_digit": string.ascii_lowercase + string.digits,
    "upper_digit": string.ascii_uppercase + string.digits,
    "digit": string.digits,
    "digit1": "123456789",
    "hex": "0123456789abcdef",
    "b64std": string.ascii_letters + string.digits + "+/",
    "b64url": string.ascii_letters + string.digits + "-_",
    "base32": string.ascii_uppercase + "234567",
    "bech32_upper": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}
_GENERATOR: Final = re.compile(r"\{([a-z0-9_]+)((?::[^{}]*)?)\}")
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


@dataclass(frozen=True, slots=True)
class Sample:
    """A concrete text, and the byte span of the value to be found in it (None where nothing is marked)."""

    text: bytes
    span: tuple[int, int] | None


def expand(template: str, rng: random.Random) -> Sample:
    """The template with every generator run. Equal generators of equal seeds give equal text. `ValueError` for unknown ones."""
    text = _GENERATOR.sub(lambda found: _generate(found, rng), template)
    before, mark, rest = text.partition("⟦")
    if not mark:
        return Sample(text.encode(), None)
    value, _, after = rest.partition("⟧")
    start = len(before.encode())
    return Sample((before + value + after).encode(), (start, start + len(value.encode())))


def _generate(found: re.Match[str], rng: random.Random) -> str:
    name, arguments = found[1], found[2][1:]
    if name in _ALPHABETS:
        return _text(rng, _ALPHABETS[name], int(arguments))
    generator = _GENERATORS.get(name)
    if generator is None:
        raise ValueError(f"unknown generator {name!r}")
    return generator(rng, arguments)


def _text(rng: random.Random, alphabet: str, length: int) -> str:
    """Random text that does not happen to look like a mask or a word: both ends and some middle vary in class."""
    while True:
        text = "".join(rng.choice(alphabet) for _ in range(length))
        mixed = any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
        clean_ends = not {text[:1], text[-1:]} & set("+/-_")
        if clean_ends and (mixed or length < 8 or alphabet.isalpha() or alphabet.isdigit()):
            return text


def _password(rng: random.Random, _: str) -> str:
    return _text(rng, _ALPHABETS["alnum"], 9) + rng.choice("!*+") + _text(rng, _ALPHABETS["alnum"], 3)


def _word(rng: random.Random, arguments: str) -> str:
    return "".join(rng.choice("bcdfgklmnprstvz" if i % 2 == 0 else "aeiou") for i in range(int(arguments)))


def _uuid(rng: random.Random, _: str) -> str:
    digits = _text(rng, _ALPHABETS["hex"], 32)
    return "-".join((digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:]))


def _basic(rng: random.Random, user: str) -> str:
    return base64.b64encode(f"{user}:{_password(rng, '')}".encode()).decode()


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def _jwt(rng: random.Random, _: str) -> str:
    signature = _text(rng, _ALPHABETS["b64url"], 43)
    return f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment({'sub': _text(rng, string.digits, 10)})}.{signature}"


def _luhn(rng: random.Random, arguments: str) -> str:
    prefix, length = arguments.split(":")
    digits = prefix + _text(rng, string.digits, int(length) - len(prefix) - 1)
    total = sum(
        int(d) if i % 2 else (int(d) * 2 - 9 if int(d) > 4 else int(d) * 2) for i, d in enumerate(reversed(digits))
    )
    return digits + str(-total % 10)


def _card_grouped(rng: random.Random, _: str) -> str:
    digits = _luhn(rng, "5" + str(rng.randint(1, 5)) + ":16")
    return " ".join(digits[i : i + 4] for i in range(0, 16, 4))


def _iban(rng: random.Random, country: str) -> str:
    lengths = {"DE": 18, "GB": 18, "FR": 23, "NL": 14, "ES": 20}
    body = _text(rng, string.digits, lengths[country])
    number = "".join(str(int(char, 36)) for char in body + country + "00")
    return f"{country}{98 - int(number) % 97:02d}{body}"


def _iban_grouped(rng: random.Random, country: str) -> str:
    value = _iban(rng, country)
    return " ".join(value[i : i + 4] for i in range(0, len(value), 4))


def _base58check(payload: bytes) -> str:
    raw = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = _BASE58[rest] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def _bech32(rng: random.Random, prefix: str) -> str:
    data = [0] + [rng.randrange(32) for _ in range(32)]
    symbols = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + data + [0] * 6
    checksum = 1
    for symbol in symbols:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ symbol
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if top >> bit & 1 else 0
    checksum ^= 1
    tail = [(checksum >> 5 * (5 - index)) & 31 for index in range(6)]
    return prefix + "1" + "".join(_BECH32[symbol] for symbol in data + tail)


def _pem(rng: random.Random, label: str) -> str:
    lines = [_text(rng, _ALPHABETS["b64std"], 64) for _ in range(6)] + [_text(rng, _ALPHABETS["b64std"], 42) + "=="]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"))


_GENERATORS: Final[Mapping[str, Callable[[random.Random, str], str]]] = {
    "repeat": lambda _, arguments: arguments.split(":")[0] * int(arguments.split(":")[1]),
    "password": _password,
    "word": _word,
    "uuid": _uuid,
    "basic": _basic,
    "jwt": _jwt,
    "luhn": _luhn,
    "card_grouped": _card_grouped,
    "iban": _iban,
    "iban_grouped": _iban_grouped,
    "btc": lambda rng, _: _base58check(b"\0" + rng.randbytes(20)),
    "wif": lambda rng, _: _base58check(b"\x80" + rng.randbytes(32) + b"\x01"),
    "bech32": _bech32,
    "pem": _pem,
    "pem_head": lambda rng, label: _pem(rng, label).rpartition("\n")[0].rpartition("\n")[0],
    "pem_indented": lambda rng, label: _pem(rng, label).replace("\n", "\n  "),
    "pem_escaped": lambda rng, label: _pem(rng, label).replace("\n", "\\n"),
}
