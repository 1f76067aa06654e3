"""The Merkle tree over the log's leaf hashes, and proofs about it. Pure; RFC 6962 section 2.1 and RFC 9162 section 2.1.

    node(left, right) = SHA-256(0x01 ‖ left ‖ right)          leaf hashes are made by `record.leaf_hash`
    tree(leaves)      = node(tree(the first k), tree(the rest))     k: the largest power of two below their number

Leaves are numbered from 0; the record with seq n is leaf n - 1. A proof is a list of 32-byte hashes in the RFC's order.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
TILE_BITS = 8
TILE = 1 << TILE_BITS
"""Leaves below a node of the first tile level; 256 of those are below one of the second, and so on."""

Subtree = Callable[[int, int], bytes]
"""The root over the leaves from one number up to another, which is a perfect subtree: its width is a power of two that
divides its beginning."""

TileNode = tuple[int, int, bytes]
"""Level (1 over 256 leaves, 2 over 65,536, …), position in the level, hash."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an interior node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that grows at its right edge: it holds the roots of the perfect subtrees that it consists of, largest first."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if len(self.hashes) != size.bit_count():
            raise ValueError("a frontier has one hash for each bit that is set in its size")

    def copy(self) -> "Frontier":
        """A frontier of its own that stands where this one does."""
        return Frontier(self.size, self.hashes)

    def append(self, leaf_hash: bytes) -> list[TileNode]:
        """Add a leaf. Returns the tile nodes that it completes: most leaves complete none."""
        position, hash, width = self.size, leaf_hash, 0
        completed: list[TileNode] = []
        while position >> width & 1:
            hash = node_hash(self.hashes.pop(), hash)
            width += 1
            if width % TILE_BITS == 0:
                completed.append((width // TILE_BITS, position >> width, hash))
        self.hashes.append(hash)
        self.size = position + 1
        return completed

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self.hashes:
            return EMPTY_ROOT
        hash = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            hash = node_hash(left, hash)
        return hash


def frontier(size: int, subtree: Subtree) -> Frontier:
    """The frontier of the first `size` leaves."""
    return Frontier(size, (subtree(begin, end) for begin, end in _perfect(0, size)))


def root(size: int, subtree: Subtree) -> bytes:
    """The root over the first `size` leaves."""
    return frontier(size, subtree).root()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root of a perfect subtree, from the hashes of one of its levels. Raises ValueError for a number of them that is no power of two."""
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise ValueError("a perfect subtree has a power of two of nodes in each level")
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """What shows that leaf `index` is in the tree over the first `size` leaves. Raises ValueError if it is not."""
    if not 0 <= index < size:
        raise ValueError("the tree has no such leaf")
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(_range(middle, end, subtree))
            end = middle
        else:
            proof.append(_range(begin, middle, subtree))
            begin = middle
    return proof[::-1]


def includes(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> bool:
    """Whether `proof` shows that the leaf stands at `index` in the tree of `size` with this root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, hash = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            hash = node_hash(sibling, hash)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            hash = node_hash(hash, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and hash == root_hash


def consistency_proof(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """What shows that the tree of `second` leaves begins with that of `first`. Raises ValueError unless 0 < first <= second."""
    if not 0 < first <= second:
        raise ValueError("a consistency proof goes from a smaller tree that is not empty to a larger one")
    proof: list[bytes] = []
    begin, end, whole = 0, second, True
    while first != end:
        middle = begin + _split(end - begin)
        if first <= middle:
            proof.append(_range(middle, end, subtree))
            end = middle
        else:
            proof.append(_range(begin, middle, subtree))
            begin, whole = middle, False
    if not whole:
        proof.append(_range(begin, end, subtree))
    return proof[::-1]


def extends(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the second tree begins with the first (RFC 9162 section 2.1.4.2)."""
    if first == second:
        return not proof and first_root == second_root
    if not 0 < first < second or not proof:
        return False
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1


def _perfect(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The perfect subtrees that `begin` to `end` consists of, where `begin` is a multiple of the largest."""
    while begin < end:
        width = 1 << (end - begin).bit_length() - 1
        yield begin, begin + width
        begin += width


def _range(begin: int, end: int, subtree: Subtree) -> bytes:
    """The root over the leaves from `begin` to `end`, where a subtree of the whole begins at `begin`."""
    parts = [subtree(one, other) for one, other in _perfect(begin, end)]
    hash = parts[-1]
    for left in reversed(parts[:-1]):
        hash = node_hash(left, hash)
    return hash
