"""Handing records out: one JSON object a line with all that its proof needs, or a flat table for spreadsheets.

    {"seq", "kind", "time", "metadata": {"content", "salt"} or {"hash"}, "findings": …, "local": …, "leaf", "proof"}

`leaf` is the leaf hash and `proof` the RFC 6962 inclusion proof, hex, for the tree of the checkpoint in the last line. A section
that is not disclosed, or was pruned, stands there by its hash. Whoever has the line can compute the leaf and check it.
"""

import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from localguard.audit import record
from localguard.audit.checkpoint import Checkpoint, CheckpointInvalid, PublicKey, public_key, verify_checkpoint
from localguard.audit.merkle import includes, inclusion_proof
from localguard.audit.retention import SECTIONS
from localguard.audit.schema import LogUnavailable, connect_reader
from localguard.audit.tree import Tree
from localguard.errors import LocalguardError

COLUMNS = [
    "seq",
    "time",
    "kind",
    "exchange",
    "session",
    "event",
    "agent",
    "agent_version",
    "workspace",
    "sensitivity",
    "task",
    "cost_bucket",
    "endpoint",
    "endpoint_class",
    "provider",
    "model",
    "identity",
    "credential",
    "effect",
    "state",
    "status",
    "code",
    "origin",
    "error",
    "cost_usd",
    "total_ms",
    "request_bytes",
    "reply_bytes",
]
"""Of the table: members of metadata, empty where a record has none."""


class ExportInvalid(LocalguardError):
    """An exported document does not prove what it says. The message names the line."""


def export_lines(path: Path, *, disclosed: Sequence[str] = SECTIONS, after: int = 0) -> Iterator[str]:
    """The records behind `after` up to the newest checkpoint, a JSON object each without line break, then the checkpoint.

    Raises LogUnavailable where there is no log or no checkpoint yet.
    """
    with opened(path) as export:
        for one in export.records(disclosed, after):
            line: dict[str, Any] = {"seq": one.seq, "kind": one.kind, "time": one.time}
            for name, (text, salt, hash) in zip(SECTIONS, one.sections, strict=True):
                if text is None or salt is None:
                    line[name] = {"hash": hash.hex()}
                else:
                    line[name] = {"content": json.loads(text), "salt": salt.hex()}
            line["leaf"] = one.leaf_hash.hex()
            line["proof"] = [hash.hex() for hash in one.proof]
            yield json.dumps(line, ensure_ascii=False)
        yield json.dumps({"checkpoint": export.note, "key": export.key}, ensure_ascii=False)


class Disclosed(NamedTuple):
    """A section as it is handed out: canonical JSON and salt, both None where it is not disclosed or was pruned, and its hash."""

    text: str | None
    salt: bytes | None
    hash: bytes


class Proven(NamedTuple):
    """A record with what proves it: the inclusion proof of its leaf for the tree of the export's checkpoint."""

    seq: int
    kind: str
    time: str
    exchange: str | None
    session: str | None
    sections: tuple[Disclosed, ...]
    leaf_hash: bytes
    proof: list[bytes]


class Export:
    """The records that a checkpoint covers, from one snapshot of the log. `note` is the checkpoint, `key` whose it is."""

    def __init__(self, connection: sqlite3.Connection, metadata: str) -> None:
        checkpoint = json.loads(metadata)
        self.note, self.key = str(checkpoint["note"]), str(checkpoint["key"])
        self._size = int(checkpoint["size"])
        self._connection = connection

    def records(self, disclosed: Sequence[str], after: int) -> Iterator[Proven]:
        """Those with a greater number, one at a time, with the sections that are named."""
        # neighbours' proofs share nearly all of their nodes
        subtree = lru_cache(maxsize=4096)(Tree(self._connection).subtree)
        for seq, kind, time, exchange, session, leaf, *parts in self._connection.execute(_RECORDS, (after, self._size)):
            sections = tuple(
                Disclosed(*parts[at : at + 3]) if name in disclosed else Disclosed(None, None, parts[at + 2])
                for name, at in zip(SECTIONS, (0, 3, 6), strict=True)
            )
            if "metadata" not in disclosed:
                exchange = session = None
            proof = inclusion_proof(seq - 1, self._size, subtree)
            yield Proven(seq, kind, time, exchange, session, sections, leaf, proof)


@contextmanager
def opened(path: Path) -> Iterator[Export]:
    """The log at `path`, to be handed out up to its newest checkpoint. Raises LogUnavailable where it has none."""
    connection = connect_reader(path)
    try:
        connection.execute("BEGIN")
        row = connection.execute(_NEWEST).fetchone()
        if row is None:
            raise LogUnavailable("The audit log has no checkpoint yet. Run `localguard audit checkpoint` first.")
        yield Export(connection, row[0])
    finally:
        connection.close()


def export_table(path: Path, *, after: int = 0) -> Iterator[str]:
    """The metadata of the records behind `after` as CSV (RFC 4180), head first; without proofs.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    connection = connect_reader(path)
    try:
        yield table_row(COLUMNS)
        for seq, kind, time, text in connection.execute(_TABLE, (after,)):
            metadata = json.loads(text) if text is not None else {}
            known = {**metadata, "seq": seq, "time": time, "kind": kind}
            yield table_row([known.get(name) for name in COLUMNS])
    finally:
        connection.close()


class Proof(NamedTuple):
    """What a document was checked against, and how many records of it are proven by that."""

    records: int
    checkpoint: Checkpoint
    key: PublicKey


def check_lines(lines: Sequence[str], key: PublicKey | None = None) -> int:
    """Check what `export_lines` wrote, against the device's key if it is known; returns the number of records that are proven.

    Raises ExportInvalid.
    """
    if not lines:
        raise ExportInvalid("the last line is no checkpoint")
    return _checked(lines[:-1], lines[-1], key).records


def check_file(path: Path, key: PublicKey | None = None) -> Proof:
    """The same for a file, one line at a time. Raises ExportInvalid, OSError."""
    try:
        with path.open(encoding="utf-8") as file:
            count, last = 0, ""
            for line in file:
                count, last = count + 1, line
        with path.open(encoding="utf-8") as file:
            return _checked(islice(file, max(count - 1, 0)), last, key)
    except UnicodeDecodeError:
        raise ExportInvalid("this is no export of a log, or a damaged one") from None


def _checked(records: Iterable[str], last: str, key: PublicKey | None) -> Proof:
    try:
        told = json.loads(last)
        stated = public_key(told["key"])
        if key is not None and stated != key:
            raise ExportInvalid("the checkpoint is signed by another device")
        checkpoint = verify_checkpoint(told["checkpoint"].encode(), stated)
    except (ValueError, KeyError, TypeError, AttributeError, CheckpointInvalid):
        raise ExportInvalid("the last line is no checkpoint") from None
    number = 0
    for number, text in enumerate(records, start=1):
        try:
            line = json.loads(text)
            hashes = [_hash(line[name]) for name in SECTIONS]
            leaf, proof = bytes.fromhex(line["leaf"]), [bytes.fromhex(one) for one in line["proof"]]
            proven = is_proven(line["kind"], line["seq"], line["time"], hashes, leaf, proof, checkpoint)
        except (ValueError, KeyError, TypeError):
            proven = False
        if not proven:
            raise ExportInvalid(f"line {number} is not what the log holds")
    return Proof(number, checkpoint, stated)


def is_proven(
    kind: str, seq: int, time: str, hashes: Sequence[bytes], leaf_hash: bytes, proof: Sequence[bytes], of: Checkpoint
) -> bool:
    """Whether a record with these section hashes has this leaf hash, and is among those that the checkpoint covers."""
    leaf = record.leaf_hash(record.leaf(kind, seq, time, *hashes))
    return leaf == leaf_hash and includes(leaf, seq - 1, of.size, proof, of.root)


def _hash(section: dict[str, Any]) -> bytes:
    if "hash" in section:
        return bytes.fromhex(section["hash"])
    return record.section_hash(bytes.fromhex(section["salt"]), record.canonical(section["content"]))


def _cell(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def table_row(cells: Sequence[object]) -> str:
    """One line of a CSV table without line break; texts that a spreadsheet would take for a formula get an apostrophe."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow([_cell(cell) for cell in cells])
    return buffer.getvalue()


_NEWEST = "SELECT metadata FROM records WHERE kind = 'checkpoint' ORDER BY seq DESC LIMIT 1"
_RECORDS = (
    "SELECT seq, kind, time, exchange, session, leaf_hash, metadata, metadata_salt, metadata_hash,"
    " findings, findings_salt, findings_hash, local, local_salt, local_hash FROM records WHERE seq > ? AND seq <= ? ORDER BY seq"
)
_TABLE = "SELECT seq, kind, time, metadata FROM records WHERE seq > ? ORDER BY seq"
