"""The door of the package: exactly these names, so that removing one is a decision and not an accident."""

from timebank_chain import epoch

NAMES = [
    "position_fault",
    "find_faults",
    "evidence_of",
    "HeadEvidence",
    "Fault",
    "Evidence",
    "DomainEvidence",
    "CommittedLeaf",
    "ActivityEvidence",
    "AccountEvidence",
    "AccountLeaf",
    "AccountProof",
    "AccountRows",
    "ActivityLeaf",
    "ActivityProof",
    "ActivityRows",
    "EpochBuild",
    "EpochHeader",
    "FetchOptions",
    "Finding",
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
    "fetch_epoch",
    "fetch_policy",
    "keccak_many",
    "policy_file",
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


def test_the_public_names_are_pinned_and_exist() -> None:
    assert sorted(epoch.__all__) == sorted(NAMES)
    for name in NAMES:
        assert getattr(epoch, name).__doc__, name
