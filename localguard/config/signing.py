"""Signed policies: a TOML file whose last line is a comment with an Ed25519 signature over all bytes before it.

    # localguard-signature: ed25519 KEY-ID SIGNATURE          key id: 16 hexadecimal digits; signature: base64

The signature covers a prefix of its own, so that a key signs nothing else by signing a policy. It says who wrote the policy;
that it is the newest one is said by its revision (`config.organisation`), that it still holds by its expiry.
"""

import base64
import binascii
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from localguard.errors import LocalguardError

_CONTEXT: Final = b"localguard policy 1\0"
_LINE: Final = re.compile(rb"^# localguard-signature: ed25519 ([0-9a-f]{16}) ([A-Za-z0-9+/]{86}==)[ \t]*\r?\n?\Z", re.M)
_PUBLIC: Final = re.compile(r"ed25519:[A-Za-z0-9+/]{43}=")


class SignatureMissing(LocalguardError):
    """The file carries no signature."""


class SignatureWrong(LocalguardError):
    """The signature does not fit the file: it was changed after it was signed, or another key made it."""


class KeyInvalid(LocalguardError):
    """A key cannot be read, or is no Ed25519 key."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with. Its text is `ed25519:` and 44 characters of base64."""

    raw: bytes

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Read the text of a key. Raises KeyInvalid."""
        if not _PUBLIC.fullmatch(text):
            raise KeyInvalid(
                "A public key is written as ed25519: and 44 characters; `localguard policy sign` shows it."
            )
        try:
            return cls(base64.b64decode(text.removeprefix("ed25519:"), validate=True))
        except binascii.Error:
            raise KeyInvalid("The public key is not valid base64.") from None

    @property
    def id(self) -> str:
        """16 hexadecimal digits of its hash."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def __str__(self) -> str:
        return "ed25519:" + base64.b64encode(self.raw).decode()


def new_key(path: Path) -> PublicKey:
    """Make a signing key in a new file (PKCS #8, mode 0600) and return its public half. Raises FileExistsError, OSError."""
    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return _public(key)


def read_key(path: Path) -> Ed25519PrivateKey:
    """Read a signing key. Raises KeyInvalid, which quotes nothing of the file."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise KeyInvalid(f"{path} holds no signing key that can be read.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyInvalid(f"{path} holds a key of another kind; policies are signed with Ed25519.")
    return key


def public_half(key: Ed25519PrivateKey) -> PublicKey:
    """Return what others need to check this key's signatures."""
    return _public(key)


def signed(data: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return the policy with a signature as its last line; a former one is replaced."""
    content = content_of(data)
    if not content.endswith(b"\n"):
        content += b"\n"
    signature = base64.b64encode(key.sign(_CONTEXT + content))
    return content + b"# localguard-signature: ed25519 " + _public(key).id.encode() + b" " + signature + b"\n"


def content_of(data: bytes) -> bytes:
    """Return what a signature covers: everything before it, or all where there is none."""
    found = _LINE.search(data)
    return data[: found.start()] if found else data


def signer_of(data: bytes) -> str:
    """Return the id of the key that is said to have signed. Raises SignatureMissing. Says nothing about the signature."""
    found = _LINE.search(data)
    if found is None:
        raise SignatureMissing("The file is not signed. Its last line should be made by `localguard policy sign`.")
    return found[1].decode()


def check_signature(data: bytes, key: PublicKey) -> None:
    """Return if the key signed exactly this. Raises SignatureMissing, SignatureWrong."""
    found = _LINE.search(data)
    if found is None or signer_of(data) != key.id:
        raise SignatureWrong("The file was signed with another key.")
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(base64.b64decode(found[2]), _CONTEXT + data[: found.start()])
    except (InvalidSignature, ValueError):
        raise SignatureWrong("The signature does not fit: the file was changed after it was signed.") from None


def _public(key: Ed25519PrivateKey) -> PublicKey:
    return PublicKey(key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))
