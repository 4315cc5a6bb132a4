"""Whether a lease offer can be taken: every reason against it, by the name the contract gives it.

Commands raise the first of them before anything is sent, so that nothing is approved for a lease that will be
refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eth_abi.abi import encode as abi_encode
from eth_typing import ChecksumAddress
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3.types import BlockIdentifier

from timebank_chain.chain.addresses import address_text
from timebank_chain.chain.bank_reverts import (
    BadOfferSignature,
    BadTake,
    LeasingPaused,
    LenderIsLessee,
    NotForCaller,
    NotReceiptOwner,
    OfferExpired,
    OfferIsCancelled,
    ReceiptTooSmall,
    SeriesIsOver,
    StandingLeaseRuns,
    StandingNotAccepted,
    StandingTooLow,
)
from timebank_chain.chain.lease_offers import SignedOffer
from timebank_chain.chain.loans import standing_limit
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientAllowance, ERC20InsufficientBalance
from timebank_chain.chain.revert import Revert
from timebank_chain.chain.reverts import ClaimsPledged, NotAccountHolder
from timebank_chain.chain.system import Timebank
from timebank_chain.epoch.leaves import AccountLeaf
from timebank_chain.errors import ContractError, OfferError, TransactionFailed
from timebank_chain.units import MicroCredit, mul_div_up

ONE_BPS = 10_000
#: Selector of ERC-1271's question to a contract wallet, and its answer when the signature is its own.
_ERC1271_MAGIC = keccak(text="isValidSignature(bytes32,bytes)")[:4]


@dataclass(frozen=True)
class OfferState:
    """An offer as the chain sees it at one block; micro-credits, Unix seconds.

    Attributes
    ----------
    time
        Of the block, or of the next one where a development chain knows it.
    signed
        Whether the signature is the lender's, by key or by contract wallet.
    taken, left
        Of the offered amount.
    cancelled, series
        Whether the offer was cancelled by itself, and the series the lender is at.
    paused
        Whether the guardian has stopped taking.
    balance, allowance
        The lender's credits, and what of them the contract may take.
    fee_bps
        Fee on the rent of a lease taken now.
    """

    offer: SignedOffer
    time: int
    signed: bool
    taken: MicroCredit
    cancelled: bool
    series: int
    paused: bool
    balance: MicroCredit
    allowance: MicroCredit
    fee_bps: int

    @property
    def left(self) -> MicroCredit:
        """What can still be taken of it."""
        return MicroCredit(self.offer.offer.amount - self.taken)

    @property
    def covered(self) -> MicroCredit:
        """What of it the lender's balance and allowance cover."""
        return MicroCredit(min(self.left, self.balance, self.allowance))

    @property
    def smallest(self) -> MicroCredit:
        """The smallest part that can be taken now."""
        return MicroCredit(min(self.offer.offer.min_take, self.left))

    def refusals(self, amount: int | None = None, taker: ChecksumAddress | None = None) -> Iterator[Revert]:
        """Give every reason why it cannot be taken, in the order the contract looks.

        Parameters
        ----------
        amount
            Micro-credits to take; the smallest part possible when not given.
        taker
            Who would take it; anybody when not given.
        """
        offer, wanted = self.offer.offer, self.smallest if amount is None else amount
        if self.paused:
            yield LeasingPaused({})
        if self.time > offer.expires_at:
            yield OfferExpired({"expiresAt": offer.expires_at, "current": self.time})
        if offer.series != self.series:
            yield SeriesIsOver({"series": offer.series, "current": self.series})
        if self.cancelled:
            yield OfferIsCancelled({"offerHash": self.offer.offer_hash})
        if taker is not None and offer.lessee not in (ZERO_ADDRESS, taker):
            yield NotForCaller({"lessee": offer.lessee, "caller": taker})
        if taker == offer.lender:
            yield LenderIsLessee({"lender": offer.lender})
        if wanted == 0 or not self.smallest <= wanted <= self.left:
            yield BadTake({"amount": wanted, "minTake": offer.min_take, "left": self.left})
        if not self.signed:
            yield BadOfferSignature({"lender": offer.lender, "offerHash": self.offer.offer_hash})
        # The token asks for the allowance first.
        if self.allowance < wanted:
            yield ERC20InsufficientAllowance(
                {"spender": self.offer.contract, "allowance": self.allowance, "needed": wanted}
            )
        if self.balance < wanted:
            yield ERC20InsufficientBalance(
                {"sender": offer.lender, "balance": self.balance, "needed": wanted}
            )


def require_same_contract(timebank: Timebank, signed: SignedOffer) -> None:
    """Refuse an offer that is signed for another chain or another deployment.

    Raises
    ------
    OfferError
        Naming both.
    """
    here, chain = timebank.credit_lease.address, timebank.connection.chain_id
    if (signed.chain_id, signed.contract) != (chain, here):
        raise OfferError(
            f"the offer is for {signed.contract} on chain {signed.chain_id}, this is {here} on chain {chain}",
            hint="give the deployment it was signed for with --deployment, or ask for an offer on this one",
        )


def read_offer_state(timebank: Timebank, signed: SignedOffer) -> OfferState:
    """Ask the chain about an offer.

    Raises
    ------
    OfferError
        If it is signed for another chain or deployment.
    """
    require_same_contract(timebank, signed)
    lease, credit, lender = timebank.credit_lease, timebank.attention_credit, signed.offer.lender
    block = timebank.connection.simulation_block
    return OfferState(
        offer=signed,
        time=timebank.connection.pending_timestamp(),
        signed=signed.signed_by_key() or _signed_by_contract(timebank, signed, block),
        taken=lease.taken_of(signed.offer_hash, block=block),
        cancelled=lease.is_cancelled(signed.offer_hash, block=block),
        series=lease.series_of(lender, block=block),
        paused=lease.leasing_paused(block=block),
        balance=credit.balance_of(lender, block=block),
        allowance=credit.allowance(lender, lease.address, block=block),
        fee_bps=lease.lease_fee_bps(block=block),
    )


def receipt_refusals(
    timebank: Timebank, state: OfferState, amount: int, taker: ChecksumAddress, receipt_id: int
) -> Iterator[Revert]:
    """Give every reason why a receipt is refused as security."""
    bank, block = timebank.time_bank, timebank.connection.simulation_block
    if bank.owner_of(receipt_id, block=block) != taker:
        yield NotReceiptOwner({"receiptId": receipt_id, "caller": taker})
    worth, owed = bank.exit_value(receipt_id, block=block), amount + state.offer.offer.rent_for(amount)
    if worth < owed:
        yield ReceiptTooSmall({"receiptId": receipt_id, "exitValue": worth, "owed": owed})


@dataclass(frozen=True)
class EarlySettlement:
    """What settling costs while the receipt that secures a lease is not mature.

    Attributes
    ----------
    matures_at
        Of the receipt, Unix seconds; after the lease is due.
    penalty
        Micro-credits an early exit costs; the receipt's income is forfeited too.
    """

    matures_at: int
    penalty: MicroCredit


def early_settlement(timebank: Timebank, receipt_id: int, due_at: int) -> EarlySettlement | None:
    """Return what settling as soon as possible would cost; ``None`` if the receipt is mature by then."""
    bank, block = timebank.time_bank, timebank.connection.simulation_block
    position = bank.position(receipt_id, block=block)
    # The first second in which a settlement is possible comes after the due one.
    if position.matures_at <= due_at + 1:
        return None
    bps = bank.term(position.term_id, block=block).penalty_bps
    return EarlySettlement(position.matures_at, MicroCredit(mul_div_up(position.principal, bps, ONE_BPS)))


def standing_refusals(
    timebank: Timebank,
    state: OfferState,
    amount: int,
    taker: ChecksumAddress,
    leaf: AccountLeaf,
    *,
    decay_k: int,
) -> Iterator[Revert]:
    """Give every reason why a standing is refused as security.

    Parameters
    ----------
    leaf
        The account's in the newest final epoch.
    decay_k
        Decay constant of the policy in force.
    """
    signed, block, account = state.offer, timebank.connection.simulation_block, address_text(leaf.account)
    oracle, distributor = timebank.rate_oracle, timebank.credit_distributor
    if not signed.offer.on_standing:
        yield StandingNotAccepted({"offerHash": signed.offer_hash})
    running = timebank.credit_lease.standing_lease_of(taker, block=block)
    if running is not None:
        yield StandingLeaseRuns({"lessee": taker, "leaseId": running})
    if distributor.receiver_of(account, block=block) != taker:
        yield NotAccountHolder({"account": account, "caller": taker})
    limit = standing_limit(
        leaf.standing,
        age_ms=state.time * 1_000 - oracle.latest_end_ms(block=block),
        decay_k=decay_k,
        rate_q24=oracle.rate_q24(block=block),
        standing_bps=timebank.credit_lending.risk(block=block).standing_bps,
    )
    owed = amount + signed.offer.rent_for(amount)
    if owed > limit:
        yield StandingTooLow({"debt": owed, "limit": limit})
    for claimant in (account, taker):
        creditor = distributor.creditor_of(claimant, block=block)
        if creditor not in (None, ZERO_ADDRESS, timebank.credit_lease.address):
            yield ClaimsPledged({"account": claimant, "creditor": creditor})


def _signed_by_contract(timebank: Timebank, signed: SignedOffer, block: BlockIdentifier) -> bool:
    """Ask a lender that is a contract (ERC-1271); what it does not answer is no."""
    connection = timebank.connection
    if not connection.code_at(signed.offer.lender):
        return False
    question = _ERC1271_MAGIC + abi_encode(["bytes32", "bytes"], [signed.offer_hash, signed.signature])
    try:
        with translated():
            answer = connection.w3.eth.call({"to": signed.offer.lender, "data": HexBytes(question)}, block)
    except (ContractError, TransactionFailed):
        return False
    return bytes(answer[:32]) == _ERC1271_MAGIC + bytes(28)
