"""Makes wrong epochs out of honest ones, for tests and drills only.

Each variant plants one lie at one place. ``alone`` changes nothing else in the rows; with ``rehash``
everything that follows from the lie is computed again, so that sums, earned, mint and totals agree with it
and only the lie itself is wrong. Either way roots, counts, manifest, data hash and header hash are made
anew: the files hold together, and only who recomputes them sees it.

Classes 1 to 9 are those of ``timebank_chain.epoch.faults``. Two kinds cannot be seen in the published rows,
because the file has no room for them: a leaf that says another index than its place, and one hidden in the
padding; and class 10 withholds: the rows published are honest, and what the roots commit to is not, or a
file is missing. ``Corruption.shown`` is the leaf a proposer would have to show when asked.

A ``RateOracle`` takes no epoch that mints more than its rate allows, so lies about mints make them smaller
and others grow what was earned with them: each variant can be proposed (``Corruption.proposable``).
"""

from __future__ import annotations

import hashlib
import random
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from timebank_chain.epoch.draft import Draft, LeafRows
from timebank_chain.epoch.faults import CommittedLeaf, TreeName, committed_leaf, find_faults
from timebank_chain.epoch.file import (
    ACCOUNTS_FILE,
    ACTIVITIES_FILE,
    HEADER_FILE,
    MANIFEST_FILE,
    POLICIES_FOLDER,
    PublishedEpoch,
    encode_header,
    encode_manifest,
    encode_rows,
    epoch_folder,
)
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.leaves import hash_account_leaves, hash_activity_leaves
from timebank_chain.epoch.lies import Variant, variants
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.epoch.tree import MerkleTree
from timebank_chain.errors import EpochError
from timebank_chain.valuation import Policy

Place = Literal["first", "last", "random"] | int


@dataclass(frozen=True, slots=True)
class Planted:
    """What was planted where.

    Attributes
    ----------
    fault_class, variant
        Which lie.
    index
        The leaf concerned; 0 where it is the header itself.
    rehashed
        Whether everything that follows from it was computed again.
    message
        One sentence: what stands there now, and what stood there before.
    """

    fault_class: int
    variant: str
    tree: TreeName
    index: int
    rehashed: bool
    message: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "class": self.fault_class,
            "variant": self.variant,
            "tree": self.tree,
            "index": self.index,
            "rehashed": self.rehashed,
            "message": self.message,
        }


@dataclass(frozen=True, eq=False)
class Corruption:
    """A wrong epoch: what is published, and what its roots commit to.

    Attributes
    ----------
    files
        The published files by name; one is missing where a file is withheld.
    activities, accounts
        The rows under the roots; other than the published ones where leaves are withheld.
    trees
        The trees with the header's roots; a planted index or hidden leaf is in them.
    shown
        The planted leaf as the tree has it, where the published rows do not show it.
    """

    planted: Planted
    header: EpochHeader
    files: Mapping[str, bytes]
    activities: ActivityRows
    accounts: AccountRows
    trees: Mapping[TreeName, MerkleTree]
    shown: CommittedLeaf | None

    @property
    def proposable(self) -> bool:
        """Whether a ``RateOracle`` takes it: it mints no more than rate and pot allow."""
        header = self.header
        return header.total_mint <= (header.total_earned * header.rate_q24 >> 24) + header.pot

    def answer(self, tree: TreeName, index: int) -> CommittedLeaf:
        """Return the leaf at ``index`` with its siblings: how the proposer answers when asked for it."""
        if self.shown is not None and (self.shown.tree, self.shown.position) == (tree, index):
            return self.shown
        return committed_leaf(
            self.activities if tree == "activity" else self.accounts, self.trees[tree], index
        )


def corrupt_epoch(
    published: PublishedEpoch,
    previous: PublishedEpoch | None,
    policy: Policy,
    *,
    fault_class: int,
    variant: str | None = None,
    at: Place = "first",
    rehash: bool = False,
    seed: int = 0,
) -> Corruption:
    """Make an honest epoch wrong in exactly one way.

    Parameters
    ----------
    published, previous, policy
        The honest epoch, the one before (``None`` for the first) and its policy.
    fault_class
        1 to 10.
    variant
        Name, see ``variants``; default: the first of the class.
    at
        The first or last place where it can be planted, one by chance, or a leaf's index.
    rehash
        Compute again what follows from the lie.
    seed
        Decides what is left to chance.

    Raises
    ------
    EpochError
        If there is no such variant, the epoch has no such place, or it is not honest to begin with.
    """
    chosen = _variant(fault_class, variant)
    for fault in find_faults(published, previous, policy)[:1]:
        raise EpochError(
            f"epoch {published.number} is wrong already: {fault}", hint="start from an honest epoch"
        )
    draft = Draft(published, previous, policy)
    row = _place(chosen, chosen.places(draft), at, published.number, seed)
    message = chosen.plant(draft, row, rehash)
    planted = Planted(chosen.fault_class, chosen.name, chosen.tree, row, rehash, message)
    return _finish(draft, planted)


def write_corruption(corruption: Corruption, epochs: Path | str, to: Path | str) -> Path:
    """Write a wrong epoch under ``to``, with the policies and the epochs before it from ``epochs``.

    Returns
    -------
    Path
        The folder of the wrong epoch.

    Raises
    ------
    EpochError
        If the epoch is there already, or the folder cannot be written.
    """
    source, target = Path(epochs), Path(to)
    number = corruption.header.epoch
    folder = epoch_folder(target, number)
    if target.resolve() == source.resolve():
        raise EpochError(
            "a wrong epoch must not stand among the honest ones",
            where=str(target),
            hint="give another folder: --to DIR",
        )
    if folder.exists():
        raise EpochError(
            f"there is an epoch {number} already", where=str(folder), hint="give an empty folder: --to DIR"
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source / POLICIES_FOLDER, target / POLICIES_FOLDER, dirs_exist_ok=True)
        for before in range(1, number):
            if not epoch_folder(target, before).exists():
                shutil.copytree(epoch_folder(source, before), epoch_folder(target, before))
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=target))
        try:
            fresh.chmod(0o755)
            for name, content in corruption.files.items():
                (fresh / name).write_bytes(content)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise EpochError(
            f"the wrong epoch cannot be written: {error.strerror}",
            where=str(folder),
            hint="choose another --to",
        ) from error
    return folder


def _variant(fault_class: int, name: str | None) -> Variant:
    known = variants(fault_class)
    if not known:
        raise EpochError(f"there is no fault class {fault_class}", hint="choose 1 to 10")
    if name is None:
        return known[0]
    for one in known:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in known)
    raise EpochError(f"class {fault_class} has no variant {name!r}", hint=f"choose one of: {names}")


def _place(variant: Variant, places: LeafRows, at: Place, number: int, seed: int) -> int:
    if not len(places):
        raise EpochError(
            f"epoch {number} has no place for class {variant.fault_class}, variant '{variant.name}': "
            f"{variant.help}",
            hint="choose another --variant or --epoch",
        )
    if at == "first":
        return int(places[0])
    if at == "last":
        return int(places[-1])
    if at == "random":
        return int(places[random.Random(seed).randrange(len(places))])  # noqa: S311 - a drill, not a secret
    if at not in places:
        raise EpochError(
            f"leaf {at} is no place for class {variant.fault_class}, variant '{variant.name}'",
            hint=f"the first that is: {int(places[0])}, the last: {int(places[-1])}",
        )
    return at


def _finish(draft: Draft, planted: Planted) -> Corruption:
    """Hash everything anew."""
    honest = draft.published
    acts, accounts = ActivityRows(**draft.activities), AccountRows(**draft.accounts)
    committed: dict[TreeName, ActivityRows | AccountRows] = {"activity": acts, "account": accounts}
    hashes = {
        "activity": hash_activity_leaves(acts.columns()),
        "account": hash_account_leaves(accounts.columns()),
    }
    stray = None
    if draft.stray is not None:
        tree, position, index = draft.stray
        rows = committed[tree]
        stray = replace(rows.leaf(min(position, len(rows) - 1)), index=index)
        spot = np.frombuffer(stray.hash(), dtype=np.uint8).reshape(1, 32)
        hashes[tree] = np.concatenate([hashes[tree][:position], spot, hashes[tree][position + 1 :]])
    trees: dict[TreeName, MerkleTree] = {
        "activity": MerkleTree(hashes["activity"]),
        "account": MerkleTree(hashes["account"]),
    }
    shown = None
    if draft.stray is not None and stray is not None:
        tree, position, _ = draft.stray
        shown = CommittedLeaf(tree, position, stray, tuple(trees[tree].proof(position)))
    elif draft.publish_honest:
        shown = committed_leaf(committed[planted.tree], trees[planted.tree], planted.index)
    data = {
        ACTIVITIES_FILE: encode_rows(ACTIVITIES_FILE, honest.activities if draft.publish_honest else acts),
        ACCOUNTS_FILE: encode_rows(ACCOUNTS_FILE, honest.accounts if draft.publish_honest else accounts),
    }
    manifest = encode_manifest(honest.number, data)
    fields: dict[str, Any] = {
        "activity_root": trees["activity"].root,
        "activity_count": len(acts),
        "account_root": trees["account"].root,
        "account_count": len(accounts),
        "data_hash": hashlib.sha256(manifest).digest(),
    }
    header = replace(honest.header, **(fields | draft.said))
    files = {HEADER_FILE: encode_header(header), MANIFEST_FILE: manifest, **data}
    if draft.missing is not None:
        del files[draft.missing]
    return Corruption(planted, header, files, acts, accounts, trees, shown)
