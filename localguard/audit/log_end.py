"""The end of the log: where the next record goes, and the tree over all before it."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Self

from localguard.audit import record
from localguard.audit.merkle import Frontier, TileNode
from localguard.audit.pending import Pending, Receipt
from localguard.audit.schema import write_batch
from localguard.audit.tree import Tree


class LogEnd:
    """What the one writer knows of the log that it extends. Moves only when a write was durable."""

    def __init__(self, tree: Frontier | None = None, signed: int = 0) -> None:
        self.tree = tree or Frontier()
        """Over all records; its size is the seq of the last one."""
        self.signed = signed
        """The seq of the last checkpoint, 0 where there is none."""

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Self:
        """The end of the log behind `connection`. Raises LogCorrupted where its tree has gaps."""
        tree = Tree(connection)
        (signed,) = connection.execute("SELECT coalesce(max(seq), 0) FROM records WHERE kind = 'checkpoint'").fetchone()
        return cls(tree.frontier(tree.size()), signed)

    def write(
        self,
        connection: sqlite3.Connection,
        batch: Sequence[Pending],
        *,
        checkpoint: Callable[[Frontier], Pending] | None = None,
    ) -> list[Receipt]:
        """Make a batch durable, and behind it the record that `checkpoint` makes for the tree over everything before it.

        Returns the receipts of the batch. Where SQLite fails nothing is written and nothing here has changed.
        """
        tree, signed = self.tree.copy(), self.signed
        rows: list[Sequence[object]] = []
        tiles: list[TileNode] = []
        receipts = [_add(one, tree, rows, tiles) for one in batch]
        if checkpoint is not None:
            signed = _add(checkpoint(tree), tree, rows, tiles).seq
        write_batch(connection, rows, tiles)
        self.tree, self.signed = tree, signed
        return receipts


def _add(pending: Pending, tree: Frontier, rows: list[Sequence[object]], tiles: list[TileNode]) -> Receipt:
    """Number one record, and put it into the tree and among the rows to be written."""
    seq = tree.size + 1
    metadata, findings, local = pending.sections
    leaf = record.leaf(pending.kind, seq, pending.time, metadata.hash, findings.hash, local.hash)
    receipt = Receipt(seq, pending.time, record.leaf_hash(leaf))
    tiles += tree.append(receipt.leaf_hash)
    row = [seq, pending.kind, pending.time, pending.exchange, pending.session]
    for text, salt, digest in pending.sections:
        row += (text.decode(), salt, digest)
    row.append(receipt.leaf_hash)
    rows.append(row)
    return receipt
