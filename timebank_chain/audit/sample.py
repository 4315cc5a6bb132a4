"""A sample of leaves worked out by the plain-integer specification.

Everything else trusts numpy and the fast hashing. Here some rows of every epoch go the slow way, one
Python integer after the other, so that a fault in the fast way cannot stay unseen.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from timebank_chain.audit.case import AuditCase, EpochCase
from timebank_chain.audit.files import Columns
from timebank_chain.audit.report import Check, Tally
from timebank_chain.epoch import EpochHeader
from timebank_chain.spec import decay, epoch_tree, fairness, quality
from timebank_chain.valuation import Knot, Policy

#: Leaves of each kind and epoch; an epoch with fewer is worked out whole.
SAMPLE_SIZE = 200
#: An account with more acts than this is not summed up one by one.
LONGEST_RANGE = 20_000


def check_sample(case: AuditCase) -> Check:
    """Check sampled leaves, and small epochs' roots, with the specification alone."""
    tally = Tally("A31", "sampled leaves and roots worked out again by the plain-integer specification")
    # Seeded by the block audited: nobody who publishes an epoch can know which rows will be drawn,
    # and the same audit draws the same rows.
    seed = bytes(case.evidence.header(case.evidence.to_block)["hash"])
    draw = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
    activities = accounts = 0
    for epoch in case.epochs:
        header, policy = epoch.header, epoch.policy
        if header is None or policy is None or epoch.files.activities is None or epoch.files.accounts is None:
            continue  # reported by A25, A26
        rows = epoch.files.activities
        for row in _draw(draw, len(rows["value"])):
            activities += 1
            _check_activity(tally, epoch, rows, policy, header, row)
        for row in _draw(draw, len(epoch.files.accounts["account"])):
            accounts += 1
            _check_account(tally, epoch, policy, header, row)
        _check_small_trees(tally, epoch, header)
    tally.evidence.update(seed="0x" + seed.hex(), activity_leaves=activities, account_leaves=accounts)
    return tally.done(f"{activities:,} activity and {accounts:,} account leaves")


def _draw(draw: random.Random, count: int) -> Sequence[int]:
    return range(count) if count <= SAMPLE_SIZE else sorted(draw.sample(range(count), SAMPLE_SIZE))


def spec_value(rows: Columns, row: int, policy: Policy, end_ms: int) -> int | None:
    """Return one act's value in micro-value by the specification; ``None`` if nothing values it."""
    index = int(rows["domain"][row])
    age = end_ms - int(rows["occurred_ms"][row])
    if index >= len(policy.domains) or age < 0:
        return None
    domain = policy.domains[index]
    ranks = (
        quality.rank(int(rows["interaction_milli"][row]), _points(domain.interaction)),
        quality.rank(int(rows["originality_milli"][row]), _points(domain.originality)),
        quality.rank(int(rows["engagement_milli"][row]), _points(domain.engagement)),
    )
    worth = quality.incentive(
        quality.quality(*ranks), domain.low, domain.high, domain.bonus_milli, domain.penalty_milli
    )
    return quality.value(worth, decay.weight(age, policy.decay_k))


def _points(knots: Sequence[Knot]) -> list[tuple[int, int]]:
    return [(knot.raw_milli, knot.rank_milli) for knot in knots]


def _check_activity(
    tally: Tally, epoch: EpochCase, rows: Columns, policy: Policy, header: EpochHeader, row: int
) -> None:
    tally.equal(
        f"epoch {epoch.number}, activity leaf {row}, value",
        spec_value(rows, row, policy, header.end_ms),
        int(rows["value"][row]),
        "the specification gives the act another value",
    )


def _check_account(tally: Tally, epoch: EpochCase, policy: Policy, header: EpochHeader, row: int) -> None:
    rows, acts = epoch.files.accounts, epoch.files.activities
    if rows is None or acts is None:
        return
    where = f"epoch {epoch.number}, account leaf {row} (0x{rows['account'][row].tobytes().hex()})"
    leaf = {name: int(column[row]) for name, column in rows.items() if name != "account"}
    start = int(rows["activity_end"][row - 1]) if row else 0
    end = min(leaf["activity_end"], len(acts["value"]))
    if end - start <= LONGEST_RANGE:
        values = [spec_value(acts, at, policy, header.end_ms) or 0 for at in range(start, end)]
        tally.equal(
            f"{where}, earned", max(0, sum(values)), leaf["earned"], "its acts sum up to another value"
        )
        owner = rows["account"][row].tobytes()
        strangers = [at for at in range(start, end) if acts["account"][at].tobytes() != owner]
        tally.equal(f"{where}, acts of others in its range", [], strangers[:3], "it is paid for others' acts")
    mean = fairness.mean(header.total_earned, header.active_count)
    brackets = [(bracket.from_multiple_milli, bracket.slope_milli) for bracket in policy.brackets]
    counted = fairness.phi(leaf["earned"], mean, brackets)
    minted = fairness.mint(counted, header.rate_q24, leaf["earned"], header.pot, header.total_earned)
    tally.equal(f"{where}, mint", minted, leaf["mint"], "brackets, rate and pot give another mint")
    standing, cumulative = _before(epoch, rows["account"][row].tobytes())
    kept = standing * decay.weight(header.end_ms - header.start_ms, policy.decay_k) >> 31
    tally.equal(f"{where}, standing", kept + leaf["earned"], leaf["standing"], "the past counts otherwise")
    tally.equal(
        f"{where}, cumulative_mint",
        cumulative + minted,
        leaf["cumulative_mint"],
        "it may claim another amount",
    )


def _before(epoch: EpochCase, account: bytes) -> tuple[int, int]:
    """Return an account's standing and cumulative mint in the epoch before."""
    previous = epoch.recomputed.previous
    row = None if previous is None else epoch.previous_rows.get(account)
    if previous is None or row is None:
        return 0, 0
    return int(previous["standing"][row]), int(previous["cumulative_mint"][row])


def _check_small_trees(tally: Tally, epoch: EpochCase, header: EpochHeader) -> None:
    """Build both trees of a small epoch with plain loops and compare the roots on chain."""
    acts, rows = epoch.files.activities, epoch.files.accounts
    if acts is None or rows is None or max(len(acts["value"]), len(rows["account"])) > SAMPLE_SIZE:
        return
    tally.equal(
        f"epoch {epoch.number}, activityRoot", plain_root(list(_activity_hashes(acts))), header.activity_root,
        "plain hashing of the published rows gives another root",
    )  # fmt: skip
    tally.equal(
        f"epoch {epoch.number}, accountRoot", plain_root(list(_account_hashes(rows))), header.account_root,
        "plain hashing of the published rows gives another root",
    )  # fmt: skip


def plain_root(hashes: list[bytes]) -> bytes:
    """Return the root over leaf hashes, padded with zero hashes to a power of two."""
    if not hashes:
        return bytes(32)
    nodes = hashes + [bytes(32)] * ((1 << (len(hashes) - 1).bit_length()) - len(hashes))
    while len(nodes) > 1:
        nodes = [epoch_tree.hash_pair(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
    return nodes[0]


def _activity_hashes(rows: Columns) -> Iterator[bytes]:
    for row in range(len(rows["value"])):
        yield epoch_tree.hash_activity_leaf(
            epoch_tree.ActivityLeaf(
                index=row,
                record_id=rows["record_id"][row].tobytes(),
                account=rows["account"][row].tobytes(),
                **{name: int(rows[name][row]) for name in _ACTIVITY_NUMBERS},
            )
        )


def _account_hashes(rows: Columns) -> Iterator[bytes]:
    for row in range(len(rows["account"])):
        numbers = {name: int(rows[name][row]) for name in rows if name != "account"}
        yield epoch_tree.hash_account_leaf(
            epoch_tree.AccountLeaf(index=row, account=rows["account"][row].tobytes(), **numbers)
        )


_ACTIVITY_NUMBERS = (
    "domain", "occurred_ms", "interaction_milli", "originality_milli", "engagement_milli", "value", "running",
)  # fmt: skip
