"""build_epoch
|- acts that settle in (start, end] are in, the others are counted as earlier or later
|  `- on the edge: settled at the start is out, at the end is in
|- shuffled input gives identical bytes
|- three epochs chain: number, start, previous header hash, standing and cumulative mint carry on
|- an account without acts keeps its leaf
|- the rate follows: given, the previous epoch's, or the policy's
|- an epoch without any act is empty, with zero roots in the first
|- `publish` writes the same once, refuses another, replaces it with force, leaves nothing half-written
`- refused: another window (naming the row), unknown domain, a gap, another length
"""

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.epoch import sample
from timebank_chain.activity import RawRecord, record_ids
from timebank_chain.epoch import publish, published_numbers, read_epoch, read_policy
from timebank_chain.epoch.build import LeftOut
from timebank_chain.errors import ActivityError, EpochError, PolicyError, TamperedEpoch
from timebank_chain.valuation import policy_hash


def act(identity: str, occurred: int, domain: str = "code") -> RawRecord:
    window = 7 * sample.DAY if domain == "code" else 0
    return RawRecord(
        "edge", 1, identity, "m1", domain, occurred, window, interaction="3", originality="3", engagement="2"
    )


def test_only_what_settles_inside_is_taken() -> None:
    start, end, week = sample.START, sample.START + sample.EPOCH, 7 * sample.DAY
    table = sample.table_of(
        [
            act("at-start", start - week),
            act("just-inside", start - week + 1),
            act("at-end", end - week),
            act("just-after", end - week + 1),
            act("talk-at-start", start, "talk"),
            act("talk-at-end", end, "talk"),
        ]
    )
    made = sample.build(1, None, table=table)
    inside = {"just-inside", "at-end", "talk-at-end"}
    expected = {
        identity.tobytes()
        for identity, name in zip(record_ids(table), table.id, strict=True)
        if name in inside
    }
    assert {row.tobytes() for row in made.activities.record_id} == expected
    assert made.left_out == LeftOut(earlier=2, later=1)


@pytest.mark.parametrize("seed", range(4))
def test_shuffled_input_gives_identical_bytes(seed: int) -> None:
    shuffled = sample.records()
    random.Random(seed).shuffle(shuffled)
    one, other = sample.build(1, None), sample.build(1, None, table=sample.table_of(shuffled))
    assert one.files == other.files
    assert one.header.hash() == other.header.hash()


def test_a_table_in_any_row_order_gives_identical_roots() -> None:
    table = sample.table_of(sample.records())
    order = np.random.default_rng(3).permutation(len(table))
    one, other = sample.build(1, None, table=table), sample.build(1, None, table=table.take(order))
    assert one.header == other.header


def test_epochs_chain(tmp_path: Path) -> None:
    epochs = sample.publish_all(tmp_path)
    assert published_numbers(tmp_path) == [1, 2, 3]
    assert epochs[0].header.previous_header_hash == bytes(32)
    for before, after in pairwise(epochs):
        assert after.header.previous_header_hash == before.header.hash()
        assert after.header.start_ms == before.header.end_ms
        assert set(map(bytes, before.accounts.account)) <= set(map(bytes, after.accounts.account))
        for index in range(len(after.accounts)):
            account = after.accounts.account[index].tobytes()
            earlier = before.accounts.find(account)
            minted = int(before.accounts.cumulative_mint[earlier]) if earlier is not None else 0
            assert int(after.accounts.cumulative_mint[index]) == minted + int(after.accounts.mint[index])
    assert sum(epoch.header.activity_count for epoch in epochs) > 100


def test_an_account_without_acts_keeps_its_leaf(tmp_path: Path) -> None:
    first = publish(sample.build(1, None), tmp_path)
    nothing = sample.table_of([act("other", sample.START + 30 * sample.DAY)])
    second = publish(sample.build(2, first, table=nothing), tmp_path)
    quiet = second.accounts.find(sample.WALLET)
    assert quiet is not None
    assert int(second.accounts.earned[quiet]) == 0
    before = first.accounts.find(sample.WALLET)
    assert 0 < int(second.accounts.standing[quiet]) < int(first.accounts.standing[before])
    assert int(second.accounts.cumulative_mint[quiet]) == int(first.accounts.cumulative_mint[before])


def test_the_rate_follows(tmp_path: Path) -> None:
    first = publish(sample.build(1, None, rate_q24=1 << 25), tmp_path)
    assert sample.build(1, None).header.rate_q24 == 25_165_824
    assert sample.build(2, first).header.rate_q24 == 1 << 25
    assert sample.build(2, first, rate_q24=7).header.rate_q24 == 7


def test_an_epoch_without_acts_is_empty(tmp_path: Path) -> None:
    empty = publish(sample.build(1, None, table=sample.table_of([])), tmp_path)
    assert (empty.header.activity_root, empty.header.account_root) == (bytes(32), bytes(32))
    assert (len(empty.activities), len(empty.accounts), empty.header.total_mint) == (0, 0, 0)


def test_the_policy_is_published_under_its_hash(tmp_path: Path) -> None:
    published = publish(sample.build(1, None), tmp_path)
    assert read_policy(tmp_path, published.header.policy_hash) == sample.policy()
    with pytest.raises(TamperedEpoch, match="the policy of the epoch is missing"):
        read_policy(tmp_path, bytes(32))


def test_publishing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    first = publish(sample.build(1, None), tmp_path)
    signatures = first.signatures_folder
    signatures.mkdir()
    (signatures / "0x00.json").write_text("{}")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = publish(sample.build(1, None), tmp_path)
    assert again.header == first.header
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_another_epoch_of_the_same_number_needs_force(tmp_path: Path) -> None:
    publish(sample.build(1, None), tmp_path)
    (tmp_path / "000001" / "signatures").mkdir()
    other = sample.build(1, None, rate_q24=5)
    with pytest.raises(EpochError, match="another epoch 1 is published already"):
        publish(other, tmp_path)
    assert read_epoch(tmp_path, 1).header.rate_q24 == 25_165_824
    assert publish(other, tmp_path, force=True).header.rate_q24 == 5
    assert not (tmp_path / "000001" / "signatures").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001", "policies"]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EpochError, match="the epoch cannot be written"):
        publish(sample.build(1, None), tmp_path / "file")


def test_another_window_names_the_row() -> None:
    made = sample.records(6)
    made[3] = replace(made[3], window=sample.DAY)
    table = sample.table_of(made)
    row = table.id.index("sample:3") + 1
    with pytest.raises(ActivityError, match="counted within 1d") as caught:
        sample.build(1, None, table=table)
    assert caught.value.where == f"activity row {row} (id 'sample:3'), field 'window_ms'"


def test_an_unknown_domain_is_named() -> None:
    with pytest.raises(PolicyError, match="no domain 'cod'"):
        sample.build(1, None, table=sample.table_of([replace(act("a", sample.START), domain="cod")]))


def test_a_gap_between_epochs_is_refused(tmp_path: Path) -> None:
    first = publish(sample.build(1, None), tmp_path)
    late = first.header.end_ms + 1
    with pytest.raises(EpochError, match="the one before ended at"):
        sample.build(2, first, start_ms=late, end_ms=late + sample.EPOCH)


def test_another_length_than_the_policys_is_refused() -> None:
    with pytest.raises(EpochError, match="the epoch is 1d long, policy 'sample' says 4w"):
        sample.build(1, None, end_ms=sample.START + sample.DAY)


def test_the_header_names_the_policy_by_its_hash() -> None:
    assert sample.build(1, None).header.policy_hash == policy_hash(sample.policy())
