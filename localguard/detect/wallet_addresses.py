"""Validators for addresses of crypto currencies."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from localguard.detect.candidate import Candidate, Validator

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE_ALPHABET: Final = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_RIPPLE: Final = str.maketrans(RIPPLE_ALPHABET, _BASE58)
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_MASK: Final = (1 << 64) - 1
_LANES: Final = 25


def _base58check(value: str) -> bool:
    number = 0
    for char in value:
        digit = _BASE58.find(char)
        if digit < 0:
            return False
        number = number * 58 + digit
    zeros = len(value) - len(value.lstrip("1"))
    raw = b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
    return len(raw) > 8 and hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def base58check(candidate: Candidate) -> bool:
    """A base58check string whose last four bytes are the double SHA-256 of the rest (Bitcoin and its relatives)."""
    return _base58check(candidate.value)


def ripple(candidate: Candidate) -> bool:
    """An address of the XRP ledger: base58check in its own alphabet."""
    return _base58check(candidate.value.translate(_RIPPLE))


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


def _round_constants() -> tuple[int, ...]:
    """The 24 constants of Keccak-f[1600], from its linear feedback shift register (FIPS 202, algorithm 5)."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant ^= 1 << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


_CONSTANTS: Final = _round_constants()


def _lane_order() -> tuple[tuple[int, int], ...]:
    """For each lane after rho and pi: the lane that it comes from, and by how many bits that is rotated."""
    order = [(0, 0)] * _LANES
    x, y = 1, 0
    for step in range(24):
        order[y + 5 * ((2 * x + 3 * y) % 5)] = (x + 5 * y, (step + 1) * (step + 2) // 2 % 64)
        x, y = y, (2 * x + 3 * y) % 5
    return tuple(order)


_ORDER: Final = _lane_order()


def _permuted(lanes: list[int]) -> list[int]:
    """Keccak-f[1600] (FIPS 202, section 3.3); lane (x, y) is `lanes[x + 5 * y]`."""
    for constant in _CONSTANTS:
        c = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        d = [c[x - 1] ^ ((c[x - 4] << 1 | c[x - 4] >> 63) & _MASK) for x in range(5)]
        mixed = [lane ^ d[index % 5] for index, lane in enumerate(lanes)]
        moved = [(mixed[source] << bits | mixed[source] >> (64 - bits)) & _MASK for source, bits in _ORDER]
        lanes = []
        for row in range(0, _LANES, 5):
            one, two, three, four, five = moved[row : row + 5]
            lanes += (
                one ^ (~two & three),
                two ^ (~three & four),
                three ^ (~four & five),
                four ^ (~five & one),
                five ^ (~one & two),
            )
        lanes[0] ^= constant
    return lanes


def keccak_256(message: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it: the padding from before FIPS 202. For messages of less than 136 bytes."""
    block = message + b"\x01" + b"\0" * (134 - len(message)) + b"\x80"
    if len(block) != 136:
        raise ValueError("message longer than one block")
    lanes = [int.from_bytes(block[index : index + 8], "little") for index in range(0, 136, 8)] + [0] * 8
    return b"".join(lane.to_bytes(8, "little") for lane in _permuted(lanes)[:4])


def ethereum(candidate: Candidate) -> bool:
    """An Ethereum address: its mixed case is the checksum of EIP-55, or a word beside it says what it is."""
    digits = candidate.value[2:]
    if len(set(digits.lower())) < 6:
        return False
    if digits.lower() != digits and digits.upper() != digits:
        code = keccak_256(digits.lower().encode()).hex()
        return all(char == (char.upper() if int(code[i], 16) > 7 else char.lower()) for i, char in enumerate(digits))
    line = candidate.before.rpartition("\n")[2]
    return bool(
        re.search(r"(?i)wallet|(?<![a-z])eth(?![a-z])|ether|payout|donat|deposit|withdraw|recipient|sender", line)
    )


WALLET_ADDRESSES: Final[Mapping[str, Validator]] = {
    "base58check": base58check,
    "bech32": bech32,
    "ethereum": ethereum,
    "ripple": ripple,
}
