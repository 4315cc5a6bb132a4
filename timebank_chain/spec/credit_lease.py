"""Leases between two members: a fixed sum for a fixed time at a fixed rent, to the unit.

Money comes in for the principal first, then for the rent. When ``r`` of the rent has come in, all fees so far
are ``ceil(r * fee_bps / 10_000)``; a payment pays the growth of that number, so the fee on the whole rent is
the same in however many parts it is paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.credit_distributor import Claims
from timebank_chain.spec.epoch_tree import AccountLeaf, keccak
from timebank_chain.spec.fee_pool import ONE_BPS, FeePool
from timebank_chain.spec.revert import Reverted, require
from timebank_chain.spec.time_bank import TimeBank
from timebank_chain.units import MicroCredit, mul_div_up

__all__ = ["CreditLease", "Lease", "LeaseOffer", "OfferState", "hash_offer"]

_DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_OFFER_TYPE = (
    b"LeaseOffer(address lender,address lessee,uint64 amount,uint64 minTake,uint64 rent,uint32 term,"
    b"bool onStanding,uint40 expiresAt,uint64 series,uint256 salt)"
)


@dataclass(frozen=True)
class LeaseOffer:
    """What a lender signs; fields and units as in ``interfaces/ICreditLease.sol``."""

    lender: str
    lessee: str
    amount: int
    min_take: int
    rent: int
    term: int
    on_standing: bool
    expires_at: int
    series: int
    salt: int


@dataclass
class Lease:
    """A lease that runs; zeros for none. Fields and units as in ``interfaces/ICreditLease.sol``."""

    lender: str = ZERO_ADDRESS
    due_at: int = 0
    receipt_id: int = 0
    fee_bps: int = 0
    lessee: str = ZERO_ADDRESS
    principal: int = 0
    account: str = ZERO_ADDRESS
    rent: int = 0
    repaid: int = 0

    @property
    def owed(self) -> int:
        """Principal and rent less what came in."""
        return self.principal + self.rent - self.repaid


@dataclass
class OfferState:
    """What became of an offer: micro-credits taken of it, and whether its lender cancelled it."""

    taken: int = 0
    cancelled: bool = False


class StandingLimits(Protocol):
    """What a lease needs of the lending pool."""

    def standing_limit(self, standing: int, *, now: int) -> int:
        """Return the most that a standing allows."""
        ...


def hash_offer(offer: LeaseOffer, chain_id: int, contract: str) -> bytes:
    """Return the EIP-712 digest of an offer: what its lender signs, and its name on that contract."""
    domain = keccak(
        keccak(_DOMAIN_TYPE)
        + keccak(b"timebank CreditLease")
        + keccak(b"1")
        + _word(chain_id)
        + _word(contract)
    )
    struct = keccak(
        keccak(_OFFER_TYPE)
        + _word(offer.lender)
        + _word(offer.lessee)
        + _word(offer.amount)
        + _word(offer.min_take)
        + _word(offer.rent)
        + _word(offer.term)
        + _word(int(offer.on_standing))
        + _word(offer.expires_at)
        + _word(offer.series)
        + _word(offer.salt)
    )
    return keccak(b"\x19\x01" + domain + struct)


@dataclass
class CreditLease:
    """``lending/CreditLease.sol``: amounts in micro-credits, addresses as text, ``now`` in Unix seconds.

    Whether a signature is the lender's is an argument: who signs, and how, is no arithmetic.

    Attributes
    ----------
    address
        Its own, as in the credit's balances.
    chain_id
        Of the chain it stands on, for the hashes of offers.
    governor, guardian
        The only addresses with the roles for the fee and for pausing.
    leases
        Those that run, by number.
    offers
        By hash.
    standing_leases
        Number of a lessee's one lease on standing.
    series
        Of lenders who ended one.
    """

    MAX_LEASE_FEE_BPS = 2_000
    MAX_LEASE_TERM = 4 * 365 * 86_400

    credit: AttentionCredit
    time_bank: TimeBank
    lending: StandingLimits
    fee_pool: FeePool
    distributor: Claims
    address: str
    chain_id: int
    governor: str
    guardian: str
    lease_fee_bps: int
    leasing_paused: bool = False
    pauses: int = 0
    lease_count: int = 0
    leases: dict[int, Lease] = field(default_factory=dict)
    offers: dict[bytes, OfferState] = field(default_factory=dict)
    standing_leases: dict[str, int] = field(default_factory=dict)
    series: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what the constructor refuses."""
        self._check_lease_fee(self.lease_fee_bps)

    # Taking

    def take(
        self, caller: str, offer: LeaseOffer, signature_valid: bool, amount: int, receipt_id: int, *, now: int
    ) -> int:
        """Take an offer, whole or in part, against a receipt of the caller; return the lease's number."""
        offer_hash, rent = self._check_takable(caller, offer, signature_valid, amount, now)
        owner = self.time_bank.owner_of(receipt_id)
        require(owner == caller, "NotReceiptOwner", receipt_id, caller)
        exit_value = self.time_bank.exit_value_of(receipt_id, now=now)
        require(exit_value >= amount + rent, "ReceiptTooSmall", receipt_id, exit_value, amount + rent)
        self.time_bank.check_transfer_from(self.address, caller, self.address, receipt_id)
        self.credit.check_transfer_from(self.address, offer.lender, caller, amount)

        lease_id = self._open(caller, offer, offer_hash, amount, rent, receipt_id, ZERO_ADDRESS, now)
        self.time_bank.transfer_from(self.address, caller, self.address, receipt_id)
        self.credit.transfer_from(self.address, offer.lender, caller, amount)
        return lease_id

    def take_on_standing(
        self,
        caller: str,
        offer: LeaseOffer,
        signature_valid: bool,
        amount: int,
        leaf: AccountLeaf,
        proof: Sequence[bytes],
        *,
        now: int,
    ) -> int:
        """Take an offer on proven standing; return the lease's number."""
        offer_hash, rent = self._check_takable(caller, offer, signature_valid, amount, now)
        require(offer.on_standing, "StandingNotAccepted", offer_hash)
        running = self.standing_lease_of(caller)
        require(running == 0, "StandingLeaseRuns", caller, running)
        proven = self.distributor.is_latest_leaf(leaf, proof)
        require(proven, "StandingNotProven", leaf.index, self.distributor.account_root)
        account = "0x" + leaf.account.hex()
        require(self.distributor.receiver_of(account) == caller, "NotAccountHolder", account, caller)
        limit = self.lending.standing_limit(leaf.standing, now=now)
        require(amount + rent <= limit, "StandingTooLow", amount + rent, limit)
        for pledged in (account, caller):
            creditor = self.distributor.creditor_of(pledged)
            require(creditor in (ZERO_ADDRESS, self.address), "ClaimsPledged", pledged, creditor)
        self.credit.check_transfer_from(self.address, offer.lender, caller, amount)

        lease_id = self._open(caller, offer, offer_hash, amount, rent, 0, account, now)
        self.standing_leases[caller] = lease_id
        self.distributor.pledge_claims(self.address, account, caller)
        self.credit.transfer_from(self.address, offer.lender, caller, amount)
        return lease_id

    # Repaying

    def repay(self, caller: str, lease_id: int, amount: int) -> MicroCredit:
        """Repay out of the caller's allowance, at most what is owed; return what was paid."""
        lease = self._check_lease(lease_id)
        require(amount != 0, "ZeroAmount")
        owed = lease.owed
        whole = amount >= owed
        require(whole or lease.receipt_id == 0, "PartialRepayment", lease_id, owed, amount)
        paid = min(amount, owed)
        fee = self._fee_of(lease, paid)
        self._check_payment(caller, lease.lender, paid - fee, fee)

        self._book(lease_id, lease, paid)
        self.credit.transfer_from(self.address, caller, lease.lender, paid - fee)
        if fee:
            self.credit.transfer_from(self.address, caller, self.fee_pool.address, fee)
            self.fee_pool.sync()
        if paid == owed:
            self._release(lease)
        return MicroCredit(paid)

    def repay_from_claim(self, caller: str, borrower: str, amount: int, *, now: int) -> None:
        """Book a repayment out of a claim, minted to this contract just before; at any time."""
        require(caller == self.distributor.address, "NotClaimsDistributor", caller, self.distributor.address)
        lease_id = self.standing_leases[borrower]
        lease = self.leases[lease_id]
        owed = lease.owed
        fee = self._fee_of(lease, amount)

        self._book(lease_id, lease, amount)
        self.credit.transfer(self.address, lease.lender, amount - fee)
        self._pay_fee(fee)
        if amount == owed:
            self._release(lease)

    # After the due day, or never

    def settle(self, caller: str, lease_id: int, *, now: int) -> None:
        """Settle an overdue lease from its receipt; anybody may."""
        lease = self._check_lease(lease_id)
        require(lease.receipt_id != 0, "NotOnReceipt", lease_id)
        require(now > lease.due_at, "NotDue", lease_id, lease.due_at, now)

        self._close(lease_id, lease)
        proceeds = self.time_bank.close(self.address, lease.receipt_id, self.address, now=now)
        paid = min(proceeds, lease.owed)
        fee = self._fee_up(lease, paid)
        self.credit.transfer(self.address, lease.lender, paid - fee)
        self._pay_fee(fee)
        self.credit.transfer(self.address, lease.lessee, proceeds - paid)

    def forgive(self, caller: str, lease_id: int) -> None:
        """Give up what is left of a lease; only its lender."""
        lease = self._check_lease(lease_id)
        require(caller == lease.lender, "NotLender", lease_id, caller, lease.lender)
        self._close(lease_id, lease)
        self._release(lease)

    # Offers

    def cancel(self, caller: str, offer: LeaseOffer) -> None:
        """Cancel an offer; only its lender."""
        require(caller == offer.lender, "NotOfferLender", caller, offer.lender)
        self.offers.setdefault(self.hash_offer(offer), OfferState()).cancelled = True

    def cancel_all(self, caller: str) -> int:
        """End the caller's series; return the new one."""
        self.series[caller] = self.series_of(caller) + 1
        return self.series[caller]

    # Settings

    def set_lease_fee(self, caller: str, new_fee_bps: int) -> None:
        """Change the fee on the rent of later leases."""
        require(caller == self.governor, "AccessManagedUnauthorized", caller)
        self._check_lease_fee(new_fee_bps)
        self.lease_fee_bps = new_fee_bps

    def pause_leasing(self, caller: str) -> None:
        """Stop taking."""
        require(caller == self.guardian, "AccessManagedUnauthorized", caller)
        self.leasing_paused = True
        self.pauses += 1

    def resume_leasing(self, caller: str, pause: int) -> None:
        """Allow taking again, by ending the pause of this number."""
        require(caller == self.governor, "AccessManagedUnauthorized", caller)
        require(pause == self.pauses, "WrongPause", pause, self.pauses)
        self.leasing_paused = False

    # Views

    def lease_of(self, lease_id: int) -> Lease:
        """Return a lease; zeros when there is none or it is over."""
        return replace(self.leases[lease_id]) if lease_id in self.leases else Lease()

    def owed_on(self, lease_id: int) -> MicroCredit:
        """Return principal and rent less what came in."""
        return MicroCredit(self.lease_of(lease_id).owed)

    def due_from_claims(self, borrower: str, *, now: int) -> MicroCredit:
        """Return how much of the borrower's next claims goes to its debt; 0 while it is not overdue."""
        lease = self.lease_of(self.standing_lease_of(borrower))
        return MicroCredit(lease.owed if now > lease.due_at else 0)

    def standing_lease_of(self, lessee: str) -> int:
        """Return the number of a lessee's one lease on standing; 0 for none."""
        return self.standing_leases.get(lessee, 0)

    def hash_offer(self, offer: LeaseOffer) -> bytes:
        """Return an offer's EIP-712 digest here."""
        return hash_offer(offer, self.chain_id, self.address)

    def taken_of(self, offer_hash: bytes) -> MicroCredit:
        """Return what was taken of an offer so far."""
        return MicroCredit(self.offers.get(offer_hash, OfferState()).taken)

    def is_cancelled(self, offer_hash: bytes) -> bool:
        """Return whether an offer was cancelled by itself."""
        return self.offers.get(offer_hash, OfferState()).cancelled

    def series_of(self, lender: str) -> int:
        """Return the series a lender's offers must be signed under."""
        return self.series.get(lender, 0)

    # Checks

    def _check_takable(
        self, caller: str, offer: LeaseOffer, signature_valid: bool, amount: int, now: int
    ) -> tuple[bytes, int]:
        """Check an offer in the interface's order; return its hash and the part's rent, rounded up."""
        require(not self.leasing_paused, "LeasingPaused")
        possible = (
            0 < offer.min_take <= offer.amount
            and 0 < offer.term <= self.MAX_LEASE_TERM
            and offer.amount + offer.rent < 1 << 64
        )
        require(possible, "BadOffer")
        require(now <= offer.expires_at, "OfferExpired", offer.expires_at, now)
        series = self.series_of(offer.lender)
        require(offer.series == series, "SeriesIsOver", offer.series, series)
        offer_hash = self.hash_offer(offer)
        require(not self.is_cancelled(offer_hash), "OfferIsCancelled", offer_hash)
        require(offer.lessee in (ZERO_ADDRESS, caller), "NotForCaller", offer.lessee, caller)
        require(offer.lender != caller, "LenderIsLessee", offer.lender)
        left = offer.amount - self.taken_of(offer_hash)
        taken = amount != 0 and amount <= left and (amount >= offer.min_take or amount == left)
        require(taken, "BadTake", amount, offer.min_take, left)
        require(signature_valid, "BadOfferSignature", offer.lender, offer_hash)
        return offer_hash, mul_div_up(offer.rent, amount, offer.amount)

    def _check_lease(self, lease_id: int) -> Lease:
        require(lease_id in self.leases, "NoSuchLease", lease_id)
        return self.leases[lease_id]

    def _check_payment(self, payer: str, lender: str, to_lender: int, fee: int) -> None:
        """Revert where the lender's part or, after it, the fee could not be taken from the payer."""
        self.credit.check_transfer_from(self.address, payer, lender, to_lender)
        allowed = self.credit.allowances[payer, self.address]
        if allowed != MAX_UINT256 and allowed - to_lender < fee:
            raise Reverted("ERC20InsufficientAllowance", self.address, allowed - to_lender, fee)
        left = self.credit.balance_of(payer) - (to_lender if payer != lender else 0)
        if left < fee:
            raise Reverted("ERC20InsufficientBalance", payer, left, fee)

    def _check_lease_fee(self, fee_bps: int) -> None:
        require(fee_bps <= self.MAX_LEASE_FEE_BPS, "LeaseFeeTooHigh", fee_bps, self.MAX_LEASE_FEE_BPS)

    # Arithmetic

    @staticmethod
    def _fee_up(lease: Lease, repaid: int) -> int:
        """Return all fees once ``repaid`` has come in, rounded up: on what of it is rent."""
        return mul_div_up(max(0, repaid - lease.principal), lease.fee_bps, ONE_BPS)

    def _fee_of(self, lease: Lease, paid: int) -> int:
        return self._fee_up(lease, lease.repaid + paid) - self._fee_up(lease, lease.repaid)

    # Writes

    def _open(
        self,
        caller: str,
        offer: LeaseOffer,
        offer_hash: bytes,
        amount: int,
        rent: int,
        receipt_id: int,
        account: str,
        now: int,
    ) -> int:
        self.lease_count += 1
        self.offers.setdefault(offer_hash, OfferState()).taken += amount
        self.leases[self.lease_count] = Lease(
            lender=offer.lender,
            due_at=now + offer.term,
            receipt_id=receipt_id,
            fee_bps=self.lease_fee_bps,
            lessee=caller,
            principal=amount,
            account=account,
            rent=rent,
        )
        return self.lease_count

    def _book(self, lease_id: int, lease: Lease, paid: int) -> None:
        lease.repaid += paid
        if lease.owed == 0:
            self._close(lease_id, lease)

    def _close(self, lease_id: int, lease: Lease) -> None:
        del self.leases[lease_id]
        if lease.receipt_id == 0:
            del self.standing_leases[lease.lessee]

    def _release(self, lease: Lease) -> None:
        """Give the security back."""
        if lease.receipt_id:
            self.time_bank.transfer_from(self.address, self.address, lease.lessee, lease.receipt_id)
        else:
            self.distributor.release_claims(self.address, lease.account, lease.lessee)

    def _pay_fee(self, fee: int) -> None:
        if fee == 0:
            return
        self.credit.transfer(self.address, self.fee_pool.address, fee)
        self.fee_pool.sync()


def _word(value: int | str) -> bytes:
    """Return a number or an address as the 32 bytes the ABI gives it."""
    number = int(value, 16) if isinstance(value, str) else value
    return number.to_bytes(32, "big")
