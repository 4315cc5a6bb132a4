"""find_faults and evidence_of
|- honest epochs, drawn at random with the epoch before: none
|- completeness: any changed cell of any row, or any column of rows made up at random, is found
|  |- and each fault's evidence convinces the judge, who knows nothing of find_faults
|  `- rows that equal the honest ones are the only ones without a fault
|- the sums are whole numbers: wraps at 2^63 and 2^64 are no sums
|- amounts of 64 bits, where leaves of a wrong epoch hold them
|- a negative amount, a time before 1970 or beyond 48 bits: found, though no leaf can hold it
|- ranges that turn back, overlap, or leave activities to nobody
|- limit: so many of each rule, the first ones, in the order of classes
|- context: another policy, none or another epoch before, too few rows: refused
`- a million activities: the one wrong among them (slow machines included) within a minute
"""

from __future__ import annotations

import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.epoch import sample
from tests.epoch.judge import NotAFault, judge
from tests.valuation.valuation_cases import END_MS, epochs, policies, to_activities, to_previous
from timebank_chain.epoch import (
    AccountRows,
    ActivityRows,
    EpochHeader,
    Evidence,
    Fault,
    PublishedEpoch,
    evidence_of,
    find_faults,
)
from timebank_chain.epoch.faults import FAULT_CLASSES
from timebank_chain.epoch.rows import rows_of_valuation
from timebank_chain.errors import EpochError, TamperedEpoch
from timebank_chain.valuation import (
    Activities,
    Policy,
    PreviousAccounts,
    policy_hash,
    policy_with,
    settles_in,
    value_epoch,
)

LENGTH = 28 * sample.DAY
BEFORE = st.dictionaries(
    st.integers(0, 7).map(lambda n: n.to_bytes(20, "big")),
    st.tuples(st.integers(0, 2**61), st.integers(0, 2**61)),
    max_size=4,
)


def header_of(acts: ActivityRows, accounts: AccountRows, **said: Any) -> EpochHeader:
    """A header with the roots of these rows, zero where a cell fits no leaf."""

    def root(rows: ActivityRows | AccountRows) -> bytes:
        try:
            return rows.tree.root
        except EpochError:
            return b"\x01" * 32

    last = len(accounts) - 1
    values: dict[str, Any] = {
        "epoch": 2, "start_ms": END_MS - LENGTH, "end_ms": END_MS, "policy_hash": bytes(32),
        "activity_root": root(acts), "activity_count": len(acts),
        "account_root": root(accounts), "account_count": len(accounts),
        "active_count": int(accounts.running_active[last]) if last >= 0 else 0,
        "total_earned": max(0, int(accounts.running_earned[last])) if last >= 0 else 0,
        "total_mint": max(0, int(accounts.running_mint[last])) if last >= 0 else 0,
        "rate_q24": 1 << 24, "pot": 0, "previous_header_hash": bytes(32),
        "data_hash": bytes(32), "data_uri": "",
    }  # fmt: skip
    return EpochHeader(**(values | said))


def epoch_before(before: dict[bytes, tuple[int, int]]) -> PublishedEpoch:
    """An epoch whose accounts have this standing and cumulative mint; nothing else of it matters."""
    given = sorted(before.items())
    count = len(given)
    none = np.zeros(count, dtype=np.int64)
    accounts = AccountRows(
        account=np.frombuffer(b"".join(account for account, _ in given), np.uint8).reshape(-1, 20),
        activity_end=none.astype(np.uint32), earned=none, running_earned=none,
        running_active=none.astype(np.uint32),
        standing=np.array([standing for _, (standing, _) in given], dtype=np.int64),
        mint=none, running_mint=none,
        cumulative_mint=np.array([minted for _, (_, minted) in given], dtype=np.int64),
    )  # fmt: skip
    acts = ActivityRows(
        np.zeros((0, 32), np.uint8), np.zeros((0, 20), np.uint8), np.zeros(0, np.uint16),
        np.zeros(0, np.int64), *(np.zeros(0, np.uint32) for _ in range(3)),
        *(np.zeros(0, np.int64) for _ in range(2)),
    )  # fmt: skip
    header = header_of(acts, accounts, epoch=1, start_ms=0, end_ms=END_MS - LENGTH)
    return PublishedEpoch(Path("before"), header, acts, accounts)


Case = tuple[PublishedEpoch, PublishedEpoch, Policy]


@st.composite
def honest(draw: st.DrawFn) -> Case:
    policy = draw(policies())
    policy = policy_with(policy, epoch_ms=draw(st.sampled_from([0, LENGTH])))
    acts = to_activities(draw(epochs(policy)))
    acts = acts.take(settles_in(acts, policy, start_ms=END_MS - LENGTH, end_ms=END_MS))
    before = draw(BEFORE)
    rate, pot = draw(st.integers(0, 2**30)), draw(st.integers(0, 10**12))
    valuation = value_epoch(
        acts, to_previous(before), policy,
        start_ms=END_MS - LENGTH, end_ms=END_MS, rate_q24=rate, pot=pot,
    )  # fmt: skip
    previous = epoch_before(before)
    rows, accounts = rows_of_valuation(valuation)
    header = header_of(
        rows, accounts, policy_hash=policy_hash(policy), rate_q24=rate, pot=pot,
        previous_header_hash=previous.header.hash(),
    )  # fmt: skip
    return PublishedEpoch(Path("now"), header, rows, accounts), previous, policy


def rebuilt(case: Case, acts: ActivityRows, accounts: AccountRows, **said: Any) -> Case:
    """The case with other rows, roots and counts following."""
    published, previous, policy = case
    made = header_of(acts, accounts)
    roots = {
        name: getattr(made, name)
        for name in ("activity_root", "activity_count", "account_root", "account_count")
    }
    header = replace(published.header, **(roots | said))
    return PublishedEpoch(Path("now"), header, acts, accounts), previous, policy


def fits(published: PublishedEpoch) -> bool:
    try:
        return bool(published.activities.tree.root) and bool(published.accounts.tree.root)
    except EpochError:
        return False


def all_proved(case: Case, limit: int = 3) -> list[Fault]:
    """The faults of a case, each proved before the judge where its rows can be leaves."""
    found = find_faults(*case, limit=limit)
    if fits(case[0]):
        for fault in found:
            proved = judge(evidence_of(fault, *case))
            assert proved == fault.fault_class or (fault.function, proved) == ("proveAccountSum", 2)
    else:
        for fault in found[:1]:
            with pytest.raises(EpochError):
                evidence_of(replace(fault, function="proveTotals", field="total_mint"), *case)
                evidence_of(replace(fault, function="proveActivitySum", index=0), *case)
    order = [fault.fault_class for fault in found]
    assert order == sorted(order)
    assert set(order) <= set(FAULT_CLASSES)
    return found


@given(honest())
@settings(deadline=None)
def test_an_honest_epoch_has_no_fault(case: Case) -> None:
    assert find_faults(*case) == []


CELLS = [(ActivityRows, field.name) for field in fields(ActivityRows)] + [
    (AccountRows, field.name) for field in fields(AccountRows)
]
CHANGES = st.one_of(
    st.sampled_from([1, -1, 2**31, 2**62, -(2**63), 2**63 - 1, 2**32 - 1, 65_535, 7 * 86_400_000]),
    st.integers(-(2**63), 2**63 - 1),
)


def differently(column: np.ndarray[Any, Any], row: int, change: int) -> np.ndarray[Any, Any]:
    copy = column.copy()
    if column.ndim == 2:
        copy[row, change % column.shape[1]] ^= 1 + change % 255
    else:
        span = np.iinfo(column.dtype)
        copy[row] = (int(column[row]) + change - span.min) % (span.max - span.min + 1) + span.min
    return copy


def honest_again(case: Case) -> PublishedEpoch | None:
    """The epoch the honest builder makes of the acts a case claims; None where it refuses them."""
    published, previous, policy = case
    header = published.header
    if policy.epoch_ms and header.end_ms - header.start_ms != policy.epoch_ms:
        return None
    try:
        valuation = value_epoch(
            published.activities.as_activities(), previous.accounts.as_previous(), policy,
            start_ms=header.start_ms, end_ms=header.end_ms, rate_q24=header.rate_q24, pot=header.pot,
        )  # fmt: skip
    except EpochError:
        return None
    acts, accounts = rows_of_valuation(valuation)
    totals = header_of(acts, accounts)
    names = ("activity_root", "activity_count", "account_root", "account_count")
    sums = ("active_count", "total_earned", "total_mint")
    return PublishedEpoch(
        Path("again"),
        replace(header, **{name: getattr(totals, name) for name in (*names, *sums)}),
        acts,
        accounts,
    )


def equal(left: PublishedEpoch, right: PublishedEpoch | None) -> bool:
    """Whether two epochs commit to the same: header and every cell."""
    if right is None or left.header != right.header:
        return False
    sides = ((left.activities, right.activities), (left.accounts, right.accounts))
    return all(
        np.array_equal(column, theirs.columns()[name])
        for ours, theirs in sides
        for name, column in ours.columns().items()
    )


@given(honest(), st.sampled_from(CELLS), st.integers(0, 30), CHANGES)
@settings(deadline=None, max_examples=150)
def test_any_changed_cell_is_found_and_proved(
    case: Case, cell: tuple[Any, str], at: int, change: int
) -> None:
    kind, column = cell
    acts, accounts = case[0].activities, case[0].accounts
    rows: Any = acts if kind is ActivityRows else accounts
    if not len(rows):
        return
    changed = replace(rows, **{column: differently(getattr(rows, column), at % len(rows), change)})
    wrong = rebuilt(case, *((changed, accounts) if kind is ActivityRows else (acts, changed)))
    found = all_proved(wrong)
    # A change to an act's inputs that changes nothing it is worth is another honest epoch.
    assert bool(found) != equal(wrong[0], honest_again(wrong))


@given(honest(), st.data())
@settings(deadline=None, max_examples=100)
def test_rows_mixed_at_random_have_a_fault_unless_they_are_honest(case: Case, data: st.DataObject) -> None:
    published = case[0]
    sides: list[Any] = []
    for rows in (published.activities, published.accounts):
        most = 2 * len(rows)
        picked = (
            data.draw(st.lists(st.integers(0, max(0, len(rows) - 1)), max_size=most)) if len(rows) else []
        )
        if data.draw(st.booleans()):
            picked = list(range(len(rows)))
        sides.append(
            replace(
                rows, **{name: cells[np.array(picked, np.int64)] for name, cells in rows.columns().items()}
            )
        )
    acts, accounts = sides
    if len(accounts) and data.draw(st.booleans()):
        ends = data.draw(
            st.lists(st.integers(0, len(acts) + 2), min_size=len(accounts), max_size=len(accounts))
        )
        accounts = replace(accounts, activity_end=np.array(ends, np.uint32))
    if data.draw(st.booleans()):
        acts = replace(acts, running=np.cumsum(acts.value, dtype=np.int64))
    wrong = rebuilt(case, acts, accounts)
    found = all_proved(wrong)
    assert bool(found) != equal(wrong[0], honest_again(wrong))


@given(honest(), st.sampled_from(["total_earned", "active_count", "total_mint", "end_ms"]), st.integers(1, 9))
@settings(deadline=None)
def test_any_changed_total_is_found_and_proved(case: Case, field: str, change: int) -> None:
    published, previous, policy = case
    header = replace(published.header, **{field: getattr(published.header, field) + change})
    wrong = replace(published, header=header), previous, policy
    found = all_proved(wrong)
    assert bool(found) != equal(wrong[0], honest_again(wrong))
    if field != "end_ms" or policy.epoch_ms:
        assert 9 in {fault.fault_class for fault in found}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> list[PublishedEpoch]:
    return sample.publish_all(tmp_path_factory.mktemp("epochs"), 2)


def forged(world: list[PublishedEpoch], tmp_path: Path, **options: Any) -> Case:
    return sample.forge(tmp_path / "forged", world[1], **options), world[0], sample.policy()


def classes(found: list[Fault]) -> list[tuple[int, str, int]]:
    return [(fault.fault_class, fault.function, fault.index) for fault in found]


def test_a_running_sum_that_wraps_is_no_sum(world: list[PublishedEpoch], tmp_path: Path) -> None:
    rows = world[1].activities
    top = 2**63 - 1
    value = sample.changed(sample.changed(rows, "running", 3, top), "value", 4, 1).value
    acts = replace(
        sample.changed(sample.changed(rows, "running", 3, top), "running", 4, -(2**63)), value=value
    )
    case = forged(world, tmp_path, activities=acts)
    found = [one for one in all_proved(case) if one.function == "proveActivitySum"]
    assert [one.index for one in found] == [3, 4, 5]
    assert f"running is {-(2**63)}, the rule gives {2**63}" in found[1].message


def test_account_amounts_of_64_bits_are_judged_as_what_they_are(
    world: list[PublishedEpoch], tmp_path: Path
) -> None:
    """A wrong epoch's leaves, shown on chain, may hold what no honest file can."""
    genuine = world[1].accounts
    huge = {
        name: getattr(genuine, name).astype(np.uint64)
        for name in ("earned", "running_earned", "standing", "mint", "running_mint", "cumulative_mint")
    }
    for column in huge.values():
        column[2] = 2**64 - 5
    accounts = replace(genuine, **huge)
    published = replace(
        world[1], accounts=accounts, header=replace(world[1].header, account_root=accounts.tree.root)
    )
    found = all_proved((published, world[0], sample.policy()))
    assert {fault.fault_class for fault in found if fault.index == 2} == {2, 5, 6, 7}
    earned = next(fault for fault in found if fault.function == "proveEarned")
    assert f"earned is {2**64 - 5}" in earned.message
    following = [fault for fault in found if fault.function == "proveAccountSum" and fault.index == 3]
    assert f"the rule gives {2**64 - 5 + int(genuine.earned[3])}" in following[0].message


@pytest.mark.parametrize(
    ("part", "column", "value"),
    [
        ("accounts", "mint", -5), ("accounts", "standing", -1), ("accounts", "earned", -(2**63)),
        ("accounts", "running_mint", -1), ("accounts", "cumulative_mint", -1),
        ("activities", "occurred_ms", -1), ("activities", "occurred_ms", 1 << 48),
        ("activities", "occurred_ms", 2**63 - 1),
        ("activities", "occurred_ms", -(2**63)),
    ],
)  # fmt: skip
def test_what_no_leaf_can_hold_is_a_fault_without_evidence(
    world: list[PublishedEpoch], part: str, column: str, value: int
) -> None:
    rows = sample.changed(getattr(world[1], part), column, 2, value)
    published = replace(world[1], **{part: rows})
    fault = next(
        fault for fault in find_faults(published, world[0], sample.policy()) if fault.field == column
    )
    assert fault.index == 2
    with pytest.raises(EpochError, match="does not fit"):
        evidence_of(fault, published, world[0], sample.policy())


@pytest.mark.parametrize("ends", [[9, 0], [0, 9, 0, 9], [2**32 - 1], [0], [5, 5, 5, 3, 99]])
def test_ranges_of_any_kind_are_judged(world: list[PublishedEpoch], tmp_path: Path, ends: list[int]) -> None:
    genuine = world[1].accounts
    column = np.resize(np.array(ends, np.uint32), len(genuine))
    case = forged(world, tmp_path, accounts=replace(genuine, activity_end=column))
    found = all_proved(case, limit=50)
    assert "proveRangeEnd" in {fault.function for fault in found}


def test_limit_gives_the_first_of_each_rule(world: list[PublishedEpoch], tmp_path: Path) -> None:
    rows = world[1].activities
    acts = replace(rows, value=rows.value + 1)
    case = forged(world, tmp_path, activities=acts)
    one, three = find_faults(*case), find_faults(*case, limit=3)
    assert classes(one) == [(1, "proveValue", 0), (2, "proveActivitySum", 0)]
    assert classes(three) == [
        *[(1, "proveValue", row) for row in range(3)],
        *[(2, "proveActivitySum", row) for row in range(3)],
    ]
    assert find_faults(*case, limit=10_000) == find_faults(*case, limit=len(rows))
    with pytest.raises(ValueError, match="limit must be at least 1"):
        find_faults(*case, limit=0)


def test_a_fault_says_which_leaf_and_why(world: list[PublishedEpoch], tmp_path: Path) -> None:
    rows = world[1].activities
    was = int(rows.value[4])
    fault = find_faults(*forged(world, tmp_path, activities=sample.changed(rows, "value", 4, 7)))[0]
    record, account = rows.record_id[4].tobytes().hex(), rows.account[4].tobytes().hex()
    sentence = f"activity 4 (record 0x{record}, account 0x{account}): value is 7, the rule gives {was}"
    assert fault == Fault(1, "proveValue", "activity", 4, "value", sentence)
    assert str(fault) == f"class 1, proveValue: {sentence}"
    assert fault.to_json()["class"] == 1


def test_one_record_under_two_accounts_is_proved_by_both(world: list[PublishedEpoch], tmp_path: Path) -> None:
    rows = world[1].activities
    last = len(rows) - 1
    acts = sample.changed(rows, "record_id", last, rows.record_id[0].tobytes())
    found = all_proved(forged(world, tmp_path, activities=acts))
    twice = next(fault for fault in found if fault.function == "proveDuplicate")
    assert (twice.index, twice.other) == (0, last)


def test_the_judge_refuses_what_is_right(world: list[PublishedEpoch]) -> None:
    """Evidence of a fault that is none convinces nobody: the judge is no rubber stamp."""
    case = world[1], world[0], sample.policy()
    refused = 0
    for function, fault_class in (
        ("proveValue", 1), ("proveActivitySum", 2), ("proveAccountSum", 2), ("proveActivityOrder", 3),
        ("proveAccountOrder", 3), ("proveDuplicate", 3), ("proveSettlement", 4), ("proveRange", 5),
        ("proveRangeEnd", 5), ("proveEarned", 5), ("proveStanding", 6), ("proveMint", 7), ("proveTotals", 9),
        ("proveLength", 9),
    ):  # fmt: skip
        other = int(world[1].accounts.activity_end[0]) if function == "proveRange" else 2
        fault = Fault(fault_class, function, "activity", 1, "total_mint", "", other=other)
        with pytest.raises(NotAFault):
            judge(evidence_of(fault, *case))
        refused += 1
    assert refused == 14


def test_refuses_a_context_the_header_does_not_name(world: list[PublishedEpoch]) -> None:
    policy = sample.policy()
    for published, previous, rules, message in (
        (world[1], world[0], policy_with(policy, tau_ms=sample.DAY), "the header names the policy 0x"),
        (world[1], None, policy, "epoch 2 needs the epoch before"),
        (world[0], world[0], policy, "epoch 1 has no epoch before"),
        (world[1], world[1], policy, "the header follows 0x"),
    ):
        fault = Fault(6, "proveStanding", "account", 0, "standing", "")
        for judge_it in (find_faults, lambda *case, f=fault: evidence_of(f, *case)):
            with pytest.raises(EpochError) as caught:
                judge_it(published, previous, rules)
            assert message in caught.value.message
            assert caught.value.hint
    # A wrong value stands by itself: whatever happened to the epoch before, it is proved.
    assert evidence_of(Fault(1, "proveValue", "activity", 0, "value", ""), world[1], None, policy)
    more = replace(world[1], header=replace(world[1].header, activity_count=10_000))
    with pytest.raises(EpochError, match="activity rows, the header counts 10000"):
        find_faults(more, world[0], policy)


def test_rows_of_another_root_prove_nothing(world: list[PublishedEpoch]) -> None:
    published = replace(world[1], activities=sample.changed(world[1].activities, "value", 0, 1))
    fault = find_faults(published, world[0], sample.policy())[0]
    with pytest.raises(TamperedEpoch):
        evidence_of(fault, published, world[0], sample.policy())


def test_evidence_holds_the_arguments_in_order(world: list[PublishedEpoch], tmp_path: Path) -> None:
    case = forged(world, tmp_path, accounts=sample.changed(world[1].accounts, "standing", 2, 1))
    fault = next(fault for fault in find_faults(*case) if fault.function == "proveStanding")
    evidence = evidence_of(fault, *case)
    assert isinstance(evidence, Evidence)
    assert evidence.header == case[0].header
    assert [type(argument).__name__ for argument in evidence.arguments] == [
        "EpochHeader", "HeadEvidence", "AccountEvidence", "AccountEvidence",
    ]  # fmt: skip


def test_one_wrong_leaf_among_a_million_is_found() -> None:
    count = 1_000_000
    chance = np.random.default_rng(11)
    policy = sample.policy()
    acts = Activities(
        record_id=chance.integers(0, 256, (count, 32), dtype=np.uint8),
        account=np.repeat(chance.integers(0, 256, (count // 10, 20), dtype=np.uint8), 10, axis=0),
        domain=np.ones(count, np.uint16),
        occurred_ms=END_MS - chance.integers(0, LENGTH, count),
        **{
            name: chance.integers(0, 10_000, count).astype(np.uint32)
            for name in ("interaction", "originality", "engagement")
        },
    )
    start = END_MS - policy.epoch_ms
    arguments = {"start_ms": start, "end_ms": END_MS, "rate_q24": 1 << 24}
    valuation = value_epoch(acts, PreviousAccounts.none(), policy, pot=0, **arguments)
    rows, accounts = rows_of_valuation(valuation)
    totals = {
        "active_count": valuation.totals.active_count,
        "total_earned": valuation.totals.total_earned,
        "total_mint": valuation.totals.total_mint,
    }
    value = rows.value.copy()
    value[777_777] += 1
    empty = EpochHeader(
        epoch=1, policy_hash=policy_hash(policy), activity_root=b"\x01" * 32, activity_count=count,
        account_root=b"\x01" * 32, account_count=len(accounts), pot=0, previous_header_hash=bytes(32),
        data_hash=bytes(32), data_uri="", **arguments, **totals,
    )  # fmt: skip
    honest_epoch = PublishedEpoch(Path("million"), empty, rows, accounts)
    assert find_faults(honest_epoch, None, policy) == []
    began = time.monotonic()
    found = find_faults(replace(honest_epoch, activities=replace(rows, value=value)), None, policy)
    took = time.monotonic() - began
    assert classes(found) == [(1, "proveValue", 777_777), (2, "proveActivitySum", 777_777)]
    assert took < 60
