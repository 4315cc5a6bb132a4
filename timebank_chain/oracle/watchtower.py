"""The watchtower: recomputes every proposal from its published file and ends those that are wrong.

A look reads the chain at one block and does the next thing that is due::

    nothing pending          take back deposits, draw rewards
    ended by somebody else   say so
    a leaf overdue           void the epoch for it (class 10)
    a fault                  commit to its proof; in a later block, prove it
    other rows published     ask where the shown siblings differ, until the rows are those committed to
    no files to be had       ask for the last leaves and some by chance
    honest                   nothing

Nothing depends on what an earlier look did: the chain tells what was asked, shown and committed, and the
journal sends nothing twice. A watchtower that was killed takes up where it was.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
from eth_typing import ChecksumAddress

from timebank_chain.chain.challenge_events import LeafRequested
from timebank_chain.chain.challenge_reverts import AlreadyCommitted
from timebank_chain.chain.deployment import ensure_trusted
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import EpochProposed, EpochVoided, PolicyRegistered, read_events
from timebank_chain.chain.inquiries import open_requests, shown_leaves
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.node_errors import InsufficientFunds, NotMined
from timebank_chain.chain.rate_oracle import PendingEpoch
from timebank_chain.chain.signer import Signer
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Call, find_receipt
from timebank_chain.epoch import (
    CommittedLeaf,
    EpochHeader,
    Evidence,
    FetchOptions,
    PublishedEpoch,
    fetch_epoch,
    fetch_policy,
)
from timebank_chain.epoch.faults import FAULT_CLASSES
from timebank_chain.epoch.keccak import keccak
from timebank_chain.epoch.proof import checked_tree
from timebank_chain.epoch.revealed import Question
from timebank_chain.errors import (
    ContractError,
    DataUnavailable,
    OracleError,
    TamperedEpoch,
    TransactionFailed,
)
from timebank_chain.oracle.clock import Clock
from timebank_chain.oracle.funds import Funds, read_funds
from timebank_chain.oracle.journal import Intent, Journal, Kind
from timebank_chain.oracle.judge import Judgement, Verdict, judge, judge_shown, judge_unavailable
from timebank_chain.oracle.loop import guarded
from timebank_chain.oracle.propose import proposed_header
from timebank_chain.oracle.state import chain_time
from timebank_chain.oracle.submit import Checkpoint, LeftOnItsWay, Submitter, no_checkpoint
from timebank_chain.units import format_time
from timebank_chain.valuation import Policy, policy_from_call, policy_hash

log = structlog.get_logger("timebank.watch")

SECRET_FILE = "watch.secret"  # noqa: S105 - the name of a file
_SECRET_BYTES = 32
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class WatchSettings:
    """How a watchtower works.

    Attributes
    ----------
    cache
        Folder of epochs in which fetched ones are kept.
    fetch
        Where epochs may be fetched from.
    policies
        Policies at hand, beside those registered on chain.
    ask
        Leaves to ask for of an epoch whose files cannot be had; 0 for none.
    max_deposit_wei
        Most wei a single request may cost.
    budget_wei
        Most wei to spend on requests for leaves of one proposal: whoever answers keeps the deposit.
    """

    cache: Path
    fetch: FetchOptions = field(default_factory=FetchOptions)
    policies: Sequence[Policy] = ()
    ask: int = 4
    max_deposit_wei: int = 5 * 10**16
    budget_wei: int = 25 * 10**16


@dataclass(frozen=True, slots=True)
class Action:
    """A transaction: sent (``tx``), or what would be sent by a watchtower that acts. ``value`` in wei.

    ``waiting``: it was in no block yet when we were asked to stop.
    """

    kind: Kind
    what: str
    value: int = 0
    tx: str | None = None
    gas_used: int | None = None
    waiting: bool = False
    block: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the action as JSON values."""
        return {
            "kind": self.kind,
            "what": self.what,
            "valueWei": self.value,
            "tx": self.tx,
            "gasUsed": self.gas_used,
            "block": self.block,
            "waiting": self.waiting,
        }


@dataclass(frozen=True, slots=True)
class Ending:
    """How a wrong epoch was ended: by whom, and what it brought (wei)."""

    epoch: int
    header_hash: bytes
    by: ChecksumAddress
    reward: int

    def to_json(self) -> dict[str, Any]:
        """Return the end as JSON values."""
        return {
            "epoch": self.epoch,
            "headerHash": "0x" + self.header_hash.hex(),
            "by": self.by,
            "rewardWei": self.reward,
        }


@dataclass(frozen=True)
class Look:
    """What one look saw and did.

    ``pending``, ``header`` and ``judgement`` are ``None`` when nothing is proposed; ``ended`` tells of an
    epoch that was ended, by us or by somebody else, in this look or since the one before.
    """

    pending: PendingEpoch | None
    header: EpochHeader | None
    judgement: Judgement | None
    actions: tuple[Action, ...] = ()
    ended: Ending | None = None

    @property
    def voided(self) -> bool:
        """Whether an epoch was ended."""
        return self.ended is not None

    @property
    def wrong(self) -> bool:
        """Whether the epoch must not become final as it is, or just was ended."""
        seen = None if self.judgement is None else self.judgement.verdict
        return self.voided or seen in (Verdict.FAULTY, Verdict.DISPUTED, Verdict.UNPROVED)

    @property
    def unjudged(self) -> bool:
        """Whether nobody can say if the epoch is right, because files cannot be had."""
        seen = None if self.judgement is None else self.judgement.verdict
        return seen in (Verdict.UNAVAILABLE, Verdict.HALF_JUDGED)

    @property
    def sent(self) -> bool:
        """Whether anything was sent."""
        return any(action.tx for action in self.actions)

    def to_json(self) -> dict[str, Any]:
        """Return the look as JSON values."""
        pending, header, judgement = self.pending, self.header, self.judgement
        return {
            "pending": None
            if pending is None or header is None
            else {
                "epoch": pending.epoch,
                "headerHash": "0x" + pending.header_hash.hex(),
                "proposer": pending.proposer,
                "bondWei": pending.bond_wei,
                "challengeEndsAt": pending.challenge_ends_at,
                "activities": header.activity_count,
                "accounts": header.account_count,
            },
            "verdict": "nothing_pending" if judgement is None else judgement.verdict.name.lower(),
            "reason": "" if judgement is None else judgement.reason,
            "faults": [] if judgement is None else [fault.to_json() for fault in judgement.faults],
            "actions": [action.to_json() for action in self.actions],
            "voided": self.voided,
            "ended": None if self.ended is None else self.ended.to_json(),
        }


class Watchtower:
    """Looks at the proposals of one deployment.

    Parameters
    ----------
    signer
        Who challenges and pays; ``None`` says what would be done and sends nothing.
    secret
        32 bytes that make commitments unguessable; the same in every run, see `keep_secret`.
    stop
        Ends waiting for blocks when it is set.
    checkpoint
        Called with the name of every step that has just been made durable.

    Attributes
    ----------
    seen
        What the present look has seen and done so far: what is left of it when it fails.
    """

    def __init__(
        self,
        timebank: Timebank,
        settings: WatchSettings,
        signer: Signer | None,
        journal: Journal,
        clock: Clock,
        *,
        secret: bytes,
        stop: threading.Event | None = None,
        checkpoint: Checkpoint = no_checkpoint,
        wait_seconds: float = 120,
    ) -> None:
        self.timebank = timebank
        self.settings = settings
        self.signer = signer
        self.clock = clock
        self.wait_seconds = wait_seconds
        self.secret = secret
        self.stop = stop or threading.Event()
        self.funds: Funds | None = None
        self.submitter = None
        if signer is not None:
            self.submitter = Submitter(
                timebank.connection,
                signer,
                journal,
                clock,
                wait_seconds=wait_seconds,
                stop=self.stop,
                checkpoint=checkpoint,
                trust=lambda target: ensure_trusted(timebank.connection, timebank.deployment, target),
            )
        self.seen: Look | None = None
        self._unfinished: InsufficientFunds | NotMined | None = None
        self._watched: tuple[Look, int] | None = None
        self._settled_at = -1
        self._judged: tuple[bytes, tuple[CommittedLeaf, ...], Judgement] | None = None
        self._headers: dict[bytes, EpochHeader] = {}
        self._policies = {policy_hash(policy): policy for policy in settings.policies}

    def startup(self) -> None:
        """Check chain and code before anything is done; warn of an account that cannot pay.

        Raises
        ------
        WrongChain, CodeMismatch
            If the node or a contract is not the deployment's.
        """
        for contract in ("RateOracle", "EpochChallenge", "LeafRequests"):
            target = self.timebank.addresses()[contract]
            ensure_trusted(self.timebank.connection, self.timebank.deployment, target)
        log.info(
            "watching",
            chain=self.timebank.connection.chain_id,
            oracle=self.timebank.rate_oracle.address,
            challenger=None if self.signer is None else self.signer.address,
        )
        if self.signer is not None:
            with guarded():
                self.funds = read_funds(self.timebank, self.signer.address)
            if not self.funds.enough:
                log.warning(
                    "the account has too little" if self.funds.balance else "the account is empty",
                    account=self.funds.account,
                    **self.funds.to_coins(),
                    hint="send it coins: a commitment, the dearest proof and one request may cost this much",
                )

    def look(self) -> Look:
        """See what is pending, and do the next thing that is due.

        Raises
        ------
        OracleError
            If an epoch cannot be judged because the one before or the policy cannot be had.
        """
        self.seen = None
        with guarded():
            self._unfinished = None
            try:
                taken_up = self._take_up()
            except LeftOnItsWay:
                raise
            except (InsufficientFunds, NotMined) as error:
                # What is pending is judged all the same, and told with it.
                taken_up, self._unfinished = None, error
            if taken_up is not None:
                return taken_up
            block = self.timebank.connection.block_number()
            pending = self.timebank.rate_oracle.pending(block=block)
            ended = self._ended_meanwhile(pending)
            if ended is not None:
                return ended
            if pending is None:
                if self._unfinished is not None:
                    raise self._unfinished
                return self._settle(block)
            header = self._header(pending.header_hash)
            requests = open_requests(self.timebank, pending, block)
            try:
                for request in requests:
                    if request.answer_until <= chain_time(self.timebank.connection):
                        return self._void(pending, header, Question(request.tree, request.index), block)
                shown = tuple(shown_leaves(self.timebank, pending, block))
                judgement = self._judgement(header, shown)
                self._see(Look(pending, header, judgement), block)
                if judgement.evidence is not None:
                    return self._challenge(pending, header, judgement)
                seen = {Question(leaf.tree, leaf.position) for leaf in shown}
                seen |= {Question(request.tree, request.index) for request in requests}
                for question in judgement.questions:
                    if question not in seen:
                        return self._ask(pending, header, judgement, question)
                return Look(pending, header, judgement)
            except (ContractError, TransactionFailed):
                # Refused because somebody else was faster? Then that is what there is to say.
                ended = self._ended_meanwhile(self.timebank.rate_oracle.pending())
                if ended is None:
                    raise
                return ended

    def _take_up(self) -> Look | None:
        """Finish what an earlier run left on its way; tell of an epoch that was ended, by it or before it."""
        if self.submitter is None:
            return None
        found = None
        for intent in self.submitter.recover():
            if intent.kind not in ("prove", "void"):
                continue
            actions: tuple[Action, ...] = ()
            if intent.outcome == "mined":
                since = intent.block
                what = f"{intent.call.function} for epoch {intent.epoch}, begun in an earlier run"
                actions = (Action(intent.kind, what, intent.call.value, intent.tx_hash, block=intent.block),)
            else:
                # Refused by now: did somebody end the epoch after we had committed to the proof?
                commit = self.submitter.journal.live("commit", intent.epoch, intent.key)
                since = None if commit is None else commit.block
            ending = None if since is None else self._ending(since, epoch=intent.epoch)
            if ending is not None:
                log.warning("ended since the last run", epoch=ending.epoch, by=ending.by)
                found = Look(None, None, None, actions, ended=ending)
        return found

    def _see(self, look: Look, block: int) -> None:
        """Keep what is seen: of a look that fails it is all there is, and its end is to be told of.

        Raises
        ------
        InsufficientFunds, NotMined
            If a transaction of an earlier look is not finished: nothing else is sent before it is.
        """
        self.seen = look
        self._watched = (look, block) if look.wrong or look.unjudged else None
        if self._unfinished is not None:
            raise self._unfinished

    def _ended_meanwhile(self, pending: PendingEpoch | None) -> Look | None:
        """Tell of the epoch that was wrong, or could not be had, and is no more: somebody else ended it."""
        if self._watched is None:
            return None
        look, block = self._watched
        assert look.pending is not None  # noqa: S101 - only what is pending is watched
        key = (look.pending.header_hash, look.pending.challenge_ends_at)
        if pending is not None and (pending.header_hash, pending.challenge_ends_at) == key:
            return None
        self._watched = None
        ending = self._ending(block + 1, header_hash=key[0])
        if ending is None:
            return None
        log.warning("somebody else ended the epoch", epoch=ending.epoch, by=ending.by)
        return replace(look, ended=ending)

    def _ending(
        self, from_block: int, *, epoch: int | None = None, header_hash: bytes | None = None
    ) -> Ending | None:
        """Return the first end of an epoch or a header from a block on."""
        for event in self._events([EpochVoided], from_block=from_block):
            if isinstance(event, EpochVoided) and (event.epoch == epoch or event.header_hash == header_hash):
                return Ending(event.epoch, event.header_hash, event.challenger, event.reward)
        return None

    # --- seeing ----------------------------------------------------------------------------------

    def _judgement(self, header: EpochHeader, shown: tuple[CommittedLeaf, ...]) -> Judgement:
        """Judge the epoch, unless that was done with the same knowledge before."""
        key = header.hash()
        if self._judged is not None and self._judged[:2] == (key, shown):
            return self._judged[2]
        judgement = self._judge(header, shown)
        if judgement.verdict not in (Verdict.UNAVAILABLE, Verdict.HALF_JUDGED):
            self._judged = (key, shown, judgement)
        log.info("judged", epoch=header.epoch, verdict=judgement.verdict.value, reason=judgement.reason)
        for fault in judgement.faults:
            log.warning("fault", epoch=header.epoch, kind=FAULT_CLASSES[fault.fault_class], what=str(fault))
        return judgement

    def _judge(self, header: EpochHeader, shown: tuple[CommittedLeaf, ...]) -> Judgement:
        misplaced = judge_shown(header, shown)
        if misplaced is not None:
            return misplaced
        try:
            published = fetch_epoch(header, self.settings.cache, self.settings.fetch, replace=True)
        except (DataUnavailable, TamperedEpoch) as error:
            return judge_unavailable(header, str(error), ask=self.settings.ask)
        try:
            policy = self._policy(header)
        except (DataUnavailable, TamperedEpoch) as error:
            raise OracleError(
                f"epoch {header.epoch} cannot be judged without its policy: {error.message}",
                where=error.where,
                hint="give the document with --policy",
            ) from error
        try:
            previous = self._previous(header)
        except (DataUnavailable, TamperedEpoch) as error:
            log.error("the epoch before cannot be had", epoch=header.epoch - 1, reason=str(error))
            previous = None
        return judge(published, previous, policy, shown, ask=self.settings.ask)

    def _previous(self, header: EpochHeader) -> PublishedEpoch | None:
        if header.epoch == 1:
            return None
        before = self._header(header.previous_header_hash)
        fetched = fetch_epoch(before, self.settings.cache, self.settings.fetch, replace=True)
        # What it published may be other rows than it committed to: nothing is judged by those.
        checked_tree(fetched, "account")
        return fetched

    def _header(self, header_hash: bytes) -> EpochHeader:
        if header_hash not in self._headers:
            self._headers[header_hash] = proposed_header(self.timebank, header_hash)
        return self._headers[header_hash]

    def _policy(self, header: EpochHeader) -> Policy:
        """Return the policy a header names: at hand, registered on chain, or published beside the epoch."""
        if header.policy_hash not in self._policies:
            for event in self._events([PolicyRegistered]):
                if isinstance(event, PolicyRegistered):
                    self._policies[event.policy_hash] = policy_from_call(event.policy)
        if header.policy_hash not in self._policies:
            self._policies[header.policy_hash] = fetch_policy(
                header, self.settings.cache, self.settings.fetch
            )
        return self._policies[header.policy_hash]

    def _events(self, kinds: Sequence[type[Event]], from_block: int | None = None) -> Iterable[Event]:
        return read_events(
            self.timebank.connection,
            self.timebank.addresses(),
            kinds,
            from_block=self.timebank.deployment.first_block if from_block is None else from_block,
        )

    # --- acting ----------------------------------------------------------------------------------

    def _challenge(self, pending: PendingEpoch, header: EpochHeader, judgement: Judgement) -> Look:
        """Commit to the proof, or prove what was committed to in an earlier block."""
        assert judgement.evidence is not None  # noqa: S101 - the caller looked; this tells the type checker
        evidence = judgement.evidence
        challenge = self.timebank.epoch_challenge
        name = f"{evidence.function} for epoch {header.epoch}"
        call = challenge.prove(evidence, self._salt(pending, evidence))
        if self.submitter is None or self.signer is None:
            planned = (Action("commit", f"commit to {name}"), Action("prove", name))
            return Look(pending, header, judgement, planned)
        commitment = challenge.commitment_of(self.signer.address, call.data)
        key = "0x" + commitment.hex()
        if not challenge.committed_at(commitment):
            try:
                commit = self._send(
                    "commit", header.epoch, key, challenge.commit(commitment), f"commit to {name}"
                )
            except AlreadyCommitted as refusal:
                if refusal.values["commitment"] != commitment:
                    raise
                # To this very proof, whoever sent it: an earlier run of ours that the journal has lost, or
                # somebody who copied it. Only we can use it.
                log.info("committed to before", what=name, block=refusal.values["blockNumber"])
            else:
                return Look(pending, header, judgement, (commit,))
        if not self._await_block_after(commitment):
            return Look(pending, header, judgement)
        proof = self._send("prove", header.epoch, key, call, name)
        if proof.waiting:
            return Look(pending, header, judgement, (proof,))
        log.warning("proved", epoch=header.epoch, function=evidence.function, tx=proof.tx)
        return self._ended(Look(pending, header, judgement, (proof,)))

    def _ended(self, look: Look) -> Look:
        """Say what a proof or a withheld leaf of ours has brought about."""
        assert look.pending is not None  # noqa: S101 - only what is pending is ended
        self._watched = None
        header_hash = look.pending.header_hash
        (action,) = look.actions
        assert action.block is not None  # noqa: S101 - it was mined
        return replace(look, ended=self._ending(action.block, header_hash=header_hash))

    def _await_block_after(self, commitment: bytes) -> bool:
        """Wait for the block after a commitment's: it counts from then on. ``False`` if we are to stop.

        Raises
        ------
        NotMined
            If none comes in time; the next look goes on here.
        """
        deadline = self.clock.now_ms() + int(self.wait_seconds * 1_000)
        challenge, connection = self.timebank.epoch_challenge, self.timebank.connection
        while not (number := challenge.committed_at(commitment)) or connection.next_block_number() <= number:
            if self.stop.is_set():
                return False
            if self.clock.now_ms() >= deadline:
                raise NotMined(
                    f"no block came after block {number}, in which the proof was committed to"
                    if number
                    else "the commitment to the proof is in no block yet",
                    hint="it is proved in the next look",
                )
            self.clock.sleep(_POLL_SECONDS)
        return True

    def _ask(
        self, pending: PendingEpoch, header: EpochHeader, judgement: Judgement, question: Question
    ) -> Look:
        """Ask for a leaf, unless the window is over or it costs too much."""
        what = f"ask for {question.tree} leaf {question.index} of epoch {header.epoch}"
        if chain_time(self.timebank.connection) >= pending.challenge_ends_at:
            log.error(
                "the window is over", epoch=header.epoch, ended=format_time(pending.challenge_ends_at * 1_000)
            )
            return Look(pending, header, judgement)
        # Without a wallet nothing is open: the price is anybody's first.
        asker = ZERO_ADDRESS if self.signer is None else self.signer.address
        price = self.timebank.leaf_requests.request_price(asker)
        if price > self.settings.max_deposit_wei:
            log.error("a request costs too much", wei=price, most=self.settings.max_deposit_wei)
            return Look(pending, header, judgement)
        spent = self._spent(pending)
        if spent + price > self.settings.budget_wei:
            log.error("the budget is spent", epoch=header.epoch, wei=spent, budget=self.settings.budget_wei)
            return Look(pending, header, judgement)
        if self.submitter is None:
            return Look(pending, header, judgement, (Action("request", what, price),))
        key = _request_key(pending.header_hash, pending.challenge_ends_at, question.tree, question.index)
        call = self.timebank.leaf_requests.request_leaf(header, question.tree, question.index, price)
        asked = self._send("request", header.epoch, key, call, what)
        return Look(pending, header, judgement, (asked,))

    def _spent(self, pending: PendingEpoch) -> int:
        """Return the wei we have put into requests for leaves of this header."""
        return sum(
            event.deposit
            for event in self._events([LeafRequested])
            if isinstance(event, LeafRequested)
            and event.header_hash == pending.header_hash
            and self.signer is not None
            and event.requester == self.signer.address
        )

    def _void(self, pending: PendingEpoch, header: EpochHeader, question: Question, block: int) -> Look:
        """End an epoch of which a leaf was withheld."""
        what = f"void epoch {header.epoch}: {question.tree} leaf {question.index} was not shown in time"
        judgement = Judgement(Verdict.UNAVAILABLE, reason=what)
        self._see(Look(pending, header, judgement), block)
        if self.submitter is None:
            return Look(pending, header, judgement, (Action("void", what),))
        key = f"0x{pending.header_hash.hex()}:{pending.challenge_ends_at}"
        call = self.timebank.leaf_requests.void_unanswered(header, question.tree, question.index)
        ended = self._send("void", header.epoch, key, call, what)
        if ended.waiting:
            return Look(pending, header, judgement, (ended,))
        log.warning("voided", epoch=header.epoch, leaf=question.index, tree=question.tree, tx=ended.tx)
        return self._ended(Look(pending, header, judgement, (ended,)))

    def _settle(self, block: int) -> Look:
        """Look at a chain without a proposal: take back our deposits, and draw our rewards."""
        done: list[Action] = []
        for action in self._settlements(block):
            done.append(action)
            self.seen = Look(None, None, None, tuple(done))
        return Look(None, None, None, tuple(done))

    def _settlements(self, block: int) -> Iterable[Action]:
        """Take back our deposits of proposals that were voided, and draw our rewards."""
        if self.submitter is None or self.signer is None or block == self._settled_at:
            return
        requests, me = self.timebank.leaf_requests, self.signer.address
        asked = [
            event
            for event in self._events([LeafRequested])
            if isinstance(event, LeafRequested) and event.requester == me
        ]
        ends = (
            [event for event in self._events([EpochProposed]) if isinstance(event, EpochProposed)]
            if asked
            else []
        )
        # The same leaf may have been asked for in each proposal of one header: each deposit comes back once.
        epochs = {
            (event.header_hash, proposal.challenge_ends_at, event.tree, event.index): proposal.epoch
            for event in asked
            for proposal in ends
            if proposal.header_hash == event.header_hash
        }
        for which, epoch in epochs.items():
            request = requests.request_of(*which, block=block)
            if self.stop.is_set():
                return
            if request is not None and request.requester == me:
                _, _, tree, index = which
                what = f"take back the deposit for {tree} leaf {index}"
                key = _request_key(*which)
                yield self._send("reclaim", epoch, key, requests.reclaim_deposit(*which), what)
        waiting = self.timebank.rate_oracle.withdrawable_wei(me, block=block)
        if waiting and not self.stop.is_set():
            call = self.timebank.rate_oracle.withdraw_bond(me)
            yield self._send("withdraw-bond", 0, f"block {block}", call, f"draw {waiting} wei of rewards")
        self._settled_at = block

    def _send(self, kind: Kind, epoch: int, key: str, call: Call, what: str) -> Action:
        assert self.submitter is not None  # noqa: S101 - only a watchtower that acts comes here
        earlier = self.submitter.journal.live(kind, epoch, key)
        try:
            if earlier is not None and earlier.outcome == "mined":
                # The chain shows no effect of it, the journal does: its block is gone, or the node is behind.
                self._recheck(earlier)
            intent = self.submitter.perform(kind, epoch, key, call)
        except LeftOnItsWay as left:
            return Action(kind, what, call.value, left.intent.tx_hash, waiting=True)
        receipt = find_receipt(self.timebank.connection, bytes.fromhex(intent.tx_hash[2:]))
        gas_used = None if receipt is None else int(receipt["gasUsed"])
        log.info("done", what=what, tx=intent.tx_hash, gas=gas_used, wei=call.value)
        return Action(kind, what, call.value, intent.tx_hash, gas_used, block=intent.block)

    def _recheck(self, earlier: Intent) -> None:
        """Bring a transaction into a block again whose block is gone."""
        assert self.submitter is not None  # noqa: S101 - as above
        if self.submitter.recheck(earlier) is earlier:
            raise OracleError(
                f"{earlier.kind} of epoch {earlier.epoch} was mined in {earlier.tx_hash}, but this state of "
                "the chain does not show it",
                hint="the node is behind; the state is read again",
            )

    def _salt(self, pending: PendingEpoch, evidence: Evidence) -> bytes:
        """Return the same salt for the same proof of the same proposal, so that it survives a crash."""
        return keccak(
            self.secret
            + pending.header_hash
            + pending.challenge_ends_at.to_bytes(6, "big")
            + evidence.function.encode()
        )


def keep_secret(folder: Path) -> bytes:
    """Return the secret of a state folder, made at first use and readable by its owner alone.

    Raises
    ------
    OracleError
        If the file is not one.
    """
    path = folder / SECRET_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - opened above, for its owner only
            file.write(secrets.token_bytes(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
    secret = path.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise OracleError(
            f"{len(secret)} bytes, not {_SECRET_BYTES}",
            where=str(path),
            hint="move it away: a new one is made, and open commitments are made again",
        )
    return secret


def _request_key(header_hash: bytes, challenge_ends_at: int, tree: str, index: int) -> str:
    return f"0x{header_hash.hex()}:{challenge_ends_at}:{tree}:{index}"
