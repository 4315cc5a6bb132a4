"""The oracle daemon: startup, then tick after tick, then shutdown.

A tick reads the chain at one block and does the next thing that is due:

1. transactions left open by a crash are brought to an outcome;
2. leaves of the proposal that somebody asks for are shown, if its published files are here;
3. a proposal whose challenge window is over, and that no request holds, is finalised;
4. after that, claims are pushed and the bond is withdrawn;
5. the bank is tended, after every epoch and again after some minutes (:mod:`.upkeep`);
6. an epoch that has ended is built, published, signed and, with enough signatures, proposed.

One proposal is pending at a time. An error is either fatal (the process ends) or left to the next
tick, which waits longer after each failure. A stop is taken between steps; whatever was sent by then
is in the journal.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.challenge_events import LeafRequested
from timebank_chain.chain.deployment import ensure_trusted
from timebank_chain.chain.inquiries import open_requests
from timebank_chain.chain.node_errors import NotMined
from timebank_chain.chain.rate_oracle import PendingEpoch
from timebank_chain.chain.signer import Signer
from timebank_chain.chain.system import Timebank
from timebank_chain.epoch import EpochBuild, EpochHeader, PublishedEpoch, epoch_folder, read_epoch
from timebank_chain.errors import (
    ContractError,
    EpochError,
    OracleError,
    TimebankError,
    UsageError,
)
from timebank_chain.oracle.answer import answer_call, answer_key, answers_call
from timebank_chain.oracle.claims import claim_call, outstanding, ranges, total
from timebank_chain.oracle.clock import Clock
from timebank_chain.oracle.close import EpochCloser
from timebank_chain.oracle.feed import FeedChanged
from timebank_chain.oracle.holds import Holds, NothingHeld
from timebank_chain.oracle.journal import Intent, Journal
from timebank_chain.oracle.loop import FATAL, guarded, repeat
from timebank_chain.oracle.propose import (
    Voided,
    finalise_call,
    policy_option,
    propose_call,
    proposed_header,
    voided_headers,
)
from timebank_chain.oracle.settings import OracleSettings
from timebank_chain.oracle.state import OracleState, read_state
from timebank_chain.oracle.submit import Checkpoint, Submitter, no_checkpoint
from timebank_chain.oracle.upkeep import Upkeep
from timebank_chain.units import format_micro, format_time
from timebank_chain.valuation import policy_hash

log = structlog.get_logger("timebank.oracle")

#: Leaves shown in one transaction: some 4,000,000 gas where trees are 20 deep.
ANSWER_BATCH = 50

#: What putting the bank off does not help: fatal errors, and a transaction that is on its way.
_NOT_FOR_LATER: tuple[type[TimebankError], ...] = (*FATAL, NotMined)


class Did(StrEnum):
    """What a tick came to."""

    PROPOSED = "proposed"
    ANSWERED = "answered"
    FINALISED = "finalised"
    CLAIMED = "claimed"
    TENDED = "tended the bank"
    WAITING_FOR_END = "waiting for the epoch to end"
    WAITING_FOR_SIGNATURES = "waiting for signatures"
    WAITING_FOR_WINDOW = "waiting for the challenge window"
    HELD = "held by requests for leaves"
    PAUSED = "proposals are paused"


@dataclass(frozen=True, slots=True)
class Tick:
    """What a tick did, about which epoch, and until when nothing can happen (Unix ms, if known)."""

    did: Did
    epoch: int
    until_ms: int | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do before something outside changes."""
        return self.did not in (Did.PROPOSED, Did.ANSWERED, Did.FINALISED, Did.CLAIMED, Did.TENDED)


class OracleDaemon:
    """Closes epochs on schedule and brings them on chain, each effect once.

    Parameters
    ----------
    signers
        Our keys; the first one proposes and pays, those in the quorum sign.
    holds
        What is kept out of epochs until a person released it; ``None``: nothing.
    checkpoint
        Called with the name of every step that has just been made durable; tests crash there.
    """

    def __init__(
        self,
        timebank: Timebank,
        settings: OracleSettings,
        signers: Sequence[Signer],
        journal: Journal,
        clock: Clock,
        *,
        stop: threading.Event | None = None,
        holds: Holds | None = None,
        checkpoint: Checkpoint = no_checkpoint,
        wait_seconds: float = 120,
    ) -> None:
        if not signers:
            raise UsageError("the oracle has no key", hint="add --keystore FILE")
        self.timebank = timebank
        self.settings = settings
        self.signers = signers
        self.journal = journal
        self.clock = clock
        self.stop = stop or threading.Event()
        self.checkpoint = checkpoint
        self.submitter = Submitter(
            timebank.connection,
            signers[0],
            journal,
            clock,
            wait_seconds=wait_seconds,
            stop=self.stop,
            checkpoint=checkpoint,
            trust=lambda target: ensure_trusted(timebank.connection, timebank.deployment, target),
        )
        self.closer = EpochCloser(
            settings,
            journal,
            signers,
            chain_id=timebank.connection.chain_id,
            oracle_address=address_bytes(timebank.rate_oracle.address),
            holds=holds or NothingHeld(),
            checkpoint=checkpoint,
        )
        self.upkeep = Upkeep(
            timebank, settings, journal, self.submitter, stop=self.stop, checkpoint=checkpoint
        )
        self._said: object = None

    # --- life ------------------------------------------------------------------------------------

    def startup(self) -> None:
        """Check everything that would stop the oracle for good, before doing anything.

        Raises
        ------
        TimebankError
            If the chain, the code, the policy, the feed or the keys do not fit.
        """
        for contract in ("RateOracle", "LeafRequests", "CreditDistributor"):
            target = self.timebank.addresses()[contract]
            ensure_trusted(self.timebank.connection, self.timebank.deployment, target)
        state = read_state(self.timebank, self.signers[0].address)
        self._require_policy(state)
        self.closer.interval(self.closer.previous(state))
        members = [signer.address for signer in self.signers if address_bytes(signer.address) in state.quorum]
        log.info(
            "started",
            chain=self.timebank.connection.chain_id,
            oracle=self.timebank.rate_oracle.address,
            latest_epoch=state.latest_epoch,
            sender=self.signers[0].address,
            signing_as=members,
            threshold=state.threshold,
            quorum=len(state.quorum),
        )
        if not members:
            log.warning("none of our keys is in the quorum: we collect and propose, but do not sign")

    def run(self, *, poll_seconds: float, once: bool = False) -> None:
        """Tick until asked to stop; with ``once``, until there is nothing left to do.

        Raises
        ------
        TimebankError
            A fatal error; with ``once``, any.
        """

        def step() -> bool:
            with guarded():
                tick = self.tick()
            if tick.idle:
                self._say(tick)
            return tick.idle

        repeat(
            step,
            stop=self.stop,
            clock=self.clock,
            poll_seconds=poll_seconds,
            fatal=(*FATAL, FeedChanged),
            once=once,
        )

    def preview(self) -> tuple[OracleState, EpochBuild | None]:
        """Return the state and the epoch that would be closed now, built in memory; nothing is written."""
        state = read_state(self.timebank, self.signers[0].address)
        previous = self.closer.previous(state)
        _, end = self.closer.interval(previous)
        now = min(self.clock.now_ms(), state.time_ms)
        if state.pending is not None or now < end + self.settings.grace_ms:
            return state, None
        self.closer.remember_closed(state)
        return state, self.closer.preview(state, previous, now_ms=now)

    def tick(self) -> Tick:
        """Do the next thing that is due."""
        self.submitter.recover()
        state = read_state(self.timebank, self.signers[0].address)
        if state.pending is not None:
            tick = self._bring_through(state, state.pending)
            if tick.idle and self._tend(state):
                return Tick(Did.TENDED, state.latest_epoch)
            return tick
        if self._settle_finalised(state):
            return Tick(Did.CLAIMED, state.latest_epoch)
        if self._tend(state):
            return Tick(Did.TENDED, state.latest_epoch)
        return self._next_epoch(state)

    # --- steps -----------------------------------------------------------------------------------

    def _bring_through(self, state: OracleState, pending: PendingEpoch) -> Tick:
        """Answer for the pending proposal while it can be challenged, then finalise it."""
        if state.open_requests and self._answer(state, pending):
            return Tick(Did.ANSWERED, pending.epoch)
        if state.time_ms < pending.challenge_ends_at * 1_000:
            return Tick(Did.WAITING_FOR_WINDOW, pending.epoch, pending.challenge_ends_at * 1_000)
        if state.final_from is None:
            return Tick(Did.HELD, pending.epoch)
        if state.time_ms < state.final_from * 1_000:
            return Tick(Did.HELD, pending.epoch, state.final_from * 1_000)
        self._finalise(state, pending)
        return Tick(Did.FINALISED, pending.epoch)

    def _answer(self, state: OracleState, pending: PendingEpoch) -> bool:
        """Show the leaves that are asked for, oldest request first; return whether any was shown."""
        epoch = self._pending_files(pending)
        if epoch is None:
            return False
        asked = open_requests(self.timebank, pending, state.block)
        answered = False
        # Whoever asks for many leaves at once, under many names, must not be faster than who shows them.
        for at in range(0, len(asked), ANSWER_BATCH):
            if self.stop.is_set():
                return True
            part = asked[at : at + ANSWER_BATCH]
            if len(part) == 1 or not self._answer_many(pending, epoch, part):
                answered |= self._answer_each(pending, epoch, part)
            else:
                answered = True
        return answered

    def _answer_many(self, pending: PendingEpoch, epoch: PublishedEpoch, asked: list[LeafRequested]) -> bool:
        """Show many leaves in one transaction; return whether that was done, or had been."""
        key = answer_key(pending, *asked)
        earlier = self.journal.live("answer", pending.epoch, key)
        if earlier is not None and earlier.outcome == "mined":
            # As for a single one.
            self.submitter.recheck(earlier)
            return True
        try:
            call = answers_call(self.timebank, epoch, asked)
            intent = self.submitter.perform("answer", pending.epoch, key, call)
        except (ContractError, EpochError) as error:
            log.warning("not answered at once, trying each", leaves=len(asked), reason=str(error))
            return False
        log.info("answered", epoch=pending.epoch, leaves=len(asked), tx=intent.tx_hash)
        self.checkpoint("answered")
        return True

    def _answer_each(self, pending: PendingEpoch, epoch: PublishedEpoch, asked: list[LeafRequested]) -> bool:
        """Show leaves one by one; return whether any was shown."""
        answered = False
        for request in asked:
            if self.stop.is_set():
                return True
            what = {"epoch": pending.epoch, "tree": request.tree, "index": request.index}
            key = answer_key(pending, request)
            earlier = self.journal.live("answer", pending.epoch, key)
            if earlier is not None and earlier.outcome == "mined":
                # The chain shows no answer, the journal does: its block is gone, or the node is behind.
                self.submitter.recheck(earlier)
                continue
            try:
                call = answer_call(self.timebank, epoch, request)
                intent = self.submitter.perform("answer", pending.epoch, key, call)
            except (ContractError, EpochError) as error:
                # Answered by somebody else, or not what was committed: the other leaves still count.
                log.warning("not answered", **what, reason=str(error))
                continue
            answered = True
            log.info("answered", **what, deposit_wei=request.deposit, tx=intent.tx_hash)
            self.checkpoint("answered")
        return answered

    def _finalise(self, state: OracleState, pending: PendingEpoch) -> None:
        header = self._pending_header(pending)
        call = finalise_call(self.timebank, state, header)
        intent = self.submitter.perform("finalise", header.epoch, "0x" + header.hash().hex(), call)
        log.info(
            "finalised",
            epoch=header.epoch,
            mint=format_micro(header.total_mint),
            tx=intent.tx_hash,
            block=intent.block,
        )
        self.checkpoint("finalised")

    def _pending_header(self, pending: PendingEpoch) -> EpochHeader:
        epoch = self._pending_files(pending)
        return proposed_header(self.timebank, pending.header_hash) if epoch is None else epoch.header

    def _pending_files(self, pending: PendingEpoch) -> PublishedEpoch | None:
        """Return the published files of the pending proposal, ``None`` if ours are of another one."""
        if not epoch_folder(self.settings.epochs, pending.epoch).exists():
            return None
        try:
            epoch = read_epoch(self.settings.epochs, pending.epoch)
        except EpochError as error:
            log.warning("published files unusable", epoch=pending.epoch, reason=str(error))
            return None
        return epoch if epoch.header.hash() == pending.header_hash else None

    def _settle_finalised(self, state: OracleState) -> bool:
        """Push claims of the newest epoch and take back our bond; return whether anything was sent."""
        number = state.latest_epoch
        sent = False
        if number and self.settings.push_claims and not self.journal.claims_done(number):
            sent = self._push_claims(state)
        bond_back = self.journal.live("withdraw-bond", number, "bond") is None
        if state.withdrawable_wei and bond_back and not self.stop.is_set():
            call = self.timebank.rate_oracle.withdraw_bond(self.signers[0].address)
            intent = self.submitter.perform("withdraw-bond", number, "bond", call)
            log.info("bond withdrawn", wei=state.withdrawable_wei, tx=intent.tx_hash)
            sent = True
        return sent

    def _push_claims(self, state: OracleState) -> bool:
        epoch = self.closer.previous(state)
        if epoch is None:
            return False
        claims = outstanding(self.timebank, epoch, self.journal, block=state.block)
        parts = list(ranges(sorted(claims), batch=self.settings.claim_batch))
        for part in parts:
            if self.stop.is_set():
                return True
            call = claim_call(self.timebank, epoch, part)
            intent = self.submitter.perform("claim", epoch.number, part.key, call)
            within = {i: claims[i] for i in claims if part.first <= i < part.first + part.count}
            log.info(
                "claimed",
                epoch=epoch.number,
                accounts=len(within),
                credits=format_micro(total(within)),
                tx=intent.tx_hash,
            )
            self.checkpoint("claims batch")
        self.journal.finish_claims(epoch.number)
        return bool(parts)

    def _tend(self, state: OracleState) -> bool:
        """Tend the bank if it is time; whatever is wrong there must not keep epochs from being closed."""
        if self.stop.is_set() or not self.upkeep.is_due(state):
            return False
        try:
            return self.upkeep.run(state)
        except _NOT_FOR_LATER:
            raise
        except TimebankError as error:
            self.upkeep.put_off(state)
            log.error("the bank is tended later", error=str(error), hint=error.hint)
            return False

    def _require_policy(self, state: OracleState) -> None:
        """Refuse to build by another policy than the chain asks for: governance may change it at any time.

        Raises
        ------
        OracleError
            With both hashes. What is pending already goes on: it became so under the policy of its time.
        """
        ours = policy_hash(self.settings.policy)
        if state.policy_hash != ours:
            raise OracleError(
                f"policy '{self.settings.policy.name}' has the hash 0x{ours.hex()}, "
                f"the chain asks for 0x{state.policy_hash.hex()}",
                hint=f"start the oracle again with `{policy_option(state.policy_hash)}; no epoch is built or "
                "signed until then",
            )

    def _next_epoch(self, state: OracleState) -> Tick:
        self._require_policy(state)
        number = state.latest_epoch + 1
        previous = self.closer.previous(state)
        start, end = self.closer.interval(previous)
        closes_at = end + self.settings.grace_ms
        now = min(self.clock.now_ms(), state.time_ms)
        if now < closes_at:
            return Tick(Did.WAITING_FOR_END, number, closes_at)
        if state.paused:
            return Tick(Did.PAUSED, number)
        self.closer.remember_closed(state)
        voided = voided_headers(self.timebank, number)
        published = self.closer.existing(state, previous, voided, now)
        if published is None:
            log.info("closing", epoch=number, start=format_time(start), end=format_time(end))
            published = self.closer.close(state, previous, voided, now_ms=now)
        collected = self.closer.sign(published, state)
        if not collected.complete:
            return Tick(Did.WAITING_FOR_SIGNATURES, number)
        if self.stop.is_set():
            return Tick(Did.WAITING_FOR_SIGNATURES, number)
        self._propose(state, published, collected.require(published.header), voided)
        return Tick(Did.PROPOSED, number)

    def _propose(
        self,
        state: OracleState,
        published: PublishedEpoch,
        signatures: Sequence[bytes],
        voided: dict[bytes, Voided],
    ) -> None:
        header = published.header
        key = "0x" + header.hash().hex()
        self._check_earlier(self.journal.live("propose", header.epoch, key), voided)
        call = propose_call(self.timebank, state, header, signatures)
        intent = self.submitter.perform("propose", header.epoch, key, call)
        log.info(
            "proposed",
            epoch=header.epoch,
            acts=header.activity_count,
            mint=format_micro(header.total_mint),
            bond_wei=state.bond_wei,
            tx=intent.tx_hash,
            block=intent.block,
        )
        self.checkpoint("proposed")

    def _check_earlier(self, earlier: Intent | None, voided: dict[bytes, Voided]) -> None:
        """The chain shows no proposal, the journal does: its block is gone, or the node is behind."""
        if earlier is None or earlier.outcome is None:
            return
        if bytes.fromhex(earlier.key[2:]) in voided:
            self.journal.settle(earlier, "voided", block=earlier.block, now_ms=self.clock.now_ms())
            return
        again = self.submitter.recheck(earlier)
        raise OracleError(
            f"epoch {earlier.epoch} was proposed in {earlier.tx_hash} (now {again.outcome}), but this "
            "state of the chain does not show it",
            hint="the node is behind or its chain was reorganised; the state is read again",
        )

    def _say(self, tick: Tick) -> None:
        """Say what is being waited for, once."""
        if tick != self._said:
            self._said = tick
            until = {"until": format_time(tick.until_ms)} if tick.until_ms is not None else {}
            log.info(tick.did.value, epoch=tick.epoch, **until)
