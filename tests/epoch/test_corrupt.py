"""corrupt_epoch, and find_faults on what it makes
|- every class, variant, place (first, last, random), alone and with rehash
|  |- files verify, the header is another, the RateOracle would take it
|  |- the class is among the faults found, and its evidence convinces an independent judge
|  |- the same seed makes the same epoch
|- what the rows do not show comes to light when the leaf is shown
|  |- another index, a leaf in the padding: position_fault
|  `- a withheld leaf: the published rows have another root; the shown leaf is under it and wrong
|- alone changes one cell, rehash leaves nothing wrong but what was planted
|- a missing file is missing
|- an epoch without accounts has no place for most, and place for the classes of empty trees
|- refused: unknown class or variant, a place that is none, an epoch that is wrong already
`- written: with policies and epochs before; not among the honest, not over another
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.epoch import sample
from tests.epoch.judge import judge
from timebank_chain.epoch import (
    Fault,
    PublishedEpoch,
    evidence_of,
    find_faults,
    position_fault,
    publish,
    read_epoch,
    verify_epoch,
)
from timebank_chain.epoch.corrupt import Corruption, corrupt_epoch, write_corruption
from timebank_chain.epoch.lies import Variant, variants
from timebank_chain.errors import EpochError, TamperedEpoch

UNSEEN = {"activity-index", "account-index", "activity-padding", "account-padding"}
FOR_EMPTY = {"empty-activity-root", "empty-account-root"}
ORDINARY = [one for one in variants() if one.name not in FOR_EMPTY]
SEEN = [one for one in ORDINARY if one.name not in UNSEEN and one.fault_class < 10]


def name(variant: Variant) -> str:
    return f"{variant.fault_class}-{variant.name}"


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> list[PublishedEpoch]:
    folder = tmp_path_factory.mktemp("epochs")
    published = sample.publish_all(folder, 2)
    # In the third epoch two members rest, so that there is somebody to drop.
    rows = [row for row in sample.records() if row.member not in ("m1", "m3") or row.occurred < end_of(2)]
    published.append(publish(sample.build(3, published[-1], table=sample.table_of(rows)), folder))
    return published


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> PublishedEpoch:
    return publish(sample.build(1, None, table=sample.table_of([])), tmp_path_factory.mktemp("empty"))


def end_of(number: int) -> int:
    return sample.START + number * sample.EPOCH - 7 * sample.DAY


def corrupt(epochs: list[PublishedEpoch], variant: Variant, **options: Any) -> Corruption:
    return corrupt_epoch(
        epochs[2],
        epochs[1],
        sample.policy(),
        fault_class=variant.fault_class,
        variant=variant.name,
        **options,
    )


def written(made: Corruption, epochs: list[PublishedEpoch], folder: Path) -> PublishedEpoch:
    write_corruption(made, epochs[0].folder.parent, folder)
    return read_epoch(folder, made.header.epoch)


def convicted(found: list[Fault], wrong: PublishedEpoch, previous: PublishedEpoch | None) -> set[int]:
    """The classes of the faults, each with evidence that convinces the judge."""
    for fault in found:
        proved = judge(evidence_of(fault, wrong, previous, sample.policy()))
        # Where all three sums of an account are broken, one proof shows them and is named by the first.
        assert proved == fault.fault_class or (fault.function, proved) == ("proveAccountSum", 2)
    return {fault.fault_class for fault in found}


@pytest.mark.parametrize("rehash", [False, True], ids=["alone", "rehash"])
@pytest.mark.parametrize("at", ["first", "last", "random"])
@pytest.mark.parametrize("variant", SEEN, ids=name)
def test_what_is_planted_is_found_and_proved(
    epochs: list[PublishedEpoch], tmp_path: Path, variant: Variant, at: Any, rehash: bool
) -> None:
    made = corrupt(epochs, variant, at=at, rehash=rehash, seed=7)
    assert made.proposable
    assert made.header.hash() != epochs[2].header.hash()
    wrong = written(made, epochs, tmp_path / "wrong")
    found = find_faults(wrong, epochs[1], sample.policy(), limit=3)
    assert variant.fault_class in {fault.fault_class for fault in found}
    if variant.name.endswith("-root"):
        totals = [fault for fault in found if fault.fault_class == 9]
        assert convicted(totals, wrong, epochs[1]) == {9}
    else:
        assert variant.fault_class in convicted(found, wrong, epochs[1])
    assert verify_epoch(wrong, epochs[1], sample.policy())
    assert {fault.function for fault in found} == {
        fault.function for fault in find_faults(wrong, epochs[1], sample.policy())
    }


@pytest.mark.parametrize("at", ["first", "last"])
@pytest.mark.parametrize("variant", SEEN, ids=name)
def test_rehash_leaves_nothing_wrong_but_what_was_planted(
    epochs: list[PublishedEpoch], variant: Variant, at: Any
) -> None:
    made = corrupt(epochs, variant, at=at, rehash=True)
    wrong = replace(epochs[2], header=made.header, activities=made.activities, accounts=made.accounts)
    classes = {fault.fault_class for fault in find_faults(wrong, epochs[1], sample.policy())}
    # A history that never was is also standing from nowhere; and without accounts all are dropped.
    more = {"invented-history": {6}, "no-accounts": {8}}.get(variant.name, set())
    assert classes == {variant.fault_class} | more


@pytest.mark.parametrize(
    ("fault_class", "variant"),
    [
        (1, "value"),
        (2, "running"),
        (5, "earned"),
        (6, "standing"),
        (7, "mint"),
        (4, "early"),
        (3, "record-twice"),
    ],
)
def test_alone_changes_one_cell(epochs: list[PublishedEpoch], fault_class: int, variant: str) -> None:
    chosen = next(one for one in variants(fault_class) if one.name == variant)
    made = corrupt(epochs, chosen, at="random", seed=3)
    changed = [
        (column, row)
        for ours, theirs in ((made.activities, epochs[2].activities), (made.accounts, epochs[2].accounts))
        for column, cells in ours.columns().items()
        for row in np.flatnonzero((cells != theirs.columns()[column]).reshape(len(cells), -1).any(axis=1))
    ]
    assert [row for _, row in changed] == [made.planted.index]
    header = replace(made.header, activity_root=bytes(32), account_root=bytes(32), data_hash=bytes(32))
    genuine = replace(epochs[2].header, activity_root=bytes(32), account_root=bytes(32), data_hash=bytes(32))
    assert header == genuine


def test_the_same_seed_makes_the_same_epoch(epochs: list[PublishedEpoch]) -> None:
    one, again, other = (
        corrupt(epochs, variants(1)[0], at="random", seed=seed).header.hash() for seed in (4, 4, 5)
    )
    assert one == again != other


@pytest.mark.parametrize("at", ["first", "last", "random"])
@pytest.mark.parametrize("variant", [one for one in ORDINARY if one.name in UNSEEN], ids=name)
def test_what_the_rows_do_not_show_is_judged_where_it_is_shown(
    epochs: list[PublishedEpoch], tmp_path: Path, variant: Variant, at: Any
) -> None:
    made = corrupt(epochs, variant, at=at)
    wrong = written(made, epochs, tmp_path / "wrong")
    assert find_faults(wrong, epochs[1], sample.policy()) == []
    assert [finding.part for finding in verify_epoch(wrong, epochs[1], sample.policy())] == ["roots"]
    assert made.shown is not None
    count = wrong.header.activity_count if variant.tree == "activity" else wrong.header.account_count
    shown = [made.shown]
    if variant.name.endswith("padding"):
        assert made.shown.position == count
        shown.append(made.answer(variant.tree, count - 1))  # the last one's siblings give it away
    for leaf in shown:
        fault = position_fault(wrong.header, leaf)
        assert fault is not None
        assert convicted([fault], wrong, epochs[1]) == {2}
    innocent = made.answer(variant.tree, 0 if made.shown.position else 1)
    assert position_fault(wrong.header, innocent) is None


@pytest.mark.parametrize("tree", ["activity", "account"])
def test_more_rows_than_the_header_counts_are_in_the_padding(epochs: list[PublishedEpoch], tree: Any) -> None:
    rows = epochs[2].activities if tree == "activity" else epochs[2].accounts
    short = replace(
        epochs[2],
        header=replace(epochs[2].header, **{f"{tree}_count": len(rows) - 1}),
    )
    found = [fault for fault in find_faults(short, epochs[1], sample.policy()) if fault.fault_class == 2]
    assert [fault.index for fault in found] == [len(rows) - 1]
    assert convicted(found, short, epochs[1]) == {2}


@pytest.mark.parametrize("rehash", [False, True], ids=["alone", "rehash"])
@pytest.mark.parametrize("at", ["first", "last", "random"])
@pytest.mark.parametrize("tree", ["activity", "account"])
def test_a_withheld_leaf_is_not_the_published_one(
    epochs: list[PublishedEpoch], tmp_path: Path, tree: Any, at: Any, rehash: bool
) -> None:
    variant = next(one for one in variants(10) if one.name == tree)
    made = corrupt(epochs, variant, at=at, rehash=rehash)
    public = written(made, epochs, tmp_path / "wrong")
    assert public.activities.tree.root == epochs[2].activities.tree.root
    assert public.accounts.tree.root == epochs[2].accounts.tree.root
    assert made.shown is not None
    assert made.shown.position == made.planted.index
    assert made.shown.under(public.header)
    assert made.answer(tree, made.planted.index) == made.shown
    seen = public.activities.tree if tree == "activity" else public.accounts.tree
    assert seen.leaf_hash(made.planted.index) != made.shown.leaf.hash()
    with pytest.raises(TamperedEpoch):
        sum_fault = Fault(2, "proveActivitySum", "activity", 0, "running", "")
        mint_fault = Fault(7, "proveMint", "account", 0, "mint", "")
        evidence_of(sum_fault if tree == "activity" else mint_fault, public, epochs[1], sample.policy())
    committed = replace(public, activities=made.activities, accounts=made.accounts)
    assert convicted(find_faults(committed, epochs[1], sample.policy()), committed, epochs[1])


@pytest.mark.parametrize("file", ["activities", "accounts"])
def test_a_missing_file_is_missing(epochs: list[PublishedEpoch], tmp_path: Path, file: str) -> None:
    variant = next(one for one in variants(10) if one.name == f"no-{file}-file")
    made = corrupt(epochs, variant)
    assert made.header.hash() == epochs[2].header.hash()
    write_corruption(made, epochs[0].folder.parent, tmp_path / "wrong")
    with pytest.raises(TamperedEpoch, match=r"cannot be read") as caught:
        read_epoch(tmp_path / "wrong", 3)
    assert f"{file}.parquet" in str(caught.value.where)


def test_an_empty_epoch_has_a_place_for_little(empty: PublishedEpoch) -> None:
    policy = sample.policy()
    assert find_faults(empty, None, policy) == []
    fitting = set()
    for variant in variants():
        try:
            made = corrupt_epoch(
                empty, None, policy, fault_class=variant.fault_class, variant=variant.name, rehash=True
            )
        except EpochError as error:
            assert "has no place for class" in error.message
            assert error.hint
            continue
        fitting.add(variant.name)
        if variant.fault_class < 10:
            wrong = replace(empty, header=made.header, activities=made.activities, accounts=made.accounts)
            found = find_faults(wrong, None, policy)
            assert variant.fault_class in {fault.fault_class for fault in found}
            if variant.fault_class == 9:
                assert convicted(found, wrong, None) == {9}
    assert fitting == FOR_EMPTY | {
        "invented", "invented-history", "length", "no-activities-file", "no-accounts-file",
        "total-earned", "active-count",
    }  # fmt: skip


def test_the_first_epoch_is_judged_without_one_before(epochs: list[PublishedEpoch]) -> None:
    policy = sample.policy()
    for variant in (one for one in SEEN if one.fault_class in (5, 6, 7) or one.name.startswith("invented")):
        made = corrupt_epoch(
            epochs[0], None, policy, fault_class=variant.fault_class, variant=variant.name, at="last"
        )
        wrong = replace(epochs[0], header=made.header, activities=made.activities, accounts=made.accounts)
        assert variant.fault_class in convicted(find_faults(wrong, None, policy), wrong, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fault_class": 11}, "there is no fault class 11"),
        ({"fault_class": 1, "variant": "mint"}, "class 1 has no variant 'mint'"),
        ({"fault_class": 1, "at": 10_000}, "leaf 10000 is no place for class 1, variant 'value'"),
        ({"fault_class": 5, "variant": "range-short", "at": 0}, "leaf 0 is no place"),
    ],
)
def test_refuses_with_a_way_out(epochs: list[PublishedEpoch], options: Any, message: str) -> None:
    with pytest.raises(EpochError) as caught:
        corrupt_epoch(epochs[2], epochs[1], sample.policy(), **options)
    assert message in caught.value.message
    assert caught.value.hint


def test_refuses_an_epoch_that_is_wrong_already(epochs: list[PublishedEpoch]) -> None:
    wrong = replace(epochs[2], header=replace(epochs[2].header, total_mint=1))
    with pytest.raises(EpochError, match="is wrong already: class 9"):
        corrupt_epoch(wrong, epochs[1], sample.policy(), fault_class=1)


def test_is_written_with_all_that_a_check_needs(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    honest = epochs[0].folder.parent
    made = corrupt(epochs, variants(1)[0])
    folder = write_corruption(made, honest, tmp_path / "wrong")
    assert folder == tmp_path / "wrong" / "000003"
    assert read_epoch(tmp_path / "wrong", 2).header == epochs[1].header
    assert sorted(path.name for path in (tmp_path / "wrong").iterdir()) == [
        "000001", "000002", "000003", "policies",
    ]  # fmt: skip
    for target, message in (
        (tmp_path / "wrong", "there is an epoch 3 already"),
        (honest, "must not stand among the honest ones"),
    ):
        with pytest.raises(EpochError, match=message) as caught:
            write_corruption(made, honest, target)
        assert caught.value.hint
