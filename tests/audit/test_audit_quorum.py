"""A quorum that signs what is wrong: the chain accepts it, the audit does not; see audit.tree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.audit.history import History, build, the_activity, the_members, the_policy
from tests.audit.spoil import audit, change, failed, rewrite
from timebank_chain.epoch import EpochBuild, publish, read_epoch
from timebank_chain.epoch.rows import AccountRows, ActivityRows

pytestmark = pytest.mark.anvil


def fourth(history: History, **options: Any) -> EpochBuild:
    """The epoch that would come next: nobody did anything in it, but standing decays."""
    return build(
        history, the_activity(), the_members(history.world), read_epoch(history.epochs, 3), **options
    )


def accept(
    history: History, built: EpochBuild, activities: ActivityRows, accounts: AccountRows, **changes: Any
) -> None:
    """Publish other rows, and let the quorum sign and the chain accept a header that agrees with them."""
    folder = publish(built, history.epochs).folder
    header = rewrite(folder, built.header, activities, accounts, **changes)
    history.world.propose(header)
    history.world.finalise(header)


def test_an_honest_fourth_epoch_is_green(history: History) -> None:
    built = fourth(history)
    accept(history, built, built.activities, built.accounts)
    assert failed(audit(history)) == []


def test_a_root_over_other_rows_than_published(history: History) -> None:
    built = fourth(history)
    publish(built, history.epochs)
    wrong = replace(built.header, account_root=b"\x01" * 32)
    history.world.propose(wrong)
    history.world.finalise(wrong)
    report = audit(history)
    assert failed(report) == ["A22", "A30", "A31"]
    assert report.check("A22").differences[0].where.endswith("header.json, accountRoot")
    assert "accountRoot" in report.check("A30").differences[0].where


def test_an_account_that_is_given_more(history: History) -> None:
    built = fourth(history, pot=history.world.timebank.fee_pool.bonus())
    rows = built.accounts
    more = rows.cumulative_mint[2] + 10**9
    accept(history, built, built.activities, change(rows, 2, cumulative_mint=more))
    report = audit(history)
    assert failed(report) == ["A28", "A30", "A31"]
    first = report.check("A28").differences[0]
    assert first.where.startswith("epoch 4, accounts.parquet, row 2 (0x")
    assert (first.expected, first.found) == (str(more - 10**9), str(more))


def test_standing_that_does_not_decay(history: History) -> None:
    built = fourth(history)
    before = read_epoch(history.epochs, 3).accounts.standing[1]
    accept(history, built, built.activities, change(built.accounts, 1, standing=before))
    report = audit(history)
    assert failed(report) == ["A28", "A30", "A31"]
    assert "standing" in report.check("A28").differences[0].where


def test_an_account_that_is_invented(history: History) -> None:
    built = fourth(history)
    rows = built.accounts
    others = {name: getattr(rows, name)[[0, *range(len(rows))]] for name in type(rows).__dataclass_fields__}
    invented = change(type(rows)(**others), 0, account=0, cumulative_mint=10**9)
    accept(history, built, built.activities, invented)
    report = audit(history)
    assert "A28" in failed(report)
    assert report.check("A28").differences[0].found == "0x" + "00" * 20


def test_an_epoch_valued_by_other_rules(history: History) -> None:
    """Values from another tau under the policy's own hash."""
    world, policy = history.world, the_policy()
    table, members = the_activity(), the_members(world)
    first = read_epoch(history.epochs, 1)
    honest = build(history, table, members, first)
    lenient = build(history, table, members, first, policy=replace(policy, decay_k=policy.decay_k // 10))
    folder = history.epochs / "000002"
    rewrite(folder, honest.header, lenient.activities, lenient.accounts)
    report = audit(history)
    assert {"A22", "A25", "A27", "A28", "A30", "A31"} <= set(failed(report))
    assert report.check("A27").difference_count > 30  # nearly every row of the epoch


def test_an_epoch_under_a_rate_that_was_not_in_force_is_refused_by_the_chain(history: History) -> None:
    from timebank_chain.chain.reverts import RateMismatch

    built = fourth(history)
    with pytest.raises(RateMismatch):
        history.world.propose(replace(built.header, rate_q24=built.header.rate_q24 + 1))
