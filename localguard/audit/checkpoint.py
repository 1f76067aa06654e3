"""Signed checkpoints: how many records a log had, their root, and the device's signature. Pure.

A checkpoint is a C2SP signed note (c2sp.org/signed-note, c2sp.org/tlog-checkpoint, read November 2026):

    <origin>                                  the name of the device's log, `localguard/<device id>`
    <size>                                    decimal
    <root>                                    base64 of 32 bytes
    time <RFC 3339>                           an extension line

    — <origin> <base64(key id ‖ signature)>   Ed25519 over everything above the empty line, its line feed included

What a signature does not show: whoever can read the device's key can sign another history. An anchor that was kept elsewhere
before shows that, and nothing else does.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from localguard.audit.fields import CheckpointMetadata
from localguard.errors import LocalguardError

_ED25519 = b"\x01"
_ORIGIN = "localguard/"
_MAX_NOTE = 64 * 1024
_MAX_SIZE = 2**53


class CheckpointInvalid(LocalguardError):
    """A note is no checkpoint, or is not signed by the key that it should be. The message says which."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log at one moment. `origin` names the log, `root` has 32 bytes, `time` is RFC 3339 in UTC."""

    origin: str
    size: int
    root: bytes
    time: str

    def text(self) -> bytes:
        """What is signed."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\ntime {self.time}\n".encode()


class DeviceKey:
    """The key that signs the checkpoints of one home. Made from 32 secret bytes; `repr` does not show them."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(self._key.public_key().public_bytes_raw())

    def sign(self, checkpoint: Checkpoint) -> bytes:
        """The checkpoint as a signed note."""
        text = checkpoint.text()
        return text + b"\n" + _signature_line(self.public, self._key.sign(text))

    def checkpoint(self, size: int, root: bytes, time: str) -> CheckpointMetadata:
        """The `metadata` of a checkpoint record: the signed state of this device's log."""
        note = self.sign(Checkpoint(self.public.name, size, root, time)).decode()
        return {"size": size, "note": note, "key": self.public.encoded()}

    def sign_bytes(self, context: bytes, message: bytes) -> bytes:
        """64 bytes: the signature of something else than a checkpoint. `context` keeps kinds of messages apart."""
        return self._key.sign(_apart(context, message))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who can check a device's signatures has this."""

    raw: bytes

    @property
    def device(self) -> str:
        """The device's id: 16 hexadecimal digits of the key's SHA-256."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The origin of the device's checkpoints, and the name of its key."""
        return _ORIGIN + self.device

    @property
    def key_id(self) -> bytes:
        """4 bytes, as C2SP computes them for Ed25519 keys."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:4]

    def encoded(self) -> str:
        """`<name>+<key id>+<base64>`, the verifier key of a signed note."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.raw).decode()}"

    def verify_bytes(self, context: bytes, message: bytes, signature: bytes) -> bool:
        """Whether `DeviceKey.sign_bytes` of this key made the signature."""
        return self._verifies(_apart(context, message), signature)

    def _verifies(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def public_key(encoded: str) -> PublicKey:
    """Read what `PublicKey.encoded` wrote. Raises CheckpointInvalid."""
    try:
        name, key_id, material = encoded.strip().split("+", 2)
        raw = base64.b64decode(material, validate=True)
    except (ValueError, binascii.Error):
        raise CheckpointInvalid("this is no verifier key of a signed note") from None
    key = PublicKey(raw[1:])
    if raw[:1] != _ED25519 or len(raw) != 33 or (key.name, key.key_id.hex()) != (name, key_id):
        raise CheckpointInvalid("this is no verifier key of a localguard device")
    return key


def read_checkpoint(note: bytes) -> Checkpoint:
    """The checkpoint that a note states, whoever signed it. Raises CheckpointInvalid."""
    text, _ = _parts(note)
    lines = text.decode("utf-8").split("\n")
    try:
        origin, size, root, *more = lines[:-1]
        if not size.isascii() or not size.isdigit() or str(int(size)) != size or int(size) > _MAX_SIZE:
            raise ValueError
        raw = base64.b64decode(root, validate=True)
        times = [line.removeprefix("time ") for line in more if line.startswith("time ")]
        if len(raw) != 32 or not origin or len(times) != 1 or lines[-1]:
            raise ValueError
    except (ValueError, binascii.Error):
        raise CheckpointInvalid("the note is no checkpoint of a log") from None
    return Checkpoint(origin, int(size), raw, times[0])


def verify_checkpoint(note: bytes, key: PublicKey) -> Checkpoint:
    """The checkpoint of a note that `key` signed for its own log. Raises CheckpointInvalid for every other one.

    Signatures of others beside it (a collector's) are let be.
    """
    text, signatures = _parts(note)
    checkpoint = read_checkpoint(note)
    if checkpoint.origin != key.name:
        raise CheckpointInvalid("the checkpoint is of another device's log")
    for name, key_id, signature in signatures:
        if name == key.name and key_id == key.key_id and key._verifies(text, signature):
            return checkpoint
    raise CheckpointInvalid("the checkpoint is not signed by this device's key")


def is_cosigned(note: bytes, key: PublicKey) -> bool:
    """Whether `key`, which is not the log's own, signed the note too (`cosign`). Raises CheckpointInvalid for what is no note."""
    text, signatures = _parts(note)
    return any(
        (name, key_id) == (key.name, key.key_id) and key._verifies(text, signature)
        for name, key_id, signature in signatures
    )


def cosign(note: bytes, key: DeviceKey) -> bytes:
    """The note with one more signature."""
    text, _ = _parts(note)
    return note + _signature_line(key.public, key._key.sign(text))


def _signature_line(key: PublicKey, signature: bytes) -> bytes:
    return f"— {key.name} {base64.b64encode(key.key_id + signature).decode()}\n".encode()


def _parts(note: bytes) -> tuple[bytes, Sequence[tuple[str, bytes, bytes]]]:
    """The signed text of a note, and its signatures: name, key id, signature."""
    text, gap, signatures = note.rpartition(b"\n\n")
    if not gap or len(note) > _MAX_NOTE or not signatures.endswith(b"\n"):
        raise CheckpointInvalid("this is no signed note")
    try:
        text.decode("utf-8")
        found = []
        for line in signatures.decode("utf-8").split("\n")[:-1]:
            dash, name, encoded = line.split(" ")
            raw = base64.b64decode(encoded, validate=True)
            if dash != "—" or not name or len(raw) < 5:
                raise ValueError
            found.append((name, raw[:4], raw[4:]))
    except (ValueError, binascii.Error):
        raise CheckpointInvalid("this is no signed note") from None
    return text + b"\n", found


def _apart(context: bytes, message: bytes) -> bytes:
    return b"localguard " + context + b"\0" + message
