"""Who gets which arm.

assign
├── known values stay: the assignment is a promise
├── many at once are the same as one by one, for short, long and non-ASCII names
├── the order and company of members does not matter
├── shares fit the weights; arms keep their members when only the experiment's name changes
├── two experiments' assignments are independent
└── the bounds divide [0, 2^64) without a gap
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.attention.experiment.builders import make
from timebank_chain.attention.experiment.assign import _bounds, arm_counts, assign, assign_many
from timebank_chain.attention.experiment.plan import Arm

UNEQUAL = make(arms=(Arm("control", 7), Arm("new", 2), Arm("other", 1)), members_per_arm=(7, 2, 2))
NAMES = [f"member-{number:06d}" for number in range(20_000)]


def test_known_assignments_stay() -> None:
    # Found with another implementation of Keccak-256.
    assert assign_many(UNEQUAL, ["ada", "bob", "eve", "鈴木", "m0", "m1", "m2", "m3"]) == [
        "new", "control", "control", "control", "new", "control", "control", "control",
    ]  # fmt: skip


@given(st.lists(st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()), max_size=30))
def test_many_are_as_one_by_one(members: list[str]) -> None:
    assert assign_many(UNEQUAL, members) == [assign(UNEQUAL, member) for member in members]


def test_batches_hash_as_single_rows() -> None:
    # Enough of one length that they are hashed together.
    some = NAMES[:200]
    together = assign_many(UNEQUAL, some)
    assert together == [assign(UNEQUAL, member) for member in some]
    assert assign_many(UNEQUAL, some[::-1]) == together[::-1]
    long = [f"{number:0200d}" for number in range(100)]
    assert assign_many(UNEQUAL, long) == [assign(UNEQUAL, member) for member in long]


def test_shares_fit_the_weights() -> None:
    counts = list(arm_counts(UNEQUAL, assign_many(UNEQUAL, NAMES)).values())
    assert stats.chisquare(counts, [14_000, 4_000, 2_000]).pvalue > 0.001


def test_other_experiments_do_not_matter() -> None:
    renamed = make(name="renamed", arms=UNEQUAL.arms, members_per_arm=(7, 2, 2), alpha=0.01)
    first = assign_many(UNEQUAL, NAMES)
    assert assign_many(renamed, NAMES) == first
    second = assign_many(make(arms=UNEQUAL.arms, members_per_arm=(7, 2, 2), salt=bytes(32)), NAMES)
    table = np.zeros((3, 3))
    arms = [arm.name for arm in UNEQUAL.arms]
    for one, two in zip(first, second, strict=True):
        table[arms.index(one), arms.index(two)] += 1
    assert stats.chi2_contingency(table).pvalue > 0.001


@given(st.lists(st.integers(1, 1_000_000), min_size=2, max_size=16))
def test_bounds_leave_no_gap(weights: list[int]) -> None:
    bounds = _bounds([Arm(str(number), weight) for number, weight in enumerate(weights)])
    assert bounds[-1] == 1 << 64
    sizes = [high - low for low, high in pairwise([0, *bounds])]
    for size, weight in zip(sizes, weights, strict=True):
        assert abs(size - (weight << 64) / sum(weights)) <= 2**12  # a float of 64 bits has 53
