"""Finds what is wrong in a published epoch, leaf by leaf, as the contract ``EpochChallenge`` judges it.

Takes the rows the header's roots commit to, the epoch before and the policy; gives faults, each of which
one transaction proves (``timebank_chain.epoch.evidence`` collects what it has to carry).

::

    class  function                                                          rule
    1      proveValue                                                        value = formula, domain known
    2      proveActivitySum proveAccountSum                                  running = the one before + own
           proveActivityPosition proveAccountPosition                        a leaf stands at its index
    3      proveActivityOrder proveAccountOrder proveDuplicate               strictly ascending, once
    4      proveSettlement                                                   start < occurred + window <= end
    5      proveRangeEnd proveRange proveEarned                              an account's acts and their sum
    6      proveStanding                                                     from the epoch before
    7      proveMint proveAccountSum                                         brackets, rate, pot; sum of mints
    8      proveDropped proveInvented                                        the accounts of now and before
    9      proveTotals proveLength                                           what the header says of it all

**Nothing that is wrong goes unfound.** Let an epoch have none of these faults. Then its rows are those
that the honest builder (``value_epoch``) makes of the same acts and the same epoch before:

1. Every domain is known (1), every act settles in the epoch (4) and no record stands twice (3): the
   builder takes these acts. Their rows ascend strictly (3), and there is only one such order: it is the
   builder's. The value follows from the row and the header's end (1), the running sum from row to row,
   starting at 0 (2). So the activity rows are the builder's, and with them root and count.
2. Accounts ascend strictly (3). Each range ends where it starts or later, within the activities, the last
   one at their end (5): the ranges cut the activities into pieces without gap or overlap. Each activity in
   a piece is of its account (5). So the accounts with a piece are those with acts, and as the rows of one
   account stand together, each piece is all of its account's. An account without a piece was there
   before (8), and all that were there before are here (8): the accounts are the union, in the builder's
   order, with its range ends. If there are no accounts, there are no activities (9).
3. Earned follows from the running sums at both ends of the piece (5), standing and cumulative mint from
   the account's row in the epoch before (6), mint from earned and the header's totals (7), the running
   ones from row to row (2, 7). The header's totals are those of the last row (9), with active count and
   total earned as the builder sums them, so that the mean and hence the mint are the builder's too.
4. Roots and counts follow from the rows; an end that is free (policy without a length) is the header's
   word, a fixed one is checked (9). Number, start, policy, previous header, rate and pot are compared by
   the ``RateOracle`` when the epoch is proposed, and ``data_hash`` and ``data_uri`` say where the rows are.

The other way round, the builder's rows keep each rule, so that an honest epoch has no fault. Sums are
compared as whole numbers, never modulo 2^64: where a column could wrap, the wrap is told apart.

What rows cannot show is how they were hashed: a leaf that says another index than its place, or one
hidden in the padding. That comes to light where a leaf is answered on chain: ``position_fault`` judges it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.keccak import keccak
from timebank_chain.epoch.leaves import AccountLeaf, ActivityLeaf
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.epoch.tree import ZERO_HASH, MerkleTree, tree_depth, verify_leaf
from timebank_chain.errors import EpochError, InvalidProof
from timebank_chain.spec import fairness as exact_fairness
from timebank_chain.units import MAX_AMOUNT, MAX_TIME_MS, Q31, format_duration, format_time
from timebank_chain.valuation import Policy, activity_values, fairness, policy_hash, weight
from timebank_chain.valuation.order import accounts_as_keys, not_ascending, repeated_records

TreeName = Literal["activity", "account"]

#: What voids an epoch, by class number.
FAULT_CLASSES = {
    1: "value",
    2: "sums and positions",
    3: "order and duplicates",
    4: "settlement time",
    5: "account range and earned",
    6: "standing and cumulative mint",
    7: "mint and its sum",
    8: "dropped or invented accounts",
    9: "totals and length",
    10: "a leaf withheld",
}

_U64 = NDArray[np.uint64]
_MAX_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class CommittedLeaf:
    """A leaf as it stands under a root, shown with its way up: what an answer on chain reveals.

    ``position`` is where the siblings say it stands; an honest leaf's index is the same.
    """

    tree: TreeName
    position: int
    leaf: ActivityLeaf | AccountLeaf
    siblings: tuple[bytes, ...]

    def under(self, header: EpochHeader) -> bool:
        """Tell whether it is under the header's root, in a tree as deep as the header's count asks."""
        root, count = _root_and_count(header, self.tree)
        return len(self.siblings) == tree_depth(count) and verify_leaf(
            self.leaf.hash(), self.position, self.siblings, root
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and which function of ``EpochChallenge`` proves it.

    Attributes
    ----------
    fault_class
        1 to 9, see ``FAULT_CLASSES``.
    function
        The function's name (``proveValue``).
    tree
        Where ``index`` counts; of the epoch before for ``proveDropped``.
    index
        The leaf in question; 0 where it is the header itself.
    other
        A second index where there is one: the activity for ``proveRange``, the later activity for
        ``proveDuplicate``.
    field
        The leaf's or header's field that is wrong.
    message
        One sentence: which leaf, what was found, what the rule gives.
    committed
        The leaf as shown, only for faults of position.
    """

    fault_class: int
    function: str
    tree: TreeName
    index: int
    field: str
    message: str
    other: int | None = None
    committed: CommittedLeaf | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fault as JSON values."""
        return {
            "class": self.fault_class,
            "function": self.function,
            "tree": self.tree,
            "index": self.index,
            "other": self.other,
            "field": self.field,
            "message": self.message,
        }

    def __str__(self) -> str:
        return f"class {self.fault_class}, {self.function}: {self.message}"


def find_faults(
    published: PublishedEpoch,
    previous: PublishedEpoch | None,
    policy: Policy,
    *,
    limit: int = 1,
    without_previous: bool = False,
) -> list[Fault]:
    """Find what is wrong in an epoch.

    Rows may be anything: unsorted, repeated, negative, of no known domain. Rows beyond the header's count
    are what hides in the padding.

    Parameters
    ----------
    published
        The epoch. Its rows need not hash to the header's roots to be judged, only to be proved wrong.
    previous
        The epoch before; ``None`` only for the first.
    policy
        The policy the header names.
    limit
        Most faults of each rule, lowest index first.
    without_previous
        The epoch before cannot be had: leave out the rules that need it (class 6 and 8).

    Returns
    -------
    list of Fault
        By class, then by rule, then by index; the first of every rule that is broken. Empty for an honest
        epoch and for no other (see the module).

    Raises
    ------
    EpochError
        If policy or previous epoch are not those the header names, or rows are missing.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    check_context(published.header, previous, policy, without_previous=without_previous)
    case = _Case(published, previous, policy)
    rules = [rule for rule in _RULES if not (without_previous and rule in _OF_TWO_EPOCHS)]
    return [fault for rule in rules for fault in islice(rule(case), limit)]


def check_context(
    header: EpochHeader, previous: PublishedEpoch | None, policy: Policy, *, without_previous: bool = False
) -> None:
    """Refuse a policy or previous epoch that the header does not name: nothing can be proved from it.

    With ``without_previous`` the epoch before may be missing, not another.

    Raises
    ------
    EpochError
        With what the header names and what was given.
    """
    if header.policy_hash != policy_hash(policy):
        raise EpochError(
            f"the header names the policy 0x{header.policy_hash.hex()}, "
            f"'{policy.name}' is 0x{policy_hash(policy).hex()}",
            hint="judge the epoch by the policy it names",
        )
    if (header.epoch == 1) != (previous is None) and not (previous is None and without_previous):
        raise EpochError(
            f"epoch {header.epoch} {'has no' if header.epoch == 1 else 'needs the'} epoch before",
            hint="give the previous epoch, and none for the first",
        )
    if previous is not None and header.previous_header_hash != previous.header.hash():
        raise EpochError(
            f"the header follows 0x{header.previous_header_hash.hex()}, the epoch before is "
            f"0x{previous.header.hash().hex()}",
            hint="fetch the epoch before as it was finalised",
        )


def position_fault(header: EpochHeader, committed: CommittedLeaf) -> Fault | None:
    """Judge where a leaf stands: at another place than its index, or with company in the padding.

    Raises
    ------
    InvalidProof
        If the leaf is not under the header's root.
    """
    if not committed.under(header):
        raise InvalidProof(
            f"{committed.tree} leaf {committed.position} is not under the root of epoch {header.epoch}",
            hint="take leaf, position and siblings as they were shown",
        )
    position, leaf = committed.position, committed.leaf
    _, count = _root_and_count(header, committed.tree)
    what = f"{committed.tree} leaf at position {position}"
    message = None
    if position >= count:
        message = f"{what}: it stands in the padding, the header counts {count}"
    elif leaf.index != position:
        message = f"{what}: its index is {leaf.index}, the rule gives {position}"
    elif position == count - 1:
        empty = ZERO_HASH
        for level, sibling in enumerate(committed.siblings):
            if not position >> level & 1 and sibling != empty:
                message = f"{what}: it is the last, yet at level {level} something stands right of it"
                break
            empty = keccak(empty + empty)
    if message is None:
        return None
    function = "proveActivityPosition" if committed.tree == "activity" else "proveAccountPosition"
    return Fault(2, function, committed.tree, position, "index", message, committed=committed)


def _root_and_count(header: EpochHeader, tree: TreeName) -> tuple[bytes, int]:
    if tree == "activity":
        return header.activity_root, header.activity_count
    return header.account_root, header.account_count


class _Case:
    """An epoch under judgement: columns of the counted rows, and what several rules need of them."""

    def __init__(self, published: PublishedEpoch, previous: PublishedEpoch | None, policy: Policy) -> None:
        self.header = published.header
        self.published = published
        self.previous = previous
        self.policy = policy
        self.activities: ActivityRows = _counted(published.activities, self.header, "activity")
        self.accounts: AccountRows = _counted(published.accounts, self.header, "account")

    def amounts(self, name: str) -> _U64:
        """Return a column of the accounts as the 64 bits its leaves hold."""
        column: NDArray[Any] = getattr(self.accounts, name)
        return column.astype(np.uint64)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Which activities have a domain of the policy."""
        return self.activities.domain < len(self.policy.domains)

    @cached_property
    def windows(self) -> NDArray[np.int64]:
        """Observation windows by domain, ms."""
        return np.array([domain.window_ms for domain in self.policy.domains], dtype=np.int64)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Exclusive range ends of the accounts."""
        return self.accounts.activity_end.astype(np.int64)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Range starts of the accounts: the end of the account before."""
        return np.concatenate([np.zeros(1, dtype=np.int64), self.ends])[: len(self.ends)]

    @cached_property
    def before(self) -> NDArray[np.int64]:
        """Each account's row in the epoch before, -1 where it has none."""
        if self.previous is None:
            return np.full(len(self.accounts), -1, dtype=np.int64)
        return rows_in(self.accounts.account, self.previous.accounts.account)

    def before_amounts(self, name: str) -> _U64:
        """Return a column of the epoch before for each account of this one, 0 where it was not there."""
        result = np.zeros(len(self.accounts), dtype=np.uint64)
        if self.previous is not None:
            there = self.before >= 0
            column: NDArray[Any] = getattr(self.previous.accounts, name)
            result[there] = column[self.before[there]].astype(np.uint64)
        return result

    def activity(self, row: int) -> str:
        """Name an activity."""
        rows = self.activities
        record, account = rows.record_id[row].tobytes().hex(), rows.account[row].tobytes().hex()
        return f"activity {row} (record 0x{record}, account 0x{account})"

    def account(self, row: int) -> str:
        """Name an account."""
        return f"account {row} (0x{self.accounts.account[row].tobytes().hex()})"


# The rules, in the order of their classes. Each yields its faults by rising index.


def _values(case: _Case) -> Iterator[Fault]:
    rows = case.activities
    computed, judged = values_by_rule(rows, case.policy, case.header.end_ms)
    wrong = ~case.known | (judged & (rows.value != computed))
    for row in _where(wrong):
        if case.known[row]:
            field = "value"
            message = f"value is {int(rows.value[row])}, the rule gives {int(computed[row])}"
        else:
            field, domains = "domain", len(case.policy.domains)
            message = f"domain is {int(rows.domain[row])}, policy '{case.policy.name}' has {domains}"
        yield Fault(1, "proveValue", "activity", row, field, f"{case.activity(row)}: {message}")


def _activity_sums(case: _Case) -> Iterator[Fault]:
    rows = case.activities
    before = _shifted(rows.running)
    total = before + rows.value
    # The sum left 64 bits where both parts have one sign and it has the other.
    wrapped = ((before ^ total) & (rows.value ^ total)) < 0
    for row in _where(wrapped | (total != rows.running)):
        expected = int(before[row]) + int(rows.value[row])
        message = f"running is {int(rows.running[row])}, the rule gives {expected}"
        yield Fault(2, "proveActivitySum", "activity", row, "running", f"{case.activity(row)}: {message}")


def _account_sums(case: _Case) -> Iterator[Fault]:
    earned = case.amounts("earned")
    own = {"running_earned": earned, "running_active": (earned > 0).astype(np.uint64)}
    yield from _broken_sums(case, 2, own)


def _mint_sums(case: _Case) -> Iterator[Fault]:
    yield from _broken_sums(case, 7, {"running_mint": case.amounts("mint")})


def _broken_sums(case: _Case, fault_class: int, own: dict[str, _U64]) -> Iterator[Fault]:
    wrong = {
        name: _not_sum(_shifted(case.amounts(name)), part, case.amounts(name)) for name, part in own.items()
    }
    for row in _where(np.logical_or.reduce(list(wrong.values()))):
        name = next(name for name in wrong if wrong[name][row])
        column = getattr(case.accounts, name)
        expected = (int(column[row - 1]) if row else 0) + int(own[name][row])
        message = f"{name} is {int(column[row])}, the rule gives {expected}"
        yield Fault(fault_class, "proveAccountSum", "account", row, name, f"{case.account(row)}: {message}")


def _padding(case: _Case) -> Iterator[Fault]:
    trees: tuple[tuple[TreeName, ActivityRows | AccountRows], ...] = (
        ("activity", case.published.activities),
        ("account", case.published.accounts),
    )
    for tree, rows in trees:
        root, count = _root_and_count(case.header, tree)
        if len(rows) > count and tree_depth(len(rows)) == tree_depth(count) and _has_root(rows, root):
            for row in range(count, len(rows)):
                fault = position_fault(case.header, committed_leaf(rows, rows.tree, row))
                if fault is not None:
                    yield fault


def _activity_order(case: _Case) -> Iterator[Fault]:
    rows = case.activities
    for row in not_ascending(rows.account, rows.record_id).tolist():
        message = f"not above the one before by account, then record ({case.activity(row - 1)})"
        yield Fault(3, "proveActivityOrder", "activity", row, "record_id", f"{case.activity(row)}: {message}")


def _account_order(case: _Case) -> Iterator[Fault]:
    for row in not_ascending(case.accounts.account).tolist():
        message = f"not above the one before ({case.account(row - 1)})"
        yield Fault(3, "proveAccountOrder", "account", row, "account", f"{case.account(row)}: {message}")


def _duplicates(case: _Case) -> Iterator[Fault]:
    for first, row in repeated_records(case.activities.record_id).tolist():
        message = f"its record stands at activity {first} already"
        yield Fault(
            3, "proveDuplicate", "activity", first, "record_id", f"{case.activity(row)}: {message}", other=row
        )


def _settlements(case: _Case) -> Iterator[Fault]:
    rows, header = case.activities, case.header
    window = case.windows[np.where(case.known, rows.domain, 0)]
    occurred = rows.occurred_ms
    # What is no time of 48 bits settles nowhere; the rest cannot wrap.
    settled = np.clip(occurred, -1, MAX_TIME_MS + 1) + window
    inside = (occurred >= 0) & (settled > header.start_ms) & (settled <= header.end_ms)
    for row in _where(case.known & ~inside):
        at = int(occurred[row]) + int(window[row])
        shown = format_time(at) if 0 <= at <= MAX_TIME_MS else f"{at} ms"
        message = (
            f"it settles at {shown} ({format_duration(int(window[row]))} after the act), outside the epoch "
            f"({format_time(header.start_ms)}, {format_time(header.end_ms)}]"
        )
        yield Fault(4, "proveSettlement", "activity", row, "occurred_ms", f"{case.activity(row)}: {message}")


def _range_ends(case: _Case) -> Iterator[Fault]:
    starts, ends, count = case.starts, case.ends, case.header.activity_count
    wrong = (ends < starts) | (ends > count)
    if len(wrong):
        wrong[-1] |= ends[-1] != count
    for row in _where(wrong):
        start, end = int(starts[row]), int(ends[row])
        if end < start:
            message = f"its range ends at {end}, before its start {start}"
        elif end > count:
            message = f"its range ends at {end}, beyond the {count} activities"
        else:
            message = f"it is the last account and its range ends at {end}, the rule gives {count}"
        yield Fault(5, "proveRangeEnd", "account", row, "activity_end", f"{case.account(row)}: {message}")


def _ranges(case: _Case) -> Iterator[Fault]:
    # Up to the greatest end so far, each activity is in the range of the first account to end beyond it,
    # also where later ranges turn back.
    reached = (
        np.minimum(np.maximum.accumulate(case.ends), len(case.activities)) if len(case.ends) else case.ends
    )
    owner = np.repeat(np.arange(len(reached)), np.diff(reached, prepend=0))
    named = _as_words(case.activities.account)[: len(owner)]
    wrong = (named != _as_words(case.accounts.account).take(owner, axis=0)).any(axis=1)
    for row in _where(wrong):
        account = int(owner[row])
        start, end = int(case.starts[account]), int(case.ends[account])
        message = f"its range {start} to {end} (exclusive) holds another's {case.activity(row)}"
        yield Fault(
            5, "proveRange", "account", account, "activity_end",
            f"{case.account(account)}: {message}", other=row,
        )  # fmt: skip


def _earned(case: _Case) -> Iterator[Fault]:
    running, starts, ends = case.activities.running, case.starts, case.ends
    orderly = (starts <= ends) & (ends <= len(running))
    filled = np.flatnonzero(orderly & (starts < ends))
    last = running[ends[filled] - 1]
    first = np.where(starts[filled] > 0, running[starts[filled] - 1], 0)
    expected = np.zeros(len(ends), dtype=np.uint64)
    # The greater minus the smaller of two 64-bit numbers fits 64 bits without a sign.
    expected[filled] = np.where(last > first, last.astype(np.uint64) - first.astype(np.uint64), 0)
    for row in _where(orderly & (expected != case.amounts("earned"))):
        found = int(case.accounts.earned[row])
        message = (
            f"earned is {found}, its activities {int(starts[row])} to {int(ends[row])} (exclusive) give "
            f"{int(expected[row])}"
        )
        yield Fault(5, "proveEarned", "account", row, "earned", f"{case.account(row)}: {message}")


def _standings(case: _Case) -> Iterator[Fault]:
    header = case.header
    kept_weight = int(weight(min(header.end_ms - header.start_ms, MAX_TIME_MS), case.policy.decay_k))
    before = case.before_amounts("standing")
    # floor(before * w / 2^31), split at bit 31: no product leaves 64 bits, since w <= 2^31.
    w, low = np.uint64(kept_weight), np.uint64(Q31 - 1)
    kept = (before >> np.uint64(31)) * w + (((before & low) * w) >> np.uint64(31))
    parts = {
        "standing": (kept, case.amounts("earned")),
        "cumulative_mint": (case.before_amounts("cumulative_mint"), case.amounts("mint")),
    }
    wrong = {name: _not_sum(left, right, case.amounts(name)) for name, (left, right) in parts.items()}
    for row in _where(wrong["standing"] | wrong["cumulative_mint"]):
        name = "standing" if wrong["standing"][row] else "cumulative_mint"
        left, right = parts[name]
        where = "it had no place in" if case.before[row] < 0 else "by its leaf of"
        message = (
            f"{name} is {int(getattr(case.accounts, name)[row])}, the rule gives "
            f"{int(left[row]) + int(right[row])} ({where} the epoch before)"
        )
        yield Fault(6, "proveStanding", "account", row, name, f"{case.account(row)}: {message}")


def _mints(case: _Case) -> Iterator[Fault]:
    header, brackets = case.header, case.policy.brackets
    earned, found = case.amounts("earned"), case.amounts("mint")
    mean = exact_fairness.mean(header.total_earned, header.active_count)
    ordinary = earned <= MAX_AMOUNT
    # A mint may leave 64 bits, where the totals are wrong: whole numbers, then.
    rule = np.zeros(len(earned), dtype=object)
    amounts = earned[ordinary].astype(np.int64)
    rule[ordinary] = fairness.mint(
        fairness.phi(amounts, mean, brackets), amounts,
        rate_q24=header.rate_q24, pot=header.pot, total_earned=header.total_earned,
    )  # fmt: skip
    steps = [(bracket.from_multiple_milli, bracket.slope_milli) for bracket in brackets]
    for row in np.flatnonzero(~ordinary).tolist():
        amount = int(earned[row])
        counted = exact_fairness.phi(amount, mean, steps)
        rule[row] = exact_fairness.mint(counted, header.rate_q24, amount, header.pot, header.total_earned)
    if len(rule) and int(rule.max()) <= _MAX_U64:
        wrong = rule.astype(np.uint64) != found
    else:
        wrong = np.array(rule != found.astype(object), dtype=np.bool_)
    for row in _where(wrong):
        message = f"mint is {int(case.accounts.mint[row])}, the rule gives {int(rule[row])}"
        yield Fault(7, "proveMint", "account", row, "mint", f"{case.account(row)}: {message}")


def _dropped(case: _Case) -> Iterator[Fault]:
    if case.previous is None:
        return
    before = case.previous.accounts.account
    for row in _where(rows_in(before, case.accounts.account) < 0):
        message = (
            f"account 0x{before[row].tobytes().hex()}: it has leaf {row} in the epoch before and none in this"
        )
        yield Fault(8, "proveDropped", "account", row, "account", message)


def _invented(case: _Case) -> Iterator[Fault]:
    for row in _where((case.starts == case.ends) & (case.before < 0)):
        message = "it has no activity in this epoch and no leaf in the one before"
        yield Fault(8, "proveInvented", "account", row, "account", f"{case.account(row)}: {message}")


def _totals(case: _Case) -> Iterator[Fault]:
    header, accounts = case.header, case.accounts

    def wrong(field: str, message: str, index: int = 0) -> Fault:
        return Fault(9, "proveTotals", "account", index, field, f"header, {message}")

    for field, count, root in (
        ("activity_root", header.activity_count, header.activity_root),
        ("account_root", header.account_count, header.account_root),
    ):
        if (count == 0) != (root == ZERO_HASH):
            yield wrong(field, f"{field} is 0x{root.hex()}, and the tree has {count} leaves")
    if header.activity_count and not header.account_count:
        yield wrong("account_count", f"account_count is 0, and there are {header.activity_count} activities")
    last = len(accounts) - 1
    for field, running in (
        ("total_earned", "running_earned"),
        ("active_count", "running_active"),
        ("total_mint", "running_mint"),
    ):
        found, expected = getattr(header, field), int(getattr(accounts, running)[last]) if last >= 0 else 0
        if found != expected:
            yield wrong(field, f"{field} is {found}, the last account's sum is {expected}", max(last, 0))


def _length(case: _Case) -> Iterator[Fault]:
    length, due = case.header.end_ms - case.header.start_ms, case.policy.epoch_ms
    if due and length != due:
        message = f"header, the epoch is {length} ms long, the policy says {due} ms"
        yield Fault(9, "proveLength", "account", 0, "end_ms", message)


_RULES: Sequence[Callable[[_Case], Iterator[Fault]]] = (
    _values, _activity_sums, _account_sums, _padding, _activity_order, _account_order, _duplicates,
    _settlements, _range_ends, _ranges, _earned, _standings, _mints, _mint_sums, _dropped, _invented,
    _totals, _length,
)  # fmt: skip

#: What compares an epoch with the one before it.
_OF_TWO_EPOCHS = (_standings, _dropped, _invented)


def values_by_rule(
    rows: ActivityRows, policy: Policy, end_ms: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return what each act is worth at ``end_ms``, and which acts can be valued at all.

    An act of an unknown domain cannot; nor can one after the end or at no time, which has no age: that
    it is there is a fault of its settlement.
    """
    known = rows.domain < len(policy.domains)
    judged = known & (rows.occurred_ms >= 0) & (rows.occurred_ms <= end_ms)
    if bool(judged.all()):
        return activity_values(rows.as_activities(), policy, end_ms=end_ms), judged
    chosen = np.flatnonzero(judged)
    values = np.zeros(len(rows), dtype=np.int64)
    values[chosen] = activity_values(rows.as_activities().take(chosen), policy, end_ms=end_ms)
    return values, judged


def committed_leaf(rows: ActivityRows | AccountRows, tree: MerkleTree, position: int) -> CommittedLeaf:
    """Return the leaf of a row with its siblings in ``tree``."""
    name: TreeName = "activity" if isinstance(rows, ActivityRows) else "account"
    return CommittedLeaf(name, position, rows.leaf(position), tuple(tree.proof(position)))


def _counted(rows: Any, header: EpochHeader, tree: TreeName) -> Any:
    """Return the rows the header counts."""
    _, count = _root_and_count(header, tree)
    if len(rows) < count:
        raise EpochError(
            f"{len(rows)} {tree} rows, the header counts {count}",
            hint="fetch the epoch's files again, or ask for its leaves on chain",
        )
    if len(rows) == count:
        return rows
    return type(rows)(**{name: column[:count] for name, column in rows.columns().items()})


def _has_root(rows: ActivityRows | AccountRows, root: bytes) -> bool:
    try:
        return rows.tree.root == root
    except EpochError:  # a cell no leaf can hold
        return False


def rows_in(wanted: NDArray[np.uint8], accounts: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the row of each wanted account among ``accounts`` (the first of equals), -1 for none."""
    keys, sought = accounts_as_keys(accounts), accounts_as_keys(wanted)
    if not len(keys):
        return np.full(len(sought), -1, dtype=np.int64)
    order = np.arange(len(keys))
    if len(not_ascending(accounts)):
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
    place = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    return np.where(keys[place] == sought, order[place], -1).astype(np.int64)


def _shifted(running: NDArray[Any]) -> NDArray[Any]:
    """Return each row's running sum before it: the row before's, 0 before the first."""
    result = np.zeros_like(running)
    result[1:] = running[:-1]
    return result


def _not_sum(left: _U64, right: _U64, total: _U64) -> NDArray[np.bool_]:
    """Return where ``total`` is not the sum of both as whole numbers: a sum that wrapped is none."""
    added = left + right
    wrong: NDArray[np.bool_] = (added != total) | (added < left)
    return wrong


def _as_words(account: NDArray[np.uint8]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(account).view(np.uint32).reshape(len(account), 5)


def _where(wrong: NDArray[np.bool_]) -> Iterable[int]:
    rows: list[int] = np.flatnonzero(wrong).tolist()
    return rows
