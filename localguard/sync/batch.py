"""A batch: records of one device's log as they are handed out, provable by themselves. Pure.

    line 1   the head: which log, which records, the tree before them, a signed checkpoint of the tree after them
    line 2   {"signature": …}: the device key's signature over line 1, hex
    others   one record each, in order of seq, without gaps

A record is `{"seq", "kind", "time", "metadata", "findings", "local"}`. A section is `{"salt", "content"}` where it is disclosed, else
`{"hash"}`, so that every leaf can be computed whatever is held back. The head's `frontier` are the roots of the perfect
subtrees of the log before the batch: their root must be that of the last checkpoint which the reader knows, and with the
leaves of the batch appended it must be that of the batch's own. That shows what a consistency proof (RFC 9162 section 2.1.4)
shows, and each leaf besides.

What it does not show: that the device recorded everything, or that nobody else has its key.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import orjson

from localguard.audit import record
from localguard.audit.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    DeviceKey,
    PublicKey,
    public_key,
    verify_checkpoint,
)
from localguard.audit.merkle import HASH_BYTES, Frontier
from localguard.errors import LocalguardError

VERSION = 1
MAX_RECORDS = 2_000
MAX_BYTES = 8 * 1024 * 1024
"""Of one batch, decoded. Writers stay far below (`log_reader.Bounds`)."""
_CONTEXT = b"batch 1"
_SALT = 2 * record.SALT_BYTES


class BatchInvalid(LocalguardError):
    """A batch is not what it says. `code` is a word for programs: form, signature, leaf, order, root, oversize."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Section(NamedTuple):
    """One section of a record: open with its canonical JSON and salt, or its hash alone."""

    text: bytes | None
    salt: bytes | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a batch; `leaf_hash` follows from the rest. `names` are keyed digests of local names, by what they name."""

    seq: int
    kind: str
    time: str
    metadata: Section
    findings: Section
    local: Section
    leaf_hash: bytes
    names: dict[str, list[str]] | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What a batch says of itself. `first` is `last` + 1 where it holds no records: a sign of life."""

    device: str
    instance: str
    """Which installation sends it: a keyed digest of machine and home, so that a copied key shows."""
    first: int
    last: int
    level: str
    frontier: tuple[bytes, ...]
    """Of the tree over the records before `first`."""
    note: bytes
    """A signed checkpoint of `last` records."""
    key: str
    """The device's verifier key."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as bytes, before compression, and what its head says."""

    head: Head
    data: bytes
    held_back: int = 0
    """Records of which nothing is disclosed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A batch that was checked: its lines are what the device signed, and its tree is the one that it states."""

    head: Head
    lines: tuple[Line, ...]
    checkpoint: Checkpoint
    before: bytes
    """The root of the tree before the batch."""


def pack(head: Head, lines: Sequence[bytes], key: DeviceKey, *, held_back: int = 0) -> Batch:
    """The batch of these lines, each without its line feed, signed."""
    body = b"".join([line + b"\n" for line in lines])
    first = _head_line(head, hashlib.sha256(body).hexdigest())
    signature = key.sign_bytes(_CONTEXT, first).hex()
    return Batch(head, b'%s\n{"signature":"%s"}\n%s' % (first, signature.encode(), body), held_back)


def line_of(
    seq: int,
    kind: str,
    time: str,
    sections: Sequence[Section],
    names: dict[str, list[str]] | None = None,
) -> bytes:
    """A record as a line of a batch, without line feed. Kind and time are as the log has them: without characters to escape."""
    parts = [
        b'"%s":{"salt":"%s","content":%s}' % (name, section.salt.hex().encode(), section.text)
        if section.text is not None and section.salt is not None
        else b'"%s":{"hash":"%s"}' % (name, section.hash.hex().encode())
        for name, section in zip((b"metadata", b"findings", b"local"), sections, strict=True)
    ]
    if names:
        parts.append(b'"names":' + orjson.dumps(names, option=orjson.OPT_SORT_KEYS))
    begin = orjson.dumps({"seq": seq, "kind": kind, "time": time})
    return b"%s,%s}" % (begin[:-1], b",".join(parts))


def open_batch(data: bytes, key: PublicKey | None = None) -> Opened:
    """Check a batch, against the device's key if it is known, else against the one that it states.

    1. It is signed by the key, and its lines are those that were signed.
    2. Each line's leaf hash is computed from its sections; sequence numbers run from `first` to `last`.
    3. The frontier with these leaves appended has the root that the signed checkpoint states.

    Raises BatchInvalid. Whether it goes on from what is known of the device is for the caller to say, who compares `before`.
    """
    if len(data) > MAX_BYTES:
        raise BatchInvalid("oversize", f"a batch has at most {MAX_BYTES} bytes")
    head_line, _, rest = data.partition(b"\n")
    signature_line, _, body = rest.partition(b"\n")
    head, digest = _read_head(head_line)
    stated = _key(head.key)
    if head.device != stated.device or (key is not None and stated != key):
        raise BatchInvalid("signature", "the batch is signed by another device")
    if not stated.verify_bytes(_CONTEXT, head_line, _signature(signature_line)):
        raise BatchInvalid("signature", "the batch is not signed by this device's key")
    if hashlib.sha256(body).hexdigest() != digest:
        raise BatchInvalid("signature", "the batch's records are not those that were signed")
    try:
        checkpoint = verify_checkpoint(head.note, stated)
        tree = Frontier(head.first - 1, head.frontier)
    except (CheckpointInvalid, ValueError) as error:
        raise BatchInvalid("root", f"the batch's tree cannot be read: {error}") from None
    if checkpoint.size != head.last:
        raise BatchInvalid("root", "the batch's checkpoint covers another number of records")
    before = tree.root()
    lines = _lines(body, head)
    for line in lines:
        tree.append(line.leaf_hash)
    if tree.root() != checkpoint.root:
        raise BatchInvalid("root", "the batch's records do not make the tree that its checkpoint states")
    return Opened(head, lines, checkpoint, before)


def _lines(body: bytes, head: Head) -> tuple[Line, ...]:
    count = head.last - head.first + 1
    if count > MAX_RECORDS:
        raise BatchInvalid("oversize", f"a batch has at most {MAX_RECORDS} records")
    try:
        read = _LINES.decode_lines(body)
    except msgspec.MsgspecError:
        raise BatchInvalid("form", "a line of the batch is no record") from None
    if len(read) != count:
        raise BatchInvalid("order", f"the batch has {len(read)} records and says that it has {count}")
    lines = []
    for expected, one in enumerate(read, start=head.first):
        if one.seq != expected or one.kind not in record.KINDS:
            raise BatchInvalid("order", f"record {one.seq} stands where {expected} should, or is of no known kind")
        try:
            sections = _section(one.metadata), _section(one.findings), _section(one.local)
        except ValueError:
            raise BatchInvalid("leaf", f"record {one.seq}: a section is neither open nor a hash") from None
        leaf = record.leaf(one.kind, one.seq, one.time, *(section.hash for section in sections))
        lines.append(Line(one.seq, one.kind, one.time, *sections, record.leaf_hash(leaf), one.names))
    return tuple(lines)


class _SectionRead(msgspec.Struct, forbid_unknown_fields=True):
    hash: str | None = None
    salt: str | None = None
    content: msgspec.Raw = msgspec.Raw()


class _LineRead(msgspec.Struct, forbid_unknown_fields=True):
    seq: int
    kind: str
    time: str
    metadata: _SectionRead
    findings: _SectionRead
    local: _SectionRead
    names: dict[str, list[str]] | None = None


_LINES = msgspec.json.Decoder(_LineRead)


def _section(read: _SectionRead) -> Section:
    if read.hash is not None:
        raw = bytes.fromhex(read.hash)
        if len(raw) != HASH_BYTES or read.salt is not None or read.content:
            raise ValueError
        return Section(None, None, raw)
    if read.salt is None or len(read.salt) != _SALT or not read.content:
        raise ValueError
    text, salt = bytes(read.content), bytes.fromhex(read.salt)
    return Section(text, salt, record.section_hash(salt, text))


def _head_line(head: Head, digest: str) -> bytes:
    return orjson.dumps(
        {
            "batch": VERSION,
            "device": head.device,
            "instance": head.instance,
            "first": head.first,
            "last": head.last,
            "level": head.level,
            "frontier": [one.hex() for one in head.frontier],
            "checkpoint": head.note.decode(),
            "key": head.key,
            "records_sha256": digest,
        }
    )


def _read_head(line: bytes) -> tuple[Head, str]:
    try:
        read: dict[str, Any] = orjson.loads(line)
        if read["batch"] != VERSION:
            raise BatchInvalid("form", "the batch is of a version that is not known here")
        head = Head(
            device=str(read["device"]),
            instance=str(read["instance"])[:64],
            first=_whole(read["first"]),
            last=_whole(read["last"]),
            level=str(read["level"]),
            frontier=tuple(map(bytes.fromhex, read["frontier"])),
            note=str(read["checkpoint"]).encode(),
            key=str(read["key"]),
        )
        digest = str(read["records_sha256"])
    except (ValueError, KeyError, TypeError):
        raise BatchInvalid("form", "the first line is no head of a batch") from None
    if not 1 <= head.first <= head.last + 1 or any(len(one) != HASH_BYTES for one in head.frontier):
        raise BatchInvalid("form", "the head's numbers cannot be")
    return head, digest


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value <= record.MAX_INTEGER:
        raise ValueError
    return value


def _key(encoded: str) -> PublicKey:
    try:
        return public_key(encoded)
    except CheckpointInvalid:
        raise BatchInvalid("form", "the head names no key") from None


def _signature(line: bytes) -> bytes:
    try:
        return bytes.fromhex(orjson.loads(line)["signature"])
    except (ValueError, KeyError, TypeError):
        raise BatchInvalid("form", "the second line is no signature") from None
