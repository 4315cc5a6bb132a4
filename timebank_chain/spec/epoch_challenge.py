"""Ends an epoch that is wrong: whether a leaf breaks a rule, recomputed from the leaves beside it.

One pure function for each function of the contract: it takes what the contract takes, without the salt, and
gives the ``Fault``. Where nothing is wrong it reverts with ``NotAFault``, where something shown is not what
the header names with the error that says so; errors come in the contract's order. That the header is the
pending one, and who may show something when, is the business of the class ``EpochChallenge``.

===== ========================================== ===========================================================
class what has to hold                           function
===== ========================================== ===========================================================
1     value = formula, domain known              ``prove_value``
2     running = the one before + own             ``prove_activity_sum``, ``prove_account_sum``
2     a leaf stands at its index                 ``prove_activity_position``, ``prove_account_position``
3     strictly ascending, every record once      ``prove_activity_order``, ``prove_account_order``,
                                                 ``prove_duplicate``
4     start < occurred + window <= end           ``prove_settlement``
5     an account's activities and their sum      ``prove_range``, ``prove_range_end``, ``prove_earned``
6     standing and mints follow from before      ``prove_standing``
7     mint = brackets, rate and pot; their sum   ``prove_mint``, ``prove_account_sum``
8     nobody dropped, nobody invented            ``prove_dropped``, ``prove_invented``
9     totals and length                          ``prove_totals``, ``prove_length``
===== ========================================== ===========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from timebank_chain.spec import decay, evidence, fairness, quality
from timebank_chain.spec.epoch_tree import AccountLeaf, ActivityLeaf, keccak
from timebank_chain.spec.evidence import AccountEvidence, ActivityEvidence, Tree
from timebank_chain.spec.policy_registry import (
    Bracket,
    DomainPolicy,
    PolicyHead,
    hash_brackets,
    hash_domain,
    hash_domains,
    hash_head,
)
from timebank_chain.spec.rate_oracle import ZERO_HASH, EpochHeader, RateOracle, hash_header
from timebank_chain.spec.revert import Reverted, require

__all__ = [
    "PROOFS",
    "DomainEvidence",
    "EpochChallenge",
    "Fault",
    "commitment_of",
    "prove_account_order",
    "prove_account_position",
    "prove_account_sum",
    "prove_activity_order",
    "prove_activity_position",
    "prove_activity_sum",
    "prove_dropped",
    "prove_duplicate",
    "prove_earned",
    "prove_invented",
    "prove_length",
    "prove_mint",
    "prove_range",
    "prove_range_end",
    "prove_settlement",
    "prove_standing",
    "prove_totals",
    "prove_value",
]

VALUE, SUM, ORDER, SETTLEMENT, RANGE, STANDING, MINT, EXISTENCE, TOTALS = range(1, 10)


@dataclass(frozen=True, slots=True)
class DomainEvidence:
    """One domain's rules and what ties them to a policy's hash.

    ``domain`` is not looked at where the policy has no such domain.
    """

    head: PolicyHead
    domain_hashes: Sequence[bytes]
    domain: DomainPolicy


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: the class, and the leaf in question; index 0 where it is the header itself."""

    fault_class: int
    tree: Tree
    index: int


# Faults of activities


def prove_value(header: EpochHeader, rules: DomainEvidence, activity: ActivityEvidence) -> Fault:
    """Class 1: an activity's value is not what the policy gives, or the policy has no such domain.

    An act later than the epoch's end has no age: that is class 4.
    """
    leaf = evidence.activity(header, activity)
    domain = _domain(header, rules, leaf.domain)
    if domain is None:
        return Fault(VALUE, Tree.ACTIVITY, leaf.index)
    require(leaf.occurred_ms <= header.end_ms, "NotAFault", VALUE)
    value = _value(leaf, domain, header.end_ms, rules.head.decay_k)
    return _conclude(VALUE, Tree.ACTIVITY, leaf.index, leaf.value != value)


def prove_activity_sum(header: EpochHeader, activities: ActivityEvidence) -> Fault:
    """Class 2: an activity's running sum is not the one before plus its value. Takes neighbours."""
    before, leaf = evidence.neighbour_activities(header, activities)
    broken = before.running + leaf.value != leaf.running
    return _conclude(SUM, Tree.ACTIVITY, leaf.index, broken)


def prove_activity_position(
    header: EpochHeader, leaf: ActivityLeaf, position: int, siblings: Sequence[bytes]
) -> Fault:
    """Class 2: a leaf stands where it should not.

    At a position that is not its index, beyond the activities the header counts, or it is the last one and
    there is something to its right.
    """
    evidence.activity_stands(header, leaf, position, siblings)
    misplaced = evidence.misplaced(leaf.index, position, header.activity_count, siblings)
    return _conclude(SUM, Tree.ACTIVITY, position, misplaced)


def prove_activity_order(header: EpochHeader, activities: ActivityEvidence) -> Fault:
    """Class 3: two neighbours do not ascend by account, then record id."""
    count = len(activities.leaves)
    require(count == 2, "NotNeighbours", Tree.ACTIVITY, count, 0)
    before, leaf = evidence.neighbour_activities(header, activities)
    ascends = (before.account, before.record_id) < (leaf.account, leaf.record_id)
    return _conclude(ORDER, Tree.ACTIVITY, leaf.index, not ascends)


def prove_duplicate(header: EpochHeader, one: ActivityEvidence, other: ActivityEvidence) -> Fault:
    """Class 3: one record stands at two places."""
    first = evidence.activity(header, one)
    second = evidence.activity(header, other)
    twice = first.record_id == second.record_id and first.index != second.index
    return _conclude(ORDER, Tree.ACTIVITY, second.index, twice)


def prove_settlement(header: EpochHeader, rules: DomainEvidence, activity: ActivityEvidence) -> Fault:
    """Class 4: an activity does not settle in the epoch: not ``start < occurred + window <= end``."""
    leaf = evidence.activity(header, activity)
    domain = _domain(header, rules, leaf.domain)
    if domain is None:
        # Without a domain there is no window: that is class 1.
        raise Reverted("NotAFault", SETTLEMENT)
    settled = leaf.occurred_ms + domain.window_ms
    inside = header.start_ms < settled <= header.end_ms
    return _conclude(SETTLEMENT, Tree.ACTIVITY, leaf.index, not inside)


# Faults of accounts


def prove_account_sum(header: EpochHeader, accounts: AccountEvidence) -> Fault:
    """Class 2: running sum of earned or count of active accounts broken; class 7: sum of mints broken.

    Takes neighbours.
    """
    before, leaf = evidence.neighbour_accounts(header, accounts)
    earned_broken = (
        before.running_earned + leaf.earned != leaf.running_earned
        or before.running_active + (leaf.earned > 0) != leaf.running_active
    )
    mint_broken = before.running_mint + leaf.mint != leaf.running_mint
    fault_class = SUM if earned_broken else MINT
    return _conclude(fault_class, Tree.ACCOUNT, leaf.index, earned_broken or mint_broken)


def prove_account_position(
    header: EpochHeader, leaf: AccountLeaf, position: int, siblings: Sequence[bytes]
) -> Fault:
    """Class 2: as ``prove_activity_position``, in the account tree."""
    evidence.account_stands(header, leaf, position, siblings)
    misplaced = evidence.misplaced(leaf.index, position, header.account_count, siblings)
    return _conclude(SUM, Tree.ACCOUNT, position, misplaced)


def prove_account_order(header: EpochHeader, accounts: AccountEvidence) -> Fault:
    """Class 3: two neighbours do not ascend."""
    count = len(accounts.leaves)
    require(count == 2, "NotNeighbours", Tree.ACCOUNT, count, 0)
    before, leaf = evidence.neighbour_accounts(header, accounts)
    return _conclude(ORDER, Tree.ACCOUNT, leaf.index, before.account >= leaf.account)


def prove_range(header: EpochHeader, accounts: AccountEvidence, activity: ActivityEvidence) -> Fault:
    """Class 5: an activity of the account stands outside its range, or one of somebody else inside.

    Takes neighbours and any activity.
    """
    before, leaf = evidence.neighbour_accounts(header, accounts)
    act = evidence.activity(header, activity)
    inside = before.activity_end <= act.index < leaf.activity_end
    own = act.account == leaf.account
    return _conclude(RANGE, Tree.ACCOUNT, leaf.index, inside != own)


def prove_range_end(header: EpochHeader, accounts: AccountEvidence) -> Fault:
    """Class 5: a range ends before it starts or beyond the activities, or the last one not at their end.

    Takes neighbours.
    """
    before, leaf = evidence.neighbour_accounts(header, accounts)
    is_last = leaf.index + 1 == header.account_count
    broken = (
        leaf.activity_end < before.activity_end
        or leaf.activity_end > header.activity_count
        or (is_last and leaf.activity_end != header.activity_count)
    )
    return _conclude(RANGE, Tree.ACCOUNT, leaf.index, broken)


def prove_earned(
    header: EpochHeader, accounts: AccountEvidence, before: ActivityEvidence, last: ActivityEvidence
) -> Fault:
    """Class 5: earned is not the sum of the values in the account's range, or 0 where that is negative.

    Parameters
    ----------
    header
        The epoch's.
    accounts
        Neighbours; a range that is in order, else see ``prove_range_end``.
    before
        The activity before the range; not looked at where the range starts at 0 or is empty.
    last
        The last activity of the range; not looked at where the range is empty.
    """
    previous, leaf = evidence.neighbour_accounts(header, accounts)
    start, end = previous.activity_end, leaf.activity_end
    total = 0
    if start < end:
        total = _running_at(header, last, end - 1)
        if start != 0:
            total -= _running_at(header, before, start - 1)
    return _conclude(RANGE, Tree.ACCOUNT, leaf.index, leaf.earned != max(0, total))


def prove_standing(
    header: EpochHeader,
    previous_header: EpochHeader,
    head: PolicyHead,
    account: AccountEvidence,
    previous: AccountEvidence,
) -> Fault:
    """Class 6: standing or cumulative mint does not follow from the account's leaf in the epoch before.

    Parameters
    ----------
    header
        The epoch's.
    previous_header
        Of the epoch before; not looked at for the first epoch.
    head
        Of the policy, for its decay.
    account
        The account.
    previous
        Its leaf in the epoch before, or what proves that it had none.
    """
    _require_head(header, head)
    leaf = evidence.account(header.account_root, header.account_count, account)
    # What an account without a leaf in the epoch before had is nothing: an empty leaf.
    had = _previously(header, previous_header, previous, leaf.account) or evidence.NO_ACCOUNT
    kept = had.standing * decay.weight(header.end_ms - header.start_ms, head.decay_k) >> 31
    broken = kept + leaf.earned != leaf.standing or had.cumulative_mint + leaf.mint != leaf.cumulative_mint
    return _conclude(STANDING, Tree.ACCOUNT, leaf.index, broken)


def prove_mint(
    header: EpochHeader, head: PolicyHead, brackets: Sequence[Bracket], account: AccountEvidence
) -> Fault:
    """Class 7: a mint is not what brackets, rate and pot give for what was earned.

    By the header's totals; whether those are right is class 9.
    """
    _require_head(header, head)
    _require_same(hash_brackets(brackets), head.brackets_hash)
    leaf = evidence.account(header.account_root, header.account_count, account)
    mean = fairness.mean(header.total_earned, header.active_count)
    counted = fairness.phi(leaf.earned, mean, brackets)
    mint = fairness.mint(counted, header.rate_q24, leaf.earned, header.pot, header.total_earned)
    return _conclude(MINT, Tree.ACCOUNT, leaf.index, leaf.mint != mint)


def prove_dropped(
    header: EpochHeader, previous_header: EpochHeader, previous: AccountEvidence, absence: AccountEvidence
) -> Fault:
    """Class 8: an account of the epoch before is missing.

    Parameters
    ----------
    header, previous_header
        The epoch's, and the one before's.
    previous
        The account's leaf in the epoch before.
    absence
        What proves that it has none in this one.
    """
    _require_previous(header, previous_header)
    had = evidence.account(previous_header.account_root, previous_header.account_count, previous)
    found = evidence.find(header.account_root, header.account_count, absence, had.account)
    return _conclude(EXISTENCE, Tree.ACCOUNT, had.index, found is None)


def prove_invented(
    header: EpochHeader, previous_header: EpochHeader, accounts: AccountEvidence, absence: AccountEvidence
) -> Fault:
    """Class 8: an account has neither an activity in this epoch nor a leaf in the one before.

    Parameters
    ----------
    header, previous_header
        The epoch's, and the one before's; the latter is not looked at for the first epoch.
    accounts
        Neighbours.
    absence
        What proves that it had no leaf in the epoch before.
    """
    before, leaf = evidence.neighbour_accounts(header, accounts)
    had = _previously(header, previous_header, absence, leaf.account)
    invented = had is None and before.activity_end == leaf.activity_end
    return _conclude(EXISTENCE, Tree.ACCOUNT, leaf.index, invented)


# Faults of the header


def prove_totals(header: EpochHeader, last: AccountEvidence) -> Fault:
    """Class 9: totals are not the running sums of the last account, or a root and its count disagree.

    They disagree where a tree without leaves has a root, one with leaves has none, or there are activities
    without accounts. ``last`` is not looked at where the header counts no account, or is wrong by itself.
    """
    no_activities, no_accounts = header.activity_count == 0, header.account_count == 0
    broken = (
        no_activities != (header.activity_root == ZERO_HASH)
        or no_accounts != (header.account_root == ZERO_HASH)
        or (no_accounts and not no_activities)
    )
    if not broken:
        # Without accounts the totals are those of an empty leaf.
        leaf = evidence.NO_ACCOUNT
        if not no_accounts:
            leaf = evidence.account(header.account_root, header.account_count, last)
            require(leaf.index + 1 == header.account_count, "NotAFault", TOTALS)
        sums = leaf.running_earned, leaf.running_active, leaf.running_mint
        broken = sums != (header.total_earned, header.active_count, header.total_mint)
    return _conclude(TOTALS, Tree.ACCOUNT, 0, broken)


def prove_length(header: EpochHeader, head: PolicyHead) -> Fault:
    """Class 9: the epoch is not as long as its policy says."""
    _require_head(header, head)
    broken = head.epoch_ms != 0 and header.end_ms - header.start_ms != head.epoch_ms
    return _conclude(TOTALS, Tree.ACTIVITY, 0, broken)


#: The contract's functions by their names there.
PROOFS: Final[Mapping[str, Callable[..., Fault]]] = {
    "proveValue": prove_value,
    "proveActivitySum": prove_activity_sum,
    "proveActivityPosition": prove_activity_position,
    "proveActivityOrder": prove_activity_order,
    "proveDuplicate": prove_duplicate,
    "proveSettlement": prove_settlement,
    "proveAccountSum": prove_account_sum,
    "proveAccountPosition": prove_account_position,
    "proveAccountOrder": prove_account_order,
    "proveRange": prove_range,
    "proveRangeEnd": prove_range_end,
    "proveEarned": prove_earned,
    "proveStanding": prove_standing,
    "proveMint": prove_mint,
    "proveDropped": prove_dropped,
    "proveInvented": prove_invented,
    "proveTotals": prove_totals,
    "proveLength": prove_length,
}


# Committing and proving


def commitment_of(challenger: str, data: bytes) -> bytes:
    """Return what a challenger commits to: its address and the whole calldata of the later call."""
    return keccak(bytes(12) + bytes.fromhex(challenger.removeprefix("0x")) + keccak(data))


@dataclass
class EpochChallenge:
    """``oracle/EpochChallenge.sol``: addresses as lower-case text, ``block`` the number of the block.

    Attributes
    ----------
    address
        Its own.
    committed_at
        Block in which each commitment was made, until it is used.
    """

    oracle: RateOracle
    address: str
    committed_at: dict[bytes, int] = field(default_factory=dict)

    def commit(self, caller: str, commitment: bytes, *, block: int) -> None:
        """Announce a proof without showing it; anybody may."""
        made = self.committed_at.get(commitment)
        require(made is None, "AlreadyCommitted", commitment, made)
        self.committed_at[commitment] = block

    def prove(
        self, caller: str, data: bytes, function: str, header: EpochHeader, *arguments: Any, block: int
    ) -> Fault:
        """Void the pending proposal because of a fault.

        Parameters
        ----------
        caller
            Who committed to this call in an earlier block, and gets its part of the bond.
        data
            The whole calldata: salt, header and arguments, encoded.
        function
            The contract's name of it, such as ``proveValue``.
        header
            The pending one.
        arguments
            What follows the header, as the pure function takes it.
        block
            Number of the block.
        """
        commitment = commitment_of(caller, data)
        made = self.committed_at.get(commitment)
        if made is None:
            raise Reverted("NotCommitted", commitment)
        require(made < block, "CommittedInThisBlock", commitment, made)
        given, pending = hash_header(header), self.oracle.pending.header_hash
        require(given == pending, "HeaderNotPending", given, pending)
        fault = PROOFS[function](header, *arguments)

        del self.committed_at[commitment]
        self.oracle.void_by_proof(self.address, given, caller)
        return fault


# What a header names


def _require_previous(header: EpochHeader, previous_header: EpochHeader) -> None:
    given, expected = hash_header(previous_header), header.previous_header_hash
    require(given == expected, "PreviousHeaderMismatch", given, expected)


def _require_head(header: EpochHeader, head: PolicyHead) -> None:
    _require_same(hash_head(head), header.policy_hash)


def _require_same(given: bytes, expected: bytes) -> None:
    require(given == expected, "PolicyMismatch", given, expected)


def _domain(header: EpochHeader, rules: DomainEvidence, index: int) -> DomainPolicy | None:
    """Return the rules of a domain, if the policy has it."""
    _require_head(header, rules.head)
    _require_same(hash_domains(rules.domain_hashes), rules.head.domains_hash)
    if index >= len(rules.domain_hashes):
        return None
    _require_same(hash_domain(rules.domain), rules.domain_hashes[index])
    return rules.domain


def _previously(
    header: EpochHeader, previous_header: EpochHeader, shown: AccountEvidence, account: bytes
) -> AccountLeaf | None:
    """Return the account's leaf in the epoch before, if it had one."""
    if header.previous_header_hash == ZERO_HASH:
        return None  # before the first epoch there were no accounts
    _require_previous(header, previous_header)
    return evidence.find(previous_header.account_root, previous_header.account_count, shown, account)


def _running_at(header: EpochHeader, shown: ActivityEvidence, index: int) -> int:
    """Return the running sum of the activity at an index."""
    leaf = evidence.activity(header, shown)
    require(leaf.index == index, "NotNeighbours", Tree.ACTIVITY, 1, leaf.index)
    return leaf.running


# Arithmetic


def _value(leaf: ActivityLeaf, domain: DomainPolicy, end_ms: int, decay_k: int) -> int:
    """Return the value of an act by its domain's rules; the act is not later than the end."""
    made = quality.quality(
        quality.rank(leaf.interaction_milli, domain.interaction),
        quality.rank(leaf.originality_milli, domain.originality),
        quality.rank(leaf.engagement_milli, domain.engagement),
    )
    effective = quality.incentive(made, domain.low, domain.high, domain.bonus_milli, domain.penalty_milli)
    return quality.value(effective, decay.weight(end_ms - leaf.occurred_ms, decay_k))


def _conclude(fault_class: int, tree: Tree, index: int, is_fault: bool) -> Fault:
    require(is_fault, "NotAFault", fault_class)
    return Fault(fault_class, tree, index)
