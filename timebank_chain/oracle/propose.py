"""Proposing and finalising: what has to hold before a header is sent, said in our own words first.

The contract checks all of this again; asking here names the way out and saves the gas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timebank_chain.chain.challenge_events import LeafWithheld
from timebank_chain.chain.events import EpochProposed, EpochVoided, read_events
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch import EpochHeader
from timebank_chain.errors import OracleError
from timebank_chain.oracle.state import OracleState
from timebank_chain.units import format_time


@dataclass(frozen=True, slots=True)
class Voided:
    """What became of a proposed header.

    Attributes
    ----------
    reason
        As it stands on chain, of the newest void.
    withheld
        Whether it was voided only because leaves were not shown in time: nothing in it is known to be
        wrong, and it can be proposed again. Else governance voided it, or a fault in it was proved.
    """

    reason: str
    withheld: bool


def why_not_next(header: EpochHeader, state: OracleState) -> str | None:
    """Return why a header cannot be the next epoch on this chain, or ``None`` if it can."""
    if header.epoch != state.latest_epoch + 1:
        return f"it is epoch {header.epoch}, the next one is {state.latest_epoch + 1}"
    if state.latest_epoch and header.start_ms != state.latest_end_ms:
        return f"it starts at {format_time(header.start_ms)}, not at {format_time(state.latest_end_ms)}"
    if header.previous_header_hash != state.latest_header_hash:
        return "it follows another header than the one finalised last"
    if header.policy_hash != state.policy_hash:
        theirs = state.policy_hash.hex()
        return f"it was valued by policy 0x{header.policy_hash.hex()}, the chain names 0x{theirs}"
    if header.rate_q24 != state.rate_q24:
        return f"its rate is {header.rate_q24}, the chain's is {state.rate_q24}"
    if header.pot > state.bonus:
        return f"its pot is {header.pot} micro-credits, the fee pool holds {state.bonus} for it"
    return None


def policy_option(policy_hash: bytes) -> str:
    """Return ``--policy FILE`` and what FILE must be; it closes the code span its hint has opened."""
    return (
        f"--policy FILE`, FILE being the document of which `timebank policy hash` says 0x{policy_hash.hex()}"
    )


def require_open(timebank: Timebank, state: OracleState, header: EpochHeader) -> None:
    """Refuse an epoch whose number is final already: there is nothing left to propose.

    Raises
    ------
    OracleError
        Telling apart the finalised header itself and another one of the same number.
    """
    if header.epoch > state.latest_epoch:
        return
    final = timebank.rate_oracle.header_hash_of(header.epoch)
    if final == header.hash():
        raise OracleError(
            f"epoch {header.epoch} is finalised already, nothing to do",
            hint=f"claim what it grants: timebank wallet claim; the next one is {state.latest_epoch + 1}",
        )
    raise OracleError(
        f"epoch {header.epoch} is finalised already, with the header 0x{final.hex()}, not "
        f"0x{header.hash().hex()}",
        hint="fetch the finalised epoch's files from whoever proposed it",
    )


def propose_call(
    timebank: Timebank, state: OracleState, header: EpochHeader, signatures: Sequence[bytes]
) -> Call:
    """Return the proposal of an epoch, with the bond the chain asks for.

    Raises
    ------
    OracleError
        If its number is final already, proposals are paused, one is pending, the header does not come
        next, or it has not ended.
    """
    require_open(timebank, state, header)
    if state.paused:
        raise OracleError(
            "the guardian has paused proposals", hint="wait until governance resumes them; claims go on"
        )
    if state.pending is not None:
        until = format_time(state.pending.challenge_ends_at * 1_000)
        raise OracleError(
            f"epoch {state.pending.epoch} is pending until {until}",
            hint="finalise it first: timebank oracle finalise",
        )
    reason = why_not_next(header, state)
    if reason is not None:
        # Built again without it, the epoch would grant no pot at all.
        pot = f" --pot {min(header.pot, state.bonus)}" if header.pot else ""
        raise OracleError(
            f"epoch {header.epoch} cannot be proposed: {reason}",
            hint=f"build it again with `timebank epoch build --epoch {header.epoch} --force --rate-q24 "
            f"{state.rate_q24}{pot} {policy_option(state.policy_hash)}; or let `timebank oracle run` do it",
        )
    if header.end_ms > state.time_ms:
        raise OracleError(
            f"epoch {header.epoch} ends at {format_time(header.end_ms)}, the chain is at "
            f"{format_time(state.time_ms)}",
            hint="wait until it has ended",
        )
    return timebank.rate_oracle.propose(header, signatures, state.bond_wei)


def finalise_call(timebank: Timebank, state: OracleState, header: EpochHeader) -> Call:
    """Return the finalisation of the pending epoch.

    Raises
    ------
    OracleError
        If nothing is pending, another header is, the challenge window is open, or requests for leaves
        hold the epoch.
    """
    pending = state.pending
    if pending is None:
        raise OracleError(
            f"no epoch is pending; the newest finalised one is {state.latest_epoch}",
            hint="propose one first: timebank oracle propose N",
        )
    if pending.header_hash != header.hash():
        raise OracleError(
            f"the pending epoch {pending.epoch} has the header 0x{pending.header_hash.hex()}, not "
            f"0x{header.hash().hex()}",
            hint="fetch the epoch's files as they were proposed",
        )
    if state.time_ms < pending.challenge_ends_at * 1_000:
        raise OracleError(
            f"epoch {pending.epoch} can be challenged until {format_time(pending.challenge_ends_at * 1_000)}",
            hint="wait for the end of the challenge window",
        )
    if state.final_from is None:
        asked = f"{state.open_requests} leaves are" if state.open_requests > 1 else "a leaf is"
        raise OracleError(
            f"epoch {pending.epoch} cannot become final while {asked} asked for",
            hint="show what is asked for: `timebank oracle run` does it where it has the epoch's files",
        )
    if state.time_ms < state.final_from * 1_000:
        raise OracleError(
            f"epoch {pending.epoch} is held until {format_time(state.final_from * 1_000)}: a leaf was shown "
            "that somebody asked for",
            hint="wait until then: there is time to prove it wrong",
        )
    return timebank.rate_oracle.finalise(header)


def proposed_header(timebank: Timebank, header_hash: bytes) -> EpochHeader:
    """Return the header of a proposal from its event: the chain carries it whole.

    Raises
    ------
    OracleError
        If no such proposal is on this chain.
    """
    for event in read_events(
        timebank.connection,
        timebank.addresses(),
        [EpochProposed],
        from_block=timebank.deployment.first_block,
        to_block=timebank.connection.block_number(),
    ):
        if isinstance(event, EpochProposed) and event.header_hash == header_hash:
            return event.header
    raise OracleError(f"no proposal of header 0x{header_hash.hex()} is on this chain")


def final_headers(
    timebank: Timebank, epochs: Sequence[int], *, block: int | None = None
) -> dict[int, EpochHeader]:
    """Return the headers of finalised epochs by number, from the events of their proposals.

    Raises
    ------
    OracleError
        If one of them is not final, or its proposal is not on this chain.
    """
    if not epochs:
        return {}
    at = timebank.connection.block_number() if block is None else block
    proposed = {
        event.header_hash: event.header
        for event in read_events(
            timebank.connection,
            timebank.addresses(),
            [EpochProposed],
            from_block=timebank.deployment.first_block,
            to_block=at,
        )
        if isinstance(event, EpochProposed)
    }
    found: dict[int, EpochHeader] = {}
    for epoch in epochs:
        digest = timebank.rate_oracle.header_hash_of(epoch, block=at)
        if digest not in proposed:
            raise OracleError(f"no proposal of the final epoch {epoch} is on this chain")
        found[epoch] = proposed[digest]
    return found


def voided_headers(timebank: Timebank, epoch: int) -> dict[bytes, Voided]:
    """Return the headers of an epoch that were voided, by governance, by proof or for a withheld leaf."""
    events = read_events(
        timebank.connection,
        timebank.addresses(),
        [EpochVoided, LeafWithheld],
        from_block=timebank.deployment.first_block,
        to_block=timebank.connection.block_number(),
    )
    found: dict[bytes, Voided] = {}
    withheld: LeafWithheld | None = None
    for event in events:
        if isinstance(event, LeafWithheld):
            withheld = event
        elif isinstance(event, EpochVoided) and event.epoch == epoch:
            # LeafRequests says it right before the oracle does; a reason alone governance could write.
            only_withheld = (
                withheld is not None
                and withheld.at.transaction == event.at.transaction
                and withheld.header_hash == event.header_hash
            )
            earlier = found.get(event.header_hash)
            found[event.header_hash] = Voided(
                event.reason, only_withheld and (earlier is None or earlier.withheld)
            )
    return found
