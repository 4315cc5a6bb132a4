"""Every look, and the confidence sequence.

sequence
├── the boundary is the published formula; narrowest at the horizon; x solves its equation
├── p below the level exactly where the interval leaves out zero
└── nothing before anybody came

looks
├── a day's fixed test is scipy's on the members so far: Welch; two proportions with Yates
├── with a covariate: regression's effect; less error; none where it does not vary
├── an arm of one member, or whose members are all alike, shows nothing
└── the origin of values does not matter

simulated A/A tests
├── at most 5 % false alarms, fixed and peeked; naive daily looks have many more
├── the truth is left out no more often where there is an effect
└── the same seed gives the same
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.attention.experiment.builders import alternating
from timebank_chain.attention.experiment.looks import Sums, compare, sums_by_look
from timebank_chain.attention.experiment.sequence import always_valid_p, boundary, horizon_product
from timebank_chain.attention.experiment.simulate import Setting, simulate

levels = st.floats(1e-5, 0.4)


@given(levels, st.integers(1, 10**7), st.integers(2, 10**7))
def test_boundary_is_the_published_formula(level: float, members: int, planned: int) -> None:
    rho2 = horizon_product(level) / planned
    # Waudby-Smith et al., theorem 2.2, in units of sigma; ours is in standard errors.
    margin = math.sqrt(
        2 * (members * rho2 + 1) / (members**2 * rho2) * math.log(math.sqrt(members * rho2 + 1) / level)
    )
    found = float(boundary(np.array(float(members)), planned, level))
    assert found == pytest.approx(margin * math.sqrt(members), rel=1e-9)


@given(levels)
def test_boundary_is_narrowest_at_the_horizon(level: float) -> None:
    x = horizon_product(level)
    assert x == pytest.approx(math.log((1 + x) / level**2), rel=1e-6)
    at = float(boundary(np.array(1000.0), 1000, level))
    assert at < float(boundary(np.array(1000.0), 500, level))
    assert at < float(boundary(np.array(1000.0), 2000, level))


@given(levels, st.floats(-8, 8), st.integers(1, 10**6))
def test_p_and_interval_agree(level: float, z: float, members: int) -> None:
    at = np.array(float(members))
    reach = float(boundary(at, 10_000, level))
    p = float(always_valid_p(np.array(z), at, 10_000, level))
    assert 0 <= p <= 1
    if abs(abs(z) - reach) > 1e-6:
        assert (p < level) == (abs(z) > reach)


def test_nothing_is_known_before_anybody_came() -> None:
    assert math.isinf(float(boundary(np.array(0.0), 100, 0.05)))


def drawn(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    before = chance.gamma(2.0, 1.0, count)
    arm = alternating(count)
    return arm, np.arange(count) * 8 // count, before, before + chance.gamma(1.0, 1.0, count) + 0.3 * arm


@pytest.mark.parametrize("seed", range(4))
def test_fixed_test_of_each_day_is_welch(seed: int) -> None:
    arm, day, _, outcome = drawn(seed)
    sums = sums_by_look(arm, day, outcome, None, arms=2, looks=8)
    looks = compare(sums, 1, kind="mean", planned=400, level=0.05, burn_in=50)
    for upto in range(8):
        control, treated = (outcome[(day <= upto) & (arm == one)] for one in (0, 1))
        tested = stats.ttest_ind(treated, control, equal_var=False)
        assert looks.fixed_p[upto] == pytest.approx(tested.pvalue, rel=1e-8)
        assert looks.effect[upto] == pytest.approx(treated.mean() - control.mean())
        assert looks.members[upto] == len(control) + len(treated)
    # Twenty-five members an arm and day: the first look is before the burn-in.
    assert np.isinf(looks.low[0]) and np.isfinite(looks.low[1:]).all()
    assert (np.diff(looks.p) <= 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_fixed_test_of_rates_is_the_corrected_z(seed: int) -> None:
    chance = np.random.default_rng(seed)
    arm, day = alternating(300), np.arange(300) // 100
    outcome = (chance.random(300) < 0.2 + 0.2 * arm).astype(float)
    looks = compare(
        sums_by_look(arm, day, outcome, None, arms=2, looks=3),
        1, kind="rate", planned=300, level=0.05, burn_in=10,
    )  # fmt: skip
    for upto in range(3):
        table = [
            [int(outcome[(day <= upto) & (arm == one)].sum()) for one in (0, 1)],
            [int((1 - outcome)[(day <= upto) & (arm == one)].sum()) for one in (0, 1)],
        ]
        wanted = stats.chi2_contingency(table, correction=True).pvalue
        assert looks.fixed_p[upto] == pytest.approx(wanted, rel=1e-8)


def test_covariate_gives_the_regressions_effect() -> None:
    arm, day, before, outcome = drawn(7)
    plain = compare(
        sums_by_look(arm, day, outcome, None, arms=2, looks=8),
        1, kind="mean", planned=400, level=0.05, burn_in=10,
    )  # fmt: skip
    adjusted = compare(
        sums_by_look(arm, day, outcome, before, arms=2, looks=8),
        1, kind="mean", planned=400, level=0.05, burn_in=10,
    )  # fmt: skip
    # Least squares of the outcome on arm and covariate has the within-arm slope.
    design = np.column_stack([np.ones(400), arm, before])
    wanted = np.linalg.lstsq(design, outcome, rcond=None)[0]
    assert adjusted.effect[-1] == pytest.approx(wanted[1], rel=1e-9)
    assert adjusted.theta[-1] == pytest.approx(wanted[2], rel=1e-9)
    left = 1 - np.corrcoef(before, outcome - 0.3 * arm)[0, 1] ** 2
    assert (adjusted.error[-1] / plain.error[-1]) ** 2 == pytest.approx(left, rel=0.05)


def test_constant_covariate_explains_nothing() -> None:
    arm, day, _, outcome = drawn(8)
    plain = sums_by_look(arm, day, outcome, None, arms=2, looks=8)
    constant = sums_by_look(arm, day, outcome, np.full(400, 1e6 / 3), arms=2, looks=8)
    one, two = (
        compare(sums, 1, kind="mean", planned=400, level=0.05, burn_in=10) for sums in (plain, constant)
    )
    assert two.theta.tolist() == [0.0] * 8
    np.testing.assert_allclose(one.low, two.low)


def test_nothing_is_shown_by_one_member_or_by_all_alike() -> None:
    ones = np.array([[1.0, 5.0], [200.0, 200.0]])
    sums = Sums(n=ones, y=ones * [0.0, 3.0], yy=ones * [0.0, 9.0])
    looks = compare(sums, 1, kind="mean", planned=400, level=0.05, burn_in=2)
    assert np.isnan(looks.effect[0]) and np.isnan(looks.fixed_p[0])
    # Control all 0, treatment all 3: however sure it looks, no variance was seen.
    assert np.isinf(looks.low).all() and looks.p.tolist() == [1.0, 1.0]
    # Of a rate an arm without a success still has a variance.
    rate = compare(
        Sums(n=ones, y=ones * [0.0, 1.0], yy=ones * [0.0, 1.0]),
        1, kind="rate", planned=400, level=0.05, burn_in=2,
    )  # fmt: skip
    assert 0 < rate.low[1] < 1 < rate.high[1]


@given(st.floats(-1e4, 1e4))
def test_origin_of_values_does_not_matter(origin: float) -> None:
    arm, day, before, outcome = drawn(9)
    one, two = (
        compare(
            sums_by_look(arm, day, outcome + moved, before, arms=2, looks=8),
            1, kind="mean", planned=400, level=0.05, burn_in=10,
        )
        for moved in (0.0, origin)
    )  # fmt: skip
    np.testing.assert_allclose(one.low, two.low, atol=1e-5)


@pytest.mark.parametrize(
    "setting",
    [
        Setting("rate", 0.05),
        Setting("rate", 0.004, daily=1_000, days=7),
        Setting("mean", 2.0, daily=50, experiments=4_000),
        Setting("mean", 2.0, daily=50, experiments=4_000, correlation=0.7),
        # Welch's test alone gives 6 % here.
        Setting("mean", 2.0, daily=90, treated=10, experiments=4_000),
    ],
)
def test_false_alarms(setting: Setting) -> None:
    found = simulate(setting, seed=11)
    # Four standard errors of the simulation: a test that fails by chance once in thirty thousand.
    assert found.fixed <= 0.05 + 4 * found.error_of(0.05)
    assert found.always_valid <= 0.05
    assert found.missed == found.always_valid
    assert found.peeked > 2 * found.fixed


def test_truth_is_kept_where_there_is_an_effect() -> None:
    found = simulate(Setting("rate", 0.1, experiments=4_000, lift=1.3), seed=12)
    assert found.missed <= 0.05
    assert found.always_valid > 0.7


def test_same_seed_same_experiments() -> None:
    one = Setting("mean", 2.0, daily=10, days=5, experiments=250, burn_in=5)
    assert simulate(one, seed=3) == simulate(one, seed=3) != simulate(one, seed=4)
