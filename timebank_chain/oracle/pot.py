"""The pots of epochs to come: together they can grant no more than the fee pool's bonus pot holds.

The pool pays a pot when its epoch becomes final, and refuses a proposal with more. Until then it only grows,
by the fees of what members spend.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from timebank_chain.chain.system import Timebank
from timebank_chain.epoch import epoch_folder
from timebank_chain.epoch.file import read_header
from timebank_chain.errors import OracleError
from timebank_chain.units import format_micro


def require_pots(timebank: Timebank, folder: Path, pots: Mapping[int, int], *, done: str) -> None:
    """Refuse pots the fee pool cannot pay, as of the newest block.

    Parameters
    ----------
    folder
        The published epochs: pots of earlier ones that are not final yet come out of the pool first.
    pots
        Epoch -> micro-credits of its bonus pot. Those that are final already were paid: they do not count.
    done
        How the hint ends: what was left undone.

    Raises
    ------
    OracleError
        Naming the first epoch whose pot goes beyond what the pool holds for it, and both amounts.
    TamperedEpoch
        If the header of an earlier epoch is damaged.
    """
    block = timebank.connection.block_number()
    latest, held = timebank.rate_oracle.latest_epoch(block=block), timebank.fee_pool.bonus(block=block)
    waiting = [
        number for number in range(latest + 1, min(pots, default=0)) if epoch_folder(folder, number).exists()
    ]
    left = held - sum(read_header(epoch_folder(folder, number), number).pot for number in waiting)
    for epoch, pot in sorted(pots.items()):
        if epoch <= latest:
            continue
        if pot > left:
            room = max(0, left)
            before = f", {format_micro(held - left)} of that for earlier epochs" if left < held else ""
            raise OracleError(
                f"epoch {epoch} grants a bonus pot of {format_micro(pot)} credits, the fee pool holds "
                f"{format_micro(held)}{before}",
                hint=f"the pot is {pot} micro-credits, the pool has {room} for it: build the epoch with "
                f"`--pot {room}` or less, or wait for more fees (timebank chain status shows it); {done}",
            )
        left -= pot
