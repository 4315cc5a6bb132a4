"""The value floats: from the second epoch on, the rate follows what members spend and what epochs mint.

The governor lets it, after the delay in which everybody can see it coming. The step is what the first epoch
minted: with less the rate would swing. A history of one epoch has nothing that could move it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.float_events import RateMoved
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Receipt
from timebank_chain.demo.story import RateMove
from timebank_chain.spec.floating_rate import MIN_STEP
from timebank_chain.units import Q24, format_micro


@dataclass
class FloatingValue:
    """The rate as it goes on; ``moves`` are in the order they happened.

    Attributes
    ----------
    governor
        Who lets the rate float; the contracts make it wait.
    wait
        Lets the chain's clock reach a moment (Unix seconds).
    """

    timebank: Timebank
    governor: LocalSigner
    wait: Callable[[int], None]
    tell: Callable[[str], None]
    moves: list[RateMove] = field(default_factory=list)

    def open(self, minted: int) -> None:
        """Let the rate float, with a step of the micro-credits that the last epoch minted."""
        step = max(minted, MIN_STEP)
        call = self.timebank.rate_float.set_float(step)
        self.tell("The governor announces that the rate will float")
        self.wait(self.timebank.govern(self.governor, call).ready_at)
        self.timebank.govern(self.governor, call)
        floating = self.timebank.rate_float.floating()
        self.tell(
            f"  it floats from {floating.base_rate_q24 / Q24:.6f} credits per value: {format_micro(step)} "
            "credits spent beyond what is minted would double it, an epoch moves it by at most an eighth"
        )

    def finalised(self, receipt: Receipt, rate_q24: int) -> None:
        """Look at a finalised epoch: how it moved the rate it was valued at, if the rate floats."""
        for event in decode_logs(receipt.logs, (RateMoved,)):
            if isinstance(event, RateMoved):
                move = RateMove(
                    event.epoch, event.demand, event.supply, event.excess, rate_q24, event.rate_q24
                )
                self.moves.append(move)
                self.tell(f"  {move.sentence()}")

    def close(self) -> None:
        """After the market: what was spent since the last epoch moves the rate with the next."""
        floating = self.timebank.rate_float.floating()
        if floating.step:
            spent = format_micro(self.timebank.fee_pool.spent() - floating.spent_at_last)
            self.tell(
                f"  {spent} credits were spent since the last epoch: the next one moves the rate by them"
            )
