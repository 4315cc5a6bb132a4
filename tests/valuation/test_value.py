"""Valuing an epoch.

::

    value_epoch
    |- equals the plain-integer specification
    |- gives one result for any order of the input, any number of threads
    |- sorts by (account, record id), also where short keys tie
    |- running sums, ends and totals add up
    |- one more good act never costs its author, a penalised act does
    |- an account without acts keeps a place, its standing fades
    |- splitting an account shares its value out, never adds to it
    |- the worked example is 269.108441
    `- refuses: acts outside, repeats, unknown domains, bad bounds, wrong columns, overflow
"""

from __future__ import annotations

import csv
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.valuation.valuation_cases import (
    END_MS,
    HOUR_MS,
    Act,
    account,
    epochs,
    policies,
    spec_epoch,
    spec_value,
    to_activities,
    to_previous,
)
from timebank_chain.errors import EpochError
from timebank_chain.examples import example_path
from timebank_chain.units import parse_time
from timebank_chain.valuation import (
    Activities,
    EpochValuation,
    PreviousAccounts,
    activity_values,
    explain,
    load_policy,
    policy_with,
    settles_in,
    value_epoch,
)
from timebank_chain.valuation import order as order_module
from timebank_chain.valuation.order import leaf_order, not_ascending, repeated_records

START_MS = 0
IDENTITY = policy_with(load_policy("identity"), tau_ms=100 * HOUR_MS)


def valued(
    acts, policy=IDENTITY, before=None, *, start_ms=START_MS, rate_q24=1 << 24, pot=0
) -> EpochValuation:
    return value_epoch(
        to_activities(acts),
        to_previous(before or {}),
        policy,
        start_ms=start_ms,
        end_ms=END_MS,
        rate_q24=rate_q24,
        pot=pot,
    )


def act(number: int, who: int = 1, *, age_ms: int = 0, raw=(5_000, 5_000, 5_000)) -> Act:
    return Act(number.to_bytes(32, "big"), account(who), 0, END_MS - age_ms, raw)


def same(left: EpochValuation, right: EpochValuation, *, but: tuple[str, ...] = ()) -> bool:
    return left.totals == right.totals and all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name))
        for a, b in ((left.activities, right.activities), (left.accounts, right.accounts))
        for field in fields(a)
        if field.name not in but
    )


POLICY_AND_ACTS = policies().flatmap(lambda policy: st.tuples(st.just(policy), epochs(policy)))
BEFORE = st.dictionaries(
    st.integers(0, 7).map(account), st.tuples(st.integers(0, 2**61), st.integers(0, 2**61)), max_size=4
)


@given(POLICY_AND_ACTS, BEFORE, st.integers(0, 2**30), st.integers(0, 10**12))
@settings(deadline=None)
def test_epoch_equals_the_specification(drawn, before, rate_q24, pot):
    policy, acts = drawn
    result = valued(acts, policy, before, rate_q24=rate_q24, pot=pot)
    expected = spec_epoch(acts, before, policy, elapsed_ms=END_MS - START_MS, rate_q24=rate_q24, pot=pot)
    accounts = result.accounts
    assert [row.tobytes() for row in accounts.account] == list(expected)
    for name in ("earned", "standing", "mint", "cumulative_mint"):
        assert getattr(accounts, name).tolist() == [getattr(entry, name) for entry in expected.values()]
    assert result.totals.total_earned == sum(entry.earned for entry in expected.values())
    assert result.totals.total_mint == sum(entry.mint for entry in expected.values())
    assert result.totals.active_count == sum(1 for entry in expected.values() if entry.earned)


@given(POLICY_AND_ACTS)
@settings(deadline=None)
def test_each_value_and_its_explanation_equal_the_specification(drawn):
    policy, acts = drawn
    columns = to_activities(acts)
    expected = [spec_value(entry, policy) for entry in acts]
    assert activity_values(columns, policy, end_ms=END_MS).tolist() == expected
    assert explain(columns, policy, end_ms=END_MS).value.tolist() == expected


@given(POLICY_AND_ACTS, st.randoms(use_true_random=False), BEFORE)
@settings(deadline=None)
def test_shuffled_input_gives_the_same_result(drawn, random, before):
    policy, acts = drawn
    shuffled = random.sample(acts, len(acts))
    mixed = dict(random.sample(list(before.items()), len(before)))
    assert same(valued(acts, policy, before), valued(shuffled, policy, mixed), but=("source_row",))


@given(POLICY_AND_ACTS)
@settings(deadline=None)
def test_leaves_are_in_order_and_sums_add_up(drawn):
    policy, acts = drawn
    result = valued(acts, policy)
    leaves, accounts = result.activities, result.accounts
    keys = [(a.tobytes(), r.tobytes()) for a, r in zip(leaves.account, leaves.record_id, strict=True)]
    assert keys == sorted((entry.account, entry.record) for entry in acts)
    assert [acts[row].record for row in leaves.source_row] == [record for _, record in keys]
    assert leaves.running.tolist() == np.cumsum(leaves.value).tolist()
    start = 0
    for row, end in enumerate(accounts.activity_end.tolist()):
        assert {a.tobytes() for a in leaves.account[start:end]} <= {accounts.account[row].tobytes()}
        assert accounts.earned[row] == max(0, int(leaves.value[start:end].sum()))
        start = end
    assert start == len(leaves)
    for column, running in (("earned", "running_earned"), ("mint", "running_mint")):
        assert np.cumsum(getattr(accounts, column)).tolist() == getattr(accounts, running).tolist()


def many_acts(rows: int = 200_001) -> tuple[Activities, object]:
    rng = np.random.default_rng(3)
    policy = policy_with(load_policy("stackexchange"), window_ms=0)
    columns = Activities(
        record_id=rng.integers(0, 256, (rows, 32), dtype=np.uint8),
        account=np.repeat(rng.integers(0, 256, (rows // 3, 20), dtype=np.uint8), 3, axis=0),
        domain=rng.integers(0, 3, rows).astype(np.uint16),
        occurred_ms=END_MS - rng.integers(0, 10**11, rows),
        interaction=rng.integers(0, 12_000, rows).astype(np.uint32),
        originality=rng.integers(0, 1_200, rows).astype(np.uint32),
        engagement=rng.integers(0, 30_000, rows).astype(np.uint32),
    )
    return columns, policy


def test_threads_and_blocks_do_not_change_a_value():
    columns, policy = many_acts()
    one = activity_values(columns, policy, end_ms=END_MS, threads=1)
    assert (one == activity_values(columns, policy, end_ms=END_MS, threads=3)).all()
    assert (one == explain(columns, policy, end_ms=END_MS).value).all()
    assert len(np.unique(one)) > 1_000


def test_order_is_lexicographic_when_short_keys_collide(monkeypatch):
    columns, _ = many_acts(3_000)
    expected, names, ends = leaf_order(columns.account, columns.record_id)
    # Every account mixed to the same number: the slow, exact comparison must take over.
    monkeypatch.setattr(order_module, "_mix", lambda rows: np.zeros(len(rows), np.uint64))
    again = leaf_order(columns.account, columns.record_id)
    assert (again[0] == expected).all()
    assert (again[1] == names).all()
    assert (again[2] == ends).all()
    keys = [columns.account[row].tobytes() + columns.record_id[row].tobytes() for row in expected]
    assert keys == sorted(keys)


@given(POLICY_AND_ACTS)
@settings(deadline=None)
def test_one_more_act_changes_a_sum_by_its_value(drawn):
    policy, acts = drawn
    if not acts:
        return
    *others, last = acts
    change = spec_value(last, policy)
    without = {a.tobytes(): int(e) for a, e in zip(*_earned(valued(others, policy)), strict=True)}
    with_it = {a.tobytes(): int(e) for a, e in zip(*_earned(valued(acts, policy)), strict=True)}
    before = without.pop(last.account, 0)
    after = with_it.pop(last.account)
    assert without == with_it
    assert after >= before if change >= 0 else after <= before


def _earned(result: EpochValuation):
    return result.accounts.account, result.accounts.earned


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=8), st.integers(1, 7))
def test_splitting_an_account_never_adds_value(levels, cut):
    whole = [act(n, 1, raw=(level, 5_000, 5_000)) for n, level in enumerate(levels)]
    split = [replace(entry, account=account(1 if n < cut else 3)) for n, entry in enumerate(whole)]
    # Without penalties the parts of a split are exactly the whole.
    assert valued(whole).totals.total_earned == valued(split).totals.total_earned


def test_penalised_acts_cost_their_author_but_nobody_falls_below_zero():
    rules = replace(IDENTITY.domains[0], low=10**6, penalty_milli=2_000)
    policy = replace(IDENTITY, domains=(rules,))
    good, bad = act(1, 1), act(2, 1, raw=(0, 0, 0))
    only_bad = valued([act(3, 3, raw=(0, 0, 0))], policy)
    assert valued([good, bad], policy).totals.total_earned == 125_000_000 - 2_000_000
    assert only_bad.activities.value.tolist() == [-2_000_000]
    assert only_bad.accounts.earned.tolist() == [0]
    assert only_bad.totals.active_count == 0
    assert only_bad.totals.mean_earned == 0


def test_account_without_acts_keeps_its_place_and_fades():
    before = {account(5): (1_000_000, 7), account(3): (0, 0)}
    result = valued([act(1, 1)], before=before, start_ms=END_MS - 100 * HOUR_MS)
    rows = [row.tobytes() for row in result.accounts.account]
    assert rows == sorted([account(1), account(3), account(5)])
    place = rows.index(account(5))
    assert result.accounts.standing[place] == 367_879  # 1/e of a million
    assert result.accounts.cumulative_mint[place] == 7
    assert result.accounts.earned[place] == 0
    assert int(result.accounts.activity_end[-1]) == 1


def test_empty_epoch_is_all_zero():
    result = valued([])
    assert (len(result.activities), len(result.accounts)) == (0, 0)
    assert (result.totals.total_earned, result.totals.active_count, result.totals.total_mint) == (0, 0, 0)


def test_pot_is_shared_in_proportion_to_earned():
    acts = [act(1, 1, raw=(10_000, 1_000, 1_000)), act(2, 3, raw=(5_000, 1_000, 1_000))]
    result = valued(acts, rate_q24=0, pot=100)
    assert sorted(result.accounts.mint.tolist()) == [33, 66]


def test_worked_example_is_269_108441():
    with example_path("worked_example.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    end_ms = parse_time("2026-01-01T00:00:10Z")
    acts = [
        Act(
            n.to_bytes(32, "big"),
            account(1),
            0,
            parse_time(row["occurred"]),
            (int(row["interaction"]) * 1000, int(row["originality"]) * 1000, int(row["engagement"]) * 1000),
        )
        for n, row in enumerate(rows)
    ]
    assert [end_ms - entry.occurred_ms for entry in acts] == [1000 * age for age in range(1, 11)]
    result = value_epoch(
        to_activities(acts),
        PreviousAccounts.none(),
        policy_with(load_policy("identity"), tau_ms=100_000),
        start_ms=0,
        end_ms=end_ms,
        rate_q24=1 << 24,
        pot=0,
    )
    assert result.totals.total_earned == 269_108_441


def test_window_decides_the_epoch_and_age_the_weight():
    policy = policy_with(IDENTITY, window_ms=HOUR_MS)
    columns = to_activities([act(1, age_ms=HOUR_MS), act(2, age_ms=HOUR_MS - 1), act(3, age_ms=3 * HOUR_MS)])
    settled = settles_in(columns, policy, start_ms=END_MS - 2 * HOUR_MS, end_ms=END_MS)
    # Settles at the end itself: in. One ms later: next epoch. Exactly at the start: the one before.
    assert settled.tolist() == [True, False, False]


@pytest.mark.parametrize("age_ms", [-1, END_MS])
def test_refuses_acts_outside_the_epoch(age_ms):
    with pytest.raises(EpochError, match="outside the epoch"):
        valued([act(1), act(2, age_ms=age_ms)])


def test_refuses_a_record_that_stands_twice():
    with pytest.raises(EpochError, match="stands twice") as caught:
        valued([act(1), act(2), act(1)])
    assert caught.value.where == "activities 1 and 3"


def test_refuses_a_record_that_stands_under_two_accounts():
    with pytest.raises(EpochError, match="stands twice") as caught:
        valued([act(1), act(2, who=2), act(3), act(2, who=1)])
    assert caught.value.where == "activities 2 and 4"


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 3))
def test_repeated_records_are_every_later_row_with_its_first(numbers, zeros):
    """Ids that share their first 64 bits are compared in full."""
    ids = np.zeros((len(numbers), 32), dtype=np.uint8)
    ids[:, 31 if zeros else 0] = numbers
    expected = [[numbers.index(n), row] for row, n in enumerate(numbers) if numbers.index(n) != row]
    assert repeated_records(ids).tolist() == expected


@given(
    st.lists(st.tuples(st.binary(min_size=20, max_size=20), st.binary(min_size=3, max_size=3)), max_size=6)
)
def test_not_ascending_compares_as_unsigned_bytes(keys):
    columns = [
        np.frombuffer(b"".join(key[at] for key in keys), np.uint8).reshape(-1, width)
        for at, width in enumerate((20, 3))
    ]
    expected = [row for row in range(1, len(keys)) if keys[row] <= keys[row - 1]]
    assert not_ascending(*columns).tolist() == expected


def test_refuses_an_unknown_domain_by_row():
    with pytest.raises(EpochError, match="domain 1 is unknown") as caught:
        valued([act(1), replace(act(2), domain=1)])
    assert caught.value.where == "activity 2"


def test_refuses_previous_accounts_that_cannot_be():
    twice = PreviousAccounts(np.zeros((2, 20), np.uint8), np.zeros(2, np.int64), np.zeros(2, np.int64))
    arguments = {"start_ms": 0, "end_ms": END_MS, "rate_q24": 1, "pot": 0}
    with pytest.raises(EpochError, match="stands twice"):
        value_epoch(to_activities([]), twice, IDENTITY, **arguments)
    with pytest.raises(EpochError, match="standing is negative"):
        valued([], before={account(1): (-1, 0)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_ms": END_MS}, "cannot run"),
        ({"start_ms": -1}, "cannot run"),
        ({"rate_q24": -1}, "rate"),
        ({"rate_q24": 2**64}, "rate"),
        ({"pot": -1}, "pot"),
        ({"pot": 2**63}, "pot"),
    ],
)
def test_refuses_bounds_that_cannot_be(change, message):
    with pytest.raises(EpochError, match=message):
        valued([act(1)], **change)


def test_refuses_amounts_beyond_64_bits():
    with pytest.raises(EpochError, match="mint would be"):
        valued([act(1)], rate_q24=2**64 - 1)
    with pytest.raises(EpochError, match="cumulative mint of one account would be"):
        valued([act(1)], before={account(1): (0, 2**63 - 1)})
    top = replace(IDENTITY, decay_k=1)  # no decay to speak of
    with pytest.raises(EpochError, match="standing of one account would be"):
        valued([act(1)], top, before={account(1): (2**63 - 1, 0)}, start_ms=END_MS - 1)


def test_refuses_columns_of_the_wrong_kind():
    columns = to_activities([act(1)])
    with pytest.raises(EpochError, match="column interaction"):
        replace(columns, interaction=columns.interaction.astype(np.float64))
    with pytest.raises(EpochError, match="column account"):
        replace(columns, account=columns.account[:, :19])
    with pytest.raises(EpochError, match="column domain"):
        replace(columns, domain=np.zeros(2, np.uint16))
