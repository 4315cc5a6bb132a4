"""tree
|- root
|  |- zeros for no leaf, the leaf's hash for one
|  `- equals a plainly built padded tree for any count
|- proofs
|  |- every index of every count 0..70 verifies
|  |- another index, leaf, root, or any flipped bit of any node fails
|  |- a proof that is shorter or longer fails
|  `- an index outside the tree is refused
|- the plain specification (spec.epoch_tree) says the same of any proof, right or wrong
|- both ways of hashing give the same tree
`- range proofs
   |- every (first, n) of every count up to 20, and of 64 and 70, verifies
   |- a range of one is the ordinary proof
   `- a wrong start, a swapped leaf, a flipped bit, a spare or missing node fails
"""

from typing import Any

import numpy as np
import pytest
from eth_utils import keccak as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from timebank_chain.epoch import tree as module
from timebank_chain.epoch.keccak import keccak_many_compiled, keccak_many_portable, kernel_available
from timebank_chain.epoch.tree import MerkleTree, tree_depth, verify_leaf, verify_range
from timebank_chain.errors import EpochError
from timebank_chain.spec import epoch_tree as spec


def leaves_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32), dtype=np.uint8)


def plain_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return bytes(32)
    while len(leaves) & (len(leaves) - 1):
        leaves = [*leaves, bytes(32)]
    while len(leaves) > 1:
        leaves = [reference(leaves[at] + leaves[at + 1]) for at in range(0, len(leaves), 2)]
    return leaves[0]


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_the_empty_tree_has_the_zero_root() -> None:
    tree = MerkleTree(np.empty((0, 32), dtype=np.uint8))
    assert (tree.root, tree.depth, tree.count) == (bytes(32), 0, 0)


def test_one_leaf_is_its_own_root() -> None:
    leaves = leaves_of(1)
    assert MerkleTree(leaves).root == leaves[0].tobytes()


@pytest.mark.parametrize("count", [*range(71), 127, 128, 129, 1000])
def test_root_equals_the_plain_padded_tree(count: int) -> None:
    leaves = leaves_of(count)
    assert MerkleTree(leaves).root == plain_root([leaf.tobytes() for leaf in leaves])


@pytest.mark.parametrize(("count", "depth"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (2**20, 20)])
def test_depth_is_the_rounded_up_logarithm(count: int, depth: int) -> None:
    assert tree_depth(count) == depth


@pytest.mark.parametrize("count", range(71))
def test_every_proof_verifies_at_its_index_only(count: int) -> None:
    tree = MerkleTree(leaves_of(count))
    for index in range(count):
        proof = tree.proof(index)
        leaf = tree.leaf_hash(index)
        assert len(proof) == tree.depth
        assert verify_leaf(leaf, index, proof, tree.root)
        for other in {index - 1, index + 1, index ^ 1, index + (1 << tree.depth), 0, count} - {index}:
            assert not verify_leaf(leaf, other, proof, tree.root)


@pytest.mark.parametrize("count", [1, 2, 5, 13])
def test_every_flipped_bit_fails(count: int) -> None:
    tree = MerkleTree(leaves_of(count))
    index = count - 1
    leaf, proof = tree.leaf_hash(index), tree.proof(index)
    for bit in range(256):
        assert not verify_leaf(flip(leaf, bit), index, proof, tree.root)
        assert not verify_leaf(leaf, index, proof, flip(tree.root, bit))
        for at, node in enumerate(proof):
            changed = [*proof[:at], flip(node, bit), *proof[at + 1 :]]
            assert not verify_leaf(leaf, index, changed, tree.root)


def test_a_proof_of_another_length_fails() -> None:
    tree = MerkleTree(leaves_of(9))
    proof = tree.proof(4)
    assert not verify_leaf(tree.leaf_hash(4), 4, proof[:-1], tree.root)
    assert not verify_leaf(tree.leaf_hash(4), 4, [*proof, bytes(32)], tree.root)


@pytest.mark.parametrize("index", [-1, 5, 7])
def test_an_index_outside_the_tree_is_refused(index: int) -> None:
    with pytest.raises(EpochError, match=f"the tree has 5 leaves, not leaf {index}"):
        MerkleTree(leaves_of(5)).proof(index)


@settings(max_examples=300)
@given(st.data())
def test_the_specification_says_the_same(data: Any) -> None:
    count = data.draw(st.integers(1, 40))
    tree = MerkleTree(leaves_of(count))
    index = data.draw(st.integers(0, count - 1))
    claimed = data.draw(st.one_of(st.just(index), st.integers(0, 64)))
    leaf = tree.leaf_hash(index)
    proof = tree.proof(index)
    if proof and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(proof) - 1))
        proof[at] = flip(proof[at], data.draw(st.integers(0, 255)))
    assert verify_leaf(leaf, claimed, proof, tree.root) == spec.verify(leaf, claimed, proof, tree.root)
    size = data.draw(st.integers(0, count - index))
    hashes = [tree.leaf_hash(index + at) for at in range(size)]
    siblings = tree.range_proof(index, size) if size else []
    if siblings and data.draw(st.booleans()):
        siblings = siblings[: data.draw(st.integers(0, len(siblings)))]
    depth = data.draw(st.sampled_from([tree.depth, tree.depth + 1]))
    expected = spec.verify_range(hashes, claimed, siblings, depth, tree.root)
    assert verify_range(hashes, claimed, siblings, depth, tree.root) == expected


@pytest.mark.skipif(not kernel_available(), reason="the extra 'fast' is not installed")
def test_both_ways_of_hashing_give_the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = []
    for way in (keccak_many_compiled, keccak_many_portable):
        monkeypatch.setattr(module, "keccak_many", way)
        trees.append(MerkleTree(leaves_of(1_500)))
    assert trees[0].root == trees[1].root
    assert trees[0].proof(1_234) == trees[1].proof(1_234)


@pytest.mark.parametrize("count", [*range(1, 21), 64, 70])
def test_every_range_verifies(count: int) -> None:
    tree = MerkleTree(leaves_of(count))
    hashes = [tree.leaf_hash(index) for index in range(count)]
    for first in range(count):
        assert tree.range_proof(first, 1) == tree.proof(first)
        for size in range(1, count - first + 1):
            proof = tree.range_proof(first, size)
            assert verify_range(hashes[first : first + size], first, proof, tree.depth, tree.root)


@pytest.mark.parametrize(("first", "size"), [(0, 13), (3, 4), (5, 1), (6, 7), (12, 1), (1, 11)])
def test_every_corruption_of_a_range_fails(first: int, size: int) -> None:
    tree = MerkleTree(leaves_of(13))
    hashes = [tree.leaf_hash(index) for index in range(first, first + size)]
    proof, depth, root = tree.range_proof(first, size), tree.depth, tree.root
    assert verify_range(hashes, first, proof, depth, root)
    for other in set(range(17)) - {first}:
        assert not verify_range(hashes, other, proof, depth, root)
    for at in range(size):
        changed = [*hashes[:at], flip(hashes[at], 77), *hashes[at + 1 :]]
        assert not verify_range(changed, first, proof, depth, root)
    for at in range(len(proof)):
        assert not verify_range(
            hashes, first, [*proof[:at], flip(proof[at], 3), *proof[at + 1 :]], depth, root
        )
        assert not verify_range(hashes, first, proof[:at] + proof[at + 1 :], depth, root)
    assert not verify_range(hashes, first, [*proof, bytes(32)], depth, root)
    assert not verify_range(hashes, first, proof, depth + 1, root)
    assert not verify_range([], first, proof, depth, root)
    if size > 1:
        assert not verify_range([hashes[1], hashes[0], *hashes[2:]], first, proof, depth, root)


@pytest.mark.parametrize(("first", "size"), [(0, 0), (0, 14), (13, 1), (-1, 3), (9, 5)])
def test_a_range_outside_the_tree_is_refused(first: int, size: int) -> None:
    with pytest.raises(EpochError, match="the tree has 13 leaves"):
        MerkleTree(leaves_of(13)).range_proof(first, size)


def test_hashes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="expected hashes"):
        MerkleTree(np.zeros((3, 31), dtype=np.uint8))
