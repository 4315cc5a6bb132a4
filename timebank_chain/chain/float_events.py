"""What was spent, and how the rate followed it: one class per event of the floating value.

Read them like all others, with ``events.read_events``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress

from timebank_chain.chain.event import Event


@dataclass(frozen=True, slots=True)
class SpendersSet(Event):
    """Whose spending counts was set, for ever."""

    spenders: tuple[ChecksumAddress, ...]
    CONTRACT: ClassVar[str] = "FeePool"


@dataclass(frozen=True, slots=True)
class Spent(Event):
    """Members spent ``amount`` micro-credits through ``spender``, the fee not included."""

    spender: ChecksumAddress
    amount: int
    CONTRACT: ClassVar[str] = "FeePool"


@dataclass(frozen=True, slots=True)
class RateFloatSet(Event):
    """What moves the rate after each epoch was set, for ever."""

    rate_float: ChecksumAddress
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class FloatSet(Event):
    """The rate floats from a base, with ``step`` micro-credits per doubling, or (0) is fixed there."""

    previous_step: int
    step: int
    base_rate_q24: int
    spent: int
    CONTRACT: ClassVar[str] = "RateFloat"


@dataclass(frozen=True, slots=True)
class RateMoved(Event):
    """The rate followed an epoch. Micro-credits; the rate Q24."""

    epoch: int
    demand: int
    supply: int
    excess_before: int
    excess: int
    rate_q24: int
    CONTRACT: ClassVar[str] = "RateFloat"


#: All of them.
FLOAT_EVENTS: tuple[type[Event], ...] = (SpendersSet, Spent, RateFloatSet, FloatSet, RateMoved)
