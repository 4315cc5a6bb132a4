"""The policy a header must name: the one in force on chain when the epoch is proposed."""

from __future__ import annotations

from dataclasses import dataclass

from timebank_chain.chain.system import Timebank
from timebank_chain.epoch import EpochHeader
from timebank_chain.errors import OracleError
from timebank_chain.oracle.propose import final_headers, policy_option


@dataclass(frozen=True, slots=True)
class RequiredPolicy:
    """What the chain says about the policy of one epoch.

    Attributes
    ----------
    policy_hash
        32 bytes, as the header names it.
    why
        Where it comes from, as the end of a sentence.
    """

    epoch: int
    policy_hash: bytes
    why: str

    @property
    def shown(self) -> str:
        """The hash as people compare it, ``0x`` and 64 digits."""
        return "0x" + self.policy_hash.hex()


def required_policies(timebank: Timebank, first: int, count: int = 1) -> list[RequiredPolicy]:
    """Return the policies that ``count`` epochs from ``first`` on must have, as of the newest block.

    Raises
    ------
    OracleError
        If one of them is final, and its proposal cannot be found on this chain.
    """
    block = timebank.connection.block_number()
    oracle = timebank.rate_oracle
    latest, standing = oracle.latest_epoch(block=block), oracle.policy_hash(block=block)
    numbers = range(first, first + count)
    final = final_headers(timebank, [number for number in numbers if number <= latest], block=block)

    def of(number: int) -> RequiredPolicy:
        if number <= latest:
            why = f"with which epoch {number} became final on chain"
            return RequiredPolicy(number, final[number].policy_hash, why)
        return RequiredPolicy(number, standing, f"which the chain requires of epoch {number}")

    return [of(number) for number in numbers]


def require_policy(header: EpochHeader, required: RequiredPolicy, *, by: str = "the chain requires") -> None:
    """Refuse a header that names another policy than it must.

    Parameters
    ----------
    by
        Who says so, with its verb, for the message.

    Raises
    ------
    OracleError
        With both hashes.
    """
    if header.policy_hash != required.policy_hash:
        raise OracleError(
            f"epoch {header.epoch} was valued by policy 0x{header.policy_hash.hex()}, {by} {required.shown}",
            hint=f"it could never become final: build it again with `timebank epoch build --epoch "
            f"{header.epoch} --force {policy_option(required.policy_hash)}; nothing was signed",
        )
