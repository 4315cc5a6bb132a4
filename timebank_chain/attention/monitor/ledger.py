"""What the ledger says of value, mint and fees by time: from published epochs and the chain's events."""

from __future__ import annotations

from pathlib import Path

from timebank_chain.attention.monitor.series import HOUR_MS, Series, series_of_counts, series_of_epochs
from timebank_chain.chain.events import FeesCollected, read_events
from timebank_chain.chain.system import Timebank
from timebank_chain.epoch import published_numbers, read_epoch, read_policy
from timebank_chain.errors import AttentionError


def epoch_series(folder: Path) -> tuple[dict[str, Series], int]:
    """Return value and mint by the hour of the acts behind them, and the last epoch's length in ms.

    Raises
    ------
    EpochError
        If a published epoch cannot be read.
    AttentionError
        If there is none, or none has an act.
    """
    numbers = published_numbers(folder)
    if not numbers:
        raise AttentionError(
            "no epoch is published here", where=str(folder), hint="build one: timebank epoch build --help"
        )
    epochs = [read_epoch(folder, number) for number in numbers]
    hashes = {epoch.header.policy_hash for epoch in epochs}
    window_ms = max(domain.window_ms for digest in hashes for domain in read_policy(folder, digest).domains)
    last = epochs[-1].header
    return series_of_epochs(epochs, window_ms=window_ms), last.end_ms - last.start_ms


def epoch_length_ms(folder: Path) -> int | None:
    """Return the length of the last published epoch; ``None`` where none is published.

    Raises
    ------
    EpochError
        If it cannot be read.
    """
    numbers = published_numbers(folder)
    if not numbers:
        return None
    last = read_epoch(folder, numbers[-1]).header
    return last.end_ms - last.start_ms


def fee_series(timebank: Timebank) -> Series:
    """Return the fees the pool divided by hour, in credits; hours without any are 0.

    Fees are counted when the pool divides them (its event ``FeesCollected``), which anybody may have it do.

    Raises
    ------
    AttentionError
        If there were none.
    """
    connection = timebank.connection
    newest = connection.block_number()
    amounts: dict[int, int] = {}
    for event in read_events(
        connection,
        timebank.addresses(),
        (FeesCollected,),
        from_block=timebank.deployment.first_block,
        to_block=newest,
    ):
        if isinstance(event, FeesCollected):
            amounts[event.at.block] = amounts.get(event.at.block, 0) + event.amount
    if not amounts:
        raise AttentionError("no fee was ever divided", hint="leave --deployment out, or come back later")
    times = {block: int(connection.w3.eth.get_block(block)["timestamp"]) * 1_000 for block in amounts}
    begin = int(connection.w3.eth.get_block(timebank.deployment.first_block)["timestamp"]) * 1_000
    end = int(connection.w3.eth.get_block(newest)["timestamp"]) * 1_000 // HOUR_MS * HOUR_MS
    # On a chain every hour is known: one without an event had no fee.
    hours = range(begin // HOUR_MS * HOUR_MS, end, HOUR_MS)
    rows = [(hour, 0.0) for hour in hours]
    rows += [(times[block], amount / 1e6) for block, amount in amounts.items() if times[block] < end]
    return series_of_counts(sorted(rows), step_ms=HOUR_MS, name="fees", where="chain")
