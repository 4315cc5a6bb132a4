"""RateFloat: how the rate follows what is spent and minted. Amounts are micro-credits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.transactions import Call
from timebank_chain.units import MicroCredit, RateQ24


@dataclass(frozen=True)
class Floating:
    """How the rate floats, as it stands.

    Attributes
    ----------
    step
        Micro-credits of excess that double the rate; 0 while it is fixed.
    base_rate_q24, rate_q24
        The rate at an excess of 0, and the one that stands; micro-credits per micro-value, Q24.
    excess
        Micro-credits spent beyond what was minted, within four steps of 0.
    spent_at_last
        What the fee pool had counted when the rate last moved or the float was set.
    """

    step: MicroCredit
    base_rate_q24: RateQ24
    rate_q24: RateQ24
    excess: MicroCredit
    spent_at_last: MicroCredit


class RateFloat(ContractClient):
    """Moves the oracle's rate after each epoch, if governance lets it float."""

    NAME: ClassVar[str] = "RateFloat"

    def floating(self, *, block: BlockIdentifier = "latest") -> Floating:
        """Return how the rate floats; a rate governance has set meanwhile is the base already."""
        return Floating(*(int(value) for value in self._read("floating", block=block)))  # type: ignore[arg-type]  # all are ints by other names

    def set_float(self, step: int) -> Call:
        """Propose that the rate floats from where it stands, or is fixed there (governance).

        Parameters
        ----------
        step
            Micro-credits of excess that double the rate; 0 to fix it.
        """
        return self._write("setFloat", newStep=step)
