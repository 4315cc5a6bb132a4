"""Which proposal a void is for: found by number, bound by its header's hash, never silently another one.

Governance schedules a void and executes it after a delay. In between, the proposal can be closed and
another one can take its number; the contract refuses to void that one, and so do we, saying why.
"""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError

from timebank_chain.chain.contract import selector
from timebank_chain.chain.events import EpochProposed, OperationScheduled, read_events
from timebank_chain.chain.rate_oracle import PendingEpoch
from timebank_chain.chain.system import Timebank
from timebank_chain.errors import ChainError, UsageError


class NotTheProposal(ChainError):
    """What should be voided is not what is proposed now."""


@dataclass(frozen=True)
class ScheduledVoid:
    """A void that was scheduled once, executed since or not.

    ``epoch`` is the number its header was proposed under.
    """

    epoch: int
    header_hash: bytes


def parse_header_hash(text: str) -> bytes:
    """Read a header's hash as the commands print it.

    Raises
    ------
    UsageError
        If it is not ``0x`` and 64 hex digits.
    """
    digits = text.strip().removeprefix("0x")
    if len(digits) != 64 or not set(digits.lower()) <= set("0123456789abcdef"):
        raise UsageError(
            f"--header-hash: not a hash: {text!r}",
            hint="copy 0x and 64 hex digits from timebank chain status",
        )
    return bytes.fromhex(digits)


def scheduled_voids(timebank: Timebank, caller: str) -> list[ScheduledVoid]:
    """Return every void that ``caller`` has scheduled, oldest first."""
    epochs: dict[bytes, int] = {}
    scheduled: list[bytes] = []
    void = selector("RateOracle", "voidProposal")
    for event in read_events(
        timebank.connection,
        timebank.addresses(),
        (EpochProposed, OperationScheduled),
        from_block=timebank.deployment.first_block,
    ):
        if isinstance(event, EpochProposed):
            epochs[event.header_hash] = event.epoch
        elif (
            isinstance(event, OperationScheduled)
            and event.caller == caller
            and event.target == timebank.rate_oracle.address
            and event.data[:4] == void
        ):
            try:
                header_hash, _, _ = abi_decode(["bytes32", "address", "string"], event.data[4:])
            except DecodingError:  # anything can be scheduled; what does not decode can never run
                continue
            scheduled.append(bytes(header_hash))
    return [ScheduledVoid(epochs[one], one) for one in scheduled if one in epochs]


def proposal_to_void(
    timebank: Timebank, caller: str, *, epoch: int | None, header_hash: bytes | None
) -> PendingEpoch:
    """Return the pending proposal if it is the one meant.

    Parameters
    ----------
    caller
        Who schedules: a number alone stands for the header that this account has scheduled a void of.
    epoch, header_hash
        What is to be voided; with both, both must match.

    Raises
    ------
    NotTheProposal
        If nothing or something else is pending, or if ``caller`` scheduled a void of the same number
        for another header and does not name this one's hash.
    UsageError
        If neither number nor hash is given.
    """
    if epoch is None and header_hash is None:
        raise UsageError(
            "which proposal?", hint="give the epoch's number, or its header: --header-hash 0x..."
        )
    pending = timebank.rate_oracle.pending()
    if pending is None:
        newest = timebank.rate_oracle.latest_epoch()
        raise NotTheProposal(
            f"no epoch is proposed, so nothing can be voided; the newest final one is {newest}",
            hint="a void that is still scheduled meets only its own header, and expires",
        )
    proposed = "0x" + pending.header_hash.hex()
    if header_hash is not None and header_hash != pending.header_hash:
        mine = any(one.header_hash == header_hash for one in scheduled_voids(timebank, caller))
        raise NotTheProposal(
            f"header 0x{header_hash.hex()} is not the proposed one, "
            f"that is {proposed} of epoch {pending.epoch}"
            + ("; the scheduled void was for another header and voids nothing" if mine else ""),
            hint="look at what is proposed now before voiding that too",
        )
    if epoch is not None and epoch != pending.epoch:
        raise NotTheProposal(
            f"epoch {epoch} is not proposed, epoch {pending.epoch} is (header {proposed})",
            hint="see timebank chain status",
        )
    if header_hash is None:
        earlier = [one for one in scheduled_voids(timebank, caller) if one.epoch == pending.epoch]
        if earlier and all(one.header_hash != pending.header_hash for one in earlier):
            raise NotTheProposal(
                f"the void of epoch {pending.epoch} that {caller} scheduled was for another header: "
                f"0x{earlier[-1].header_hash.hex()}; proposed now is {proposed}, which it cannot void",
                hint=f"look at what is proposed now; to void that too, add --header-hash {proposed}",
            )
    return pending
