"""Handing records out as Parquet, for DuckDB and others, each row with what proves it. Needs the extra `parquet` (pyarrow).

    seq, kind, time, exchange, session     as the log has them; the two ids where metadata is disclosed
    event … reply_bytes                    members of metadata (`export.COLUMNS`), null where a record has none
    metadata, findings, local              canonical JSON, null where not disclosed or pruned
    <section>_salt, <section>_hash         salt (null likewise) and hash
    leaf, proof                            leaf hash; list of hashes, the RFC 6962 inclusion proof for the checkpoint's tree

The checkpoint and its device's key are the file's own metadata, `localguard.checkpoint` and `localguard.key`. Rows are read and
written by the thousand, so memory does not grow with the log.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from localguard.audit import record
from localguard.audit.checkpoint import CheckpointInvalid, PublicKey, public_key, verify_checkpoint
from localguard.audit.export import COLUMNS, ExportInvalid, Proof, Proven, is_proven, opened
from localguard.audit.retention import SECTIONS
from localguard.errors import LocalguardError

_NUMBERS = frozenset({"status", "total_ms", "request_bytes", "reply_bytes"})
_OF_RECORD = ("seq", "time", "kind", "exchange", "session")
_MEMBERS = tuple(name for name in COLUMNS if name not in _OF_RECORD)
_NOTE = b"localguard.checkpoint"
_KEY = b"localguard.key"
_ROWS = 1_000
"""Of one row group."""


class ParquetMissing(LocalguardError):
    """pyarrow is not installed."""

    def __init__(self) -> None:
        super().__init__("Parquet needs the extra `parquet`: pip install 'localguard[parquet]'.")


def export_parquet(path: Path, sink: IO[bytes], *, disclosed: Sequence[str] = SECTIONS, after: int = 0) -> int:
    """Write the records behind `after` up to the newest checkpoint to `sink`; returns how many.

    Raises ParquetMissing, LogUnavailable where there is no log or no checkpoint yet.
    """
    arrow, parquet = _pyarrow()
    with opened(path) as export:
        schema = _schema(arrow).with_metadata({_NOTE: export.note, _KEY: export.key})
        written = 0
        with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
            records = export.records(disclosed, after)
            while some := list(islice(records, _ROWS)):
                writer.write_table(arrow.Table.from_pylist([_row(one) for one in some], schema))
                written += len(some)
    return written


def check_parquet(source: Path, key: PublicKey | None = None) -> Proof:
    """Check what `export_parquet` wrote, against the device's key if it is known.

    Raises ExportInvalid, ParquetMissing.
    """
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(source) as file:
            told = file.schema_arrow.metadata or {}
            stated = public_key(told[_KEY].decode())
            if key is not None and stated != key:
                raise ExportInvalid("the checkpoint is signed by another device")
            checkpoint = verify_checkpoint(told[_NOTE], stated)
            number = 0
            for row in _rows(file):
                number += 1
                hashes = [_hash(row, name) for name in SECTIONS]
                plain = (row["kind"], row["seq"], row["time"])
                if not (_tells_its_metadata(row) and is_proven(*plain, hashes, row["leaf"], row["proof"], checkpoint)):
                    raise ExportInvalid(f"row {number} is not what the log holds")
    except (KeyError, TypeError, ValueError, CheckpointInvalid, OSError, arrow.ArrowException):
        raise ExportInvalid("this is no export of a log, or a damaged one") from None
    return Proof(number, checkpoint, stated)


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does. Raises OSError."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # 60 MB: where it is asked for
        import pyarrow.parquet
    except ImportError:
        raise ParquetMissing from None
    return pyarrow, pyarrow.parquet


def _schema(arrow: Any) -> Any:
    fields = [("seq", arrow.int64()), *((name, arrow.string()) for name in _OF_RECORD[1:])]
    fields += [(name, arrow.int64() if name in _NUMBERS else arrow.string()) for name in _MEMBERS]
    for name in SECTIONS:
        fields += [(name, arrow.string()), (f"{name}_salt", arrow.binary()), (f"{name}_hash", arrow.binary())]
    return arrow.schema([*fields, ("leaf", arrow.binary()), ("proof", arrow.list_(arrow.binary()))])


def _row(one: Proven) -> dict[str, Any]:
    row: dict[str, Any] = one._asdict()
    for name, (text, salt, hash) in zip(SECTIONS, row.pop("sections"), strict=True):
        row |= {name: text, f"{name}_salt": salt, f"{name}_hash": hash}
    row["leaf"] = row.pop("leaf_hash")
    return row | _members(row["metadata"])


def _members(metadata: str | None) -> dict[str, Any]:
    """The columns that stand for members of metadata: numbers as they are, everything else as text."""
    content = json.loads(metadata) if metadata is not None else {}
    return {name: _cell(content.get(name), number=name in _NUMBERS) for name in _MEMBERS}


def _cell(value: object, *, number: bool) -> int | str | None:
    if number:
        return value if isinstance(value, int) else None
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _tells_its_metadata(row: dict[str, Any]) -> bool:
    """Whether the columns that are there for convenience say what the proven section says."""
    if row["metadata"] is None:
        return all(row[name] is None for name in ("exchange", "session", *_MEMBERS))
    content = json.loads(row["metadata"])
    told = {"exchange": content.get("exchange"), "session": content.get("session")} | _members(row["metadata"])
    return all(row[name] == value for name, value in told.items())


def _hash(row: dict[str, Any], name: str) -> bytes:
    text, stated = row[name], bytes(row[f"{name}_hash"])
    if text is not None and record.section_hash(row[f"{name}_salt"], text.encode()) != stated:
        raise ValueError
    return stated


def _rows(file: Any) -> Iterator[dict[str, Any]]:
    for batch in file.iter_batches(_ROWS):
        yield from batch.to_pylist()
