"""What we claim: takes a valued epoch, gives leaves, two trees, a header and proofs."""

from timebank_chain.epoch.header import EpochHeader, domain_separator
from timebank_chain.epoch.keccak import keccak_many
from timebank_chain.epoch.leaves import AccountLeaf, ActivityLeaf, record_id
from timebank_chain.epoch.tree import MerkleTree, tree_depth, verify_leaf, verify_range

__all__ = [
    "AccountLeaf",
    "ActivityLeaf",
    "EpochHeader",
    "MerkleTree",
    "domain_separator",
    "keccak_many",
    "record_id",
    "tree_depth",
    "verify_leaf",
    "verify_range",
]
