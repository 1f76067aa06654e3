"""Checks for keys of wallets and for private keys without marker lines.

All are exact where the format allows it: a checksum, or a public key that has to follow from the private one. Base58 and
bech32 themselves are in `validators`.
"""

import base64
import binascii
import re
from typing import Final

from localguard.detect.candidate import Candidate

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# The order of secp256k1: a private key is a number from 1 to one less (SEC 2, section 2.4.1).
_SECP256K1_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def is_ed25519_pair(raw: bytes) -> bool:
    """Whether the last 32 of 64 bytes are the Ed25519 public key of the first 32 (RFC 8032), as Solana stores key pairs."""
    if len(raw) != 64:
        return False
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(raw[:32]).public_key().public_bytes_raw() == raw[32:]


def solana_array(candidate: Candidate) -> bool:
    """A JSON array of 64 bytes that is an Ed25519 key pair."""
    numbers = [int(number) for number in re.findall(r"\d+", candidate.value)]
    return len(numbers) == 64 and max(numbers) < 256 and is_ed25519_pair(bytes(numbers))


def solana_base58(candidate: Candidate) -> bool:
    """A base58 text of 64 bytes that is an Ed25519 key pair."""
    number = 0
    for char in candidate.value:
        digit = _BASE58.find(char)
        if digit < 0:
            return False
        number = number * 58 + digit
    zeros = len(candidate.value) - len(candidate.value.lstrip("1"))
    return is_ed25519_pair(b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big"))


def secp256k1_scalar(candidate: Candidate) -> bool:
    """64 hexadecimal digits that are a secp256k1 private key: in range, and no counting or repeated digits."""
    digits = candidate.value.lower().removeprefix("0x")
    if len(digits) != 64 or len(set(digits)) < 8 or "01234567" in digits:
        return False
    try:
        number = int(digits, 16)
    except ValueError:
        return False
    return 1 << 200 < number < _SECP256K1_ORDER


def stellar_seed(candidate: Candidate) -> bool:
    """A Stellar secret seed: base32 of version 0x90, 32 bytes and their CRC-16/XModem, little endian (SEP 23)."""
    try:
        raw = base64.b32decode(candidate.value)
    except binascii.Error:
        return False
    return len(raw) == 35 and raw[0] == 0x90 and binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") == raw[-2:]


_BASE64_BODY: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}")


def private_key_der(candidate: Candidate) -> bool:
    """Base64 that begins with the DER structure of a private key: enough of it to matter, and not the same over and over."""
    body = "".join(_BASE64_BODY.findall(candidate.value))
    if len(body) < 60 or len(set(body)) < 16:
        return False
    try:
        raw = base64.b64decode(body[:60])
    except binascii.Error:
        return False
    return raw[0] == 0x30 or raw.startswith(b"openssh-key-v1\0")
