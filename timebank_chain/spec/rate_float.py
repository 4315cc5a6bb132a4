"""The rate that follows what members spend and what epochs mint, beside the oracle whose rate it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from timebank_chain.spec import floating_rate
from timebank_chain.units import RateQ24

__all__ = ["Floating", "RateFloat", "RateMove"]


@dataclass(frozen=True, slots=True)
class Floating:
    """How the rate floats; as in ``interfaces/IRateFloat.sol``.

    Attributes
    ----------
    step
        Micro-credits of excess that double the rate; 0 while it is fixed.
    base_rate_q24, rate_q24
        The rate at an excess of 0, and the one last given to the oracle; micro-credits per micro-value, Q24.
    excess
        Micro-credits spent beyond what was minted, within four steps of 0.
    spent_at_last
        What the fee pool had counted when the rate last moved or the float was set.
    """

    step: int = 0
    base_rate_q24: int = 0
    rate_q24: int = 0
    excess: int = 0
    spent_at_last: int = 0

    def as_of(self, rate_q24: int) -> Floating:
        """Return it with the rate that stands: if it is not the one last given, it is the new base."""
        if rate_q24 == self.rate_q24:
            return self
        return replace(self, base_rate_q24=rate_q24, rate_q24=rate_q24, excess=0)


@dataclass(frozen=True, slots=True)
class RateMove:
    """One event ``RateMoved``: amounts in micro-credits."""

    demand: int
    supply: int
    excess_before: int
    excess: int
    rate_q24: int


@dataclass
class RateFloat:
    """``oracle/RateFloat.sol``: who may call is not looked at here.

    Attributes
    ----------
    spent
        The fee pool's counter, micro-credits.
    """

    spent: Callable[[], int]
    floating: Floating = Floating()

    def set_float(self, rate_q24: int, step: int) -> None:
        """Let the rate float from where it stands, or fix it there with a step of 0."""
        self.floating = Floating(step, rate_q24, rate_q24, 0, self.spent())

    def follow(self, rate_q24: int, supply: int) -> RateMove | None:
        """Move the rate after an epoch that minted ``supply``; ``None`` while it is fixed."""
        if self.floating.step == 0:
            return None
        before, spent = self.floating.as_of(rate_q24), self.spent()
        demand = spent - before.spent_at_last
        excess = floating_rate.excess_after(before.excess, before.step, demand, supply)
        target = floating_rate.rate(before.base_rate_q24, excess, before.step)
        moved: RateQ24 = floating_rate.bounded_move(rate_q24, target)
        self.floating = replace(before, rate_q24=moved, excess=excess, spent_at_last=spent)
        return RateMove(demand, supply, before.excess, excess, moved)
