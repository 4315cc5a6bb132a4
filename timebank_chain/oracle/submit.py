"""Sending what the journal holds: intent first, broadcast second, outcome last.

A crash between any two of these lines leaves a state :meth:`Submitter.recover` can finish::

    prepare, sign     nothing happened
    journal.intend    the same bytes are sent on the next start
    broadcast         the receipt is looked up on the next start, and waited for while the node has it
    journal.settle    done

Every effect is also idempotent in the contracts (one header an epoch, cumulative claims), so even a
lost journal repeats nothing: the daemon reads the chain before it acts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address

from timebank_chain.chain import transactions
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.node_errors import InsufficientFunds, NonceTaken, NotMined, translated
from timebank_chain.chain.signer import SignedTransaction, Signer
from timebank_chain.chain.transactions import Call
from timebank_chain.errors import ContractError, TransactionFailed
from timebank_chain.oracle.clock import Clock
from timebank_chain.oracle.journal import IntendedCall, Intent, Journal, Kind

log = structlog.get_logger("timebank.oracle")

Checkpoint = Callable[[str], None]
_POLL_SECONDS = 0.2
#: How often a receipt is looked for whose nonce is used, before another transaction is taken to have used it.
_LOOKS_FOR_RECEIPT = 11
#: How long a block is still waited for after a stop: one that is about to come is not left behind.
STOP_PATIENCE_SECONDS = 2.0


class LeftOnItsWay(NotMined):
    """We were asked to stop while a transaction waits for its block; the journal has it."""

    def __init__(self, intent: Intent) -> None:
        super().__init__(
            f"{intent.call.contract}.{intent.call.function} is in no block yet: {intent.tx_hash}",
            hint="the next start looks for it first and goes on from there; nothing is sent twice",
        )
        self.intent = intent


def no_checkpoint(_step: str) -> None:
    """Do nothing at a named step; tests put a crash here."""


class Submitter:
    """Sends journalled transactions from one account.

    Parameters
    ----------
    wait_seconds
        How long to wait for a block before leaving an intent to the next tick.
    stop
        Ends the waiting within `STOP_PATIENCE_SECONDS` when it is set.
    checkpoint
        Called with the name of every step that has just been made durable.
    trust
        Called with the target before anything is signed; raises if it is not the deployment's.
    """

    def __init__(
        self,
        connection: Connection,
        signer: Signer,
        journal: Journal,
        clock: Clock,
        *,
        wait_seconds: float = 120,
        stop: threading.Event | None = None,
        checkpoint: Checkpoint = no_checkpoint,
        trust: Callable[[ChecksumAddress | None], object] = lambda _target: None,
    ) -> None:
        self.connection = connection
        self.signer = signer
        self.journal = journal
        self.clock = clock
        self.wait_seconds = wait_seconds
        self.stop = stop or threading.Event()
        self.checkpoint = checkpoint
        self.trust = trust

    def perform(self, kind: Kind, epoch: int, key: str, call: Call) -> Intent:
        """Bring about one effect, at most once.

        Returns
        -------
        Intent
            The mined intent; an earlier one if the effect was brought about before.

        Raises
        ------
        TransactionFailed
            If it was mined but reverted, or another transaction took its nonce.
        ContractError
            If the contract would refuse; nothing was sent.
        NotMined
            If no block holds it yet; the next `recover` looks again. `LeftOnItsWay` after a stop.
        """
        known = self.journal.live(kind, epoch, key)
        if known is not None:
            return _succeeded(self._finish(known, rebroadcast=True) if known.outcome is None else known)
        self.trust(call.target)
        prepared = transactions.prepare(self.connection, self.signer.address, call)
        signed = transactions.sign(self.signer, prepared)
        intent = self.journal.intend(
            kind,
            epoch,
            key,
            IntendedCall(call.contract, call.function, str(call.target), call.data, call.value),
            sender=self.signer.address,
            nonce=int(prepared.fields["nonce"]),
            tx_hash="0x" + signed.hash.hex(),
            raw=signed.raw,
            now_ms=self.clock.now_ms(),
        )
        self.checkpoint(f"{kind}: intended")
        log.info("sending", what=call.name, epoch=epoch, key=key, tx=intent.tx_hash, nonce=intent.nonce)
        transactions.broadcast(self.connection, signed)
        self.checkpoint(f"{kind}: broadcast")
        return _succeeded(self._finish(intent))

    def recover(self) -> list[Intent]:
        """Bring every open intent to an outcome, oldest nonce first; return them settled."""
        settled = []
        for intent in self.journal.open_intents():
            log.info("taking up", what=intent.kind, epoch=intent.epoch, key=intent.key, tx=intent.tx_hash)
            settled.append(self._finish(intent, rebroadcast=True))
        return settled

    def recheck(self, intent: Intent) -> Intent:
        """Look again at a mined intent whose effect is not on chain; reopen it if its block is gone."""
        receipt = transactions.find_receipt(self.connection, _hash(intent))
        return intent if receipt is not None else self._finish(self.journal.reopen(intent), rebroadcast=True)

    def _finish(self, intent: Intent, *, rebroadcast: bool = False) -> Intent:
        found = self._settle_by_receipt(intent)
        if found is not None:
            return found
        if self._nonce_is_used(intent):
            return self._settle_used(intent)
        # What the node has needs no second broadcast, and a simulation on top of it would refuse its effect.
        if rebroadcast and not transactions.is_known(self.connection, _hash(intent)):
            given_up = self._broadcast_again(intent)
            if given_up is not None:
                return given_up
        return self._await(intent)

    def _nonce_is_used(self, intent: Intent) -> bool:
        with translated():
            used = self.connection.w3.eth.get_transaction_count(to_checksum_address(intent.sender), "latest")
        return int(used) > intent.nonce

    def _settle_used(self, intent: Intent) -> Intent:
        """Settle an intent whose nonce is gone: to its transaction, or to another one.

        Nodes take a block in by steps, and several behind one address are not equally far: a nonce may be
        told before the receipt of what used it. Only what stays without one was superseded.
        """
        for look in range(_LOOKS_FOR_RECEIPT):
            if look:
                self.clock.sleep(_POLL_SECONDS)
            found = self._settle_by_receipt(intent)
            if found is not None:
                return found
        return self._settle(intent, "superseded", None)

    def _broadcast_again(self, intent: Intent) -> Intent | None:
        call = _call(intent)
        try:
            transactions.simulate(self.connection, to_checksum_address(intent.sender), call)
            transactions.broadcast(self.connection, SignedTransaction(intent.raw, _hash(intent)))
        except NonceTaken:
            return None  # mined between the two looks; waiting finds the receipt
        except (NotMined, InsufficientFunds):
            raise
        except (ContractError, TransactionFailed) as error:
            # Not wanted any more, or priced too low to be taken. The next transaction gets the same
            # nonce, so at most one of the two can ever be mined. Or not wanted because it was mined just now.
            if self._nonce_is_used(intent):
                return self._settle_used(intent)
            log.warning("given up", what=call.name, epoch=intent.epoch, tx=intent.tx_hash, reason=str(error))
            return self._settle(intent, "abandoned", None)
        return None

    def _await(self, intent: Intent) -> Intent:
        deadline = self.clock.now_ms() + int(self.wait_seconds * 1_000)
        stopping = False
        while True:
            found = self._settle_by_receipt(intent)
            if found is not None:
                return found
            now = self.clock.now_ms()
            if self.stop.is_set() and not stopping:
                stopping = True
                deadline = min(deadline, now + int(STOP_PATIENCE_SECONDS * 1_000))
            if now >= deadline:
                if stopping:
                    left = LeftOnItsWay(intent)
                    log.warning("stopping with a transaction on its way", what=left.message, next=left.hint)
                    raise left
                raise NotMined(
                    f"{intent.call.contract}.{intent.call.function} is in no block yet: {intent.tx_hash}",
                    hint="it is in the journal and is looked for again",
                )
            self.clock.sleep(_POLL_SECONDS)

    def _settle_by_receipt(self, intent: Intent) -> Intent | None:
        receipt = transactions.find_receipt(self.connection, _hash(intent))
        if receipt is None:
            return None
        block = int(receipt["blockNumber"])
        if receipt["status"] != 1:
            settled = self._settle(intent, "reverted", block)
            log.warning("reverted", what=intent.kind, epoch=intent.epoch, tx=intent.tx_hash, block=block)
            return settled
        settled = self._settle(intent, "mined", block)
        log.info("mined", what=intent.kind, epoch=intent.epoch, tx=intent.tx_hash, block=block)
        self.checkpoint(f"{intent.kind}: mined")
        return settled

    def _settle(self, intent: Intent, outcome: str, block: int | None) -> Intent:
        return self.journal.settle(intent, outcome, block=block, now_ms=self.clock.now_ms())  # type: ignore[arg-type]  # one of the literals above


def _succeeded(intent: Intent) -> Intent:
    if intent.outcome != "mined":
        raise TransactionFailed(
            f"{intent.kind} of epoch {intent.epoch} was {intent.outcome}: {intent.tx_hash}",
            hint="the state of the chain changed meanwhile; it is read again before anything else is sent",
        )
    return intent


def _hash(intent: Intent) -> bytes:
    return bytes.fromhex(intent.tx_hash[2:])


def _call(intent: Intent) -> Call:
    stored = intent.call
    return Call(
        contract=stored.contract,
        function=stored.function,
        target=to_checksum_address(stored.target),
        data=stored.data,
        value=stored.value,
    )
