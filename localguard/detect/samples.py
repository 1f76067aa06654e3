"""Samples of rule files made concrete: no credential-like literal has to be written down anywhere.

A template is text with generators in braces, and marks around the value that a rule should find: `key=⟦ghp_{alnum:36}⟧`.
Without marks the template is only text. Generators: `{alnum:36}` and the other alphabets, `{repeat:x:36}`, `{uuid}`,
`{password}`, `{word:8}`, `{basic:user}`, `{jwt}`, `{crc62:30}`, `{luhn:4:16}`, `{card_grouped}`, `{iban:DE}`, `{iban_grouped:DE}`,
`{btc}`, `{wif}`, `{bech32:bc}`, `{extended_key:xprv}`, `{seed_phrase:12}`, `{solana}`, `{stellar}`, `{der:pkcs8}` and
`{pem:RSA PRIVATE KEY}`, the last four with their relatives,
`{valid:NAME:TEMPLATE}` and `{invalid:NAME:TEMPLATE}` (a number that the validator NAME takes or refuses; in TEMPLATE `#` is a digit, `@`
an upper-case letter, `*` either), `{base58check:00}` (with that version byte), `{ethereum}` and `{ripple}`.
"""

import base64
import binascii
import hashlib
import json
import random
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from localguard.detect.bip39 import seed_phrase
from localguard.detect.candidate import Candidate
from localguard.detect.tokens import base62_crc32
from localguard.detect.validators import VALIDATORS
from localguard.detect.wallet_addresses import RIPPLE_ALPHABET, keccak_256

_ALPHABETS: Final[Mapping[str, str]] = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "lower": string.ascii_lowercase,
    "lower_digit": string.ascii_lowercase + string.digits,
    "upper": string.ascii_uppercase,
    "upper_digit": string.ascii_uppercase + string.digits,
    "digit": string.digits,
    "digit1": "123456789",
    "hex": "0123456789abcdef",
    "upper_hex": "0123456789ABCDEF",
    "b64std": string.ascii_letters + string.digits + "+/",
    "b64url": string.ascii_letters + string.digits + "-_",
    "base32": string.ascii_uppercase + "234567",
    "base58": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
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


def _crc62(rng: random.Random, length: str) -> str:
    body = _text(rng, _ALPHABETS["alnum"], int(length))
    return body + base62_crc32(body)


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
    return _base58(payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4])


def _base58(raw: bytes) -> str:
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = _BASE58[rest] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def _bech32(rng: random.Random, arguments: str) -> str:
    prefix, _, count = arguments.partition(":")
    data = [0] + [rng.randrange(32) for _ in range(int(count or 33) - 1)]
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


# Version bytes of extended private keys, by the letters that they give: SLIP-132.
_EXTENDED_KEYS: Final[Mapping[str, bytes]] = {
    "xprv": bytes.fromhex("0488ade4"),
    "yprv": bytes.fromhex("049d7878"),
    "zprv": bytes.fromhex("04b2430c"),
    "tprv": bytes.fromhex("04358394"),
}


def _ed25519_pair(rng: random.Random) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = rng.randbytes(32)
    return private + Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _stellar(rng: random.Random, _: str) -> str:
    payload = b"\x90" + rng.randbytes(32)
    return base64.b32encode(payload + binascii.crc_hqx(payload, 0).to_bytes(2, "little")).decode()


# First bytes of private keys in DER, and how many follow: RFC 8017 appendix A, RFC 5915, RFC 5958, RFC 8410, RFC 8018.
_DER_HEADS: Final[Mapping[str, tuple[str, int]]] = {
    "pkcs1": ("308204a40201000282010100", 1180),
    "pkcs8": ("308204be020100300d06092a864886f70d0101010500048204a8308204a4020100", 1190),
    "sec1": ("30770201010420", 114),
    "pkcs8_ec": ("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420", 102),
    "pkcs8_ed25519": ("302e020100300506032b657004220420", 32),
    "encrypted": ("3082051c304e06092a864886f70d01050d3041", 1290),
    "openssh": (b"openssh-key-v1\0\0\0\0\4none".hex(), 420),
}


def _der(rng: random.Random, kind: str) -> str:
    head, length = _DER_HEADS[kind]
    return base64.b64encode(bytes.fromhex(head) + rng.randbytes(length)).decode()


def _judged(rng: random.Random, arguments: str, wanted: bool) -> str:
    """Fills the template until its validator answers as wanted. `ValueError` if it never does."""
    name, template = arguments.split(":", 1)
    alphabets = {"#": string.digits, "@": string.ascii_uppercase, "*": _ALPHABETS["upper_digit"]}
    for _ in range(200_000):
        text = "".join(rng.choice(alphabets[char]) if char in alphabets else char for char in template)
        if VALIDATORS[name](Candidate(text, "", "", "")) is wanted:
            return text
    raise ValueError(f"nothing that {name} {'takes' if wanted else 'refuses'} fits {template!r}")


def _ethereum(rng: random.Random, _: str) -> str:
    digits = rng.randbytes(20).hex()
    code = keccak_256(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(code[i], 16) > 7 else c for i, c in enumerate(digits))


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
    "crc62": _crc62,
    "luhn": _luhn,
    "card_grouped": _card_grouped,
    "iban": _iban,
    "iban_grouped": _iban_grouped,
    "valid": lambda rng, arguments: _judged(rng, arguments, True),
    "invalid": lambda rng, arguments: _judged(rng, arguments, False),
    "base58check": lambda rng, version: _base58check(bytes.fromhex(version) + rng.randbytes(20)),
    "ethereum": _ethereum,
    "ripple": lambda rng, _: _base58check(b"\0" + rng.randbytes(20)).translate(str.maketrans(_BASE58, RIPPLE_ALPHABET)),
    "btc": lambda rng, _: _base58check(b"\0" + rng.randbytes(20)),
    "extended_key": lambda rng, prefix: _base58check(_EXTENDED_KEYS[prefix] + rng.randbytes(74)),
    "seed_phrase": lambda rng, words: seed_phrase(rng.randbytes(int(words) * 4 // 3)),
    "seed_lines": lambda rng, words: seed_phrase(rng.randbytes(int(words) * 4 // 3)).replace(" ", "\n"),
    "solana": lambda rng, _: str(list(_ed25519_pair(rng))),
    "solana_base58": lambda rng, _: _base58(_ed25519_pair(rng)),
    "stellar": _stellar,
    "tezos": lambda rng, _: _base58check(bytes.fromhex("0d0f3a07") + rng.randbytes(32)),
    "bip38": lambda rng, _: _base58check(bytes.fromhex("0142c0") + rng.randbytes(36)),
    "wireguard": lambda rng, _: base64.b64encode(rng.randbytes(32)).decode(),
    "der": _der,
    "der_lines": lambda rng, kind: "\n".join(re.findall(".{1,64}", _der(rng, kind))),
    "wif": lambda rng, _: _base58check(b"\x80" + rng.randbytes(32) + b"\x01"),
    "bech32": _bech32,
    "pem": _pem,
    "pem_head": lambda rng, label: _pem(rng, label).rpartition("\n")[0].rpartition("\n")[0],
    "pem_indented": lambda rng, label: _pem(rng, label).replace("\n", "\n  "),
    "pem_escaped": lambda rng, label: _pem(rng, label).replace("\n", "\\n"),
}
