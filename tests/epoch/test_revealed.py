"""Finding out what a root commits to, from the leaves that are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.epoch.sample import publish_all
from timebank_chain.epoch import AccountRows, ActivityRows, CommittedLeaf, EpochHeader, MerkleTree
from timebank_chain.epoch.faults import committed_leaf
from timebank_chain.epoch.revealed import reveal
from timebank_chain.errors import InvalidProof


def with_root(header: EpochHeader, rows: ActivityRows | AccountRows) -> EpochHeader:
    if isinstance(rows, ActivityRows):
        return replace(header, activity_root=rows.tree.root, activity_count=len(rows))
    return replace(header, account_root=rows.tree.root, account_count=len(rows))


def interrogate(
    published: ActivityRows | AccountRows, committed: ActivityRows | AccountRows, header: EpochHeader
) -> tuple[ActivityRows | AccountRows, list[CommittedLeaf]]:
    """Ask until nothing is left to ask; whoever answers has what was committed."""
    shown: list[CommittedLeaf] = []
    while (state := reveal(published, header, shown)).question is not None:
        assert all(leaf.position != state.question.index for leaf in shown), "nothing is asked twice"
        shown.append(committed_leaf(committed, committed.tree, state.question.index))
    assert state.complete
    return state.rows, shown


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[EpochHeader, ActivityRows, AccountRows]:
    folder = tmp_path_factory.mktemp("epochs")
    published = publish_all(Path(folder))[-1]
    return published.header, published.activities, published.accounts


def test_rows_with_the_root_need_no_question(honest: tuple[EpochHeader, ActivityRows, AccountRows]) -> None:
    header, activities, accounts = honest
    for rows in (activities, accounts):
        state = reveal(rows, header, [])
        assert state.complete
        assert state.rows.tree.root == rows.tree.root


@given(data=st.data())
def test_what_was_committed_is_found(
    honest: tuple[EpochHeader, ActivityRows, AccountRows], data: st.DataObject
) -> None:
    header, activities, accounts = honest
    published: ActivityRows | AccountRows
    if data.draw(st.booleans(), label="activities"):
        published, field = activities, data.draw(st.sampled_from(["value", "running", "occurred_ms"]))
    else:
        published, field = accounts, data.draw(st.sampled_from(["earned", "standing", "mint"]))
    changed = data.draw(st.sets(st.integers(0, len(published) - 1), min_size=1, max_size=3))
    column = getattr(published, field).copy()
    column[sorted(changed)] += 1
    committed = replace(published, **{field: column})
    header = with_root(header, committed)
    found, shown = interrogate(published, committed, header)
    assert found.tree.root == committed.tree.root
    assert (getattr(found, field) == column).all()
    # A question goes down at least one level, and each leaf that differs is come to once.
    assert len(shown) <= len(changed) * (committed.tree.depth + 1)


def test_a_row_of_another_account_is_taken_over(
    honest: tuple[EpochHeader, ActivityRows, AccountRows],
) -> None:
    header, activities, _ = honest
    account = activities.account.copy()
    account[3] = np.frombuffer(b"\x07" * 20, dtype=np.uint8)
    committed = replace(activities, account=account)
    found, _ = interrogate(activities, committed, with_root(header, committed))
    assert (found.columns()["account"] == account).all()


def test_a_leaf_with_another_index_is_misplaced(
    honest: tuple[EpochHeader, ActivityRows, AccountRows],
) -> None:
    header, activities, _ = honest
    hashes = np.array([list(activities.leaf(row).hash()) for row in range(len(activities))], dtype=np.uint8)
    wrong = replace(activities.leaf(2), index=9)
    hashes[2] = np.frombuffer(wrong.hash(), dtype=np.uint8)
    tree = MerkleTree(hashes)
    header = replace(header, activity_root=tree.root)
    shown: list[CommittedLeaf] = []
    while (state := reveal(activities, header, shown)).question is not None:
        index = state.question.index
        leaf = wrong if index == 2 else activities.leaf(index)
        shown.append(CommittedLeaf("activity", index, leaf, tuple(tree.proof(index))))
    assert state.misplaced is not None
    assert state.misplaced.leaf == wrong
    assert not state.complete


def test_something_in_the_padding_leads_to_the_last_leaf(
    honest: tuple[EpochHeader, ActivityRows, AccountRows],
) -> None:
    """The last leaf cannot be shown with company to its right: that question ends the epoch."""
    header, _, accounts = honest
    count = len(accounts)
    assert count & (count - 1), "this needs padding"
    hashes = np.array([list(accounts.leaf(row).hash()) for row in range(count)], dtype=np.uint8)
    hidden = replace(accounts.leaf(count - 1), index=count)
    tree = MerkleTree(np.vstack([hashes, np.frombuffer(hidden.hash(), dtype=np.uint8)]))
    header = replace(header, account_root=tree.root)
    shown: list[CommittedLeaf] = []
    for _ in range(tree.depth + 1):
        question = reveal(accounts, header, shown).question
        assert question is not None
        if question.index == count - 1:
            return
        proof = tuple(tree.proof(question.index))
        shown.append(CommittedLeaf("account", question.index, accounts.leaf(question.index), proof))
    pytest.fail("the last leaf was never asked for")


def test_what_is_not_under_the_root_is_refused(
    honest: tuple[EpochHeader, ActivityRows, AccountRows],
) -> None:
    header, activities, _ = honest
    shown = committed_leaf(activities, activities.tree, 1)
    forged = replace(shown, leaf=replace(activities.leaf(1), value=1))
    with pytest.raises(InvalidProof, match="activity leaf 1 is not under the root"):
        reveal(activities, header, [forged])
