"""What we claim: takes activities, a policy and the epoch before, gives leaves, two trees, a header, proofs.

``keccak``, ``leaves``, ``tree`` and ``header`` fix the bytes; ``build`` makes an epoch, ``publisher`` and
``file`` write and read it, ``fetch`` gets it from where its header says, ``verify`` recomputes it, ``faults``
and ``evidence`` prove it wrong, ``proof``, ``receipts`` and ``change`` explain it to one account,
``rehearse`` values it by other rules.
"""

from timebank_chain.epoch.build import EpochBuild, LeftOut, build_epoch
from timebank_chain.epoch.evidence import (
    AccountEvidence,
    ActivityEvidence,
    DomainEvidence,
    Evidence,
    HeadEvidence,
    evidence_of,
)
from timebank_chain.epoch.faults import CommittedLeaf, Fault, find_faults, position_fault
from timebank_chain.epoch.fetch import fetch_epoch, fetch_policy
from timebank_chain.epoch.file import (
    PublishedEpoch,
    epoch_folder,
    policy_file,
    published_numbers,
    read_epoch,
    read_policy,
)
from timebank_chain.epoch.header import EpochHeader, domain_separator
from timebank_chain.epoch.keccak import keccak_many
from timebank_chain.epoch.leaves import AccountLeaf, ActivityLeaf
from timebank_chain.epoch.places import FetchOptions
from timebank_chain.epoch.proof import (
    AccountProof,
    ActivityProof,
    RangeProof,
    account_proof,
    activity_proof,
    proof_from_json,
    range_proof,
)
from timebank_chain.epoch.publisher import publish
from timebank_chain.epoch.receipts import Receipt, receipt
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.epoch.tree import MerkleTree, tree_depth, verify_leaf, verify_range
from timebank_chain.epoch.verify import Finding, verify_epoch, verify_records

__all__ = [
    "AccountEvidence",
    "AccountLeaf",
    "AccountProof",
    "AccountRows",
    "ActivityEvidence",
    "ActivityLeaf",
    "ActivityProof",
    "ActivityRows",
    "CommittedLeaf",
    "DomainEvidence",
    "EpochBuild",
    "EpochHeader",
    "Evidence",
    "Fault",
    "FetchOptions",
    "Finding",
    "HeadEvidence",
    "LeftOut",
    "MerkleTree",
    "PublishedEpoch",
    "RangeProof",
    "Receipt",
    "account_proof",
    "activity_proof",
    "build_epoch",
    "domain_separator",
    "epoch_folder",
    "evidence_of",
    "fetch_epoch",
    "fetch_policy",
    "find_faults",
    "keccak_many",
    "policy_file",
    "position_fault",
    "proof_from_json",
    "publish",
    "published_numbers",
    "range_proof",
    "read_epoch",
    "read_policy",
    "receipt",
    "tree_depth",
    "verify_epoch",
    "verify_leaf",
    "verify_range",
    "verify_records",
]
