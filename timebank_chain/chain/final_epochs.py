"""Published epochs as the chain knows them: only what is final and hashes to the header on chain is read."""

from __future__ import annotations

from pathlib import Path

from web3.types import BlockIdentifier

from timebank_chain.chain.claiming import EpochNotFinalised
from timebank_chain.chain.system import Timebank
from timebank_chain.epoch import PublishedEpoch, read_epoch
from timebank_chain.epoch.proof import checked_tree
from timebank_chain.errors import TamperedEpoch


def read_final_epoch(
    timebank: Timebank, epochs: Path, number: int, *, block: BlockIdentifier = "latest"
) -> PublishedEpoch:
    """Read a finalised epoch; its account rows have the root under the header that is final on chain.

    Parameters
    ----------
    epochs
        Folder of published epochs.
    number
        Which epoch; any final one, not only the newest.
    block
        The chain as of this block.

    Raises
    ------
    EpochNotFinalised
        If the chain has no such final epoch.
    EpochError
        If it is not published in the folder.
    TamperedEpoch
        If the published epoch is not the one on chain, or its account rows have another root.
    """
    latest = timebank.rate_oracle.latest_epoch(block=block)
    if not 1 <= number <= latest:
        raise EpochNotFinalised(
            f"epoch {number} is not final: the newest final epoch is {latest or 'none'}",
            hint="name a final one, or wait: timebank oracle status",
        )
    published = read_epoch(epochs, number)
    on_chain = timebank.rate_oracle.header_hash_of(number, block=block)
    if published.header.hash() != on_chain:
        raise TamperedEpoch(
            f"the published epoch {number} hashes to 0x{published.header.hash().hex()}, "
            f"final on chain is 0x{on_chain.hex()}",
            where=str(epochs),
            hint="fetch the epoch's files again from who publishes them",
        )
    checked_tree(published, "account")
    return published
