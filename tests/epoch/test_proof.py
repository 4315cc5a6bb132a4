"""proofs
|- every account, every activity and every range of accounts of a genuine epoch is proved
|- a proof document reads back; any flipped bit in leaf, leaf hash, sibling, root or header is refused
|- a document with a missing, unknown or mistyped field, or the other kind, is refused
|- an account or activity that is not there is named
|- rows that do not have the header's root prove nothing
`- the plain specification (spec.epoch_tree) hashes and verifies the same
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.epoch import sample
from timebank_chain.epoch import (
    PublishedEpoch,
    account_proof,
    activity_proof,
    proof_from_json,
    publish,
    range_proof,
)
from timebank_chain.errors import EpochError, InvalidProof, TamperedEpoch
from timebank_chain.spec import epoch_tree as spec


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> PublishedEpoch:
    return sample.publish_all(tmp_path_factory.mktemp("epochs"), 2)[1]


def test_every_leaf_is_proved_and_the_specification_agrees(published: PublishedEpoch) -> None:
    for index in range(len(published.accounts)):
        proof = account_proof(published, published.accounts.account[index].tobytes())
        proof.check()
        assert proof.leaf.index == index
        leaf_hash = spec.hash_account_leaf(spec.AccountLeaf(**asdict(proof.leaf)))
        assert leaf_hash == proof.leaf.hash()
        assert spec.verify(leaf_hash, index, proof.siblings, published.header.account_root)
        assert proof_from_json(json.loads(json.dumps(proof.to_json()))) == proof
    for index in range(len(published.activities)):
        act = activity_proof(published, index)
        act.check()
        leaf_hash = spec.hash_activity_leaf(spec.ActivityLeaf(**asdict(act.leaf)))
        assert leaf_hash == act.leaf.hash()
        assert spec.verify(leaf_hash, index, act.siblings, published.header.activity_root)
        assert proof_from_json(json.loads(json.dumps(act.to_json()))) == act


def test_every_range_is_proved_and_the_specification_agrees(published: PublishedEpoch) -> None:
    count = len(published.accounts)
    for first in range(count):
        for size in range(1, count - first + 1):
            proof = range_proof(published, first, size)
            proof.check()
            hashes = [leaf.hash() for leaf in proof.leaves]
            assert spec.verify_range(
                hashes, first, proof.siblings, proof.depth, published.header.account_root
            )


def test_a_range_with_a_changed_or_swapped_leaf_is_refused(published: PublishedEpoch) -> None:
    proof = range_proof(published, 1, 4)
    richer = replace(proof.leaves[2], cumulative_mint=proof.leaves[2].cumulative_mint + 1)
    for leaves in (
        [*proof.leaves[:2], richer, proof.leaves[3]],
        [proof.leaves[1], proof.leaves[0], *proof.leaves[2:]],
        proof.leaves[1:],
        [],
    ):
        with pytest.raises(InvalidProof):
            replace(proof, leaves=leaves).check()
    with pytest.raises(InvalidProof):
        replace(proof, siblings=proof.siblings[:-1]).check()


def hex_fields(document: dict[str, Any], kind: str) -> list[list[Any]]:
    paths: list[list[Any]] = [["leafHash"], ["root"]]
    paths += [["siblings", level] for level in range(len(document["siblings"]))]
    for part in ("leaf", "header"):
        paths += [[part, name] for name in document[part] if name != "schema"]
    return paths


def flipped(value: Any, bit: int) -> Any:
    """Flip a bit of the number or bytes a JSON value stands for."""
    if isinstance(value, int):
        return value ^ 1 << bit % 16
    if isinstance(value, str) and value.startswith("0x"):
        data = bytearray.fromhex(value[2:])
        data[bit // 8 % len(data)] ^= 1 << bit % 8
        return "0x" + data.hex()
    return value + "x"


@pytest.mark.parametrize("kind", ["account", "activity"])
def test_any_flipped_bit_of_a_proof_is_refused(published: PublishedEpoch, kind: str) -> None:
    proof = account_proof(published, sample.WALLET) if kind == "account" else activity_proof(published, 5)
    genuine = proof.to_json()
    assert proof_from_json(genuine) == proof
    for path in hex_fields(genuine, kind):
        for bit in range(256):
            document = json.loads(json.dumps(genuine))
            *outer, name = path
            target = document
            for step in outer:
                target = target[step]
            target[name] = flipped(target[name], bit)
            with pytest.raises(EpochError):
                proof_from_json(document)


def test_a_header_that_vouches_for_itself_still_needs_the_leaf(published: PublishedEpoch) -> None:
    proof = account_proof(published, sample.WALLET)
    for field in ("account_root", "account_count"):
        value = getattr(proof.header, field)
        other = bytes(32) if isinstance(value, bytes) else value * 3
        with pytest.raises(InvalidProof):
            proof_from_json(replace(proof, header=replace(proof.header, **{field: other})).to_json())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "timebank.proof/2"}, "schema"),
        ({"kind": "activity"}, "unknown field 'activity_end'"),
        ({"kind": None}, "kind is account or activity"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"leaf": []}, "not an object"),
        ({"header": None}, "not an object"),
        ({"siblings": {}}, "not a list"),
        ({"siblings": ["0x00"]}, "not 32 bytes"),
        ({"siblings": []}, "0 siblings, a tree with"),
        ({"leafHash": None}, "not 32 bytes"),
    ],
)
def test_a_wrong_document_is_refused(
    published: PublishedEpoch, changes: dict[str, Any], message: str
) -> None:
    document = account_proof(published, sample.WALLET).to_json()
    with pytest.raises(EpochError, match=message):
        proof_from_json({**document, **changes})


def test_what_is_not_there_is_named(published: PublishedEpoch) -> None:
    with pytest.raises(
        EpochError, match="0x0909090909090909090909090909090909090909 has no account in epoch 2"
    ):
        account_proof(published, b"\x09" * 20)
    count = len(published.activities)
    with pytest.raises(EpochError, match=f"the tree has {count} leaves, not leaf {count}"):
        activity_proof(published, count)
    with pytest.raises(EpochError, match="leaves, not 99 leaves from 0 on"):
        range_proof(published, 0, 99)


def test_rows_without_the_headers_root_prove_nothing(published: PublishedEpoch) -> None:
    acts = sample.changed(published.activities, "value", 0, 5)
    owners = sample.changed(published.accounts, "mint", 0, 5)
    tampered = replace(published, activities=acts, accounts=owners)
    with pytest.raises(TamperedEpoch, match="the account rows have the root"):
        account_proof(tampered, sample.WALLET)
    with pytest.raises(TamperedEpoch, match="the activity rows have the root"):
        activity_proof(tampered, 0)


def test_a_proof_of_a_single_account_has_no_siblings(tmp_path: Path) -> None:

    lone = [row for row in sample.records() if row.member == "m0"]
    only = publish(sample.build(1, None, table=sample.table_of(lone)), tmp_path)
    proof = account_proof(only, sample.WALLET)
    assert (proof.siblings, len(only.accounts)) == ([], 1)
    proof.check()
    assert proof.leaf.hash() == only.header.account_root
