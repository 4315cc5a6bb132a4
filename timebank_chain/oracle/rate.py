"""The rate a header must carry: the one that stands on chain when the epoch is proposed.

Under a floating rate every final epoch moves it, so that only the next epoch's is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from timebank_chain.chain.system import Timebank
from timebank_chain.epoch import EpochHeader
from timebank_chain.errors import OracleError
from timebank_chain.oracle.propose import final_headers
from timebank_chain.units import RateQ24, format_rate


@dataclass(frozen=True, slots=True)
class RequiredRate:
    """What the chain says about the rate of one epoch.

    Attributes
    ----------
    rate_q24
        Micro-credits per micro-value, 2**24 = 1.0; ``None`` while an earlier epoch can still move it.
    why
        Where it comes from, or why it is not known, as the end of a sentence.
    """

    epoch: int
    rate_q24: RateQ24 | None
    why: str


def required_rates(timebank: Timebank, first: int, count: int = 1) -> list[RequiredRate]:
    """Return the rates that ``count`` epochs from ``first`` on must have, as of the newest block.

    Raises
    ------
    OracleError
        If one of them is final, and its proposal cannot be found on this chain.
    """
    block = timebank.connection.block_number()
    oracle = timebank.rate_oracle
    latest, standing = oracle.latest_epoch(block=block), oracle.rate_q24(block=block)
    floats = timebank.rate_float.floating(block=block).step > 0
    numbers = range(first, first + count)
    final = final_headers(timebank, [number for number in numbers if number <= latest], block=block)

    def of(number: int) -> RequiredRate:
        if number <= latest:
            rate = RateQ24(final[number].rate_q24)
            return RequiredRate(number, rate, f"with which epoch {number} became final on chain")
        if floats and number > latest + 1:
            why = f"the rate floats: what epoch {number} needs is known once epoch {number - 1} is final"
            return RequiredRate(number, None, why)
        how = "floats" if floats else "is fixed until governance changes it"
        return RequiredRate(number, standing, f"which the chain requires of epoch {number}: there it {how}")

    return [of(number) for number in numbers]


def require_rate(header: EpochHeader, required: RequiredRate, *, by: str = "the chain requires") -> None:
    """Refuse a header that is valued at another rate than it must have.

    Parameters
    ----------
    by
        Who says so, with its verb, for the message.

    Raises
    ------
    OracleError
        With both rates; also if what the chain will ask for is not known yet.
    """
    if required.rate_q24 is None:
        raise OracleError(
            f"epoch {header.epoch} cannot be signed yet: {required.why}",
            hint=f"sign it when epoch {header.epoch - 1} is final; nothing was signed",
        )
    if header.rate_q24 != required.rate_q24:
        raise OracleError(
            f"epoch {header.epoch} is valued at the rate {format_rate(header.rate_q24)}, {by} "
            f"{format_rate(required.rate_q24)}",
            hint=f"it could never become final: build it again with `timebank epoch build --epoch "
            f"{header.epoch} --force`, which takes the chain's rate from the deployment; nothing was signed",
        )
