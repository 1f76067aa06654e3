"""The tree is RFC 6962's: published roots, and every proof against a definition of five lines."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localguard.audit import merkle
from localguard.audit.record import leaf_hash

INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Of the first 0 to 8 inputs; from the test data of the Certificate Transparency project's reference implementation."""


PATHS = {
    # number of the leaf, size of the tree: the proof
    (0, 1): "",
    (0, 8): "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
    " 5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
    " 6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    (5, 8): "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
    " ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
    " d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    (2, 3): "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    (1, 5): "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    " 5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
    " bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
}
EXTENSIONS = {
    # sizes of the two trees: the proof
    (1, 8): PATHS[0, 8],
    (6, 8): "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
    " ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
    " d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    (2, 5): "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
    " bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
}
"""From the same test data."""


def tree(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(count)]


def subtree_of(leaves: Sequence[bytes]) -> merkle.Subtree:
    def subtree(begin: int, end: int) -> bytes:
        width = end - begin
        assert width & (width - 1) == 0
        assert begin % width == 0
        return merkle.fold(leaves[begin:end])

    return subtree


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_that_were_published(size: int) -> None:
    leaves = [leaf_hash(one) for one in INPUTS[:size]]
    grown = merkle.Frontier()
    for leaf in leaves:
        grown.append(leaf)
    assert grown.root().hex() == ROOTS[size]
    assert merkle.root(size, subtree_of(leaves)).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), PATHS)
def test_the_inclusion_proofs_are_those_that_were_published(index: int, size: int) -> None:
    leaves = [leaf_hash(one) for one in INPUTS]
    proof = [bytes.fromhex(one) for one in PATHS[index, size].split()]
    assert merkle.inclusion_proof(index, size, subtree_of(leaves)) == proof
    assert merkle.includes(leaves[index], index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second"), EXTENSIONS)
def test_the_consistency_proofs_are_those_that_were_published(first: int, second: int) -> None:
    proof = [bytes.fromhex(one) for one in EXTENSIONS[first, second].split()]
    assert merkle.consistency_proof(first, second, subtree_of([leaf_hash(one) for one in INPUTS])) == proof
    assert merkle.extends(first, bytes.fromhex(ROOTS[first]), second, bytes.fromhex(ROOTS[second]), proof)


@given(st.integers(0, 600))
def test_a_tree_that_grew_has_the_root_and_the_tiles_of_the_definition(size: int) -> None:
    leaves = leaves_of(size)
    grown = merkle.Frontier()
    tiles = [tile for leaf in leaves for tile in grown.append(leaf)]
    assert grown.root() == tree(leaves)
    assert merkle.frontier(size, subtree_of(leaves)).hashes == grown.hashes
    expected = [(1, n, tree(leaves[256 * n : 256 * (n + 1)])) for n in range(size // 256)]
    assert tiles == expected


def test_the_second_level_of_tiles_is_over_65536_leaves() -> None:
    grown = merkle.Frontier()
    tiles = [tile for number in range(65_536) for tile in grown.append(leaf_hash(b"%d" % number))]
    assert [tile[:2] for tile in tiles[-2:]] == [(1, 255), (2, 0)]
    assert tiles[-1][2] == grown.root() == merkle.fold([tile[2] for tile in tiles[:-1]])


@given(st.data())
def test_every_leaf_has_a_proof_that_shows_this_leaf_at_this_place_only(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    leaves = leaves_of(size)
    root = tree(leaves)
    proof = merkle.inclusion_proof(index, size, subtree_of(leaves))
    assert merkle.includes(leaves[index], index, size, proof, root)
    other = data.draw(st.integers(0, size + 3))
    assert merkle.includes(leaves[index], other, size, proof, root) is (other == index)
    assert not merkle.includes(leaf_hash(b"another"), index, size, proof, root)
    assert not merkle.includes(leaves[index], index, size, [*proof, root], root)
    if proof:
        assert not merkle.includes(leaves[index], index, size, proof[:-1], root)


@given(st.data())
def test_a_larger_tree_is_shown_to_begin_with_a_smaller_one_and_not_with_another(data: st.DataObject) -> None:
    second = data.draw(st.integers(1, 300))
    first = data.draw(st.integers(1, second))
    leaves = leaves_of(second)
    proof = merkle.consistency_proof(first, second, subtree_of(leaves))
    old, new = tree(leaves[:first]), tree(leaves)
    assert merkle.extends(first, old, second, new, proof)
    changed = data.draw(st.integers(0, first - 1))
    forged = [*leaves]
    forged[changed] = leaf_hash(b"forged")
    assert not merkle.extends(first, tree(forged[:first]), second, new, proof)
    assert not merkle.extends(first, old, second, tree(forged), proof)
    forged_proof = merkle.consistency_proof(first, second, subtree_of(forged))
    assert not merkle.extends(first, old, second, tree(forged), forged_proof)
    assert not merkle.extends(first, old, second, new, [*proof, new])
    if proof:
        assert not merkle.extends(first, old, second, new, proof[:-1])


def test_there_is_no_proof_of_what_is_not_there() -> None:
    subtree = subtree_of(leaves_of(4))
    for index, size in ((4, 4), (-1, 4), (0, 0)):
        with pytest.raises(ValueError):
            merkle.inclusion_proof(index, size, subtree)
    for first, second in ((0, 4), (5, 4)):
        with pytest.raises(ValueError):
            merkle.consistency_proof(first, second, subtree)
    with pytest.raises(ValueError):
        merkle.Frontier(3, [b""])
    with pytest.raises(ValueError):
        merkle.fold(leaves_of(3))
