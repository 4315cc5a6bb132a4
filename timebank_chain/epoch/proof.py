"""Inclusion proofs: a leaf, its siblings, and the header whose root they lead to.

A proof is made only from rows that really have the header's root, and checks without the epoch's files:
leaf and siblings give the root, the root stands in the header, the header gives the hash that the chain
stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.leaves import AccountLeaf, ActivityLeaf, read_hex
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.epoch.tree import MerkleTree, tree_depth, verify_leaf, verify_range
from timebank_chain.errors import EpochError, InvalidProof, TamperedEpoch

PROOF_SCHEMA = "timebank.proof/1"
_FIELDS = ("schema", "kind", "header", "leaf", "leafHash", "root", "siblings")


@dataclass(frozen=True, slots=True)
class _Proof:
    header: EpochHeader
    siblings: list[bytes]


@dataclass(frozen=True, slots=True)
class AccountProof(_Proof):
    """That an account stands in an epoch as its leaf says; what a claim hands in."""

    leaf: AccountLeaf

    @property
    def root(self) -> bytes:
        """The root the header names."""
        return self.header.account_root

    @property
    def count(self) -> int:
        """The number of leaves the header names."""
        return self.header.account_count

    def check(self) -> None:
        """Raise ``InvalidProof`` unless the leaf is under the header's root."""
        _check(self.leaf, self.siblings, self.root, self.count)

    def to_json(self) -> dict[str, Any]:
        """Return the proof as a document ``timebank.proof/1``."""
        return _document("account", self)


@dataclass(frozen=True, slots=True)
class ActivityProof(_Proof):
    """That an activity stands in an epoch as its leaf says."""

    leaf: ActivityLeaf

    @property
    def root(self) -> bytes:
        """The root the header names."""
        return self.header.activity_root

    @property
    def count(self) -> int:
        """The number of leaves the header names."""
        return self.header.activity_count

    def check(self) -> None:
        """Raise ``InvalidProof`` unless the leaf is under the header's root."""
        _check(self.leaf, self.siblings, self.root, self.count)

    def to_json(self) -> dict[str, Any]:
        """Return the proof as a document ``timebank.proof/1``."""
        return _document("activity", self)


@dataclass(frozen=True, slots=True)
class RangeProof:
    """That neighbouring accounts stand in an epoch as their leaves say; what ``claimMany`` takes.

    ``depth`` is the number of levels of the account tree.
    """

    header: EpochHeader
    leaves: list[AccountLeaf]
    siblings: list[bytes]
    depth: int

    def check(self) -> None:
        """Raise ``InvalidProof`` unless all leaves are under the header's root, side by side."""
        first = self.leaves[0].index if self.leaves else 0
        hashes = [leaf.hash() for leaf in self.leaves]
        if [leaf.index for leaf in self.leaves] != list(range(first, first + len(hashes))) or not (
            verify_range(hashes, first, self.siblings, self.depth, self.header.account_root)
        ):
            raise InvalidProof(
                f"the {len(hashes)} accounts from {first} on are not under the account root of epoch "
                f"{self.header.epoch}",
                hint="make the proof again from the published epoch",
            )


def account_proof(published: PublishedEpoch, account: bytes) -> AccountProof:
    """Prove an account (20 bytes).

    Raises
    ------
    EpochError
        If the account has no leaf in the epoch.
    TamperedEpoch
        If the published rows do not have the header's root.
    """
    index = published.accounts.find(account)
    if index is None:
        raise EpochError(
            f"0x{account.hex()} has no account in epoch {published.number}",
            hint="it has earned nothing up to then; see the accounts: timebank epoch inspect",
        )
    tree = checked_tree(published, "account")
    return AccountProof(published.header, tree.proof(index), published.accounts.leaf(index))


def activity_proof(published: PublishedEpoch, index: int) -> ActivityProof:
    """Prove the activity at ``index``.

    Raises
    ------
    EpochError
        If the epoch has no such activity.
    TamperedEpoch
        If the published rows do not have the header's root.
    """
    tree = checked_tree(published, "activity")
    siblings = tree.proof(index)
    return ActivityProof(published.header, siblings, published.activities.leaf(index))


def range_proof(published: PublishedEpoch, first: int, count: int) -> RangeProof:
    """Prove ``count`` neighbouring accounts from index ``first`` on.

    Raises
    ------
    EpochError
        If the epoch has no such accounts.
    TamperedEpoch
        If the published rows do not have the header's root.
    """
    tree = checked_tree(published, "account")
    siblings = tree.range_proof(first, count)
    leaves = [published.accounts.leaf(index) for index in range(first, first + count)]
    return RangeProof(published.header, leaves, siblings, tree.depth)


def proof_from_json(document: Mapping[str, Any]) -> AccountProof | ActivityProof:
    """Read a document ``timebank.proof/1`` and check it to the last bit.

    Raises
    ------
    EpochError
        If the document is not one.
    InvalidProof
        If leaf, siblings, root, hash or header do not fit together.
    """
    if document.get("schema") != PROOF_SCHEMA:
        raise EpochError(f"schema {document.get('schema')!r} is not {PROOF_SCHEMA!r}", where="field 'schema'")
    for name in document:
        if name not in _FIELDS:
            raise EpochError(f"unknown field {name!r}", hint=f"known: {', '.join(_FIELDS)}")
    for name in ("header", "leaf"):
        if not isinstance(document.get(name), dict):
            raise EpochError(f"not an object: {document.get(name)!r}", where=f"field {name!r}")
    nodes = document.get("siblings")
    if not isinstance(nodes, list):
        raise EpochError(f"not a list: {nodes!r}", where="field 'siblings'")
    header = EpochHeader.from_json(document["header"], where="field 'header'")
    siblings = [read_hex(node, 32, field=f"sibling {level}") for level, node in enumerate(nodes)]
    proof: AccountProof | ActivityProof
    if document.get("kind") == "account":
        proof = AccountProof(header, siblings, AccountLeaf.from_json(document["leaf"]))
    elif document.get("kind") == "activity":
        proof = ActivityProof(header, siblings, ActivityLeaf.from_json(document["leaf"]))
    else:
        raise EpochError(f"kind is account or activity, not {document.get('kind')!r}", where="field 'kind'")
    for name, expected in (("root", proof.root), ("leafHash", proof.leaf.hash())):
        found = read_hex(document.get(name), 32, field=f"field {name!r}")
        if found != expected:
            raise InvalidProof(
                f"0x{found.hex()} is not the 0x{expected.hex()} that follows from the rest",
                where=f"field {name!r}",
            )
    proof.check()
    return proof


def _document(kind: str, proof: AccountProof | ActivityProof) -> dict[str, Any]:
    return {
        "schema": PROOF_SCHEMA,
        "kind": kind,
        "header": proof.header.to_json(),
        "leaf": proof.leaf.to_json(),
        "leafHash": "0x" + proof.leaf.hash().hex(),
        "root": "0x" + proof.root.hex(),
        "siblings": ["0x" + node.hex() for node in proof.siblings],
    }


def _check(leaf: AccountLeaf | ActivityLeaf, siblings: Sequence[bytes], root: bytes, count: int) -> None:
    again = "make the proof again from the published epoch"
    if leaf.index >= count:
        raise InvalidProof(f"leaf {leaf.index} of a tree with {count} leaves", hint=again, where="leaf")
    if len(siblings) != tree_depth(count):
        raise InvalidProof(
            f"{len(siblings)} siblings, a tree with {count} leaves has {tree_depth(count)} levels",
            hint=again,
            where="siblings",
        )
    if not verify_leaf(leaf.hash(), leaf.index, siblings, root):
        raise InvalidProof(f"leaf {leaf.index} is not under the root 0x{root.hex()}", hint=again)


def checked_tree(published: PublishedEpoch, kind: Literal["activity", "account"]) -> MerkleTree:
    """Return the tree over an epoch's activity or account rows, once it has the header's root.

    Raises
    ------
    TamperedEpoch
        If it has another.
    """
    header = published.header
    rows: ActivityRows | AccountRows
    rows, root = (
        (published.activities, header.activity_root)
        if kind == "activity"
        else (published.accounts, header.account_root)
    )
    if rows.tree.root != root:
        raise TamperedEpoch(
            f"the {kind} rows have the root 0x{rows.tree.root.hex()}, the header says 0x{root.hex()}",
            where=str(published.folder),
            hint="run: timebank epoch verify --epochs DIR",
        )
    return rows.tree
