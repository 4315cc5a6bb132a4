"""Between an amount and its shares of a total; the direction of rounding is in the name.

One more micro-credit and one million more shares are counted that belong to nobody.
"""

from __future__ import annotations

from timebank_chain.units import mul_div_down, mul_div_up

__all__ = [
    "VIRTUAL_ASSETS",
    "VIRTUAL_SHARES",
    "owed_up",
    "to_assets_down",
    "to_assets_up",
    "to_shares_down",
    "to_shares_up",
]

#: Shares that belong to nobody.
VIRTUAL_SHARES = 10**6

#: Micro-credits that belong to nobody.
VIRTUAL_ASSETS = 1


def to_shares_down(assets: int, total_assets: int, total_shares: int) -> int:
    """Return shares for an amount, rounded down: what a repayment retires."""
    return mul_div_down(assets, total_shares + VIRTUAL_SHARES, total_assets + VIRTUAL_ASSETS)


def to_shares_up(assets: int, total_assets: int, total_shares: int) -> int:
    """Return shares for an amount, rounded up: what a borrowing owes.

    >>> to_shares_up(5, 0, 0)
    5000000
    """
    return mul_div_up(assets, total_shares + VIRTUAL_SHARES, total_assets + VIRTUAL_ASSETS)


def to_assets_down(shares: int, total_assets: int, total_shares: int) -> int:
    """Return the amount for shares, rounded down: what shares are worth at least."""
    return mul_div_down(shares, total_assets + VIRTUAL_ASSETS, total_shares + VIRTUAL_SHARES)


def to_assets_up(shares: int, total_assets: int, total_shares: int) -> int:
    """Return the amount for shares, rounded up: what shares of a debt owe; never 0 for a share."""
    return mul_div_up(shares, total_assets + VIRTUAL_ASSETS, total_shares + VIRTUAL_SHARES)


def owed_up(shares: int, debt: int, debt_shares: int) -> int:
    """Return what shares of a debt owe, rounded up; whoever has all of them owes all of it.

    Interest lets the debt grow and not its shares, and a little of that growth falls to the virtual shares:
    by its shares alone the only borrower would owe less than the pool counts.

    >>> to_assets_up(10**12, 10**9, 10**12), owed_up(10**12, 10**9, 10**12)
    (999999002, 1000000000)
    """
    owed = to_assets_up(shares, debt, debt_shares)
    return max(owed, debt) if shares == debt_shares else owed
