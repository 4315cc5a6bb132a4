"""receipt
|- for every account of every epoch it adds up to the leaf, step by step by the plain specification
|- it writes as JSON without losing a digit
|- an account without acts in the epoch has a receipt with standing only
`- refused: another policy, another previous epoch, rows that do not add up, an account without a leaf
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.epoch import sample
from timebank_chain.epoch import PublishedEpoch, publish, receipt
from timebank_chain.errors import EpochError, TamperedEpoch
from timebank_chain.spec import decay, fairness, quality
from timebank_chain.valuation import policy_with


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> list[PublishedEpoch]:
    return sample.publish_all(tmp_path_factory.mktemp("epochs"))


def test_every_receipt_adds_up(epochs: list[PublishedEpoch]) -> None:
    policy = sample.policy()
    domains = {domain.name: domain for domain in policy.domains}
    bands = set()
    for previous, published in zip([None, *epochs[:-1]], epochs, strict=True):
        for index in range(len(published.accounts)):
            account = published.accounts.account[index].tobytes()
            result = receipt(published, previous, policy, account)
            leaf = published.accounts.leaf(index)
            assert (result.earned, result.mint) == (leaf.earned, leaf.mint)
            assert (result.standing, result.cumulative_mint) == (leaf.standing, leaf.cumulative_mint)
            assert sum(act.value for act in result.activities) == result.value_sum
            assert sum(bracket.part for bracket in result.brackets) == result.earned
            assert sum(bracket.counted for bracket in result.brackets) == result.phi
            assert result.mint_by_rate + result.mint_from_pot == result.mint
            assert result.proof.leaf == leaf
            pairs = [(bracket.from_multiple_milli, bracket.slope_milli) for bracket in policy.brackets]
            assert result.phi == fairness.phi(result.earned, result.mean_earned, pairs)
            for act in result.activities:
                bands.add(act.band)
                domain = domains[act.domain]
                for name in ("interaction", "originality", "engagement"):
                    knots = [(knot.raw_milli, knot.rank_milli) for knot in getattr(domain, name)]
                    raw = getattr(act, f"{name}_milli")
                    assert getattr(act, f"{name}_rank") == quality.rank(raw, knots)
                assert act.age_ms == published.header.end_ms - act.occurred_ms
                assert act.weight_q31 == decay.weight(act.age_ms, policy.decay_k)
                assert act.value == (act.incentive * act.weight_q31) >> 31
                assert act.quality == (
                    act.interaction_rank * act.originality_rank * act.engagement_rank // 1000
                )
                if act.band == "bonus":
                    assert act.incentive == act.quality * domain.bonus_milli // 1000
                elif act.band == "penalty":
                    assert act.incentive == -((domain.low - act.quality) * domain.penalty_milli // 1000)
                else:
                    assert act.incentive == act.quality
    assert bands == {"bonus", "penalty", "plain"}


def test_json_keeps_every_digit(epochs: list[PublishedEpoch]) -> None:
    result = receipt(epochs[1], epochs[0], sample.policy(), sample.WALLET)
    document = json.loads(json.dumps(result.to_json()))
    assert document["account"] == "0x" + sample.WALLET.hex()
    assert document["mint"] == result.mint
    assert [act["value"] for act in document["activities"]] == [act.value for act in result.activities]
    assert document["proof"]["schema"] == "timebank.proof/1"


def test_an_account_without_acts_has_a_receipt(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    quiet = publish(sample.build(2, epochs[0], table=sample.table_of([])), tmp_path)
    result = receipt(quiet, epochs[0], sample.policy(), sample.WALLET)
    assert (result.activities, result.earned, result.mint, result.mean_earned) == ((), 0, 0, 0)
    assert 0 < result.standing == result.standing_kept < result.standing_before
    assert result.cumulative_mint == result.cumulative_before > 0


def test_another_policy_or_previous_epoch_is_refused(epochs: list[PublishedEpoch]) -> None:
    other = policy_with(sample.policy(), tau_ms=sample.DAY)
    with pytest.raises(EpochError, match="was valued by another policy"):
        receipt(epochs[1], epochs[0], other, sample.WALLET)
    for previous in (None, epochs[1]):
        with pytest.raises(EpochError, match="follows another epoch than the one given"):
            receipt(epochs[1], previous, sample.policy(), sample.WALLET)


def test_an_account_without_a_leaf_is_refused(epochs: list[PublishedEpoch]) -> None:
    with pytest.raises(EpochError, match="has no account in epoch 1"):
        receipt(epochs[0], None, sample.policy(), b"\x01" * 20)


@pytest.mark.parametrize("column", ["earned", "mint", "standing", "cumulative_mint"])
def test_an_account_row_that_does_not_add_up_is_refused(
    epochs: list[PublishedEpoch], tmp_path: Path, column: str
) -> None:
    rows = epochs[0].accounts
    row = rows.find(sample.WALLET)
    assert row is not None
    false = sample.changed(rows, column, row, int(getattr(rows, column)[row]) + 1)
    forged = sample.forge(tmp_path, epochs[0], accounts=false)
    with pytest.raises(TamperedEpoch, match="is published") as caught:
        receipt(forged, None, sample.policy(), sample.WALLET)
    assert f"account row {row}, field '{column}'" in (caught.value.where or "")


def test_an_activity_row_that_does_not_add_up_is_refused(
    epochs: list[PublishedEpoch], tmp_path: Path
) -> None:
    published = epochs[0]
    owner = published.accounts.find(sample.WALLET)
    assert owner is not None
    row = published.accounts.activities_of(owner).start
    value = int(published.activities.value[row])
    forged = sample.forge(
        tmp_path, published, activities=sample.changed(published.activities, "value", row, value + 1)
    )
    with pytest.raises(TamperedEpoch) as caught:
        receipt(forged, None, sample.policy(), sample.WALLET)
    assert f"activity row {row}, field 'value'" in (caught.value.where or "")


def test_a_range_over_others_activities_is_refused(epochs: list[PublishedEpoch]) -> None:
    rows = epochs[0].accounts
    row = rows.find(sample.WALLET)
    assert row is not None
    wider = sample.changed(rows, "activity_end", row, int(rows.activity_end[row]) + 1)
    forged = replace(
        epochs[0], accounts=wider, header=replace(epochs[0].header, account_root=wider.tree.root)
    )
    with pytest.raises(TamperedEpoch, match="activities of another account"):
        receipt(forged, None, sample.policy(), sample.WALLET)
