"""What EpochChallenge does with evidence, in plain integers and without a look at ``epoch/faults.py``.

``judge`` checks siblings, depth and headers, recomputes the rule by ``spec`` and returns the fault's class;
``NotAFault`` means that a proof would be refused.
"""

from __future__ import annotations

from typing import Any

from timebank_chain.epoch import Evidence, tree_depth, verify_leaf, verify_range
from timebank_chain.epoch.keccak import keccak
from timebank_chain.spec import decay, fairness, quality
from timebank_chain.valuation import Policy, policy_hash


class NotAFault(AssertionError):
    pass


def judge(evidence: Evidence) -> int:
    header = evidence.header
    function = {name: rule for name, rule in globals().items() if name.startswith("_prove")}
    return int(function["_" + evidence.function](header, *evidence.arguments))


def need(fault: bool, fault_class: int) -> int:
    if not fault:
        raise NotAFault(fault_class)
    return fault_class


def acts(header: Any, evidence: Any, sizes: tuple[int, ...] = (1,)) -> list[Any]:
    return _leaves(evidence, header.activity_root, header.activity_count, sizes)


def accounts(header: Any, evidence: Any, sizes: tuple[int, ...] = (1,)) -> list[Any]:
    return _leaves(evidence, header.account_root, header.account_count, sizes)


def _leaves(evidence: Any, root: bytes, count: int, sizes: tuple[int, ...]) -> list[Any]:
    leaves = list(evidence.leaves)
    assert len(leaves) in sizes, f"{len(leaves)} leaves"
    first = leaves[0].index
    assert [leaf.index for leaf in leaves] == list(range(first, first + len(leaves)))
    assert leaves[-1].index < count
    hashes = [leaf.hash() for leaf in leaves]
    assert verify_range(hashes, first, list(evidence.siblings), tree_depth(count), root)
    if len(leaves) == 1:
        assert len(evidence.siblings) == tree_depth(count)
        assert verify_leaf(hashes[0], first, list(evidence.siblings), root)
    return leaves


def neighbours(header: Any, evidence: Any, of: Any) -> tuple[Any, Any]:
    """The leaf in question and the one before it, None for the first."""
    leaves = of(header, evidence, (1, 2))
    if len(leaves) == 1:
        assert leaves[0].index == 0
        return None, leaves[0]
    return leaves[0], leaves[1]


def member(header: Any, evidence: Any, account: bytes) -> Any:
    """The account's leaf, or None where the evidence proves that it has none."""
    if header is None or header.account_count == 0:
        assert not evidence.leaves
        assert not evidence.siblings
        return None
    leaves = accounts(header, evidence, (1, 2))
    if len(leaves) == 1 and leaves[0].account == account:
        return leaves[0]
    if len(leaves) == 2:
        assert leaves[0].account < account < leaves[1].account
    elif leaves[0].account > account:
        assert leaves[0].index == 0
    else:
        assert leaves[0].account < account
        assert leaves[0].index == header.account_count - 1
    return None


def before(header: Any, previous: Any) -> None:
    if header.epoch == 1:
        assert previous is None
    else:
        assert previous.hash() == header.previous_header_hash


def rules(header: Any, policy: Policy) -> Policy:
    assert policy_hash(policy) == header.policy_hash
    return policy


def _proveValue(header: Any, given: Any, act: Any) -> int:
    policy, (leaf,) = rules(header, given.policy), acts(header, act)
    if leaf.domain >= len(policy.domains):
        return 1
    assert given.domain == leaf.domain
    if leaf.occurred_ms > header.end_ms:
        raise NotAFault(1)
    domain = policy.domains[leaf.domain]
    ranks = [
        quality.rank(raw, [(knot.raw_milli, knot.rank_milli) for knot in knots])
        for raw, knots in (
            (leaf.interaction_milli, domain.interaction),
            (leaf.originality_milli, domain.originality),
            (leaf.engagement_milli, domain.engagement),
        )
    ]
    worth = quality.incentive(
        quality.quality(*ranks), domain.low, domain.high, domain.bonus_milli, domain.penalty_milli
    )
    value = quality.value(worth, decay.weight(header.end_ms - leaf.occurred_ms, policy.decay_k))
    return need(leaf.value != value, 1)


def _proveActivitySum(header: Any, evidence: Any) -> int:
    one, leaf = neighbours(header, evidence, acts)
    return need(leaf.running != (one.running if one else 0) + leaf.value, 2)


def _proveAccountSum(header: Any, evidence: Any) -> int:
    one, leaf = neighbours(header, evidence, accounts)
    earned, active, mint = (one.running_earned, one.running_active, one.running_mint) if one else (0, 0, 0)
    if leaf.running_earned != earned + leaf.earned or leaf.running_active != active + (leaf.earned > 0):
        return 2
    return need(leaf.running_mint != mint + leaf.mint, 7)


def _position(root: bytes, count: int, leaf: Any, position: int, siblings: Any) -> int:
    assert len(siblings) == tree_depth(count)
    assert verify_leaf(leaf.hash(), position, siblings, root)
    empty, crowded = bytes(32), False
    for level, sibling in enumerate(siblings):
        crowded |= not position >> level & 1 and sibling != empty
        empty = keccak(empty + empty)
    return need(leaf.index != position or position >= count or (position == count - 1 and crowded), 2)


def _proveActivityPosition(header: Any, leaf: Any, position: int, siblings: Any) -> int:
    return _position(header.activity_root, header.activity_count, leaf, position, siblings)


def _proveAccountPosition(header: Any, leaf: Any, position: int, siblings: Any) -> int:
    return _position(header.account_root, header.account_count, leaf, position, siblings)


def _proveActivityOrder(header: Any, evidence: Any) -> int:
    one, two = acts(header, evidence, (2,))
    return need((one.account, one.record_id) >= (two.account, two.record_id), 3)


def _proveAccountOrder(header: Any, evidence: Any) -> int:
    one, two = accounts(header, evidence, (2,))
    return need(one.account >= two.account, 3)


def _proveDuplicate(header: Any, first: Any, second: Any) -> int:
    (one,), (two,) = acts(header, first), acts(header, second)
    return need(one.index != two.index and one.record_id == two.record_id, 3)


def _proveSettlement(header: Any, given: Any, act: Any) -> int:
    policy, (leaf,) = rules(header, given.policy), acts(header, act)
    assert given.domain == leaf.domain
    settled = leaf.occurred_ms + policy.domains[leaf.domain].window_ms
    return need(not header.start_ms < settled <= header.end_ms, 4)


def _proveRange(header: Any, evidence: Any, act: Any) -> int:
    one, account = neighbours(header, evidence, accounts)
    (leaf,) = acts(header, act)
    inside = (one.activity_end if one else 0) <= leaf.index < account.activity_end
    return need(inside != (leaf.account == account.account), 5)


def _proveRangeEnd(header: Any, evidence: Any) -> int:
    one, leaf = neighbours(header, evidence, accounts)
    end, last = leaf.activity_end, leaf.index == header.account_count - 1
    start, count = one.activity_end if one else 0, header.activity_count
    return need(end < start or end > count or (last and end != count), 5)


def _proveEarned(header: Any, evidence: Any, preceding: Any, last: Any) -> int:
    one, leaf = neighbours(header, evidence, accounts)
    start, end = one.activity_end if one else 0, leaf.activity_end
    assert start <= end <= header.activity_count
    earned = 0
    if start == end:
        assert not preceding.leaves
        assert not last.leaves
    else:
        (final,) = acts(header, last)
        assert final.index == end - 1
        earned = final.running
        if start:
            (first,) = acts(header, preceding)
            assert first.index == start - 1
            earned -= first.running
        else:
            assert not preceding.leaves
    return need(leaf.earned != max(0, earned), 5)


def _proveStanding(header: Any, previous: Any, head: Any, account: Any, membership: Any) -> int:
    before(header, previous)
    policy, (leaf,) = rules(header, head.policy), accounts(header, account)
    old = member(previous, membership, leaf.account)
    weight = decay.weight(header.end_ms - header.start_ms, policy.decay_k)
    kept = (old.standing if old else 0) * weight >> 31
    minted = old.cumulative_mint if old else 0
    return need(leaf.standing != kept + leaf.earned or leaf.cumulative_mint != minted + leaf.mint, 6)


def _proveMint(header: Any, head: Any, brackets: Any, account: Any) -> int:
    policy, (leaf,) = rules(header, head.policy), accounts(header, account)
    assert brackets == policy.brackets
    mean = fairness.mean(header.total_earned, header.active_count)
    counted = fairness.phi(
        leaf.earned, mean, [(one.from_multiple_milli, one.slope_milli) for one in brackets]
    )
    return need(
        leaf.mint != fairness.mint(counted, header.rate_q24, leaf.earned, header.pot, header.total_earned), 7
    )


def _proveDropped(header: Any, previous: Any, account: Any, absence: Any) -> int:
    before(header, previous)
    (leaf,) = accounts(previous, account)
    return need(member(header, absence, leaf.account) is None, 8)


def _proveInvented(header: Any, previous: Any, evidence: Any, absence: Any) -> int:
    before(header, previous)
    one, leaf = neighbours(header, evidence, accounts)
    empty = leaf.activity_end == (one.activity_end if one else 0)
    return need(empty and member(previous, absence, leaf.account) is None, 8)


def _proveTotals(header: Any, last: Any) -> int:
    for root, count in (
        (header.activity_root, header.activity_count),
        (header.account_root, header.account_count),
    ):
        if (root == bytes(32)) != (count == 0):
            return 9
    if header.activity_count and not header.account_count:
        return 9
    sums = (0, 0, 0)
    if header.account_count:
        (leaf,) = accounts(header, last)
        assert leaf.index == header.account_count - 1
        sums = (leaf.running_earned, leaf.running_active, leaf.running_mint)
    else:
        assert not last.leaves
    return need((header.total_earned, header.active_count, header.total_mint) != sums, 9)


def _proveLength(header: Any, head: Any) -> int:
    policy = rules(header, head.policy)
    return need(policy.epoch_ms != 0 and header.end_ms - header.start_ms != policy.epoch_ms, 9)
