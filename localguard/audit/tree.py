"""The log's Merkle tree as the database keeps it: leaf hashes in `records`, and one node for every 256, 65,536, … of them.

Proofs read a few hundred hashes each, however long the log is. What is read here is believed; `verify` computes it anew.
"""

import sqlite3

from localguard.audit import merkle
from localguard.audit.merkle import HASH_BYTES, TILE_BITS
from localguard.audit.schema import LogCorrupted


class Tree:
    """Roots and proofs of the log behind a connection, at any size up to the present one. Sizes are numbers of records."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def size(self) -> int:
        """How many records there are."""
        (size,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()
        return int(size)

    def frontier(self, size: int) -> merkle.Frontier:
        """The right edge of the tree over the first `size` records. Raises LogCorrupted where hashes are missing."""
        return merkle.frontier(size, self.subtree)

    def root(self, size: int) -> bytes:
        """The root over the first `size` records. Raises LogCorrupted."""
        return self.frontier(size).root()

    def inclusion_proof(self, seq: int, size: int) -> list[bytes]:
        """What shows that record `seq` is among the first `size`. Raises ValueError, LogCorrupted."""
        return merkle.inclusion_proof(seq - 1, size, self.subtree)

    def consistency_proof(self, first: int, second: int) -> list[bytes]:
        """What shows that the log of `second` records begins with that of `first`. Raises ValueError, LogCorrupted."""
        return merkle.consistency_proof(first, second, self.subtree)

    def subtree(self, begin: int, end: int) -> bytes:
        """The root over leaves `begin` to `end`, a perfect subtree. Raises LogCorrupted where its hashes are not all there."""
        level = ((end - begin).bit_length() - 1) // TILE_BITS
        first, last = begin >> TILE_BITS * level, end >> TILE_BITS * level
        if level:
            rows = self._connection.execute(_TILES, (level, first, last))
        else:
            rows = self._connection.execute(_LEAVES, (first, last))
        hashes = [hash for (hash,) in rows]
        if len(hashes) != last - first or not all(isinstance(one, bytes) and len(one) == HASH_BYTES for one in hashes):
            raise LogCorrupted(
                "The tree of the audit log has gaps. Keep the file as evidence; see `localguard audit verify`."
            )
        return merkle.fold(hashes)


_TILES = "SELECT hash FROM tree_tiles WHERE level = ? AND position >= ? AND position < ? ORDER BY position"
_LEAVES = "SELECT leaf_hash FROM records WHERE seq > ? AND seq <= ? ORDER BY seq"
