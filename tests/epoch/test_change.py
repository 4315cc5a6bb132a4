"""Why an account's numbers changed from one epoch to the next.

explain_epoch
  of every account ............... parts sum to the difference; each part as plain integers give it
  nothing but acts changed ....... parameters are 0
  one parameter changed .......... its line moves, the others are 0
  first epoch .................... begins at zero, no parameter counts
  no act any more ................ standing only fades, and that is ageing
  another policy ................. acts of a domain it did not know were worth nothing under it
  others earn more ............... moves the mint of whoever did the same, as others' activity
refused
  account unknown, another epoch before, another policy, a forged leaf, rows of another root
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.epoch.sample import MEMBERS, WALLET, build, changed, forge, policy, publish_all, records, table_of
from timebank_chain.activity import ActivityTable
from timebank_chain.epoch import PublishedEpoch, publish, read_epoch
from timebank_chain.epoch.change import explain_epoch
from timebank_chain.errors import EpochError, TamperedEpoch
from timebank_chain.spec import decay, fairness, quality
from timebank_chain.valuation import Bracket, Policy
from timebank_chain.valuation.change import AccountChange, Change

NAMES = ("earned", "standing", "mint")


def other_policy() -> Policy:
    rules = policy()
    return replace(
        rules,
        version=2,
        decay_k=rules.decay_k * 3,
        brackets=(Bracket(0, 900), Bracket(800, 300)),
        domains=(replace(rules.domains[1], name="sing"), rules.domains[0], rules.domains[1]),
    )


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> list[PublishedEpoch]:
    """Three epochs: in the second the pot is new, in the third policy, rate and pot are."""
    folder = tmp_path_factory.mktemp("epochs")
    published = publish_all(folder, 2)
    third = build(3, published[-1], policy=other_policy(), rate_q24=7_777_777, pot=42)
    return [*published, publish(third, folder)]


def policies() -> list[Policy]:
    return [policy(), policy(), other_policy()]


def accounts(published: PublishedEpoch) -> list[bytes]:
    return [row.tobytes() for row in published.accounts.account]


def explained(epochs: list[PublishedEpoch], number: int, account: bytes) -> AccountChange:
    rules = policies()
    before = (epochs[number - 2], rules[number - 2]) if number > 1 else (None, None)
    return explain_epoch(epochs[number - 1], before[0], rules[number - 1], before[1], account).change


class Naive:
    """The same epochs in plain integers, one act after the other, by the specification's functions."""

    def __init__(self, published: PublishedEpoch, own_rules: Policy) -> None:
        self.end_ms, self.own_rules = published.header.end_ms, own_rules
        self.elapsed = published.header.end_ms - published.header.start_ms
        rows = published.activities
        self.acts = [rows.leaf(index) for index in range(len(rows))]

    def earned(self, rules: Policy, *, aged: bool) -> dict[bytes, int]:
        sums: dict[bytes, int] = {}
        for act in self.acts:
            name = self.own_rules.domains[act.domain].name
            sums.setdefault(act.account, 0)
            for domain in rules.domains:
                if domain.name != name:
                    continue
                ranks = [
                    quality.rank(raw, [(knot.raw_milli, knot.rank_milli) for knot in knots])
                    for raw, knots in (
                        (act.interaction_milli, domain.interaction),
                        (act.originality_milli, domain.originality),
                        (act.engagement_milli, domain.engagement),
                    )
                ]
                worth = quality.incentive(
                    quality.quality(*ranks),
                    low=domain.low,
                    high=domain.high,
                    bonus_milli=domain.bonus_milli,
                    penalty_milli=domain.penalty_milli,
                )
                age = self.end_ms - act.occurred_ms
                sums[act.account] += (worth * (decay.weight(age, rules.decay_k) if aged else 1 << 31)) >> 31
        return {account: max(0, total) for account, total in sums.items()}

    @staticmethod
    def mint(earned: dict[bytes, int], account: bytes, rules: Policy, rate: int, pot: int) -> int:
        total, active = sum(earned.values()), sum(one > 0 for one in earned.values())
        own, mean = earned.get(account, 0), total // active if active else 0
        steps = [(one.from_multiple_milli, one.slope_milli) for one in rules.brackets]
        by_pot = own * pot // total if total else 0
        return (fairness.phi(own, mean, steps) * rate >> 24) + by_pot


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_part_of_every_account_is_what_plain_integers_give(
    epochs: list[PublishedEpoch], number: int
) -> None:
    now, new = Naive(epochs[number - 1], policies()[number - 1]), policies()[number - 1]
    header = epochs[number - 1].header
    old, rate, pot = new, header.rate_q24, header.pot
    fresh_0: dict[bytes, int] = {}
    aged_0: dict[bytes, int] = {}
    if number > 1:
        old, before = policies()[number - 2], Naive(epochs[number - 2], policies()[number - 2])
        rate, pot = epochs[number - 2].header.rate_q24, epochs[number - 2].header.pot
        fresh_0, aged_0 = before.earned(old, aged=False), before.earned(old, aged=True)
    fresh, aged, final = (
        now.earned(old, aged=False),
        now.earned(old, aged=True),
        now.earned(new, aged=True),
    )
    for account in accounts(epochs[number - 1]):
        change = explained(epochs, number, account)

        def of(earned: dict[bytes, int], who: bytes = account) -> int:
            return earned.get(who, 0)

        assert (change.earned.new_activity, change.earned.ageing, change.earned.parameters) == (
            of(fresh) - of(fresh_0),
            of(aged) - of(fresh) - of(aged_0) + of(fresh_0),
            of(final) - of(aged),
        )
        standing = change.standing.before
        kept = [standing * decay.weight(now.elapsed, rules.decay_k) >> 31 for rules in (old, new)]
        assert (change.standing.new_activity, change.standing.ageing, change.standing.parameters) == (
            of(fresh),
            kept[0] - standing + of(aged) - of(fresh),
            kept[1] - kept[0] + of(final) - of(aged),
        )
        mint = Naive.mint
        mixed = {**fresh_0, account: of(fresh)}
        steps = [
            mint(fresh_0, account, old, rate, pot),
            mint(mixed, account, old, rate, pot),
            mint(fresh, account, old, rate, pot),
        ]
        last = [
            mint(aged, account, old, rate, pot),
            mint(final, account, new, rate, pot),
            mint(final, account, new, header.rate_q24, pot),
            mint(final, account, new, header.rate_q24, header.pot),
        ]
        assert change.mint == Change(
            before=mint(aged_0, account, old, rate, pot),
            after=last[3],
            own_activity=steps[1] - steps[0],
            others_activity=steps[2] - steps[1],
            ageing=last[0] - steps[2] - mint(aged_0, account, old, rate, pot) + steps[0],
            policy=last[1] - last[0],
            rate=last[2] - last[1],
            pot=last[3] - last[2],
        )


@pytest.mark.parametrize("number", [1, 2, 3])
def test_parts_sum_to_the_difference(epochs: list[PublishedEpoch], number: int) -> None:
    moved = 0
    for account in accounts(epochs[number - 1]):
        for name in NAMES:
            change: Change = getattr(explained(epochs, number, account), name)
            assert change.before + change.new_activity + change.ageing + change.parameters == change.after
            assert change.remainder == 0
            moved += change.ageing != 0
    assert moved, "nothing aged"


def test_only_what_changed_has_a_part(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    account = accounts(epochs[0])[0]
    second = explained(epochs, 2, account)
    assert second.earned.parameters == second.standing.parameters == 0
    assert (second.mint.policy, second.mint.rate) == (0, 0) and second.mint.pot > 0
    faster = publish(build(2, epochs[0], rate_q24=50_000_000, pot=0), tmp_path)
    change = explain_epoch(faster, epochs[0], policy(), policy(), account).change
    assert (change.mint.policy, change.mint.pot) == (0, 0) and change.mint.rate > 0
    assert change.earned.parameters == change.standing.parameters == 0
    third = explained(epochs, 3, account)
    assert third.mint.policy and third.mint.rate and third.earned.policy and third.standing.policy


def test_first_epoch_begins_at_zero(epochs: list[PublishedEpoch]) -> None:
    for account in accounts(epochs[0]):
        change = explained(epochs, 1, account)
        assert change.earned.before == change.standing.before == change.mint.before == 0
        assert change.earned.parameters == change.standing.parameters == change.mint.parameters == 0


def test_without_acts_standing_only_ages(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    silent = publish(build(2, epochs[0], table=table_without(WALLET), pot=0), tmp_path)
    change = explain_epoch(silent, epochs[0], policy(), policy(), WALLET).change
    assert (change.standing.new_activity, change.standing.parameters) == (0, 0)
    assert change.standing.ageing == change.standing.difference < 0
    # Losing an epoch's acts loses what they had earned: all of it, and with it what age had taken from them.
    assert change.earned.own_activity + change.earned.ageing == -change.earned.before


def table_without(account: bytes) -> ActivityTable:
    return table_of([one for one in records() if MEMBERS.account_of(one.member) != account])


def test_an_act_of_a_new_domain_was_worth_nothing_before(tmp_path: Path) -> None:
    rules = policy()
    only_code = replace(rules, domains=rules.domains[:1])
    code = table_of([one for one in records() if one.domain == "code"])
    first = publish(build(1, None, table=code, policy=only_code), tmp_path)
    second = publish(build(2, first), tmp_path)
    rows, gained = second.activities, 0
    for account in accounts(second):
        change = explain_epoch(second, first, rules, only_code, account).change
        index = second.accounts.find(account)
        assert index is not None
        place = second.accounts.activities_of(index)
        values = [leaf.value for leaf in map(rows.leaf, range(place.start, place.stop)) if leaf.domain == 0]
        whole = change.earned.after
        assert change.earned.policy == whole - max(0, sum(values))
        gained += change.earned.policy
    assert gained > 0


def test_what_others_do_moves_ones_mint(epochs: list[PublishedEpoch]) -> None:
    assert any(explained(epochs, 2, account).mint.others_activity for account in accounts(epochs[0]))
    assert not any(explained(epochs, 2, account).earned.others_activity for account in accounts(epochs[0]))


class TestRefused:
    def test_an_account_without_a_leaf(self, epochs: list[PublishedEpoch]) -> None:
        with pytest.raises(EpochError, match="has no account in epoch 2"):
            explained(epochs, 2, bytes(20))

    def test_another_epoch_before(self, epochs: list[PublishedEpoch]) -> None:
        with pytest.raises(EpochError, match="follows another epoch"):
            explain_epoch(epochs[2], epochs[0], other_policy(), policy(), WALLET)

    def test_another_policy(self, epochs: list[PublishedEpoch]) -> None:
        with pytest.raises(EpochError, match="another policy than 'sample'"):
            explain_epoch(epochs[2], epochs[1], policy(), policy(), WALLET)

    @pytest.mark.parametrize("name", NAMES)
    def test_a_forged_leaf(self, epochs: list[PublishedEpoch], tmp_path: Path, name: str) -> None:
        row = epochs[1].accounts.find(WALLET)
        assert row is not None
        value = int(getattr(epochs[1].accounts, name)[row]) + 1
        forged = forge(tmp_path, epochs[1], accounts=changed(epochs[1].accounts, name, row, value))
        with pytest.raises(TamperedEpoch, match=f"1 millionths of the change of {name}"):
            explain_epoch(forged, epochs[0], policy(), policy(), WALLET)

    def test_rows_of_another_root(self, epochs: list[PublishedEpoch], tmp_path: Path) -> None:
        other = forge(tmp_path, epochs[1], activity_root=bytes(32))
        with pytest.raises(TamperedEpoch, match="activity rows have the root"):
            explain_epoch(other, epochs[0], policy(), policy(), WALLET)


def test_reads_back_as_published(epochs: list[PublishedEpoch]) -> None:
    again = read_epoch(epochs[1].folder.parent, 2)
    assert explain_epoch(again, epochs[0], policy(), policy(), WALLET).change == explained(epochs, 2, WALLET)
