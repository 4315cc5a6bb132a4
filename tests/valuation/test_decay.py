"""Decay.

::

    decay
    |- constants are the published integers
    |- K is rounded from exact digits
    |- weights
    |  |- equal the specification for any age and tau
    |  |- never rise with age
    |  |- are one at age zero, zero once 64 half-lives have passed
    |  |- halve at a half-life
    |  `- stay within the stated distance of exp
    `- decayed amounts equal exact integer arithmetic
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.spec import decay as spec
from timebank_chain.units import MAX_TIME_MS
from timebank_chain.valuation.decay import (
    MAX_DECAY_K,
    decay_constant,
    decayed,
    half_life_of,
    longest_age,
    step_constants,
    tau_of,
    weight,
    weights,
)

DAY_MS = 86_400_000
TAUS = st.integers(1, MAX_TIME_MS) | st.integers(1, 10**6)


def test_constants_are_the_published_integers():
    assert step_constants() == spec.FACTORS
    assert step_constants()[0] == 1_518_500_250  # round(2^31 / sqrt 2)


def test_constants_agree_with_decimal_roots():
    with localcontext() as context:
        context.prec = 60
        for k, constant in enumerate(step_constants(), start=1):
            exact = Decimal(2) ** 31 * (-(Decimal(2).ln()) / 2**k).exp()
            assert abs(exact - constant) <= Decimal("0.5")


@pytest.mark.parametrize(
    ("tau_ms", "decay_k"),
    [
        (1, 103_957_133_576_908_769),
        (1_000, 103_957_133_576_909),
        (100_000, 1_039_571_335_769),
        (30 * DAY_MS, 40_106_919),
        (180 * DAY_MS, 6_684_486),
    ],
)
def test_decay_constant_of_known_lifetimes(tau_ms, decay_k):
    assert decay_constant(tau_ms) == decay_k


@given(TAUS)
def test_decay_constant_is_the_nearest_integer(tau_ms):
    with localcontext() as context:
        context.prec = 90
        exact = Decimal(2**56) / (Decimal(tau_ms) * Decimal(2).ln())
        assert abs(exact - decay_constant(tau_ms)) <= Decimal("0.5")


@pytest.mark.parametrize("tau_ms", [0, -1, MAX_TIME_MS + 1])
def test_decay_constant_refuses_impossible_lifetimes(tau_ms):
    with pytest.raises(ValueError, match="tau must be"):
        decay_constant(tau_ms)


def test_shown_lifetimes_follow_from_the_constant():
    assert tau_of(decay_constant(100_000)) == 100_000
    assert half_life_of(decay_constant(100_000)) == 69_315  # 100 s * ln 2


@given(st.lists(st.integers(0, MAX_TIME_MS) | st.integers(0, 10**7), max_size=50), TAUS)
def test_weights_equal_the_specification(ages, tau_ms):
    decay_k = decay_constant(tau_ms)
    assert weights(np.array(ages, np.int64), decay_k).tolist() == [spec.weight(age, decay_k) for age in ages]


def test_weights_equal_the_specification_for_many_ages():
    rng = np.random.default_rng(1)
    for decay_k in (1, decay_constant(180 * DAY_MS), decay_constant(100_000), MAX_DECAY_K):
        ages = rng.integers(0, min(MAX_TIME_MS, longest_age(decay_k)) + 1, 5_000)
        assert weights(ages, decay_k).tolist() == [spec.weight(int(age), decay_k) for age in ages]


@given(st.integers(0, MAX_TIME_MS - 1), st.integers(1, 10**6), TAUS)
def test_weight_never_rises_with_age(age, later, tau_ms):
    decay_k = decay_constant(tau_ms)
    # The Q31 product of constants may wobble by a few units in the last place between neighbours.
    assert weight(min(age + later, MAX_TIME_MS), decay_k) <= weight(age, decay_k) + 24


@given(TAUS)
def test_weight_is_one_at_age_zero_and_halves_at_the_half_life(tau_ms):
    decay_k = decay_constant(tau_ms)
    assert weight(0, decay_k) == 2**31
    if 1_000 <= half_life_of(decay_k) <= MAX_TIME_MS:
        half = weight(half_life_of(decay_k), decay_k) / 2**31
        assert half == pytest.approx(0.5, abs=1e-3)


def test_weight_is_zero_from_64_half_lives_on():
    decay_k = decay_constant(100_000)
    last = longest_age(decay_k)
    assert last * decay_k < 2**62 <= (last + 1) * decay_k
    assert weights(np.array([last, last + 1, MAX_TIME_MS]), decay_k).tolist() == [0, 0, 0]
    assert weight(30 * half_life_of(decay_k), decay_k) > 0


def test_exhausted_ages_do_not_disturb_their_neighbours():
    decay_k = decay_constant(1_000)
    mixed = weights(np.array([500, MAX_TIME_MS, 0]), decay_k).tolist()
    assert mixed == [spec.weight(500, decay_k), 0, 2**31]


@pytest.mark.parametrize(
    ("tau_days", "bound"), [(0.0011574, 4.2e-8), (1, 4.2e-8), (30, 4.2e-8), (180, 2e-7), (3 * 365, 2e-7)]
)
def test_weight_is_close_to_exp(tau_days, bound):
    tau_ms = round(tau_days * DAY_MS)
    ages = np.random.default_rng(2).integers(0, 20 * tau_ms, 200_000)
    error = np.abs(weights(ages, decay_constant(tau_ms)) / 2**31 - np.exp(-ages / tau_ms))
    assert 0 < error.max() < bound


def test_weight_refuses_ages_out_of_range():
    with pytest.raises(ValueError, match="age must be"):
        weight(-1, 1)
    with pytest.raises(ValueError, match="age must be"):
        weight(MAX_TIME_MS + 1, 1)


def test_room_is_used_and_input_left_alone():
    ages = np.array([0, 5, 10**9], np.int64)
    out, scratch = np.empty(3, np.int64), np.empty((2, 3), np.int64)
    assert weights(ages, decay_constant(100), out=out, scratch=scratch) is out
    assert out.tolist() == weights(ages, decay_constant(100)).tolist()
    assert ages.tolist() == [0, 5, 10**9]


@given(st.lists(st.integers(0, 2**63 - 1), max_size=20), st.integers(0, 2**31))
def test_decayed_amounts_are_exact(amounts, weight_q31):
    expected = [amount * weight_q31 >> 31 for amount in amounts]
    assert decayed(np.array(amounts, np.int64), weight_q31).tolist() == expected


def test_mean_lifetime_is_not_the_half_life():
    after_tau = weight(100_000, decay_constant(100_000)) / 2**31
    assert after_tau == pytest.approx(math.exp(-1), abs=1e-8)
