"""Shares of a total.

::

    share math
    |- the first share is a millionth of a micro-credit
    |- rounding goes where the name says
    |- a share of a debt never owes nothing
    |- a part of a debt never retires all its shares
    |- coming and going never gains
    `- whoever holds all shares of a debt owes all of it, whoever holds some no more than before
"""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.spec.share_math import (
    VIRTUAL_ASSETS,
    VIRTUAL_SHARES,
    owed_up,
    to_assets_down,
    to_assets_up,
    to_shares_down,
    to_shares_up,
)

AMOUNTS = st.integers(0, 2**64 - 1) | st.integers(0, 20)
SHARES = st.integers(0, 2**96 - 1) | st.integers(0, 3 * 10**6)


def test_the_first_share_is_a_millionth_of_a_micro_credit() -> None:
    assert to_shares_up(7, 0, 0) == to_shares_down(7, 0, 0) == 7 * 10**6
    assert to_assets_up(7 * 10**6, 7, 7 * 10**6) == 7


@given(AMOUNTS, AMOUNTS, SHARES)
def test_rounding_goes_where_the_name_says(amount: int, total: int, shares: int) -> None:
    price = Fraction(total + VIRTUAL_ASSETS, shares + VIRTUAL_SHARES)
    for down, up, exact in (
        (to_shares_down(amount, total, shares), to_shares_up(amount, total, shares), amount / price),
        (to_assets_down(amount, total, shares), to_assets_up(amount, total, shares), amount * price),
    ):
        assert down <= exact <= up
        assert up - down == (exact.denominator != 1)


@given(st.integers(1, 2**96), AMOUNTS, SHARES)
def test_a_share_of_a_debt_never_owes_nothing(owned: int, total: int, shares: int) -> None:
    assert to_assets_up(owned, total, shares) >= 1


@given(st.integers(1, 2**96), SHARES, AMOUNTS, st.integers(0, 2**64))
def test_a_part_of_a_debt_never_retires_all_its_shares(
    owned: int, others: int, total: int, seed: int
) -> None:
    shares = owned + others
    debt = to_assets_up(owned, total, shares)
    part = seed % debt
    assert to_shares_down(part, total, shares) < owned


@given(AMOUNTS, AMOUNTS, SHARES)
def test_coming_and_going_never_gains(amount: int, total: int, shares: int) -> None:
    bought = to_shares_down(amount, total, shares)
    assert to_assets_down(bought, total + amount, shares + bought) <= amount
    owed = to_shares_up(amount, total, shares)
    assert to_assets_up(owed, total + amount, shares + owed) >= amount


@given(AMOUNTS, SHARES, st.integers(0, 2**96))
def test_whoever_holds_all_shares_of_a_debt_owes_all_of_it(debt: int, owned: int, others: int) -> None:
    assert owed_up(owned, debt, owned) >= debt
    if others:
        assert owed_up(owned, debt, owned + others) == to_assets_up(owned, debt, owned + others)
