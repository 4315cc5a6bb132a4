"""Wrong epochs, hashed anew so that only their content is wrong: one cell, row or field of the header."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from tests.challenge.small_epochs import Case, publish, rehashed, with_cell, with_rows
from timebank_chain.epoch.faults import CommittedLeaf
from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.epoch.leaves import ACCOUNT_LAYOUT, ACTIVITY_LAYOUT, AccountLeaf, ActivityLeaf
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.epoch.tree import MerkleTree, tree_depth
from timebank_chain.errors import EpochError

#: What the contracts compare themselves when an epoch is proposed is not changed here.
HEADER_TOTALS = ("total_earned", "active_count", "total_mint")


def corruptions(draw: random.Random, case: Case) -> Iterator[tuple[str, PublishedEpoch]]:
    """Every cell and total changed, rows left out, repeated, swapped and made up: what, and the epoch."""
    published = case.published
    acts, people = published.activities, published.accounts
    for row in range(len(acts)):
        for name, kind, size in ACTIVITY_LAYOUT[1:]:
            for value in _others(draw, getattr(acts.leaf(row), name), kind, size):
                changed = with_cell(acts, name, row, value)
                yield f"activity {row}: {name} = {value!r}", rehashed(published, activities=changed)
    for row in range(len(people)):
        for name, kind, size in ACCOUNT_LAYOUT[1:]:
            for value in _others(draw, getattr(people.leaf(row), name), kind, size):
                altered = with_cell(people, name, row, value)
                yield f"account {row}: {name} = {value!r}", rehashed(published, accounts=altered)
    for order in _orders(len(acts)):
        yield f"activities {order}", rehashed(published, activities=with_rows(acts, order))
    for order in _orders(len(people)):
        yield f"accounts {order}", rehashed(published, accounts=with_rows(people, order))
    if len(people):
        invented = with_cell(
            with_rows(people, [*range(len(people)), -1]), "account", len(people), b"\xfe" * 20
        )
        for name in ("earned", "standing", "mint", "cumulative_mint"):
            invented = with_cell(invented, name, len(people), 0)
        yield "an account made up", rehashed(published, accounts=invented)
    for name in HEADER_TOTALS:
        value = getattr(published.header, name)
        yield f"{name} + 1", rehashed(published, **{name: value + 1})
        if value:
            yield f"{name} - 1", rehashed(published, **{name: value - 1})
    for tree, count in (("activity", len(acts)), ("account", len(people))):
        if count > 2 and tree_depth(count - 1) == tree_depth(count):
            yield f"{tree}_count - 1", rehashed(published, **{f"{tree}_count": count - 1})
        root = bytes(32) if count else b"\x01" * 32
        yield f"{tree}_root = {root.hex()}", rehashed(published, **{f"{tree}_root": root})
    if case.policy.epoch_ms:
        later = published.header.end_ms + 1
        yield "end_ms + 1", rehashed(published, end_ms=later)


def is_honest(case: Case, published: PublishedEpoch) -> bool:
    """Whether the builder makes exactly these rows and this header of the same acts."""
    header = published.header
    try:
        built = publish(
            published.activities.as_activities(),
            case.policy,
            case.previous,
            start_ms=header.start_ms,
            end_ms=header.end_ms,
            rate_q24=header.rate_q24,
            pot=header.pot,
        )
    except EpochError:
        return False
    length = header.end_ms - header.start_ms
    return (not case.policy.epoch_ms or length == case.policy.epoch_ms) and built.header == header


def mislabelled(
    draw: random.Random, published: PublishedEpoch
) -> Iterator[tuple[PublishedEpoch, CommittedLeaf]]:
    """Epochs in one of whose trees one leaf says another index than its position, and that leaf."""
    rows: ActivityRows | AccountRows
    for rows in (published.activities, published.accounts):
        name = "activity" if isinstance(rows, ActivityRows) else "account"
        leaves: list[ActivityLeaf] | list[AccountLeaf] = [rows.leaf(row) for row in range(len(rows))]
        for row, leaf in enumerate(leaves):
            values = {field: getattr(leaf, field) for field, _, _ in leaf.LAYOUT}
            values["index"] = draw.choice([index for index in range(len(rows) + 1) if index != row])
            wrong = type(leaf)(**values)
            hashes = [one.hash() for one in leaves]
            hashes[row] = wrong.hash()
            tree = MerkleTree(np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32))
            epoch = rehashed(published, **{f"{name}_root": tree.root})
            yield epoch, CommittedLeaf(name, row, wrong, tuple(tree.proof(row)))  # type: ignore[arg-type]  # a name of TreeName


def _others(draw: random.Random, value: int | bytes, kind: str, size: int) -> list[int | bytes]:
    """Other values of a field: one bit flipped, one more, the smallest, the largest."""
    if isinstance(value, bytes):
        flipped = int.from_bytes(value, "big") ^ 1 << draw.randrange(8 * size)
        return [flipped.to_bytes(size, "big")]
    # Columns are 64 bits with a sign: the largest amounts are half of what a leaf could say.
    bits = 8 * size - (size == 8)
    top = (1 << bits) - 1
    bottom = -top - 1 if kind == "i" else 0
    flipped = value ^ 1 << draw.randrange(bits)
    return [one for one in {flipped, value + 1, bottom, top} if one != value and bottom <= one <= top]


def _orders(count: int) -> Iterator[list[int]]:
    rows = list(range(count))
    for row in rows:
        yield [*rows[:row], *rows[row + 1 :]]
        yield [*rows[: row + 1], row, *rows[row + 1 :]]
    for row in range(1, count):
        yield [*rows[: row - 1], row, row - 1, *rows[row + 1 :]]
