"""Whether `timebank epoch build --force` may put an epoch in another one's place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from timebank_chain.cli.options import open_system
from timebank_chain.cli.output import say
from timebank_chain.errors import ConnectionFailed, EpochError

if TYPE_CHECKING:
    from timebank_chain.epoch import EpochHeader

_KEPT = "nothing was built, its files are as they were"


def require_replaceable(header: EpochHeader, epochs: Path, *, rpc_url: str, deployment: Path | None) -> None:
    """Refuse to replace an epoch that is final or pending on chain by one of another header.

    With a deployment its chain decides. Without one, or where the node does not answer, the journal in the
    folder does, as far as it was this folder's oracle that proposed the epoch; which of both it was is said.
    The same epoch again, for files that are damaged, is always fine.

    Parameters
    ----------
    header
        Of the epoch that is about to be published.

    Raises
    ------
    EpochError
        If members' pay hangs on the other epoch.
    """
    from timebank_chain.epoch import epoch_folder
    from timebank_chain.epoch.file import read_header

    if not epoch_folder(epochs, header.epoch).exists():
        return
    try:
        if read_header(epoch_folder(epochs, header.epoch), header.epoch).hash() == header.hash():
            return
    except EpochError:
        # Damaged: what stands elsewhere of it decides.
        pass
    if deployment is not None:
        try:
            _ask_chain(header, rpc_url, deployment)
        except ConnectionFailed as error:
            say(f"warning: the chain was not asked whether epoch {header.epoch} is final: {error}")
        else:
            return
    _ask_journal(header, epochs)


def _ask_chain(header: EpochHeader, rpc_url: str, deployment: Path) -> None:
    oracle = open_system(rpc_url, deployment).rate_oracle
    number = header.epoch
    final = oracle.header_hash_of(number)
    if any(final) and final != header.hash():
        raise EpochError(
            f"epoch {number} is final on chain with the header 0x{final.hex()}; what would replace it has "
            f"0x{header.hash().hex()}",
            hint=f"{_KEPT}: claims are proved from them; what was released since enters the next epoch",
        )
    pending = oracle.pending()
    if pending is not None and pending.epoch == number and pending.header_hash != header.hash():
        raise EpochError(
            f"epoch {number} is proposed with the header 0x{pending.header_hash.hex()}; what would replace "
            f"it has 0x{header.hash().hex()}",
            hint=f"{_KEPT}: let it become final, and what was released enters the next epoch; or, if it is "
            "wrong, have it voided first (timebank chain void-epoch)",
        )


def _ask_journal(header: EpochHeader, epochs: Path) -> None:
    from timebank_chain.oracle.journal import Journal
    from timebank_chain.oracle.settings import JOURNAL_FILE, STATE_FOLDER

    path = epochs / STATE_FOLDER / JOURNAL_FILE
    if not path.exists():
        return
    journal = Journal(path, {})
    try:
        key = "0x" + header.hash().hex()
        others = journal.live_keys("propose", header.epoch) - {key}
        is_final = header.epoch in journal.included_epochs()
    finally:
        journal.close()
    if is_final or others:
        raise EpochError(
            f"epoch {header.epoch} {'is final' if is_final else 'was proposed'} by the journal, under "
            "another header than what would replace it has",
            where=str(path),
            hint=f"{_KEPT}; if it was voided since, the chain tells: add --deployment FILE and --rpc-url URL",
        )
