"""CreditLease: a fixed sum for a fixed time at a fixed rent, between two members.

A lender signs a :class:`LeaseOffer` off chain: no transaction, no gas; ``lease_offers`` keeps it as a
file. Amounts are micro-credits, times Unix seconds. ``repayFromClaim`` has no method: only the distributor
calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.pausing import Pausing
from timebank_chain.chain.signer import Signer
from timebank_chain.chain.transactions import Call
from timebank_chain.chain.typed_data import MessageType
from timebank_chain.epoch.leaves import AccountLeaf
from timebank_chain.errors import OfferError
from timebank_chain.units import MicroCredit, mul_div_up

#: The contract's ``MAX_LEASE_TERM``, seconds: four years.
MAX_LEASE_TERM = 4 * 365 * 86_400

#: What a lender signs.
OFFER_TYPE = MessageType(
    "timebank CreditLease",
    "LeaseOffer",
    (
        ("lender", "lender", "address"),
        ("lessee", "lessee", "address"),
        ("amount", "amount", "uint64"),
        ("min_take", "minTake", "uint64"),
        ("rent", "rent", "uint64"),
        ("term", "term", "uint32"),
        ("on_standing", "onStanding", "bool"),
        ("expires_at", "expiresAt", "uint40"),
        ("series", "series", "uint64"),
        ("salt", "salt", "uint256"),
    ),
)


@dataclass(frozen=True, slots=True)
class LeaseOffer:
    """What a lender signs.

    Attributes
    ----------
    lender
        Who lends; a contract wallet signs by ERC-1271.
    lessee
        Who may take it; the zero address means anybody.
    amount, min_take
        Micro-credits in all, and the smallest part (the last may be smaller).
    rent
        Micro-credits for the whole amount and the whole term.
    term
        Seconds from taking to the due day.
    on_standing
        Whether standing is enough as security; a receipt always is.
    expires_at
        Unix seconds until which it can be taken.
    series
        The lender's :meth:`CreditLease.series_of` at the time of signing.
    salt
        Makes offers with equal terms different.

    Raises
    ------
    OfferError
        If the contract would refuse it as ``BadOffer``, or a number does not fit its type.
    """

    lender: ChecksumAddress
    lessee: ChecksumAddress
    amount: MicroCredit
    min_take: MicroCredit
    rent: MicroCredit
    term: int
    on_standing: bool
    expires_at: int
    series: int
    salt: int

    def __post_init__(self) -> None:
        OFFER_TYPE.require_ranges(self, OfferError)
        if not 0 < self.min_take <= self.amount:
            raise OfferError(
                f"{self.min_take} is not 1 to {self.amount}, the amount", where="field 'minTake'"
            )
        if not 0 < self.term <= MAX_LEASE_TERM:
            raise OfferError(f"{self.term} is not 1 to {MAX_LEASE_TERM} seconds", where="field 'term'")
        if self.amount + self.rent >= 1 << 64:
            raise OfferError("amount and rent together do not fit 64 bits", where="field 'rent'")

    def rent_for(self, amount: int) -> MicroCredit:
        """Return the rent of a part, rounded up as the contract does."""
        return MicroCredit(mul_div_up(self.rent, amount, self.amount))

    def digest(self, chain_id: int, contract: str) -> bytes:
        """Return the EIP-712 digest for the CreditLease ``contract``: what is signed, and its hash there."""
        return OFFER_TYPE.digest(self.as_call(), chain_id, contract)

    def typed_data(self, chain_id: int, contract: str) -> dict[str, Any]:
        """Return what a wallet shows and signs by ``eth_signTypedData_v4``; its large numbers are text."""
        return OFFER_TYPE.for_wallet(self.as_call(), chain_id, contract)

    def sign(self, signer: Signer, chain_id: int, contract: str) -> bytes:
        """Sign for the CreditLease ``contract`` on a chain and return the 65 bytes ``r || s || v``.

        Raises
        ------
        OfferError
            If the signer is not the lender.
        """
        if signer.address != self.lender:
            raise OfferError(
                f"the offer is {self.lender}'s, the wallet signs as {signer.address}",
                hint="sign with the lender's wallet, or make an offer of your own",
            )
        return signer.sign_digest(self.digest(chain_id, contract))

    def as_call(self) -> tuple[str | int, ...]:
        """Return the fields in the order of the contract's struct ``LeaseOffer``."""
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that runs.

    Attributes
    ----------
    lease_id
        Its number.
    lender, lessee
        Who gets principal and rent, and who owes them.
    due_at
        Unix seconds until which it can be repaid undisturbed.
    principal, rent, repaid
        Micro-credits lent, of rent for the whole term, and of both that have come in.
    fee_bps
        Fee on the rent, basis points.
    receipt_id
        The receipt in custody; ``None`` for a lease on standing.
    account
        For a lease on standing, the account whose leaf was proved.
    """

    lease_id: int
    lender: ChecksumAddress
    lessee: ChecksumAddress
    due_at: int
    principal: MicroCredit
    rent: MicroCredit
    repaid: MicroCredit
    fee_bps: int
    receipt_id: int | None
    account: ChecksumAddress | None

    @property
    def owed(self) -> MicroCredit:
        """Principal and rent less what came in."""
        return MicroCredit(self.principal + self.rent - self.repaid)

    @property
    def fee(self) -> MicroCredit:
        """All fees, whatever parts it is repaid in: the lender gets principal and rent less this."""
        return MicroCredit(mul_div_up(self.rent, self.fee_bps, 10_000))

    @classmethod
    def from_call(cls, lease_id: int, values: Sequence[Any]) -> Self | None:
        """Read the contract's struct ``Lease``; ``None`` for one that is not there or over."""
        lender, due_at, receipt_id, fee_bps, lessee, principal, account, rent, repaid = values
        if to_checksum_address(lender) == ZERO_ADDRESS:
            return None
        return cls(
            lease_id=lease_id,
            lender=to_checksum_address(lender),
            lessee=to_checksum_address(lessee),
            due_at=due_at,
            principal=MicroCredit(principal),
            rent=MicroCredit(rent),
            repaid=MicroCredit(repaid),
            fee_bps=fee_bps,
            receipt_id=receipt_id or None,
            account=None if receipt_id else to_checksum_address(account),
        )


class CreditLease(Pausing):
    """Members lend each other credits for rent, on a receipt or on standing."""

    NAME: ClassVar[str] = "CreditLease"

    def lease_of(self, lease_id: int, *, block: BlockIdentifier = "latest") -> Lease | None:
        """Return a lease, or ``None`` when there is no such lease or it is over."""
        return Lease.from_call(lease_id, self._read("leaseOf", lease_id, block=block))

    def owed_on(self, lease_id: int, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return principal and rent less what came in; 0 when there is no such lease."""
        return MicroCredit(self._read("owedOn", lease_id, block=block))

    def lease_count(self, *, block: BlockIdentifier = "latest") -> int:
        """Return how many leases there were: the number of the newest."""
        return int(self._read("leaseCount", block=block))

    def standing_lease_of(self, lessee: str, *, block: BlockIdentifier = "latest") -> int | None:
        """Return the number of a lessee's one lease on standing, or ``None``."""
        return int(self._read("standingLeaseOf", lessee, block=block)) or None

    def due_from_claims(self, borrower: str, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return how much of a lessee's next claims goes to its overdue lease on standing."""
        return MicroCredit(self._read("dueFromClaims", borrower, block=block))

    def hash_offer(self, offer: LeaseOffer) -> bytes:
        """Return the contract's own hash of an offer; equals ``offer.digest``."""
        return bytes(self._read("hashOffer", offer.as_call()))

    def taken_of(self, offer_hash: bytes, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what was taken of an offer so far."""
        return MicroCredit(self._read("takenOf", offer_hash, block=block))

    def is_cancelled(self, offer_hash: bytes, *, block: BlockIdentifier = "latest") -> bool:
        """Return whether an offer was cancelled by itself; :meth:`cancel_all` shows in :meth:`series_of`."""
        return bool(self._read("isCancelled", offer_hash, block=block))

    def series_of(self, lender: str, *, block: BlockIdentifier = "latest") -> int:
        """Return the series a lender's offers must be signed under."""
        return int(self._read("seriesOf", lender, block=block))

    def lease_fee_bps(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the fee on the rent of new leases, basis points."""
        return int(self._read("leaseFeeBps", block=block))

    def leasing_paused(self, *, block: BlockIdentifier = "latest") -> bool:
        """Return whether the guardian has stopped taking."""
        return bool(self._read("leasingPaused", block=block))

    def max_lease_fee_bps(self) -> int:
        """Return the highest fee governance can set, basis points."""
        return int(self._read("MAX_LEASE_FEE_BPS"))

    def max_lease_term(self) -> int:
        """Return the longest term, seconds."""
        return int(self._read("MAX_LEASE_TERM"))

    def credit(self) -> ChecksumAddress:
        """Return the credit that is lent."""
        return to_checksum_address(self._read("credit"))

    def time_bank(self) -> ChecksumAddress:
        """Return the bank whose receipts it takes."""
        return to_checksum_address(self._read("timeBank"))

    def lending(self) -> ChecksumAddress:
        """Return the pool that says how much a standing allows."""
        return to_checksum_address(self._read("lending"))

    def fee_pool(self) -> ChecksumAddress:
        """Return where fees go."""
        return to_checksum_address(self._read("feePool"))

    def distributor(self) -> ChecksumAddress:
        """Return where claims are pledged."""
        return to_checksum_address(self._read("distributor"))

    def take(self, offer: LeaseOffer, signature: bytes, amount: int, receipt_id: int) -> Call:
        """Propose taking an offer, whole or in part, on a receipt approved for this contract before."""
        return self._write(
            "take", offer=offer.as_call(), signature=signature, amount=amount, receiptId=receipt_id
        )

    def take_on_standing(
        self, offer: LeaseOffer, signature: bytes, amount: int, leaf: AccountLeaf, proof: Sequence[bytes]
    ) -> Call:
        """Propose taking an offer on standing; the sender's claims are pledged.

        Parameters
        ----------
        leaf
            The sender's, or that of the placeholder linked to it, in the newest finalised epoch.
        proof
            Siblings of the leaf, bottom up.
        """
        return self._write(
            "takeOnStanding",
            offer=offer.as_call(),
            signature=signature,
            amount=amount,
            leaf=leaf.as_call(),
            proof=list(proof),
        )

    def repay(self, lease_id: int, amount: int) -> Call:
        """Propose repaying at most ``amount``, approved before; in parts only on standing."""
        return self._write("repay", leaseId=lease_id, amount=amount)

    def settle(self, lease_id: int) -> Call:
        """Propose settling an overdue lease from its receipt; anyone may."""
        return self._write("settle", leaseId=lease_id)

    def forgive(self, lease_id: int) -> Call:
        """Propose giving up what is left of a lease (its lender)."""
        return self._write("forgive", leaseId=lease_id)

    def cancel(self, offer: LeaseOffer) -> Call:
        """Propose cancelling an offer (its lender)."""
        return self._write("cancel", offer=offer.as_call())

    def cancel_all(self) -> Call:
        """Propose ending the sender's series: every offer signed under it is void."""
        return self._write("cancelAll")

    def set_lease_fee(self, fee_bps: int) -> Call:
        """Propose another fee on the rent of later leases (governance)."""
        return self._write("setLeaseFee", newFeeBps=fee_bps)

    def pause_leasing(self) -> Call:
        """Propose stopping the taking of offers (guardian)."""
        return self._write("pauseLeasing")

    def resume_leasing(self, pause: int) -> Call:
        """Propose allowing the taking of offers again, by ending the pause of this number (governor)."""
        return self._write("resumeLeasing", pause=pause)
